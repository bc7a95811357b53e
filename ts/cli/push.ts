/** `b2-backup push`, and what it would do with `--dry-run`. */
import type { PlanEntry } from '../../index.js';
import { secretsInside } from '../secrets.js';
import { type Context, EXIT, type Outcome } from './outcome.js';
import {
  count,
  facts,
  fileProblems,
  formatBytes,
  formatDuration,
  printable,
  remarksOf,
  table,
} from './render.js';

/** How long a push waits for another one, in milliseconds: longer than most take. */
const WAIT_MS = 600_000;

export async function push(
  { engine, settings, operation, style }: Context,
  { newBucket, acceptMissing }: { newBucket: boolean; acceptMissing: readonly string[] },
): Promise<Outcome> {
  const options = {
    reason: 'manual',
    waitMs: WAIT_MS,
    ...(newBucket ? { newBucket } : {}),
    ...(acceptMissing.length > 0 ? { acceptMissing: [...acceptMissing] } : {}),
  };
  const report = await engine.push(settings, options, operation);
  const {
    snapshot,
    changed,
    files,
    bytes,
    uploadedBytes,
    requests,
    incomplete,
    skipped,
    warnings,
    durationMs,
  } = report;
  const size = `${count(files, 'file')}, ${formatBytes(bytes)}`;
  const traffic = `${formatBytes(uploadedBytes)} in ${count(requests, 'request')}`;
  const pairs: [string, string][] = [
    ['state', size],
    ['uploaded', traffic],
    ['took', formatDuration(durationMs)],
  ];
  if (report.resumed !== undefined) pairs.push(['finished first', report.resumed]);
  return {
    exit: skipped.length > 0 ? EXIT.incomplete : EXIT.done,
    document: {
      ok: true,
      snapshot: snapshot ?? null,
      changed,
      snapshots: report.snapshots,
      files,
      bytes,
      uploadedBytes,
      requests,
      incomplete,
      skipped,
      durationMs,
      resumed: report.resumed ?? null,
      warnings,
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
    warnings,
  };
}

export async function dryRun(
  { engine, settings, operation, style }: Context,
  listEntries: boolean,
): Promise<Outcome> {
  const report = await engine.plan(settings, operation);
  const { files, bytes, changedFiles, changedBytes, entries, skipped, warnings } = report;
  const summary = facts([
    ['state', `${count(files, 'file')}, ${formatBytes(bytes)}`],
    ['new or changed', `${count(changedFiles, 'file')}, ${formatBytes(changedBytes)} before compression`],
  ]);
  return {
    exit: skipped.length > 0 ? EXIT.incomplete : EXIT.done,
    document: {
      ok: true,
      dryRun: true,
      files,
      bytes,
      changedFiles,
      changedBytes,
      skipped,
      ...(listEntries
        ? { entries: entries.map((entry) => ({ ...entry, reason: entry.reason ?? null })) }
        : {}),
      warnings,
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
