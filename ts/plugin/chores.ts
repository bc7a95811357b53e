/** What is done after pushes, one after the other, when nothing else is to do: whatever comes up goes first. */
import type { PushReport } from '../../index.js';
import { BackupError, toBackupError } from '../errors.js';
import type { Operation } from '../operation.js';
import type { Clock } from './clock.js';
import type { PushReason } from './pusher.js';

/** A push that has ended, and nothing follows it. */
export interface EndedPush {
  readonly reason: PushReason;
  readonly outcome: PushReport | BackupError;
}

/** One of them. */
export interface Chore<T = unknown> {
  /** Whether its time has come. */
  due(push: EndedPush): boolean;
  work(operation: Operation): Promise<T>;
  /** Called after each, but for those that were cut off or did not get a lock. */
  ended(outcome: T | BackupError): void;
}

/** A chore among others: nobody but itself knows what it reports. */
export interface AnyChore {
  readonly due: (push: EndedPush) => boolean;
  readonly run: (signal: AbortSignal) => Promise<void>;
}

/** Makes a chore one among others. */
export function anyChore<T>(chore: Chore<T>): AnyChore {
  return {
    due: (push) => chore.due(push),
    run: async (signal) => {
      let outcome: T | BackupError;
      try {
        outcome = await chore.work({ signal });
      } catch (error) {
        outcome = toBackupError(error);
      }
      // Another process works on this state: the next push tries again.
      const busy = outcome instanceof BackupError && outcome.code === 'B2_LOCKED';
      if (!signal.aborted && !busy) chore.ended(outcome);
    },
  };
}

/** See above. */
export class Chores {
  readonly #chores: readonly AnyChore[];
  #running: { readonly cut: AbortController; readonly done: Promise<void> } | undefined;
  #stopped = false;

  constructor(chores: readonly AnyChore[]) {
    this.#chores = chores;
  }

  /** A push has ended, and nothing follows it: does what is due. Never after the gateway's last push. */
  afterPush(push: EndedPush): void {
    if (this.#stopped || this.#running !== undefined || push.reason === 'shutdown') return;
    const due = this.#chores.filter((chore) => chore.due(push));
    if (due.length === 0) return;
    const cut = new AbortController();
    const done = this.#run(due, cut.signal).finally(() => {
      this.#running = undefined;
    });
    this.#running = { cut, done };
  }

  /** Cuts off what runs, and all that follow it; resolves once nothing does. A later push makes up for them. */
  async interrupt(): Promise<void> {
    this.#running?.cut.abort(new BackupError('something else goes first', { code: 'B2_CANCELLED' }));
    await this.#running?.done;
  }

  /** The same for good. */
  stop(): Promise<void> {
    this.#stopped = true;
    return this.interrupt();
  }

  async #run(due: readonly AnyChore[], signal: AbortSignal): Promise<void> {
    for (const chore of due) {
      if (signal.aborted) return;
      await chore.run(signal);
    }
  }
}

/** Milliseconds since `time` (ISO 8601); a clock that went back does not count. */
export function sinceThen(clock: Clock, time: string | undefined): number {
  if (time === undefined) return Number.POSITIVE_INFINITY;
  const since = clock.now().getTime() - Date.parse(time);
  return since < 0 ? Number.POSITIVE_INFINITY : since;
}
