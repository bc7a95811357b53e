/** `b2-backup doctor` */
import { examples } from './command.js';
import { findingDocument, findingLines, lookAtGateway } from './findings.js';
import { originDocument, originLines } from './origins.js';
import { type Cli, type Context, EXIT, type Outcome } from './outcome.js';
import { count } from './render.js';

export function doctorCommand({ program, work }: Cli): void {
  program
    .command('doctor')
    .summary('find out what is wrong with settings, key or bucket')
    .description(`Find out what is wrong: with the settings, the state directory, the server, the key and what it may do, the rules \
of the bucket, hidden versions, the clock, whether the configured secret opens the newest snapshot, and what keeps \
OpenClaw's gateway from backing up by its configuration.

Each line says what it found, and what to do about it. Nothing is changed.

The exit status is 1 when a problem was found. Notes are no problems.`)
    .option(
      '--write',
      'also write a small object to the bucket, read it and delete it; a key that may not delete leaves it hidden',
    )
    .addHelpText('after', examples('b2-backup doctor', 'b2-backup doctor --json'))
    .action(work({ fileOptional: true }, (context, { write }) => doctor(context, write)));
}

async function doctor(context: Context, write = false): Promise<Outcome> {
  const { engine, settings, origins, operation, style } = context;
  const { requests, durationMs, ...report } = await engine.doctor(settings, { write }, operation);
  const findings = [...report.findings, ...(await lookAtGateway(context))];
  const problems = findings.filter(({ level }) => level === 'problem');
  const [first] = problems;
  const found = `${count(problems.length, 'problem')} found`;
  return {
    exit: first === undefined ? EXIT.done : EXIT.failed,
    document: {
      ok: first === undefined,
      ...(first === undefined ? {} : { code: first.code ?? 'B2_INTERNAL', message: found }),
      findings: findings.map(findingDocument),
      settings: originDocument(origins),
      requests,
      durationMs,
    },
    lines: [
      ...originLines(origins, style),
      '',
      ...findings.flatMap((finding) => findingLines(finding, style)),
      '',
      first === undefined ? style.green('No problems found') : style.red(found),
    ],
    chatter: first === undefined,
  };
}
