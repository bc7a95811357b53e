/**
 * Whether what matters survived an update of OpenClaw: the last snapshot before it is compared with the newest one. Both come
 * from the bucket, and their databases are opened by a process of its own.
 */
import process from 'node:process';
import type { Settings, ShownEntry, SnapshotInfo } from '../../index.js';
import type { Engine } from '../engine.js';
import { BackupError } from '../errors.js';
import type { Operation } from '../operation.js';
import { formatBytes } from '../text.js';
import { lastRollbackMs } from './checked.js';
import type { CountJob } from './count.js';
import { agentOf, countFetched, isPlain } from './fetched.js';
import { isNewer, updatesIn } from './history.js';
import { type Missing, missingSince, SHARED_DATABASE, type Survey } from './survey.js';

/** What a check found. */
export interface UpdateCheck {
  readonly from: string;
  readonly to: string;
  /** The last snapshot before the update. */
  readonly snapshot: string;
  /** What is not there any more. */
  readonly missing: readonly Missing[];
  /** What was counted before the update. */
  readonly counted: {
    readonly agents: number;
    readonly sessions: number;
    readonly messages: number;
    readonly jobs: number;
    readonly memoryFiles: number;
  };
  /** What could not be compared, in sentences. */
  readonly notes: readonly string[];
  /** Where the snapshot is older than the update: since when nothing was saved, ISO 8601. */
  readonly unsavedSince?: string;
}

/** How it is checked. */
export interface CheckOptions {
  /** A Node that has SQLite. */
  readonly node?: string;
  /** When the new version was first started, milliseconds since 1970; not set where that was looked at before. */
  readonly startedMs?: number | undefined;
  /** Where the gateway of the old version ended without a backup: since when nothing of it was saved, ISO 8601. */
  readonly unsavedSince?: string | undefined;
}

/** So many bytes of databases are fetched without being asked for. */
export const MOST_BYTES = 5_000_000_000;
/**
 * Compares; undefined where nothing came before the OpenClaw that is here, or a newer one.
 *
 * @throws {BackupError} B2_DISK_FULL where there is no room for the databases, B2_LOCKED while another one runs; B2_USAGE where
 * there is too much to fetch; those of a restore
 */
export async function checkUpdate(
  engine: Pick<Engine, 'list' | 'show' | 'restore'>,
  settings: Settings,
  operation: Operation = {},
  { node = process.execPath, startedMs, unsavedSince }: CheckOptions = {},
): Promise<UpdateCheck | undefined> {
  const { snapshots: all } = await engine.list(settings, operation);
  // Whoever can write to the bucket must not make up a loss.
  const snapshots = all.filter(({ authenticated }) => authenticated || isPlain(settings));
  const update = updatesIn(snapshots, { version: settings.hostVersion, unsavedSince }).at(-1);
  if (update === undefined || update.to !== settings.hostVersion || !isNewer(update.to, update.from))
    return undefined;
  const before = snapshots.find(({ id }) => id === update.snapshot);
  if (before === undefined) return undefined;
  const after = snapshots.findLast((one) => isOf(one, update.to, untouchedUntil(settings, startedMs)));
  const survey = (of: SnapshotInfo): Promise<Survey> => surveyOf(engine, settings, of, { operation, node });
  const had = await survey(before);
  // Where nothing has changed since, there is no newer one.
  const missing = after === undefined ? [] : missingSince(had, await survey(after));
  return {
    ...{ from: update.from, to: update.to, snapshot: update.snapshot, missing },
    ...(update.unsavedSince === undefined ? {} : { unsavedSince: update.unsavedSince }),
    counted: {
      agents: had.agents.length,
      sessions: had.sessions.length,
      messages: Object.values(had.messages).reduce((sum, n) => sum + Math.max(n, 0), 0),
      jobs: had.jobs.length,
      memoryFiles: had.memoryFiles.length,
    },
    notes: Object.entries(had.unread).map(([path, why]) => `${path} could not be compared: ${why}`),
  };
}

/** What a rollback took away since the new version started is no loss of the update's: until then, milliseconds since 1970. */
function untouchedUntil({ stateDir }: Settings, startedMs: number | undefined): number | undefined {
  const rolledBack = lastRollbackMs(stateDir);
  return startedMs !== undefined && rolledBack !== undefined && rolledBack >= startedMs
    ? rolledBack
    : undefined;
}

/** Whether a snapshot is one of this version. What was saved before a rollback is looked at only where that is in question. */
function isOf(
  { thisMachine, kind, hostVersion, problem, createdAt }: SnapshotInfo,
  version: string,
  untilMs: number | undefined,
): boolean {
  const usable = thisMachine && hostVersion === version && problem === undefined;
  return usable && (untilMs === undefined ? kind !== 'safety' : Date.parse(createdAt) <= untilMs);
}

async function surveyOf(
  engine: Pick<Engine, 'show' | 'restore'>,
  settings: Settings,
  { id: snapshot, createdAt: at }: SnapshotInfo,
  { operation, node }: { readonly operation: Operation; readonly node: string },
): Promise<Survey> {
  const what = { snapshot, allowUnauthenticated: isPlain(settings) };
  const { entries } = await engine.show(settings, what, operation);
  const databases = entries.filter(isDatabase);
  const memoryFiles = entries.filter(isMemory).map(({ path }) => path);
  const nothing = { agents: [], sessions: [], messages: {}, jobs: [], unread: {}, memoryFiles };
  if (databases.length === 0) return nothing;
  const bytes = databases.reduce((sum, database) => sum + database.bytes, 0);
  if (bytes > MOST_BYTES)
    throw new BackupError(`its databases have ${formatBytes(bytes)}, which is too much to fetch unasked`, {
      code: 'B2_USAGE',
    });
  const paths = databases.map(({ path }) => path);
  const counted = await countFetched<Omit<Survey, 'memoryFiles'>>(
    { engine, settings, snapshot, paths, bytes, folder: 'survey', operation, node },
    (stateDir) => ({ stateDir, at }) satisfies CountJob,
  );
  return { ...counted, memoryFiles };
}

function isDatabase({ path, kind }: ShownEntry): boolean {
  return kind === 'file' && (path === SHARED_DATABASE || agentOf(path) !== undefined);
}

/** What agents remember by. */
function isMemory({ path, kind, bytes }: ShownEntry): boolean {
  return kind === 'file' && bytes > 0 && /(^|\/)(MEMORY\.md|memory\/[^/]+\.md)$/.test(path);
}
