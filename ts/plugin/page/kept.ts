/** Answers that cost requests: kept, renewed in the background, and never waited for longer than a reader would. */
import { toBackupError } from '../../errors.js';
import { type Clock, within } from '../clock.js';
import type { Problem } from './facts.js';

/** What is known of an answer. */
export interface Looked<T> {
  readonly value?: T;
  /** When that was asked, ISO 8601: what happened since may not be in it. */
  readonly at?: string;
  /** Why there is no newer one. */
  readonly problem?: Problem;
  /** Whether it is being asked for. */
  readonly asking: boolean;
}

/** How long an answer is good. */
export interface Patience {
  /** It is asked for again after so many milliseconds. */
  readonly freshMs: number;
  /** So many milliseconds the first answer is waited for. */
  readonly waitMs: number;
}

/** After a failure it is asked for again in so many milliseconds, when somebody looks. */
const AGAIN_MS = 10_000;

interface Slot {
  looked: Omit<Looked<unknown>, 'asking'>;
  /** When it was last asked for, in milliseconds since 1970; unset when that counts no more. */
  askedAt: number | undefined;
  asking: Promise<void> | undefined;
}

/** See above. */
export class Kept {
  readonly #clock: Clock;
  readonly #most: number;
  readonly #answered: () => void;
  readonly #stop = new AbortController();
  /** The one that was looked at last is the last. */
  readonly #slots = new Map<string, Slot>();

  /** Keeps `most` answers, those that were looked at last. Calls `answered` after each new one. */
  constructor(clock: Clock, most: number, answered: () => void) {
    this.#clock = clock;
    this.#most = most;
    this.#answered = answered;
  }

  /** The answer that is known, while `ask` is called for a newer one where it is old. Never fails. */
  async look<T>(
    key: string,
    { freshMs, waitMs }: Patience,
    ask: (signal: AbortSignal) => Promise<T>,
  ): Promise<Looked<T>> {
    const slot = this.#slots.get(key) ?? { looked: {}, askedAt: undefined, asking: undefined };
    this.#slots.delete(key);
    this.#slots.set(key, slot);
    for (const [oldest, { asking }] of this.#slots) {
      if (this.#slots.size <= this.#most) break;
      if (asking === undefined) this.#slots.delete(oldest);
    }
    const isWrong =
      slot.askedAt === undefined || (slot.looked.value === undefined && slot.looked.problem === undefined);
    if (this.#isOld(slot, freshMs)) this.#ask(slot, ask);
    if (isWrong && slot.asking !== undefined) await within(this.#clock, waitMs, slot.asking);
    return { ...(slot.looked as Omit<Looked<T>, 'asking'>), asking: slot.asking !== undefined };
  }

  /** An answer counts no more: who looks next waits for a new one, as if it were the first. */
  forget(key: string): void {
    const slot = this.#slots.get(key);
    if (slot !== undefined) slot.askedAt = undefined;
  }

  /** Asks nobody any more. */
  stop(): void {
    this.#stop.abort();
  }

  #isOld({ looked, askedAt, asking }: Slot, freshMs: number): boolean {
    if (asking !== undefined || this.#stop.signal.aborted) return false;
    if (askedAt === undefined) return true;
    const age = this.#clock.now().getTime() - askedAt;
    return age < 0 || age >= (looked.problem === undefined ? freshMs : AGAIN_MS);
  }

  #ask<T>(slot: Slot, ask: (signal: AbortSignal) => Promise<T>): void {
    const now = this.#clock.now();
    slot.askedAt = now.getTime();
    const run = async (): Promise<void> => {
      try {
        const value = await ask(this.#stop.signal);
        slot.looked = { value, at: now.toISOString() };
      } catch (error) {
        const { code, message } = toBackupError(error);
        slot.looked = { ...slot.looked, problem: { code, message } };
        // A server that is away takes its time: who looks because of this failure does not ask at once again.
        if (slot.askedAt !== undefined) slot.askedAt = this.#clock.now().getTime();
      }
    };
    slot.asking = run().finally(() => {
      slot.asking = undefined;
      this.#answered();
    });
  }
}
