/** Where settings came from, for `status` and `doctor`. Pure. */
import type { Origin } from '../places.js';
import { facts, printable, type Style } from './render.js';

/** One line a setting, under a heading. */
export function originLines(origins: readonly Origin[], style: Style): string[] {
  const told = ({ source, name }: Origin): string =>
    name === undefined ? source : `${source} ${printable(name)}`;
  return [style.bold('Settings'), ...facts(origins.map((origin) => [origin.setting, told(origin)]))];
}

/** The same for `--json`. */
export function originDocument(origins: readonly Origin[]): readonly object[] {
  return origins.map(({ setting, source, name }) => ({ setting, source, name: name ?? null }));
}
