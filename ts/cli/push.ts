/** `b2-backup push`, and what it would do with `--dry-run`. */
import type { PlanEntry, PushOptions } from '../../index.js';
import { given } from '../given.js';
import { secretsInside } from '../secrets.js';
import { collect, examples, Option } from './command.js';
import { gatewayProblems } from './findings.js';
import { type Cli, type Context, EXIT, type Outcome, WAIT_MS } from './outcome.js';
import {
  count,
  type Fact,
  facts,
  fileProblems,
  formatBytes,
  formatDuration,
  printable,
  remarksOf,
  table,
} from './render.js';

export function pushCommand({ program, work }: Cli): void {
  program
    .command('push')
    .summary('back up what has changed since the last snapshot')
    .description(`Back up what has changed since the last snapshot.

Each snapshot is complete: it restores on a blank machine, with nothing but the bucket and the key. Only changes travel. \
When nothing changed, no snapshot is made. A push is safe while OpenClaw runs, and safe to interrupt: the next one continues \
where it stopped. While another push works on the same state, this one waits for it, at most ten minutes.`)
    .option('--dry-run', 'only show what a push would back up')
    .option('--list', 'with --dry-run: name each file, and what is left out and why')
    .addOption(
      new Option(
        '--new-bucket',
        'begin anew where this machine stored snapshots and the bucket is empty now. Otherwise such a push is refused: most likely another disk, or none, is mounted there',
      ).conflicts('dryRun'),
    )
    .addOption(
      new Option(
        '--accept-missing <path>',
        'a workspace, or another directory that was whole in an earlier snapshot, is gone or empty on purpose. Otherwise every push reports it, and the last snapshot that has it is kept. May be given again',
      )
        .argParser(collect)
        .conflicts('dryRun'),
    )
    .addHelpText(
      'after',
      examples(
        'b2-backup push',
        'b2-backup push --dry-run --list',
        "B2_BUCKET=file:///mnt/usb/claw B2_BACKUP_PASSPHRASE='...' b2-backup push",
      ),
    )
    .hook('preAction', (command) => {
      const { list, dryRun } = command.opts();
      if (list && !dryRun) command.error('--list goes with --dry-run');
    })
    .action(
      work({ ownSecret: true }, (context, { dryRun, list, newBucket, acceptMissing }) =>
        dryRun ? plan(context, list) : push(context, given({ newBucket, acceptMissing })),
      ),
    );
}

async function push(
  { engine, settings, gateway, operation, style }: Context,
  options: Pick<PushOptions, 'newBucket' | 'acceptMissing'>,
): Promise<Outcome> {
  const report = await engine.push(settings, { reason: 'manual', waitMs: WAIT_MS, ...options }, operation);
  const { snapshot, files, bytes, uploadedBytes, requests, incomplete, skipped, warnings, durationMs } =
    report;
  const size = `${count(files, 'file')}, ${formatBytes(bytes)}`;
  const traffic = `${formatBytes(uploadedBytes)} in ${count(requests, 'request')}`;
  const pairs: Fact[] = [
    ['state', size],
    ['uploaded', traffic],
    ['took', formatDuration(durationMs)],
    ['finished first', report.resumed],
  ];
  return {
    exit: skipped.length > 0 ? EXIT.incomplete : EXIT.done,
    document: {
      ok: true,
      ...report,
      snapshot: snapshot ?? null,
      resumed: report.resumed ?? null,
    },
    lines: [
      (incomplete ? style.yellow : style.green)(
        (snapshot === undefined ? 'Nothing has changed since the last snapshot' : `Snapshot ${snapshot}`) +
          (incomplete ? ', which is incomplete' : ''),
      ),
      ...facts(pairs),
    ],
    chatter: true,
    problems: remarksOf(skipped, style),
    warnings: [...warnings, ...gatewayProblems(await gateway())],
  };
}

async function plan({ engine, settings, operation, style }: Context, listEntries = false): Promise<Outcome> {
  const { entries, ...rest } = await engine.plan(settings, operation);
  const { files, bytes, changedFiles, changedBytes, skipped, warnings } = rest;
  const summary = facts([
    ['state', `${count(files, 'file')}, ${formatBytes(bytes)}`],
    ['new or changed', `${count(changedFiles, 'file')}, ${formatBytes(changedBytes)} before compression`],
  ]);
  return {
    exit: skipped.length > 0 ? EXIT.incomplete : EXIT.done,
    document: {
      ok: true,
      dryRun: true,
      ...rest,
      ...(listEntries
        ? { entries: entries.map((entry) => ({ ...entry, reason: entry.reason ?? null })) }
        : {}),
    },
    lines: [
      ...(listEntries ? listing(entries, style) : []),
      style.bold('A push would back up'),
      ...summary,
      secretsInside(settings),
      ...(listEntries ? [] : [style.dim('Add --list to see each file, and what is left out and why.')]),
    ],
    chatter: false,
    problems: fileProblems(skipped, 'read', style),
    warnings,
  };
}

function listing(entries: readonly PlanEntry[], style: Context['style']): string[] {
  const rows = entries.map(({ path, included, changed, bytes, reason }) => [
    included ? (changed ? 'new' : 'same') : 'out',
    formatBytes(bytes),
    printable(path) + (reason === undefined ? '' : `  (${printable(reason)})`),
  ]);
  return [...table([{ title: '' }, { title: 'SIZE', right: true }, { title: 'PATH' }], rows, style), ''];
}
