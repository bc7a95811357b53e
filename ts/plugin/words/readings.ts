/** What a time that was said can mean, as instants; and which snapshots each meaning finds. */
import type { SnapshotInfo } from '../../../index.js';
import { isRegular, madeAt } from '../snapshots.js';
import { DAY_MS, MINUTE_MS, type Zone } from './zone.js';

/** One meaning of a time: from `from` until before `to`, in milliseconds since 1970. */
export interface Reading {
  readonly from: number;
  readonly to: number;
  /** `during`: made then. `asOf`: how things were then, which the newest snapshot made until then shows. */
  readonly how: 'during' | 'asOf' | 'before';
  /** A snapshot that came so many milliseconds later may be meant. */
  readonly slack: number;
  /** In words: "on 2026-02-17". */
  readonly text: string;
}

/** The present, and where. */
export interface Present {
  readonly now: number;
  readonly zone: Zone;
}

/** Snapshots that a reading finds, best first. */
export interface Finding {
  readonly snapshots: readonly SnapshotInfo[];
  /** Whether one alone is what was meant. */
  readonly certain: boolean;
}

/** How things were at a moment. */
export function asOf(from: number, slack: number, { zone }: Present, length = MINUTE_MS): Reading {
  return { from, to: from + length, how: 'asOf', slack, text: `at or shortly before ${zone.format(from)}` };
}

/** What was made from `from` until before `to`. */
export function during(from: number, to: number, text: string): Reading {
  return { from, to, how: 'during', slack: 0, text };
}

/** What was made before a time. */
export function before(from: number, text: string): Reading {
  return { from, to: from, how: 'before', slack: 0, text: `before ${text}` };
}

/** What `reading` finds in `snapshots`, which are in the order of their making. */
export function find({ from, to, how, slack }: Reading, snapshots: readonly SnapshotInfo[]): Finding {
  const made = (test: (at: number) => boolean): SnapshotInfo[] =>
    snapshots.filter((snapshot) => test(madeAt(snapshot))).reverse();
  const older = newest(made((at) => at < from));
  if (how === 'before') return { snapshots: older, certain: true };
  const then = made((at) => at >= from && at < to);
  if (how === 'during' || then.length > 0) return { snapshots: then, certain: true };
  const newer = made((at) => at >= to && at < to + slack).slice(-1);
  const recent = older.every((snapshot) => from - madeAt(snapshot) <= DAY_MS);
  return { snapshots: [...older, ...newer], certain: recent && older.length > 0 };
}

/** The newest. When that is a safety snapshot, the regular one before it may show better how things were. */
function newest(newestFirst: readonly SnapshotInfo[]): readonly SnapshotInfo[] {
  const [first] = newestFirst;
  if (first === undefined) return [];
  const regular = newestFirst.find(isRegular);
  return regular === undefined || regular === first ? [first] : [regular, first];
}
