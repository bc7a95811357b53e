/** How a program is started without a network. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';

const FOLDERS = ['/usr/bin', '/bin', '/usr/sbin', '/sbin', '/usr/local/bin'];
/** Brings loopback up, and becomes the program. */
const WITH_LOOPBACK = '"$0" link set lo up && exec "$@"';
/** How long the trial of it may take, milliseconds. */
const PATIENCE_MS = 10_000;

/**
 * What to put before a program and its arguments so that it has a network of its own, in which there is nothing but
 * loopback; undefined where the system does not let this user have one.
 */
export async function withoutNetwork(): Promise<readonly string[] | undefined> {
  if (process.platform !== 'linux') return undefined;
  const [unshare, ip, sh] = ['unshare', 'ip', 'sh'].map(program);
  if (unshare === undefined || ip === undefined || sh === undefined) return undefined;
  const prefix = [unshare, '--map-root-user', '--net', '--kill-child', '--', sh, '-c', WITH_LOOPBACK, ip];
  return (await works([...prefix, sh, '-c', 'true'])) ? prefix : undefined;
}

function program(name: string): string | undefined {
  return FOLDERS.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

function works([first = '', ...rest]: readonly string[]): Promise<boolean> {
  return new Promise((resolve) => {
    execFile(first, rest, { timeout: PATIENCE_MS }, (error) => resolve(error === null));
  });
}
