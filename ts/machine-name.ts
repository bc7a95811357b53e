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

/** `anna-laptop (b6454140)`; the id alone where the snapshot has no name. Safe to print. */
export function machineOf({ machine, machineName }: Pick<SnapshotInfo, 'machine' | 'machineName'>): string {
  const name = [...(machineName ?? '')].slice(0, LONGEST).join('');
  return name === '' ? printable(machine) : `${printable(name)} (${printable(machine)})`;
}
