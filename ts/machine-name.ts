/** What people call a machine: beside its id, which commands take. */
import { hostname } from 'node:os';
import type { SnapshotInfo } from '../index.js';
import { printable } from './text.js';

/** As long as the core lets a name be, in characters. A snapshot of somebody else may hold a longer one. */
const LONGEST = 64;

/** The host name without its domain. `localhost` names every machine, and so none. */
export function hostName(read: () => string = hostname): string | undefined {
  const [name = ''] = read().split('.');
  return name === '' || name.toLowerCase() === 'localhost' ? undefined : name.slice(0, LONGEST);
}

/** `anna-laptop (b6454140)`, and more in brackets; the id first where the snapshot has no name. Safe to print. */
export function machineOf(
  { machine, machineName }: Pick<SnapshotInfo, 'machine' | 'machineName'>,
  ...more: readonly string[]
): string {
  const name = [...(machineName ?? '')].slice(0, LONGEST).join('');
  const [first, ...rest] = [...(name === '' ? [] : [name]), machine].map(printable);
  const brackets = [...rest, ...more].join(', ');
  return brackets === '' ? `${first}` : `${first} (${brackets})`;
}
