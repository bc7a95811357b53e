/** Locks on files, as the kernel knows them. */
import { readFileSync, statSync } from 'node:fs';
import { basename } from 'node:path';

/** The locks that one process holds on databases and the files beside them, such as `a.sqlite-shm READ 128-128`. */
export function locksOf(pid: number, databases: readonly string[]): string[] {
  const names = new Map<string, string>();
  for (const path of databases.flatMap((database) => [database, `${database}-wal`, `${database}-shm`])) {
    const found = statSync(path, { throwIfNoEntry: false });
    if (found !== undefined) names.set(`${found.ino}`, basename(path));
  }
  const held: string[] = [];
  for (const line of readFileSync('/proc/locks', 'utf8').trim().split('\n')) {
    // `1: POSIX  ADVISORY  READ 4711 fe:00:10029366 128 128`
    const [, , , mode, holder, file = '', from, to] = line.trim().split(/\s+/);
    const name = names.get(file.split(':').at(-1) ?? '');
    if (name !== undefined && holder === `${pid}`) held.push(`${name} ${mode} ${from}-${to}`);
  }
  return held.sort();
}
