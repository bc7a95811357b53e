/** `b2-backup doctor` */
import type { Finding } from '../../index.js';
import { originDocument, originLines } from './origins.js';
import { type Context, EXIT, type Outcome } from './outcome.js';
import { count, printable, type Style } from './render.js';

export async function doctor(
  { engine, settings, origins, operation, style }: Context,
  write: boolean,
): Promise<Outcome> {
  const { findings, problems, requests, durationMs } = await engine.doctor(settings, { write }, operation);
  const first = findings.find(({ level }) => level === 'problem');
  const found = `${count(problems, 'problem')} found`;
  return {
    exit: first === undefined ? EXIT.done : EXIT.failed,
    document: {
      ok: first === undefined,
      ...(first === undefined ? {} : { code: first.code ?? 'B2_INTERNAL', message: found }),
      findings: findings.map(({ check, level, code, message, advice }) => ({
        check,
        level,
        code: code ?? null,
        message,
        advice: advice ?? null,
      })),
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
    problems: [],
    warnings: [],
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
