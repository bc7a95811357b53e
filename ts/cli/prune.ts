/** `b2-backup prune`, and what it would do with `--dry-run`. */
import type { PruneReport } from '../../index.js';
import { checkKeep } from '../policy.js';
import type { Command } from './command.js';
import { type Context, EXIT, type Outcome } from './outcome.js';
import { count, facts, formatBytes, formatDuration, formatTime, printable, table } from './render.js';

/** How long it waits for a push, in milliseconds: longer than most take. */
const WAIT_MS = 600_000;

const COLUMNS = [{ title: 'SNAPSHOT' }, { title: 'TAKEN' }, { title: 'KEPT' }] as const;

export async function prune(
  { engine, settings, config, operation, style }: Context,
  { dryRun, moreThanHalf }: Extract<Command, { name: 'prune' }>,
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
    exit: EXIT.done,
    document: { ok: true, dryRun, ...figures, stop: stop ?? null, snapshots, warnings },
    lines: [
      ...(dryRun && rows.length > 0 ? [...table(COLUMNS, rows, style), ''] : []),
      style.bold(headline(report, dryRun)),
      ...facts(space(report, dryRun)),
    ],
    chatter: !dryRun,
    problems: [],
    warnings: stop === undefined ? warnings : [stop, ...warnings],
  };
}

function headline({ snapshots, deletedSnapshots, stop }: PruneReport, dryRun: boolean): string {
  const kept = count(snapshots.length - deletedSnapshots, 'snapshot');
  const gone = count(deletedSnapshots, 'snapshot');
  if (stop !== undefined) return 'Nothing would be deleted, see below';
  return dryRun ? `${gone} would go, ${kept} would stay` : `${gone} deleted, ${kept} kept`;
}

function space(report: PruneReport, dryRun: boolean): [string, string][] {
  const { freedBytes, deletedPacks, waitingBytes, waitingPacks, hidden, others } = report;
  const { requests, durationMs } = report;
  const pairs: [string, string][] = [
    [dryRun ? 'would be freed' : 'freed', `${formatBytes(freedBytes)} in ${count(deletedPacks, 'pack')}`],
    ['a day later', `${formatBytes(waitingBytes)} in ${count(waitingPacks, 'pack')}`],
  ];
  if (hidden > 0) pairs.push(['only hidden', count(hidden, 'object')]);
  if (others > 0) pairs.push(['left alone', `${count(others, 'snapshot')} of other machines or format 1`]);
  pairs.push(['took', `${formatDuration(durationMs)}, ${count(requests, 'request')}`]);
  return pairs;
}
