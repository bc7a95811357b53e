/** A folder for what is restored and looked at: for its owner alone, and gone afterwards, whatever happened. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { BackupError } from '../errors.js';
import { PID_FILE } from './common.js';

/** The process that works in the folder. */
const OWNER_FILE = 'owner.pid';

/**
 * Makes the folder. What a killed run left is cleared away first, its gateway with it.
 *
 * @throws {BackupError} B2_LOCKED while another run works in it
 */
export function takeFolder(
  stateDir: string,
  name: 'boot' | 'survey' | 'plan' = 'boot',
): { readonly path: string; remove(): void } {
  const path = join(stateDir, 'b2-backup', name);
  const owner = pidIn(join(path, OWNER_FILE));
  if (owner !== undefined && owner !== process.pid && lives(owner)) {
    throw new BackupError(`another one works in ${path} (process ${owner})`, {
      code: 'B2_LOCKED',
      retryable: true,
    });
  }
  const remove = (): void => rmSync(path, { recursive: true, force: true, maxRetries: 5 });
  endGateway(path);
  remove();
  mkdirSync(path, { recursive: true, mode: 0o700 });
  writeFileSync(join(path, OWNER_FILE), `${process.pid}`, { mode: 0o600 });
  return { path, remove };
}

/** Ends the gateway of a run that was killed, if it is still the process that it was. */
function endGateway(path: string): void {
  const pid = pidIn(join(path, PID_FILE));
  if (pid === undefined || !lives(pid)) return;
  try {
    const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
    if (environment.some((variable) => variable.startsWith(`OPENCLAW_STATE_DIR=${path}`))) {
      process.kill(pid, 'SIGKILL');
    }
  } catch {
    // Another user's process, or a system that does not tell: not ours to end.
  }
}

function pidIn(file: string): number | undefined {
  try {
    const pid = Number(readFileSync(file, 'utf8'));
    return Number.isSafeInteger(pid) && pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
