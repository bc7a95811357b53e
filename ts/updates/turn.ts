/** One undo of an update at a time, and processes that a later run knows again. */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { BackupError } from '../errors.js';

/** A process. Its number alone may be another one's by now: after a power failure, numbers begin again. */
export interface Process {
  readonly pid: number;
  /** When it began, and since which start of the machine that counts; where the system tells. */
  readonly began?: string;
}

/** The process that has this number now. */
export function processOf(pid: number): Process {
  const began = begunAt(pid);
  return { pid, ...(began === undefined ? {} : { began }) };
}

/** Whether it still runs. */
export function lives({ pid, began }: Process): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  return began === undefined || began === begunAt(pid);
}

/** Of Linux alone. */
function begunAt(pid: number): string | undefined {
  try {
    // The name of the program, in brackets, may hold anything.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
    const machine = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return fields[19] === undefined ? undefined : `${machine} ${fields[19]}`;
  } catch {
    return undefined;
  }
}

/**
 * Takes the turn; the answer gives it back. One that a killed run left is taken over.
 *
 * @throws {BackupError} B2_LOCKED while another run has it; B2_PERMISSION where all of this is another user's
 */
export function takeTurn(stateDir: string): () => void {
  const path = join(stateDir, 'b2-backup', 'undo-update.lock');
  // Where there is no state, there is nothing to undo, and nothing is made.
  if (!existsSync(stateDir)) return () => {};
  try {
    mkdirSync(join(stateDir, 'b2-backup'), { recursive: true, mode: 0o700 });
    if (!take(path)) {
      const left = `${path}.${process.pid}`;
      renameSync(path, left);
      const owner = ownerOf(left);
      if (owner !== undefined && lives(owner)) {
        renameSync(left, path);
        throw new BackupError(
          `another undo of an update runs (process ${owner.pid}): wait until it has ended, or stop it`,
          { code: 'B2_LOCKED', retryable: true },
        );
      }
      rmSync(left, { force: true });
      if (!take(path)) return takeTurn(stateDir);
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // Somebody else has just taken it over, or given it back.
    if (code === 'ENOENT') return takeTurn(stateDir);
    if (code === 'EACCES' || code === 'EPERM') throw notOurs(stateDir, error);
    throw error;
  }
  return () => rmSync(path, { force: true });
}

/** That a state directory is another user's. */
export function notOurs(stateDir: string, cause: unknown): BackupError {
  return new BackupError(
    `${stateDir} is another user's: run b2-backup as the user that OpenClaw runs as, or as root`,
    { code: 'B2_PERMISSION', cause },
  );
}

function take(path: string): boolean {
  try {
    writeFileSync(path, JSON.stringify(processOf(process.pid)), { flag: 'wx', mode: 0o600 });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function ownerOf(path: string): Process | undefined {
  const text = readFileSync(path, 'utf8');
  try {
    const { pid, began } = JSON.parse(text) as Partial<Process>;
    return typeof pid === 'number' ? { pid, ...(typeof began === 'string' ? { began } : {}) } : undefined;
  } catch {
    // Cut off while it was written.
    return undefined;
  }
}
