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

/** Counts what is in a snapshot, a part of its entries at a time: there may be hundreds of thousands. */
export class Tally {
  readonly #found = new Map<string, { part: Part; files: number; bytes: number; largest: Largest }>();

  add(entries: readonly ShownEntry[]): void {
    for (const { kind, path, bytes, database } of entries) {
      if (kind !== 'file') continue;
      const { part, agent } = thingAt(path);
      const name =
        part === 'conversations' && agent !== undefined ? `${PARTS[part]} of ${agent}` : PARTS[part];
      const content = this.#found.get(name) ?? { part, files: 0, bytes: 0, largest: new Largest() };
      content.files += 1;
      content.bytes += bytes;
      content.largest.add({ path, bytes, database });
      this.#found.set(name, content);
    }
  }

  /** The parts in their order, conversations by agent. */
  contents(): Content[] {
    return [...this.#found]
      .map(([name, { part, files, bytes, largest }]) => ({
        part,
        name,
        files,
        bytes,
        entries: largest.entries(),
      }))
      .toSorted((a, b) => ORDER.indexOf(a.part) - ORDER.indexOf(b.part) || (a.name < b.name ? -1 : 1));
  }
}

type Entry = Content['entries'][number];

/** The largest of many. */
class Largest {
  #kept: Entry[] = [];

  add(entry: Entry): void {
    this.#kept.push(entry);
    if (this.#kept.length >= 2 * MOST) this.#kept = this.entries();
  }

  entries(): Entry[] {
    return this.#kept.toSorted((a, b) => b.bytes - a.bytes).slice(0, MOST);
  }
}
