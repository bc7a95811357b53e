/** Puts tokens together: which time, which reasons, whose, in which order. */
import type { Reason } from '../snapshots.js';
import type { Lexed } from './lexer.js';
import type { Machine, Part, Relation, Span, Token } from './tokens.js';
import type { LocalTime } from './zone.js';

/** A time as it was said. What is not set was not said. */
export interface Time {
  relation?: Relation;
  /** Each is one way to understand the day. */
  days?: readonly Span[];
  moment?: LocalTime;
  part?: Part;
  clock?: { readonly minutes: readonly number[]; readonly rough: boolean };
  ago?: number;
  instant?: number;
}

/** All that was said. */
export interface Speech {
  readonly time: Time;
  /** Any of these. */
  readonly reasons: ReadonlySet<Reason>;
  readonly order?: 'newest' | 'oldest' | 'previous' | undefined;
  readonly machine?: Machine | undefined;
  readonly ids?: readonly string[] | undefined;
  /** The ids, or "that", are what the snapshot comes before. */
  readonly beforeIds: boolean;
  readonly that: boolean;
  /** What to say when the words are not certain. */
  readonly hint?: string | undefined;
  /** Whether nothing at all was understood. */
  readonly empty: boolean;
  /** Words, or a sense of words, that found no place: what was understood is not all that was said. */
  readonly unclear: readonly string[];
}

/** See above. */
export function understand({ tokens, unknown }: Lexed): Speech {
  const listener = new Listener();
  for (const token of tokens) listener.hear(token, token.joined);
  return listener.end(
    unknown,
    tokens.every(({ is }) => is === 'relation'),
  );
}

class Listener {
  readonly #time: Time = {};
  readonly #reasons = new Set<Reason>();
  readonly #unclear: string[] = [];
  #order: Speech['order'];
  #machine: Machine | undefined;
  #ids: readonly string[] | undefined;
  #beforeIds = false;
  #that = false;
  #hint: string | undefined;
  /** A relation that waits for what it relates to. */
  #pending: Relation | undefined;
  /** "before the last": which one "last" is shows only by what follows. */
  #pendingOrder = false;
  /** A time that a relation was just said of, and nothing since. */
  #related = false;

  hear(token: Token, joined: boolean): void {
    const related = this.#related && joined;
    this.#related = false;
    switch (token.is) {
      case 'relation':
        if (this.#pending !== undefined || this.#time.relation !== undefined) this.#twice('times');
        this.#pending = token.relation;
        break;
      case 'days':
        this.#hint ??= token.hint;
        // Of "Monday or Tuesday" both are to choose from.
        this.#setTime('days', [...(this.#time.days ?? []), ...token.days], related);
        if (token.moment !== undefined) this.#time.moment = token.moment;
        break;
      case 'part':
        this.#setTime('part', token.part, related);
        break;
      case 'clock':
        this.#setTime('clock', token, related);
        break;
      case 'ago':
      case 'instant':
        this.#setTime(token.is, token.ms, related);
        break;
      case 'reason':
        this.#reason(token.reason, token.event, related);
        break;
      case 'order':
        if (this.#order !== undefined) this.#twice('words for order');
        this.#order = token.order;
        this.#pendingOrder = this.#pending === 'before' && token.order === 'newest';
        break;
      case 'machine':
        if (this.#machine !== undefined) this.#twice('machines');
        this.#machine = token.machine;
        break;
      case 'ids':
        if (this.#ids !== undefined) this.#twice('snapshots');
        this.#ids = token.ids;
        this.#beforeIds = this.#take() === 'before';
        break;
      case 'that':
        this.#that = true;
        break;
    }
  }

  end(unknown: readonly string[], empty: boolean): Speech {
    if (this.#pending === 'before' && this.#pendingOrder) {
      // "the one before the last one"
      this.#order = 'previous';
    } else if (this.#pending !== undefined) {
      this.#unclear.push(`"${this.#pending}"`);
    }
    const { ago, instant, days, part, clock } = this.#time;
    const exact = [ago, instant].filter((time) => time !== undefined).length;
    if (exact > 1 || (exact === 1 && (days ?? part ?? clock) !== undefined)) this.#twice('times');
    return {
      time: this.#time,
      reasons: this.#reasons,
      order: this.#order,
      machine: this.#machine,
      ids: this.#ids,
      beforeIds: this.#beforeIds,
      that: this.#that,
      hint: this.#hint,
      empty,
      unclear: [...unknown.map((word) => `"${word}"`), ...this.#unclear],
    };
  }

  #setTime<K extends 'days' | 'part' | 'clock' | 'ago' | 'instant'>(
    what: K,
    value: NonNullable<Time[K]>,
    related: boolean,
  ): void {
    if (this.#time[what] !== undefined) this.#twice('times');
    this.#time[what] = value;
    if (this.#pendingOrder && this.#pending !== undefined)
      this.#unclear.push(`what is ${this.#pending} what`);
    const relation = this.#take();
    if (relation !== undefined) this.#time.relation = relation;
    this.#related = relation !== undefined || related;
  }

  #reason(reason: Reason, event: boolean, related: boolean): void {
    if (this.#reasons.size > 0 && !this.#reasons.has(reason)) this.#twice('reasons');
    this.#reasons.add(reason);
    const relation = this.#pending ?? (related ? this.#time.relation : undefined);
    if (relation === undefined) return;
    if (!event || relation !== 'before') {
      this.#unclear.push(`what is ${relation} what`);
    } else if (this.#pending === undefined) {
      // In "before yesterday's compaction" it is the compaction that comes after.
      delete this.#time.relation;
    }
    this.#pending = undefined;
  }

  #take(): Relation | undefined {
    const relation = this.#pending;
    this.#pending = undefined;
    return relation;
  }

  #twice(what: string): void {
    this.#unclear.push(`which of several ${what} counts`);
  }
}
