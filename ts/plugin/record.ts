/** What the gateway remembers about its backups from one start to the next. */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Arrival, FileProblem } from '../../index.js';
import { type BackupError, isErrorCode } from '../errors.js';
import { parseUpdate, recordPath, type UpdateRecord } from '../updates/checked.js';

/** A failed push. */
export interface Failure {
  /** ISO 8601. */
  readonly at: string;
  readonly code: string;
  readonly message: string;
  /** Whether the same may succeed later without any change. */
  readonly retryable: boolean;
}

/** A rollback that was asked for and of which the end was not told yet. */
export interface PendingRollback {
  readonly id: string;
  readonly snapshot: string;
  /** Whether it undoes another. */
  readonly undo: boolean;
  /** The session that asked; the main one when not set. */
  readonly sessionKey?: string;
  readonly agentId?: string;
  /** What became of it; not set while it waits for the restart. */
  readonly outcome?: string;
  readonly late?: readonly string[];
  readonly left?: readonly string[];
  readonly problem?: string;
  /** Set where a new machine is given what another one had. */
  readonly arrival?: Arrival;
}

/** How the backups of this state have gone. Times are ISO 8601, by the local clock. */
export interface Record {
  /** When a push last began, of whatever outcome. */
  readonly lastRunAt?: string;
  /** When a push last succeeded, with a new snapshot or without changes. */
  readonly lastSuccessAt?: string;
  /** Whether the last thing that the gateway did was to back up when it stopped, and that went well. */
  readonly atRest?: boolean;
  /** The newest snapshot that this gateway made. */
  readonly lastSnapshot?: string;
  /** What the state has and the newest snapshot lacks, or has not as it should be: some, the worst first. */
  readonly remarks?: readonly FileProblem[];
  /** How many more there are. */
  readonly moreRemarks?: number;
  /** Failures since then. */
  readonly failures: number;
  readonly lastFailure?: Failure;
  /** Since when the plugin has been set up, for telling that nothing was ever backed up. */
  readonly since?: string;
  /** What the user was told about and that is not over yet. */
  readonly told: readonly Incident[];
  readonly rollback?: PendingRollback;
  /** Where and how backups were stored last, as a fingerprint (place.ts). */
  readonly place?: string;
  /** Whether that was changed, and no push has succeeded since. */
  readonly moved?: boolean;
  /** When snapshots were last pruned, or that was tried. */
  readonly lastPruneAt?: string;
  /** Why that failed. */
  readonly pruneFailure?: Failure;
  /** Which OpenClaw ran last, and whether its last update lost something. */
  readonly update?: UpdateRecord;
  /** How looking through what is stored went. */
  readonly verify?: ProofRecord;
  /** How the last trial restore went. */
  readonly drill?: ProofRecord;
}

/** How a proof last went. */
export interface ProofRecord {
  /** When it last came to an end: of a trial restore, when it last came back whole. */
  readonly doneAt?: string;
  /** When it was last begun. */
  readonly triedAt?: string;
  /** What it found, or why it found nothing out. */
  readonly failure?: Failure;
  /** Objects that were found bad and that the user was told of. */
  readonly found?: readonly string[];
  /** Why it is not even tried. */
  readonly skipped?: string;
}

/** What the user is told about, once. */
export type Incident = 'failing' | 'overdue' | 'unproven';

const INCIDENTS: ReadonlySet<unknown> = new Set<Incident>(['failing', 'overdue', 'unproven']);

/** Nothing has happened yet. */
export const EMPTY: Record = { failures: 0, told: [] };

/** The file of a record, in our folder of the state directory; losing it costs one push too many. */
export class RecordFile {
  readonly #folder: string;
  readonly #path: string;
  #writing: Promise<void> = Promise.resolve();

  constructor(stateDir: string) {
    this.#folder = join(stateDir, 'b2-backup');
    this.#path = recordPath(stateDir);
  }

  /** What was saved; anything odd is as if nothing was. */
  async read(): Promise<Record> {
    try {
      return parse(JSON.parse(await readFile(this.#path, 'utf8')));
    } catch {
      return EMPTY;
    }
  }

  /** Saves `record` in whole, after what is being saved already. */
  write(record: Record): Promise<void> {
    const next = this.#writing.then(() => this.#replace(record));
    this.#writing = next.catch(() => {});
    return next;
  }

  /** Resolves when nothing is being saved any more. */
  written(): Promise<void> {
    return this.#writing;
  }

  async #replace(record: Record): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const temporary = `${this.#path}.${randomBytes(6).toString('hex')}`;
    try {
      await writeFile(temporary, `${JSON.stringify(record)}\n`, { mode: 0o600 });
      await rename(temporary, this.#path);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  }
}

/** A failure to remember. */
export function failure(error: BackupError, at: Date): Failure {
  const { code, message, retryable } = error;
  return { at: at.toISOString(), code, message, retryable };
}

/**
 * Why a proof came to no end; what the last one found, while that stands. When it is tried again depends on its time.
 */
export function unfinished(standing: Failure | undefined, error: BackupError, at: Date): Failure {
  if (standing === undefined) return failure(error, at);
  return error.retryable ? standing : { ...standing, at: at.toISOString() };
}

/** So many remarks are remembered and shown to a model. */
const MOST_REMARKS = 20;

/** Some of the remarks, and how many more there are. */
export function boundRemarks(all: readonly FileProblem[]): Pick<Record, 'remarks' | 'moreRemarks'> {
  const more = all.length - MOST_REMARKS;
  return {
    ...(all.length === 0 ? {} : { remarks: all.slice(0, MOST_REMARKS) }),
    ...(more > 0 ? { moreRemarks: more } : {}),
  };
}

function parse(value: unknown): Record {
  if (typeof value !== 'object' || value === null) return EMPTY;
  const saved = value as { readonly [field: string]: unknown };
  const { failures, told, lastFailure, lastSnapshot, pruneFailure, remarks, moreRemarks } = saved;
  const update = parseUpdate(saved['update']);
  return {
    ...times(saved, 'lastRunAt', 'lastSuccessAt', 'since', 'lastPruneAt'),
    ...(typeof lastSnapshot === 'string' ? { lastSnapshot } : {}),
    ...(Array.isArray(remarks) ? { remarks: remarks.filter(isFileProblem) } : {}),
    ...(isCount(moreRemarks) ? { moreRemarks } : {}),
    ...(typeof saved['place'] === 'string' ? { place: saved['place'] } : {}),
    ...(saved['moved'] === true ? { moved: true } : {}),
    ...(saved['atRest'] === true ? { atRest: true } : {}),
    ...(isFailure(lastFailure) ? { lastFailure } : {}),
    ...(isFailure(pruneFailure) ? { pruneFailure } : {}),
    ...(update === undefined ? {} : { update }),
    ...proof(saved, 'verify'),
    ...proof(saved, 'drill'),
    ...(isRollback(saved['rollback']) ? { rollback: saved['rollback'] } : {}),
    failures: isCount(failures) ? failures : 0,
    told: Array.isArray(told) ? told.filter((word) => INCIDENTS.has(word)) : [],
  };
}

function proof<K extends 'verify' | 'drill'>(saved: { readonly [field: string]: unknown }, field: K) {
  const value = saved[field];
  if (typeof value !== 'object' || value === null) return {};
  const { failure, found, skipped } = value as Partial<ProofRecord>;
  const parsed: ProofRecord = {
    ...times(value as { readonly [field: string]: unknown }, 'doneAt', 'triedAt'),
    ...(isFailure(failure) ? { failure } : {}),
    ...(Array.isArray(found) ? { found: found.filter((object) => typeof object === 'string') } : {}),
    ...(typeof skipped === 'string' ? { skipped } : {}),
  };
  return { [field]: parsed } as { [F in K]: ProofRecord };
}

function times<K extends string>(saved: { readonly [field: string]: unknown }, ...fields: K[]) {
  const kept: { [F in K]?: string } = {};
  for (const field of fields) {
    const value = saved[field];
    if (typeof value === 'string' && !Number.isNaN(Date.parse(value))) kept[field] = value;
  }
  return kept;
}

function isFailure(value: unknown): value is Failure {
  if (typeof value !== 'object' || value === null) return false;
  const { at, code, message, retryable } = value as Partial<Failure>;
  return (
    typeof at === 'string' &&
    isErrorCode(code) &&
    typeof message === 'string' &&
    typeof retryable === 'boolean'
  );
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0;
}

function isFileProblem(value: unknown): value is FileProblem {
  if (typeof value !== 'object' || value === null) return false;
  const { path, code, message, failure, missing } = value as Partial<FileProblem>;
  return (
    [path, code, message].every((text) => typeof text === 'string') &&
    [failure, missing].every((flag) => typeof flag === 'boolean')
  );
}

function isRollback(value: unknown): value is PendingRollback {
  if (typeof value !== 'object' || value === null) return false;
  const { id, snapshot, undo } = value as Partial<PendingRollback>;
  return typeof id === 'string' && typeof snapshot === 'string' && typeof undo === 'boolean';
}
