/** Databases of a snapshot, fetched and counted by a process of its own. */
import { statfsSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import type { Settings } from '../../index.js';
import { takeFolder } from '../boot/folder.js';
import { runProgram } from '../boot/program.js';
import type { Engine } from '../engine.js';
import { BackupError } from '../errors.js';
import type { Operation } from '../operation.js';
import { formatBytes } from '../text.js';
import { agentDatabase } from './survey.js';

/** So many bytes stay free on the disk. */
const SPARE_BYTES = 256 << 20;
/** What the program is, for messages. */
const COUNTER = 'the process that counts what is in a snapshot';
const program = fileURLToPath(new URL('./counter.js', import.meta.url));

/** What is counted. */
export interface Fetch {
  readonly engine: Pick<Engine, 'restore'>;
  readonly settings: Settings;
  readonly snapshot: string;
  /** Paths of databases in it, and how many bytes they have together. */
  readonly paths: readonly string[];
  readonly bytes: number;
  /** The folder below `<state>/b2-backup/` for them. Two that use one at the same time disturb each other. */
  readonly folder: 'survey' | 'plan';
  readonly operation: Operation;
  /** A Node that has SQLite. */
  readonly node?: string;
}

/** Whether the user has backups that nobody can authenticate. */
export function isPlain({ encrypt }: Settings): boolean {
  return encrypt === false;
}

/** The agent whose database is at a path of a snapshot. */
export function agentOf(path: string): string | undefined {
  const [, agent] = /^agents\/([^/]+)\/agent\/openclaw-agent\.sqlite$/.exec(path) ?? [];
  return agent !== undefined && path === agentDatabase(agent) ? agent : undefined;
}

/**
 * Fetches the databases, has the program do the job on the state directory that they are in, and removes them.
 *
 * @throws {BackupError} B2_DISK_FULL where there is no room for them, B2_LOCKED while another process uses the folder,
 * B2_WORKER_DIED; those of a restore
 */
export async function countFetched<Answer>(
  { engine, settings, snapshot, paths, bytes, folder: name, operation, node = process.execPath }: Fetch,
  jobOn: (stateDir: string) => unknown,
): Promise<Answer> {
  const folder = takeFolder(settings.stateDir, name);
  try {
    checkRoom(folder.path, bytes);
    const to = join(folder.path, 'state');
    if (paths.length > 0) {
      const what = { snapshot, allowUnauthenticated: isPlain(settings), to, paths: [...paths] };
      const { failed } = await engine.restore(settings, what, operation);
      const [lost] = failed;
      if (lost !== undefined)
        throw new BackupError(`${lost.path} did not come back: ${lost.message}`, { code: 'B2_DAMAGED' });
    }
    return await runProgram<Answer>(
      { command: [node, program], folder: folder.path, what: COUNTER, signal: operation.signal },
      jobOn(to),
    );
  } finally {
    folder.remove();
  }
}

function checkRoom(folder: string, bytes: number): void {
  const { bavail, bsize } = statfsSync(folder);
  if (bavail * bsize < bytes + SPARE_BYTES)
    throw new BackupError(`there is too little room for its databases (${formatBytes(bytes)})`, {
      code: 'B2_DISK_FULL',
      retryable: true,
    });
}
