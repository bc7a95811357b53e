/** Keeps what the bucket said, so that the page opens without waiting for it. */
import type { Settings } from '../../../index.js';
import type { Engine } from '../../engine.js';
import { type BackupError, toBackupError } from '../../errors.js';
import type { Policy } from '../../policy.js';
import { type Clock, within } from '../clock.js';
import type { Record } from '../record.js';
import type { GatewayStatus } from '../status.js';
import { standingFailure } from '../tell.js';
import type { BucketFacts, Facts, Problem } from './facts.js';

/** What the bucket said is asked for again when somebody looks after so many milliseconds. */
const FRESH_MS = 60_000;
/** The same after it did not answer. */
const AGAIN_MS = 10_000;
/** So many milliseconds a page waits for the first answer; after that it shows what is known without. */
export const FIRST_WAIT_MS = 150;

/** What a view works with. */
export interface ViewDeps {
  readonly engine: Pick<Engine, 'status' | 'list'>;
  readonly clock: Clock;
  readonly reporter: { readonly record: Record };
  /** The settings, or what is wrong with them. */
  readonly configured: { readonly settings: Settings; readonly policy: Policy } | BackupError;
}

/** What else is known without asking the bucket. */
export interface Known {
  status(): Promise<GatewayStatus>;
  timeZone(): string;
}

/** See above. */
export class View {
  readonly #deps: ViewDeps;
  readonly #known: Known;
  readonly #stop = new AbortController();
  readonly #listeners = new Set<() => void>();
  #bucket: BucketFacts | undefined;
  #problem: Problem | undefined;
  #asking: Promise<void> | undefined;
  /** When it was last asked, in milliseconds since 1970; unset when something has changed since. */
  #askedAt: number | undefined;

  constructor(deps: ViewDeps, known: Known) {
    this.#deps = deps;
    this.#known = known;
  }

  /** What is known now. The bucket is asked meanwhile, if what it said is old. Never fails, and waits for no network. */
  async facts(): Promise<Facts> {
    this.#refresh();
    if (this.#bucket === undefined && this.#problem === undefined && this.#asking !== undefined)
      await within(this.#deps.clock, FIRST_WAIT_MS, this.#asking);
    const bucket = this.#bucket;
    const bucketProblem = this.#problem;
    return {
      ...(await this.#remembered()),
      ...(bucket === undefined ? {} : { bucket }),
      ...(bucketProblem === undefined ? {} : { bucketProblem }),
      asking: this.#asking !== undefined,
    };
  }

  /** Something has happened to the backups: what the bucket said counts no more. */
  changed(): void {
    this.#askedAt = undefined;
    for (const listener of this.#listeners) listener();
  }

  /** Calls `listener` whenever there is something new to see. Returns how to call it off. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Asks nobody any more. */
  stop(): void {
    this.#stop.abort();
    this.#listeners.clear();
  }

  #refresh(): void {
    const now = this.#deps.clock.now().getTime();
    const age = this.#askedAt === undefined ? undefined : now - this.#askedAt;
    const isFresh =
      age !== undefined && age >= 0 && age < (this.#problem === undefined ? FRESH_MS : AGAIN_MS);
    if (isFresh || this.#asking !== undefined || this.#stop.signal.aborted) return;
    this.#askedAt = now;
    this.#asking = this.#ask().finally(() => {
      this.#asking = undefined;
      for (const listener of this.#listeners) listener();
    });
  }

  async #remembered(): Promise<Omit<Facts, 'bucket' | 'bucketProblem' | 'asking'>> {
    const { clock, configured, reporter } = this.#deps;
    const now = clock.now();
    const { since, rollback } = reporter.record;
    const standing = standingFailure(reporter.record);
    const known = {
      now,
      timeZone: this.#known.timeZone(),
      gateway: await this.#known.status(),
      rollbackWaits: rollback !== undefined && rollback.outcome === undefined,
      ...(standing === undefined ? {} : { standing }),
      ...(since === undefined ? {} : { since }),
    };
    if (configured instanceof Error) return { ...known, drills: false, encrypt: true };
    const { policy, settings } = configured;
    const periodMs = policy.schedule.period(now);
    return { ...known, drills: policy.drill, encrypt: settings.encrypt !== false, periodMs };
  }

  async #ask(): Promise<void> {
    const { configured, engine } = this.#deps;
    if (configured instanceof Error) return;
    const operation = { signal: this.#stop.signal };
    try {
      const status = await engine.status(configured.settings, operation);
      const list = await engine.list(configured.settings, operation);
      this.#bucket = { askedAt: this.#deps.clock.now().toISOString(), status, list };
      this.#problem = undefined;
    } catch (error) {
      const { code, message } = toBackupError(error);
      this.#problem = { code, message };
    }
  }
}
