/** What people call a machine: beside its id, which commands take. */
import { hostname } from 'node:os';
import { printable } from './text.js';

/** As long as the core lets a name be, in characters. A snapshot of somebody else may hold a longer one. */
const LONGEST = 64;

/** The host name without its domain. `localhost` names every machine, and so none. */
export function hostName(read: () => string = hostname): string | undefined {
  const [name = ''] = read().split('.');
  return name === '' || name.toLowerCase() === 'localhost' ? undefined : name.slice(0, LONGEST);
}

/** A machine, and its name where one is known. */
export interface Named {
  readonly machine: string;
  readonly machineName?: string | undefined;
}

/** What people call each machine, by its id: what its newest snapshot says. */
export function namesIn(oldestFirst: readonly Named[]): ReadonlyMap<string, string | undefined> {
  return new Map(oldestFirst.map(({ machine, machineName }) => [machine, machineName]));
}

/** `anna-laptop (b6454140)`, and more in brackets; the id first where the snapshot has no name. Safe to print. */
export function machineOf({ machine, machineName }: Named, ...more: readonly string[]): string {
  const name = [...(machineName ?? '')].slice(0, LONGEST).join('');
  const [first, ...rest] = [...(name === '' ? [] : [name]), machine].map(printable);
  const brackets = [...rest, ...more].join(', ');
  return brackets === '' ? `${first}` : `${first} (${brackets})`;
}
