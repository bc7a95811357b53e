/** `b2-backup doctor` */
import type { Finding } from '../../index.js';
import { examples } from './command.js';
import { originDocument, originLines } from './origins.js';
import { type Cli, type Context, EXIT, type Outcome } from './outcome.js';
import { count, printable, type Style } from './render.js';

export function doctorCommand({ program, work }: Cli): void {
  program
    .command('doctor')
    .summary('find out what is wrong with settings, key or bucket')
    .description(`Find out what is wrong: with the settings, the state directory, the server, the key and what it may do, the rules \
of the bucket, hidden versions, the clock, and whether the configured secret opens the newest snapshot.

Each line says what it found, and what to do about it. Nothing is changed.

The exit status is 1 when a problem was found. Notes are no problems.`)
    .option(
      '--write',
      'also write a small object to the bucket, read it and delete it; a key that may not delete leaves it hidden',
    )
    .addHelpText('after', examples('b2-backup doctor', 'b2-backup doctor --json'))
    .action(work({ fileOptional: true }, (context, { write }) => doctor(context, write)));
}

async function doctor(
  { engine, settings, origins, operation, style }: Context,
  write = false,
): Promise<Outcome> {
  const { findings, problems, requests, durationMs } = await engine.doctor(settings, { write }, operation);
  const first = findings.find(({ level }) => level === 'problem');
  const found = `${count(problems, 'problem')} found`;
  return {
    exit: first === undefined ? EXIT.done : EXIT.failed,
    document: {
      ok: first === undefined,
      ...(first === undefined ? {} : { code: first.code ?? 'B2_INTERNAL', message: found }),
      findings: findings.map((one) => ({ ...one, code: one.code ?? null, advice: one.advice ?? null })),
      settings: originDocument(origins),
      requests,
      durationMs,
    },
    lines: [
      ...originLines(origins, style),
      '',
      ...findings.flatMap((finding) => describe(finding, style)),
      '',
      first === undefined ? style.green('No problems found') : style.red(found),
    ],
    chatter: first === undefined,
  };
}

function describe({ check, level, code, message, advice }: Finding, style: Style): string[] {
  const paint = level === 'problem' ? style.red : level === 'note' ? style.yellow : style.green;
  const head = `${paint(level.padEnd(7))}  ${printable(check)}: ${printable(message)}`;
  return [
    code === undefined ? head : `${head} (${printable(code)})`,
    ...(advice === undefined ? [] : [`         ${style.dim('->')} ${printable(advice)}`]),
  ];
}
