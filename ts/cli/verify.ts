/** `b2-backup verify` */
import type { VerifyProblem } from '../../index.js';
import { type Context, EXIT, type Outcome } from './outcome.js';
import { count, facts, formatBytes, formatDuration, printable } from './render.js';

/** How many of a damaged object's files are named on the terminal; `--json` has them all. */
const SHOWN_PATHS = 20;

export async function verify(
  { engine, settings, operation, style }: Context,
  readData: boolean,
): Promise<Outcome> {
  const report = await engine.verify(settings, { readData }, operation);
  const { snapshots, packs, bytes, problems, requests, downloadedBytes, durationMs } = report;
  const healthy = problems.length === 0;
  const what = readData ? 'every byte was read and checked' : 'structure only; --read-data reads every byte';
  const verdict = healthy
    ? style.green('No problems found')
    : style.red(`${count(problems.length, 'problem')} found`);
  return {
    exit: healthy ? EXIT.done : EXIT.failed,
    document: {
      ok: healthy,
      ...(healthy
        ? {}
        : { code: problems[0]?.code ?? 'B2_DAMAGED', message: `${count(problems.length, 'problem')} found` }),
      readData,
      snapshots,
      packs,
      bytes,
      problems,
      requests,
      downloadedBytes,
      durationMs,
    },
    lines: [
      verdict,
      ...facts([
        ['snapshots', String(snapshots)],
        ['packs', `${packs}, ${formatBytes(bytes)}`],
        ['downloaded', `${formatBytes(downloadedBytes)} in ${count(requests, 'request')}`],
        ['took', formatDuration(durationMs)],
        ['checked', what],
      ]),
    ],
    chatter: healthy,
    problems: problems.flatMap(describe),
    warnings: [],
  };
}

function describe({ object, code, message, snapshots, paths }: VerifyProblem): string[] {
  // Most messages begin with the object that they are about.
  const finding = message.includes(object) ? message : `${object}: ${message}`;
  const lines = [`${printable(finding)} (${code})`];
  if (snapshots.length > 0) lines.push(`  in ${snapshots.map(printable).join(', ')}`);
  lines.push(...paths.slice(0, SHOWN_PATHS).map((path) => `  affects ${printable(path)}`));
  if (paths.length > SHOWN_PATHS) lines.push(`  and ${count(paths.length - SHOWN_PATHS, 'more file')}`);
  return lines;
}
