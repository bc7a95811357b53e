/** Which file of a snapshot is meant by the name that somebody says. */
import { isAbsolute, relative, sep } from 'node:path';
import type { ShownEntry } from '../../index.js';
import { toBackupError } from '../errors.js';
import type { Operation } from '../operation.js';
import { printable } from '../text.js';
import type { Backup } from './backup.js';

/** What has one of these is a pattern, and meant as it stands. */
const PATTERN = /[*?[\]{}!\\]/;
/** So many files of one name are listed. */
const MOST = 12;

/** Where a name is looked for. */
export interface Place {
  readonly backup: Backup;
  /** Id of a snapshot, or `latest`. */
  readonly snapshot: string;
  /** Where the agent works that is spoken to, absolute. */
  readonly workspace: string | undefined;
  readonly operation: Operation;
}

/** The paths that are meant, or what to answer where several fit. */
export type Files = { readonly paths: readonly string[] } | { readonly unclear: string };

/**
 * `MEMORY.md` is the file of that name in the workspace of the agent that is spoken to; else the one that there is. What has
 * a directory in it is a path already, but for `memory/...`, which every agent calls its own so.
 *
 * @throws {BackupError} where the snapshot cannot be looked into
 */
export async function findFiles(names: readonly string[], place: Place): Promise<Files> {
  const paths: string[] = [];
  for (const name of names) {
    const found = isName(name) ? await find(name, place) : name;
    if (typeof found === 'object') return { unclear: tell(name, found) };
    paths.push(found);
  }
  return { paths };
}

function isName(name: string): boolean {
  return !PATTERN.test(name) && name !== '' && (!name.includes('/') || /^memory\/[^/]/.test(name));
}

/** One path, or all that fit. */
async function find(name: string, place: Place): Promise<string | readonly string[]> {
  const { backup, workspace } = place;
  const own = workspace === undefined ? undefined : pathIn(backup.stateDir, workspace, name);
  const found = (await look(`**/${name}`, place))
    .map(({ path }) => path)
    .filter((path) => path === name || path.endsWith(`/${name}`));
  // A workspace outside the state directory is named from the root on.
  if (own?.startsWith('/') && !found.includes(own) && (await look(own, place)).length > 0) found.push(own);
  const atTop = found.includes(name);
  if (own !== undefined && found.includes(own)) return atTop ? [name, own] : own;
  if (atTop) return name;
  const [only, ...others] = found;
  if (only !== undefined) return others.length === 0 ? only : found;
  // It may be here, and not in the snapshot.
  return own ?? name;
}

async function look(path: string, { backup, snapshot, operation }: Place): Promise<readonly ShownEntry[]> {
  try {
    return (await backup.show({ snapshot, path }, operation)).entries;
  } catch (error) {
    // That is how the core says that nothing is there.
    if (toBackupError(error).code === 'B2_CONFIG') return [];
    throw error;
  }
}

/** As the core names it: below the state directory without it, elsewhere from the root on. */
function pathIn(stateDir: string, workspace: string, name: string): string {
  const below = relative(stateDir, workspace).split(sep).join('/');
  const inside = below !== '' && !below.startsWith('..') && !isAbsolute(below);
  return `${inside ? below : workspace}/${name}`;
}

function tell(name: string, found: readonly string[]): string {
  const more = found.length - MOST;
  return [
    `Several files are called ${printable(name)}:`,
    ...found.slice(0, MOST).map((path) => `- ${printable(path)}`),
    ...(more > 0 ? [`and ${more} more`] : []),
    'Say it with the directory.',
  ].join('\n');
}
