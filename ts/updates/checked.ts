/** What the gateway remembers of the last update of OpenClaw: part of its record, which the command line reads, too. */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findOpenClaw, openClawVersion } from '../openclaw.js';
import { type Here, isNewer } from './history.js';
import { gatewayPid } from './host.js';
import type { Missing } from './survey.js';

/** See above. Times are ISO 8601. */
export interface UpdateRecord {
  /** The OpenClaw that this was written under. */
  readonly version: string;
  /** The version before it, where this machine saw the update. */
  readonly from?: string;
  /** Where the gateway of that version ended without a backup: since when nothing of it was saved. */
  readonly unsavedSince?: string;
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
  /** Where that snapshot is older than the update: since when nothing was saved. */
  readonly unsavedSince?: string;
}

/** What the gateway's record says of how it ended. */
export interface Ended {
  /** Whether the last that it did was to back up, and that went well. */
  readonly atRest?: boolean | undefined;
  /** When a push last succeeded. */
  readonly lastSuccessAt?: string | undefined;
}

/** Since when nothing of a gateway that has ended was saved; undefined where all of it was, or nothing ever. */
export function unsavedOf({ atRest, lastSuccessAt }: Ended): string | undefined {
  return atRest === true ? undefined : lastSuccessAt;
}

/** Where the gateway keeps its record, in a state directory. */
export const recordPath = (stateDir: string): string => join(stateDir, 'b2-backup', 'gateway.json');

/** The update that was last looked at; undefined where there was none, or nobody knows. */
export function readCheckedUpdate(stateDir: string): CheckedUpdate | undefined {
  return parseUpdate(readRecord(stateDir)['update'])?.checked;
}

/** What this machine knows of its OpenClaw, for a program that is not the gateway. */
export function readHere(stateDir: string, version = openClawVersion(findOpenClaw())): Here {
  const record = readRecord(stateDir);
  const update = parseUpdate(record['update']);
  if (update === undefined || version === undefined) return { version };
  if (update.version === version) return { version, unsavedSince: update.unsavedSince };
  // The gateway of the new version never ran, or its plugin did not; that of the old one may still run.
  const ended = isNewer(version, update.version) && gatewayPid(stateDir) === undefined;
  const { atRest, lastSuccessAt } = record;
  const known = { atRest: atRest === true, lastSuccessAt: isTime(lastSuccessAt) ? lastSuccessAt : undefined };
  return { version, unsavedSince: ended ? unsavedOf(known) : undefined };
}

function readRecord(stateDir: string): { readonly [field: string]: unknown } {
  try {
    const record: unknown = JSON.parse(readFileSync(recordPath(stateDir), 'utf8'));
    return typeof record === 'object' && record !== null ? (record as Record<string, unknown>) : {};
  } catch {
    return {};
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
  const { version, from, unsavedSince, checkAt, checked, problem } = value as {
    readonly [field: string]: unknown;
  };
  if (typeof version !== 'string') return undefined;
  return {
    version,
    ...(typeof from === 'string' ? { from } : {}),
    ...(isTime(unsavedSince) ? { unsavedSince } : {}),
    ...(isTime(checkAt) ? { checkAt } : {}),
    ...(isChecked(checked) ? { checked } : {}),
    ...(typeof problem === 'string' ? { problem } : {}),
  };
}

function isChecked(value: unknown): value is CheckedUpdate {
  if (typeof value !== 'object' || value === null) return false;
  const { from, to, snapshot, at, since, missing, more, unsavedSince } = value as Partial<CheckedUpdate>;
  return (
    [from, to, snapshot].every((text) => typeof text === 'string') &&
    [at, since, unsavedSince ?? since].every(isTime) &&
    typeof more === 'number' &&
    Array.isArray(missing) &&
    missing.every(({ id, text }: Partial<Missing>) => typeof id === 'string' && typeof text === 'string')
  );
}

function isTime(value: unknown): value is string {
  return typeof value === 'string' && !Number.isNaN(Date.parse(value));
}
