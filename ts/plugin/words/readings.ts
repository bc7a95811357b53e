/** What a time that was said can mean, as instants; and which snapshots each meaning finds. */
import type { SnapshotInfo } from '../../../index.js';
import { isRegular, madeAt } from '../snapshots.js';
import type { Time } from './speech.js';
import type { Part, Relation, Span } from './tokens.js';
import { DAY_MINUTES, DAY_MS, type Day, formatDay, type LocalTime, MINUTE_MS, type Zone } from './zone.js';

/** One meaning of a time: from `from` until before `to`, in milliseconds since 1970. */
export interface Reading {
  readonly from: number;
  readonly to: number;
  /**
   * `during`: made then. `asOf`: how things were then, which the newest snapshot made until then shows. `before`,
   * `after`, `around` as said.
   */
  readonly how: 'during' | 'asOf' | Relation;
  /** How far off the words may be, in milliseconds. */
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

/**
 * How far off a time may be, in milliseconds. `asOf`: a snapshot that came so much later may be meant. `around`: in
 * both directions.
 */
interface Slack {
  readonly asOf: number;
  readonly around: number;
}
const CLOCK_SLACK: Slack = { asOf: 10 * MINUTE_MS, around: 90 * MINUTE_MS };
const HOUR_SLACK: Slack = { asOf: 30 * MINUTE_MS, around: 90 * MINUTE_MS };

/** Everything that `time` can mean; undefined when no time was said. What is still to come is no meaning. */
export function readings(time: Time, present: Present): readonly Reading[] | undefined {
  const { days, part, clock, ago, instant, relation } = time;
  const { now, zone } = present;
  let all: readonly Reading[];
  if (instant !== undefined) {
    all = [moment(instant, MINUTE_MS, relation, CLOCK_SLACK, present)];
  } else if (ago !== undefined) {
    const slack = { asOf: Math.min(HOUR_SLACK.asOf, ago / 4), around: Math.min(HOUR_SLACK.around, ago / 2) };
    all = [moment(now - ago, 1, relation, slack, present)];
  } else if (clock !== undefined) {
    const slack = clock.rough ? HOUR_SLACK : CLOCK_SLACK;
    all = clockTimes(time, clock.minutes, present).flatMap((local) => {
      // "After 14:00 yesterday" ends with that day.
      const end = days === undefined ? now + 1 : zone.start(local.day + 1);
      return zone.instants(local).map((at) => moment(at, MINUTE_MS, relation, slack, present, end));
    });
  } else if (part !== undefined) {
    all = daysOf(days ?? [partAlone(part, relation, present)]).flatMap((day) =>
      partOfDay(day, part, relation, present),
    );
  } else if (days !== undefined) {
    all = days.flatMap((span) => wholeDays(span, time, present));
  } else {
    return undefined;
  }
  return all.filter(({ from }) => from <= now);
}

/** What `reading` finds in `snapshots`, which are in the order of their making. */
export function find(reading: Reading, snapshots: readonly SnapshotInfo[]): Finding {
  const { from, to, how, slack } = reading;
  const made = (test: (at: number) => boolean): SnapshotInfo[] =>
    snapshots.filter((snapshot) => test(madeAt(snapshot))).reverse();
  switch (how) {
    case 'before':
      return { snapshots: newest(made((at) => at < from)), certain: true };
    case 'during':
    case 'after':
      return { snapshots: made((at) => at >= from && at < to), certain: true };
    case 'around': {
      const middle = (from + to) / 2;
      const distance = (snapshot: SnapshotInfo): number => Math.abs(madeAt(snapshot) - middle);
      const near = made((at) => at >= from - slack && at < to + slack);
      return { snapshots: near.sort((a, b) => distance(a) - distance(b)), certain: true };
    }
    case 'asOf': {
      const then = made((at) => at >= from && at < to);
      if (then.length > 0) return { snapshots: then, certain: true };
      const older = newest(made((at) => at < from));
      const newer = made((at) => at >= to && at < to + slack).slice(-1);
      const recent = older.every((snapshot) => from - madeAt(snapshot) <= DAY_MS);
      return { snapshots: [...older, ...newer], certain: recent && older.length > 0 };
    }
  }
}

/** The newest. When that is a safety snapshot, the regular one before it may show better how things were. */
function newest(newestFirst: readonly SnapshotInfo[]): readonly SnapshotInfo[] {
  const [first] = newestFirst;
  if (first === undefined) return [];
  const regular = newestFirst.find(isRegular);
  return regular === undefined || regular === first ? [first] : [regular, first];
}

/** A moment: how things were then, unless it was said otherwise. */
function moment(
  from: number,
  length: number,
  relation: Relation | undefined,
  { asOf, around }: Slack,
  { now, zone }: Present,
  end = now + 1,
): Reading {
  const at = zone.format(from);
  const to = from + length;
  switch (relation) {
    case undefined:
      return { from, to, how: 'asOf', slack: asOf, text: `at or shortly before ${at}` };
    case 'around':
      return { from, to, how: 'around', slack: around, text: `around ${at}` };
    default:
      return related(from, to, relation, end, at);
  }
}

function related(from: number, to: number, relation: 'before' | 'after', end: number, text: string): Reading {
  return relation === 'before'
    ? { from, to, how: 'before', slack: 0, text: `before ${text}` }
    : { from: to, to: Math.max(end, to), how: 'after', slack: 0, text: `after ${text}` };
}

/** The days and minutes that a clock can mean; with a part of the day only those in it. */
function clockTimes(
  { days, part, relation }: Time,
  minutes: readonly number[],
  present: Present,
): LocalTime[] {
  const { now, zone } = present;
  const within = (of: Part) =>
    minutes.flatMap((at) => [at, at + DAY_MINUTES]).filter((at) => at >= of.from && at < of.to);
  const possible = part === undefined ? minutes : within(part);
  return possible.flatMap((at) => {
    if (days !== undefined) return daysOf(days).map((day) => ({ day, minutes: at }));
    const today = zone.local(now).day;
    const past = zone.instant({ day: today, minutes: at }) <= now;
    return [{ day: mostRecent(today, past, relation), minutes: at }];
  });
}

function partAlone(part: Part, relation: Relation | undefined, { now, zone }: Present): Span {
  const { day, minutes } = zone.local(now);
  const first = mostRecent(day, minutes >= part.from, relation);
  return { first, last: first };
}

/** What is said without a day is the most recent one. But "before 20:00", said in the morning, is not yesterday's. */
function mostRecent(today: Day, past: boolean, relation: Relation | undefined): Day {
  return past || relation === 'before' || relation === 'after' ? today : today - 1;
}

function partOfDay(
  day: number,
  { from, begun, to }: Part,
  relation: Relation | undefined,
  { now, zone }: Present,
) {
  const at = (minutes: number): number => zone.instant({ day, minutes });
  const text = `${zone.format(at(from))} and ${zone.format(at(to))}`;
  const during: Reading = { from: at(from), to: at(to), how: 'during', slack: 0, text: `between ${text}` };
  if (relation === 'before') {
    return [from, begun].map((minutes) =>
      related(at(minutes), at(minutes), relation, now + 1, zone.format(at(minutes))),
    );
  }
  if (relation === 'after') return [related(at(from), at(to), relation, now + 1, zone.format(at(to)))];
  return [during];
}

function wholeDays({ first, last }: Span, { relation, moment: exact }: Time, present: Present): Reading[] {
  const { now, zone } = present;
  const [from, to] = [zone.start(first), zone.start(last + 1)];
  const name = first === last ? formatDay(first) : `${formatDay(first)} to ${formatDay(last)}`;
  if (relation === 'around') return [{ from, to, how: 'around', slack: DAY_MS, text: `around ${name}` }];
  if (relation !== undefined) return [related(from, to, relation, now + 1, name)];
  const during: Reading = {
    from,
    to,
    how: 'during',
    slack: 0,
    text: `${first === last ? 'on' : 'from'} ${name}`,
  };
  if (exact === undefined) return [during];
  // "2 days ago" is that day, and also this time of that day.
  const at = zone.instant(exact);
  return [moment(at, MINUTE_MS, undefined, HOUR_SLACK, present), during];
}

function daysOf(spans: readonly Span[]): number[] {
  return spans.flatMap(({ first, last }) => (first === last ? [first] : []));
}
