/** Prunes after pushes, when nothing else is to do: whatever comes up goes first. */
import type { PruneReport, PushReport } from '../../index.js';
import { BackupError, toBackupError } from '../errors.js';
import type { Operation } from '../operation.js';
import type { Keep } from '../policy.js';
import type { Clock } from './clock.js';
import type { PushReason } from './pusher.js';

/** Once in so many milliseconds in any case. */
const DAILY_MS = 24 * 60 * 60_000;
/** Not more often than this, in milliseconds, however many snapshots there are. */
const HOURLY_MS = 60 * 60_000;

/** What a pruner works with. */
export interface PrunerDeps {
  readonly clock: Clock;
  readonly keep: Keep;
  /** When it was last done, or tried, ISO 8601. */
  lastAt(): string | undefined;
  prune(operation: Operation): Promise<PruneReport>;
  /** Called after each, but for those that were cut off or did not get the lock. */
  ended(outcome: PruneReport | BackupError): void;
}

/** See above. */
export class Pruner {
  readonly #deps: PrunerDeps;
  #running: { readonly cut: AbortController; readonly done: Promise<void> } | undefined;
  #stopped = false;

  constructor(deps: PrunerDeps) {
    this.#deps = deps;
  }

  /** A push has ended, and nothing follows it: prunes if that is due. */
  afterPush(reason: PushReason, outcome: PushReport | BackupError): void {
    if (this.#stopped || this.#running !== undefined || reason === 'shutdown') return;
    if (!this.#due(outcome)) return;
    const cut = new AbortController();
    const done = this.#run(cut.signal).finally(() => {
      this.#running = undefined;
    });
    this.#running = { cut, done };
  }

  /** Cuts off what runs; resolves once nothing does. The next one goes on with it. */
  async interrupt(): Promise<void> {
    this.#running?.cut.abort(new BackupError('something else goes first', { code: 'B2_CANCELLED' }));
    await this.#running?.done;
  }

  /** The same for good. */
  stop(): Promise<void> {
    this.#stopped = true;
    return this.interrupt();
  }

  #due(outcome: PushReport | BackupError): boolean {
    const since = this.#sinceLast();
    if (outcome instanceof BackupError) {
      // A full account: that is when space has to be freed.
      return outcome.code === 'B2_CAP_EXCEEDED' && since >= HOURLY_MS;
    }
    const { keepSnapshots, keepDaily, keepWeekly } = this.#deps.keep;
    const many = outcome.snapshots > keepSnapshots + keepDaily + keepWeekly;
    return since >= (many ? HOURLY_MS : DAILY_MS);
  }

  /** Milliseconds since the last one; a clock that went back does not count. */
  #sinceLast(): number {
    const last = this.#deps.lastAt();
    if (last === undefined) return Number.POSITIVE_INFINITY;
    const since = this.#deps.clock.now().getTime() - Date.parse(last);
    return since < 0 ? Number.POSITIVE_INFINITY : since;
  }

  async #run(signal: AbortSignal): Promise<void> {
    let outcome: PruneReport | BackupError;
    try {
      outcome = await this.#deps.prune({ signal });
    } catch (error) {
      outcome = toBackupError(error);
    }
    // Another process works on this state: the next push tries again.
    const busy = outcome instanceof BackupError && outcome.code === 'B2_LOCKED';
    if (!signal.aborted && !busy) this.#deps.ended(outcome);
  }
}
