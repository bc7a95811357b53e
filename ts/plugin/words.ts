/**
 * Which snapshot a person means: `latest`, "yesterday", "before the last compaction", "Feb 15 at 14:00", an id.
 *
 * Ids, their beginnings, order, reasons and machines are understood here, in English; dates and times are what chrono-node
 * reads, in English and the user's language. Rolling back to the wrong snapshot is worse than asking. So every way to
 * understand the words is looked up, and the answer is one snapshot only when all of them lead to it and no word was left
 * over:
 * - A day, or a part of one, means the snapshots made then, in local time. "Tuesday" is the most recent one, a date
 *   without a year too. "Last Tuesday" can be the most recent one or the one of last week.
 * - A moment ("at 14:00", "an hour ago") means how things were then: the newest snapshot made until then, at most a day
 *   older, unless another one follows within minutes.
 * - "Before" a time is the newest snapshot older than that.
 * - "Before a compaction" (a reset, a rollback, a shutdown) means the snapshots made for that reason.
 * - Without more, it is about snapshots of this machine; of a machine without any, about those of every other.
 *   `latest`, `first` and `previous` (the one before the latest) pass over safety snapshots, as the core's `latest` does.
 */
import type { SnapshotInfo } from '../../index.js';
import { count, printable } from '../text.js';
import { byTime, isOurs, isRegular, madeAt, reasonInWords, reasonOf } from './snapshots.js';
import type { Language } from './words/dates.js';
import { type Finding, find, type Reading } from './words/readings.js';
import { MAX_WORDS, type Machine, type Name, type Speech, understand } from './words/speech.js';
import { Zone } from './words/zone.js';

/** What was found. Sentences are for people and models. */
export type Found =
  | { readonly kind: 'one'; readonly snapshot: SnapshotInfo }
  /** The best guess first, at most {@linkcode MAX_CANDIDATES}. */
  | { readonly kind: 'several'; readonly candidates: readonly SnapshotInfo[]; readonly why: string }
  /** `nearest` is not what was said, but may be what was meant. */
  | { readonly kind: 'none'; readonly why: string; readonly nearest?: SnapshotInfo };

/** When and where the words are said. */
export interface Situation {
  readonly now: Date;
  /** IANA name of the time zone in which days and clocks are meant. */
  readonly timeZone: string;
  /** In which dates are read. */
  readonly languages: readonly Language[];
  /** Id of the snapshot that was spoken of last, for "the one before that". */
  readonly that?: string;
}

/** More are not shown. */
export const MAX_CANDIDATES = 8;

const HELP = 'name an id, "latest", a day such as 2026-02-15, or a time such as "yesterday at 14:00"';

/**
 * Finds the snapshot that `words` mean. Never throws because of them.
 *
 * @throws {RangeError} when the time zone does not exist
 */
export function findSnapshots(
  words: string,
  snapshots: readonly SnapshotInfo[],
  situation: Situation,
): Found {
  const present = { now: situation.now.getTime(), zone: new Zone(situation.timeZone) };
  if (snapshots.length === 0) return { kind: 'none', why: 'there are no snapshots yet' };
  const exact = snapshots.find(({ id }) => id === words.trim());
  if (exact !== undefined) return { kind: 'one', snapshot: exact };
  if (words.length > MAX_WORDS) return { kind: 'none', why: `that is too long to be understood: ${HELP}` };

  const inOrder = snapshots.toSorted(byTime);
  const speech = understand(words, situation.languages, present, (word) => nameIn(inOrder, word));
  return new Search(inOrder, speech, situation.that).result();
}

/** A word that is an id, begins one, or is the id of a machine. Dates are none: they mean local days. */
function nameIn(snapshots: readonly SnapshotInfo[], word: string): Name | undefined {
  const ids = snapshots.map(({ id }) => id);
  const same = ids.filter((id) => id.toLowerCase() === word);
  if (same.length > 0) return { ids: same };
  const machine = machineCalled(snapshots, word);
  if (machine !== undefined) return { machine: { id: machine } };
  if (word.length < 5 || !/\d/.test(word) || /^\d{4}[-/.]\d\d[-/.]\d\d$/.test(word)) return undefined;
  const begun = ids.filter((id) => id.toLowerCase().startsWith(word));
  return begun.length === 0 ? undefined : { ids: begun };
}

/** The id of the one machine whose id or name a word is. */
function machineCalled(snapshots: readonly SnapshotInfo[], word: string): string | undefined {
  const called = snapshots.filter(
    ({ machine, machineName }) =>
      machine !== '' && [machine, machineName].some((name) => name?.toLowerCase() === word),
  );
  const [only, ...others] = new Set(called.map(({ machine }) => machine.toLowerCase()));
  return others.length === 0 ? only : undefined;
}

/** One search. */
class Search {
  readonly #all: readonly SnapshotInfo[];
  readonly #speech: Speech;
  readonly #readings: readonly Reading[] | undefined;
  readonly #that: SnapshotInfo | undefined;

  /** `all` is in the order of making. */
  constructor(all: readonly SnapshotInfo[], speech: Speech, that: string | undefined) {
    this.#all = all;
    this.#speech = speech;
    this.#readings = speech.readings;
    this.#that = all.find(({ id }) => id === that);
  }

  result(): Found {
    const { ids, that, empty, hint, unclear } = this.#speech;
    if (ids !== undefined) return this.#named(ids);
    if (that) return this.#beforeThat();
    if (empty && unclear.length > 0) return { kind: 'none', why: `${this.#doubt()}: ${HELP}` };
    if (this.#readings?.length === 0) {
      if (unclear.length > 0) return { kind: 'none', why: `${this.#doubt()}: ${HELP}` };
      return { kind: 'none', why: hint ?? 'that time is still to come, or there is no such time' };
    }
    const findings = this.#pools().flatMap((pool) => this.#search(pool));
    const found = new Set(findings.flatMap(({ snapshots }) => snapshots));
    const agreed = findings.every(({ certain, snapshots }) => certain && snapshots.length > 0);
    return this.#answer([...found], agreed && hint === undefined);
  }

  #named(ids: readonly string[]): Found {
    const { beforeIds, reasons, order, unclear } = this.#speech;
    const named = this.#all.filter(({ id }) => ids.includes(id)).reverse();
    if (beforeIds) {
      const plain = this.#readings === undefined && reasons.size === 0 && (order ?? 'newest') === 'newest';
      return this.#answer(
        named.flatMap((snapshot) => this.#before(snapshot)),
        plain,
      );
    }
    const fits = this.#readings === undefined && named.every((snapshot) => this.#hasReason(snapshot));
    const [only, ...others] = named;
    // Whoever names it gets it; what is wrong with it shows when it is used.
    if (only !== undefined && others.length === 0 && fits && unclear.length === 0) {
      return { kind: 'one', snapshot: only };
    }
    return this.#answer(named, false);
  }

  #beforeThat(): Found {
    const { reasons, order } = this.#speech;
    const plain = this.#readings === undefined && reasons.size === 0 && order === undefined;
    if (this.#that !== undefined) return this.#answer(this.#before(this.#that), plain);
    // Probably the latest was spoken of.
    const newest = this.#pools().flatMap((pool) => pool.filter(isRegular).slice(-2));
    return this.#answer(newest, false);
  }

  /** What each meaning of the time finds in the snapshots of a pool. */
  #search(pool: readonly SnapshotInfo[]): readonly Finding[] {
    const { order, reasons, machine } = this.#speech;
    const wanted = pool.filter((snapshot) => this.#hasReason(snapshot));
    const ordered = (found: readonly SnapshotInfo[]): readonly SnapshotInfo[] =>
      reasons.has('safety') ? found : found.filter(isRegular);
    if (this.#readings === undefined) {
      const certain = reasons.size > 0 || machine !== undefined;
      if (order === undefined) return [{ snapshots: wanted.toReversed(), certain }];
      return [pick(order, ordered(wanted), reasons.size === 0)];
    }
    return this.#readings.map((reading) => {
      const finding = find(reading, wanted);
      if (order === undefined || (order === 'newest' && reading.how === 'before')) {
        // "The manual one at 14:00" is one that was made then, and no other.
        const made = finding.snapshots.every((snapshot) => madeAt(snapshot) >= reading.from);
        return reasons.size > 0 && reading.how === 'asOf' ? { ...finding, certain: made } : finding;
      }
      if (reading.how === 'asOf' || reading.how === 'before') return { ...finding, certain: false };
      return pick(order, ordered(finding.snapshots.toSorted(byTime)), false);
    });
  }

  /** Where to look. Several pools when the words do not say which machine is meant and it can be any of them. */
  #pools(): readonly (readonly SnapshotInfo[])[] {
    const { machine } = this.#speech;
    const ours = this.#all.filter(isOurs);
    if (machine === 'any') return [ours];
    const mine = ours.filter(({ thisMachine }) => thisMachine);
    if (machine === 'this' || (machine === undefined && mine.length > 0)) return [mine];
    const pools = new Map<string, SnapshotInfo[]>();
    for (const snapshot of ours.filter((other) => isOf(machine, other))) {
      const pool = pools.get(snapshot.machine);
      if (pool === undefined) pools.set(snapshot.machine, [snapshot]);
      else pool.push(snapshot);
    }
    return [...pools.values()];
  }

  #hasReason(snapshot: SnapshotInfo): boolean {
    const { reasons } = this.#speech;
    const reason = reasonOf(snapshot);
    return reasons.size === 0 || (reason !== undefined && reasons.has(reason));
  }

  /** The regular snapshot of the same machine before one. */
  #before(snapshot: SnapshotInfo): SnapshotInfo[] {
    const older = this.#all.slice(0, this.#all.indexOf(snapshot));
    const fits = (other: SnapshotInfo): boolean =>
      isOurs(other) && isRegular(other) && other.machine === snapshot.machine;
    return older.filter(fits).slice(-1);
  }

  #answer(found: readonly SnapshotInfo[], certain: boolean): Found {
    const { hint, unclear } = this.#speech;
    const remarks = [...(unclear.length > 0 ? [this.#doubt()] : []), ...(hint === undefined ? [] : [hint])];
    const because = (text: string): string => [text, ...remarks].join('; ');
    const [first, ...others] = found;
    if (first === undefined) return none(because(`no snapshot fits${this.#understood()}`), this.#nearest());
    if (others.length > 0) {
      const why = because(`${count(found.length, 'snapshot')} fit${this.#understood()}`);
      return { kind: 'several', candidates: found.slice(0, MAX_CANDIDATES), why };
    }
    const problem = this.#problem(first);
    if (problem !== undefined)
      return none(`${first.id} fits and cannot be used: ${printable(problem)}`, this.#nearest(first));
    if (certain && unclear.length === 0) return { kind: 'one', snapshot: first };
    return none(because(`no snapshot fits for certain${this.#understood()}`), first);
  }

  /** Why a snapshot should not be taken without a question. */
  #problem({ problem, authenticated }: SnapshotInfo): string | undefined {
    if (problem !== undefined) return problem;
    if (authenticated || this.#all.every((other) => !other.authenticated)) return undefined;
    return 'whoever can write to the bucket can have made it';
  }

  /** The usable snapshot nearest to what was asked for, an older one if there is any. */
  #nearest(to?: SnapshotInfo): SnapshotInfo | undefined {
    const at = to === undefined ? this.#readings?.[0]?.from : madeAt(to);
    if (at === undefined) return undefined;
    const usable = this.#pools()
      .flat()
      .filter((other) => other !== to && this.#hasReason(other) && this.#problem(other) === undefined)
      .toSorted(byTime);
    return usable.findLast((other) => madeAt(other) <= at) ?? usable.find((other) => madeAt(other) > at);
  }

  #doubt(): string {
    return `not understood: ${this.#speech.unclear.join(', ')}`;
  }

  /** What was understood: ` (made by hand; on 2026-02-15)`. */
  #understood(): string {
    const { order, reasons, machine, that, beforeIds } = this.#speech;
    const parts = [
      ...(that || beforeIds ? ['the one before'] : []),
      ...(order === undefined
        ? []
        : [{ newest: 'the latest', oldest: 'the first', previous: 'the one before the latest' }[order]]),
      ...(reasons.size === 0 ? [] : [`made ${[...reasons].map(reasonInWords).join(' or ')}`]),
      ...(this.#readings === undefined
        ? []
        : [[...new Set(this.#readings.map(({ text }) => text))].join(' or ')]),
      ...(machine === undefined ? [] : [machineInWords(machine)]),
    ];
    return parts.length === 0 ? '' : ` (${parts.join('; ')})`;
  }
}

/** The first, last or last but one of snapshots in their order; `previous` of a choice is not certain. */
function pick(order: NonNullable<Speech['order']>, inOrder: readonly SnapshotInfo[], all: boolean): Finding {
  const wanted = { newest: inOrder.slice(-1), oldest: inOrder.slice(0, 1), previous: inOrder.slice(-2) }[
    order
  ];
  if (order !== 'previous') return { snapshots: wanted, certain: true };
  if (!all) return { snapshots: wanted, certain: false };
  return { snapshots: wanted.length < 2 ? [] : wanted.slice(0, 1), certain: true };
}

function isOf(machine: Machine | undefined, snapshot: SnapshotInfo): boolean {
  if (typeof machine === 'object') return snapshot.machine.toLowerCase().startsWith(machine.id);
  return machine !== 'other' || !snapshot.thisMachine;
}

function machineInWords(machine: Machine): string {
  if (typeof machine === 'object') return `of machine ${machine.id}`;
  return { this: 'of this machine', other: 'of another machine', any: 'of any machine' }[machine];
}

function none(why: string, nearest: SnapshotInfo | undefined): Found {
  return nearest === undefined ? { kind: 'none', why: `${why}; ${HELP}` } : { kind: 'none', why, nearest };
}
