/** What is in a snapshot, by the parts that people know. Pure. */
import type { ShownEntry } from '../../../index.js';
import { PARTS, type Part, thingAt } from './things.js';

/** One part of a snapshot, or of it the share of one agent. */
export interface Content {
  readonly part: Part;
  /** `Conversations`, `Conversations of main` */
  readonly name: string;
  readonly files: number;
  readonly bytes: number;
  /** Those with most bytes first, at most {@linkcode MOST}. */
  readonly entries: readonly { readonly path: string; readonly bytes: number; readonly database: boolean }[];
}

/** Files named of each part: a page with more is slow to read, and to render. */
export const MOST = 100;

const ORDER = Object.keys(PARTS);

/** The parts of a snapshot in their order, conversations by agent. */
export function contentsOf(entries: readonly ShownEntry[]): Content[] {
  const found = new Map<string, { part: Part; name: string; all: ShownEntry[] }>();
  for (const entry of entries) {
    if (entry.kind !== 'file') continue;
    const { part, agent } = thingAt(entry.path);
    const name = part === 'conversations' && agent !== undefined ? `${PARTS[part]} of ${agent}` : PARTS[part];
    const content = found.get(name) ?? { part, name, all: [] };
    content.all.push(entry);
    found.set(name, content);
  }
  return [...found.values()]
    .toSorted((a, b) => ORDER.indexOf(a.part) - ORDER.indexOf(b.part) || (a.name < b.name ? -1 : 1))
    .map(({ part, name, all }) => ({
      part,
      name,
      files: all.length,
      bytes: all.reduce((sum, { bytes }) => sum + bytes, 0),
      entries: all
        .toSorted((a, b) => b.bytes - a.bytes)
        .slice(0, MOST)
        .map(({ path, bytes, database }) => ({ path, bytes, database })),
    }));
}
