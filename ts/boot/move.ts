/** Paths of the machine that made the snapshot, as paths of the restored copy. Pure. */
import { join } from 'node:path';
import type { Moved } from './types.js';

/** Where an absolute path went; undefined for one that none of the directories holds. */
export function moved(path: string, directories: readonly Moved[]): string | undefined {
  // The longest first: a workspace may lie inside the directory of another.
  const longest = [...directories].sort((a, b) => b.from.length - a.from.length);
  for (const { from, to } of longest) {
    if (path === from) return to;
    if (path.startsWith(`${from}/`)) return join(to, path.slice(from.length + 1));
  }
  return undefined;
}
