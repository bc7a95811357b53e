/** What differs between two states, as far as it is shown. Pure. */
import type { DiffEntry, DiffReport } from '../../../index.js';
import { hideKeys } from '../hide.js';

/** Without what nobody would read. */
export interface Differences extends Pick<DiffReport, 'added' | 'changed' | 'removed' | 'warnings'> {
  /** Files and links, at most {@linkcode MOST}. What looks like a key is taken out of their lines. */
  readonly entries: readonly DiffEntry[];
  /** How many more there are. */
  readonly more: number;
  /** Files that could not be looked at. */
  readonly skipped: number;
}

/** Files named: a page with more is slow to read. */
export const MOST = 200;

/** What is shown of a comparison. */
export function differencesOf(report: DiffReport): Differences {
  const { added, changed, removed, warnings, skipped } = report;
  const all = report.entries.filter(({ kind }) => kind !== 'directory');
  const entries = all.slice(0, MOST).map(withoutKeys);
  return {
    added,
    changed,
    removed,
    warnings,
    entries,
    more: all.length - entries.length,
    skipped: skipped.length,
  };
}

/** The same with what looks like a key taken out of its lines. */
export function withoutKeys<T extends { text?: string }>(part: T): T {
  return part.text === undefined ? part : { ...part, text: hideKeys(part.text) };
}
