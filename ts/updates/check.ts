/**
 * Whether what matters survived an update of OpenClaw: the last snapshot before it is compared with the newest one. Both come
 * from the bucket, and their databases are opened by a process of its own.
 */
import { statfsSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import type { Settings, ShownEntry, SnapshotInfo } from '../../index.js';
import { takeFolder } from '../boot/folder.js';
import { runProgram } from '../boot/program.js';
import type { Engine } from '../engine.js';
import { BackupError } from '../errors.js';
import type { Operation } from '../operation.js';
import { formatBytes } from '../text.js';
import { isNewer, updatesIn } from './history.js';
import { agentDatabase, type Missing, missingSince, SHARED_DATABASE, type Survey } from './survey.js';

/** What the program that counts is given. */
export interface CountJob {
  readonly stateDir: string;
  /** When the snapshot was made, ISO 8601. */
  readonly at: string;
}

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
}

/** So many bytes of databases are fetched without being asked for. */
export const MOST_BYTES = 5_000_000_000;
/** So many bytes stay free on the disk. */
const SPARE_BYTES = 256 << 20;

/** What the program is, for messages. */
const COUNTER = 'the process that counts what is in a snapshot';
const program = fileURLToPath(new URL('./counter.js', import.meta.url));

/**
 * Compares; undefined where nothing came before the OpenClaw that is here, or a newer one. `node` has to have SQLite.
 *
 * @throws {BackupError} B2_DISK_FULL where there is no room for the databases, B2_LOCKED while another one runs; B2_USAGE where
 * there is too much to fetch; those of a restore
 */
export async function checkUpdate(
  engine: Pick<Engine, 'list' | 'show' | 'restore'>,
  settings: Settings,
  operation: Operation = {},
  node = process.execPath,
): Promise<UpdateCheck | undefined> {
  const { snapshots: all } = await engine.list(settings, operation);
  // Whoever can write to the bucket must not make up a loss.
  const snapshots = all.filter(({ authenticated }) => authenticated || isPlain(settings));
  const update = updatesIn(snapshots, settings.hostVersion).at(-1);
  if (update === undefined || update.to !== settings.hostVersion || !isNewer(update.to, update.from))
    return undefined;
  const [before, after] = [
    snapshots.find(({ id }) => id === update.snapshot),
    snapshots.findLast((one) => isOf(one, update.to)),
  ];
  if (before === undefined) return undefined;
  const survey = (of: SnapshotInfo): Promise<Survey> => surveyOf(engine, settings, of, { operation, node });
  const had = await survey(before);
  // Where nothing has changed since, there is no newer one.
  const missing = after === undefined ? [] : missingSince(had, await survey(after));
  return {
    ...{ from: update.from, to: update.to, snapshot: update.snapshot, missing },
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

/** Whether the user has backups that nobody can authenticate. */
function isPlain({ encrypt }: Settings): boolean {
  return encrypt === false;
}

function isOf({ thisMachine, kind, hostVersion, problem }: SnapshotInfo, version: string): boolean {
  return thisMachine && kind !== 'safety' && hostVersion === version && problem === undefined;
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
  const folder = takeFolder(settings.stateDir, 'survey');
  try {
    checkRoom(
      folder.path,
      databases.reduce((sum, { bytes }) => sum + bytes, 0),
    );
    const stateDir = join(folder.path, 'state');
    const paths = databases.map(({ path }) => path);
    const { failed } = await engine.restore(settings, { ...what, to: stateDir, paths }, operation);
    const [lost] = failed;
    if (lost !== undefined)
      throw new BackupError(`${lost.path} did not come back: ${lost.message}`, { code: 'B2_DAMAGED' });
    const command = [node, program];
    const counted = await runProgram<Omit<Survey, 'memoryFiles'>>(
      { command, folder: folder.path, what: COUNTER, signal: operation.signal },
      { stateDir, at } satisfies CountJob,
    );
    return { ...counted, memoryFiles };
  } finally {
    folder.remove();
  }
}

/** @throws {BackupError} where it would take too much */
function checkRoom(folder: string, bytes: number): void {
  if (bytes > MOST_BYTES)
    throw new BackupError(`its databases have ${formatBytes(bytes)}, which is too much to fetch unasked`, {
      code: 'B2_USAGE',
    });
  const { bavail, bsize } = statfsSync(folder);
  if (bavail * bsize < bytes + SPARE_BYTES)
    throw new BackupError(`there is too little room for its databases (${formatBytes(bytes)})`, {
      code: 'B2_DISK_FULL',
      retryable: true,
    });
}

function isDatabase({ path, kind }: ShownEntry): boolean {
  const [, agent] = /^agents\/([^/]+)\/agent\/openclaw-agent\.sqlite$/.exec(path) ?? [];
  return (
    kind === 'file' && (path === SHARED_DATABASE || (agent !== undefined && path === agentDatabase(agent)))
  );
}

/** What agents remember by. */
function isMemory({ path, kind, bytes }: ShownEntry): boolean {
  return kind === 'file' && bytes > 0 && /(^|\/)(MEMORY\.md|memory\/[^/]+\.md)$/.test(path);
}
