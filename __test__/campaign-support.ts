/**
 * How much of the campaign runs, and what it counted.
 *
 * `npm test` runs a bounded part of each suite; `npm run campaign` sets `B2_CAMPAIGN=full` and runs all of it.
 * `B2_CAMPAIGN_SEED` (1) is where everything random starts, so that a failure can be run again; each suite names its
 * seed when it fails. What a suite counted is appended to the file `B2_CAMPAIGN_REPORT`, a line of JSON each, from which
 * `docs/reliability.md` is made. The same for Rust is `tests/support/campaign.rs`.
 */
import { appendFileSync } from 'node:fs';

/** Whether the whole campaign runs. */
export const full = process.env['B2_CAMPAIGN'] === 'full';

/** How many cases to run: the first number in `npm test`, the second in `npm run campaign`. */
export function cases(bounded: number, whole: number): number {
  return full ? whole : bounded;
}

/** Where everything random starts. */
export const seed = Number(process.env['B2_CAMPAIGN_SEED'] ?? '1');

/** Notes what a suite counted: `report('kills', 'push', { command: 12, worker: 9 })`. */
export function report(suite: string, part: string, counted: Readonly<Record<string, number>>): void {
  const line = JSON.stringify({ suite, part, seed, counted });
  process.stderr.write(`${line}\n`);
  const path = process.env['B2_CAMPAIGN_REPORT'];
  if (path !== undefined) appendFileSync(path, `${line}\n`);
}

/** The same numbers for the same seed, on every machine (mulberry32). */
export class Random {
  #state: number;

  constructor(...seeds: readonly number[]) {
    this.#state = seeds.reduce((state, part) => Math.imul(state ^ part, 0x9e3779b1) >>> 0, 0x5bd1e995);
  }

  /** At least 0, less than 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number, at least 0 and less than `limit`. */
  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  /** Whether something happens that happens in `share` of all cases. */
  chance(share: number): boolean {
    return this.next() < share;
  }

  /** One of them. */
  pick<T>(from: readonly T[]): T {
    const picked = from[this.below(from.length)];
    if (picked === undefined) throw new Error('there is nothing to pick from');
    return picked;
  }

  /** One of the names; each as often as its weight says. */
  weighted<K extends string>(weights: Readonly<Record<K, number>>): K {
    const entries = Object.entries(weights) as [K, number][];
    let left = this.next() * entries.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [name, weight] of entries) {
      left -= weight;
      if (left < 0) return name;
    }
    throw new Error('there is nothing to pick from');
  }
}
