/** `b2-backup verify` */
import type { VerifyProblem } from '../../index.js';
import { AS_OF, examples, Option, percentage } from './command.js';
import { type Cli, type Context, EXIT, type Outcome, UNDELETE_HINT } from './outcome.js';
import { count, facts, formatBytes, formatDuration, printable } from './render.js';

/** How many of a damaged object's files are named on the terminal; `--json` has them all. */
const SHOWN_PATHS = 20;

export function verifyCommand({ program, work }: Cli): void {
  program
    .command('verify')
    .summary('check that every snapshot can be restored')
    .description(`Check that every snapshot can be restored.

Without options it checks the structure: that every manifest opens, and that every pack it needs is there in the right \
size. That is quick and cheap.

The exit status is 1 when something is damaged. What is affected is listed.`)
    .option('--read-data', 'download everything and open every byte')
    .addOption(
      new Option(
        '--sample <percent>',
        'do so with a part of what this machine stored, and check the structure of only its snapshots. It takes what was not read for longest: after twenty times 5%, everything was read',
      )
        .argParser(percentage)
        .conflicts(['readData', 'asOf']),
    )
    .addOption(AS_OF)
    .addHelpText(
      'after',
      examples('b2-backup verify', 'b2-backup verify --read-data', 'b2-backup verify --sample 5%'),
    )
    .action(
      work({ fileOptional: true }, (context, { readData, sample }) => verify(context, readData, sample)),
    );
}

async function verify(
  { engine, settings, operation, style }: Context,
  readData = false,
  sample?: number,
): Promise<Outcome> {
  const reading = sample === undefined ? { readData } : { samplePercent: sample };
  const report = await engine.verify(settings, reading, operation);
  const { snapshots, packs, bytes, readBytes, problems, requests, downloadedBytes, durationMs } = report;
  const healthy = problems.length === 0;
  const what = readData
    ? 'every byte was read and checked'
    : sample === undefined
      ? 'structure only; --read-data reads every byte'
      : `${formatBytes(readBytes)} of this machine's packs were read and checked`;
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
      samplePercent: sample ?? null,
      ...report,
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
    problems: [...problems.flatMap(describe), ...(healthy ? [] : [UNDELETE_HINT])],
    locked: packs === 0 && problems.some(({ code }) => code === 'B2_WRONG_KEY'),
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
