/** What the gateway remembers of the last update of OpenClaw: part of its record, which the command line reads, too. */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Missing } from './survey.js';

/** See above. Times are ISO 8601. */
export interface UpdateRecord {
  /** The OpenClaw that this was written under. */
  readonly version: string;
  /** From when on it is to be checked that nothing is missing. */
  readonly checkAt?: string;
  /** The last check that came to an end. */
  readonly checked?: CheckedUpdate;
  /** Why the last try came to none. */
  readonly problem?: string;
}

/** An update that was looked at. */
export interface CheckedUpdate {
  readonly from: string;
  readonly to: string;
  /** The last snapshot before it. */
  readonly snapshot: string;
  /** When this was last looked at, and when for the first time. */
  readonly at: string;
  readonly since: string;
  /** What is missing: some, what is gravest first. */
  readonly missing: readonly Missing[];
  /** How many more are. */
  readonly more: number;
}

/** Where the gateway keeps its record, in a state directory. */
export const recordPath = (stateDir: string): string => join(stateDir, 'b2-backup', 'gateway.json');

/** The update that was last looked at; undefined where there was none, or nobody knows. */
export function readCheckedUpdate(stateDir: string): CheckedUpdate | undefined {
  try {
    const record = JSON.parse(readFileSync(recordPath(stateDir), 'utf8')) as { update?: unknown };
    return parseUpdate(record.update)?.checked;
  } catch {
    return undefined;
  }
}

/**
 * Notes that an update was undone, while no gateway runs: when the new version comes again, that is another update. `version` is
 * what is installed now.
 */
export function noteUndone(stateDir: string, version: string): void {
  const path = recordPath(stateDir);
  try {
    const record: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (typeof record !== 'object' || record === null) return;
    // In its place: it stays the file of whom OpenClaw runs as.
    writeFileSync(path, JSON.stringify({ ...record, update: { version } }));
  } catch {
    // Without a record the gateway begins a new one. The undo itself is done.
  }
}

/** When something was last rolled back on this machine, milliseconds since 1970; undefined where nothing was. */
export function lastRollbackMs(stateDir: string): number | undefined {
  try {
    return statSync(join(stateDir, 'b2-backup', 'restore', 'last')).mtimeMs;
  } catch {
    return undefined;
  }
}

/** The same of a record that was read; anything odd is as if nothing was there. */
export function parseUpdate(value: unknown): UpdateRecord | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { version, checkAt, checked, problem } = value as { readonly [field: string]: unknown };
  if (typeof version !== 'string') return undefined;
  return {
    version,
    ...(isTime(checkAt) ? { checkAt } : {}),
    ...(isChecked(checked) ? { checked } : {}),
    ...(typeof problem === 'string' ? { problem } : {}),
  };
}

function isChecked(value: unknown): value is CheckedUpdate {
  if (typeof value !== 'object' || value === null) return false;
  const { from, to, snapshot, at, since, missing, more } = value as Partial<CheckedUpdate>;
  return (
    [from, to, snapshot].every((text) => typeof text === 'string') &&
    [at, since].every(isTime) &&
    typeof more === 'number' &&
    Array.isArray(missing) &&
    missing.every(({ id, text }: Partial<Missing>) => typeof id === 'string' && typeof text === 'string')
  );
}

function isTime(value: unknown): value is string {
  return typeof value === 'string' && !Number.isNaN(Date.parse(value));
}
