/** `b2-backup prune`, and what it would do with `--dry-run`. */
import type { PruneReport } from '../../index.js';
import { checkKeep } from '../policy.js';
import { examples } from './command.js';
import { type Cli, type Context, type Outcome, WAIT_MS } from './outcome.js';
import {
  count,
  type Fact,
  facts,
  formatBytes,
  formatDuration,
  formatTime,
  printable,
  table,
} from './render.js';

const COLUMNS = [{ title: 'SNAPSHOT' }, { title: 'TAKEN' }, { title: 'KEPT' }] as const;

export function pruneCommand({ program, work }: Cli): void {
  program
    .command('prune')
    .summary('delete snapshots that are not kept any more')
    .description(`Delete snapshots of this machine that are not kept any more, and free their space.

The keepSnapshots (10) newest are always kept. Beyond them, the last one of each day is kept for keepDaily (7) days, and the last of \
each week for keepWeekly (4) weeks, counting only days and weeks that have one. Safety snapshots stay, and so does everything of other machines. What only \
deleted snapshots needed is deleted a day later. Inside the gateway this happens by itself.

If anything in the bucket is not as it should be, it stops and deletes nothing. A push that was cut off loses nothing.`)
    .option('--dry-run', 'show why each snapshot is kept or goes, and delete nothing')
    .option('--more-than-half', 'go on even when more than half of the snapshots would go')
    .addHelpText('after', examples('b2-backup prune --dry-run', 'b2-backup push && b2-backup prune'))
    .action(work({}, prune));
}

async function prune(
  { engine, settings, config, operation, style }: Context,
  { dryRun = false, moreThanHalf = false }: { readonly dryRun?: boolean; readonly moreThanHalf?: boolean },
): Promise<Outcome> {
  const options = { ...checkKeep(config), dryRun, moreThanHalf, waitMs: WAIT_MS };
  const report = await engine.prune(settings, options, operation);
  const { snapshots, warnings, stop, ...figures } = report;
  const rows = snapshots.map(({ id, createdAt, reasons }) => [
    printable(id),
    formatTime(createdAt),
    reasons.length > 0 ? printable(reasons.join(', ')) : style.yellow('goes'),
  ]);
  return {
    document: { ok: true, dryRun, ...figures, stop: stop ?? null, snapshots, warnings },
    lines: [
      ...(dryRun && rows.length > 0 ? [...table(COLUMNS, rows, style), ''] : []),
      style.bold(headline(report, dryRun)),
      ...facts(space(report, dryRun)),
    ],
    chatter: !dryRun,
    warnings: stop === undefined ? warnings : [stop, ...warnings],
  };
}

function headline({ snapshots, deletedSnapshots, stop }: PruneReport, dryRun: boolean): string {
  const kept = count(snapshots.length - deletedSnapshots, 'snapshot');
  const gone = count(deletedSnapshots, 'snapshot');
  if (stop !== undefined) return 'Nothing would be deleted, see below';
  return dryRun ? `${gone} would go, ${kept} would stay` : `${gone} deleted, ${kept} kept`;
}

function space(report: PruneReport, dryRun: boolean): Fact[] {
  const { freedBytes, deletedPacks, waitingBytes, waitingPacks, hidden, others } = report;
  const { requests, durationMs } = report;
  return [
    [dryRun ? 'would be freed' : 'freed', `${formatBytes(freedBytes)} in ${count(deletedPacks, 'pack')}`],
    ['a day later', `${formatBytes(waitingBytes)} in ${count(waitingPacks, 'pack')}`],
    ['only hidden', hidden > 0 ? count(hidden, 'object') : undefined],
    ['left alone', others > 0 ? `${count(others, 'snapshot')} of other machines or format 1` : undefined],
    ['took', `${formatDuration(durationMs)}, ${count(requests, 'request')}`],
  ];
}
