/** One push at a time: who asks while one runs joins it, or the one after it. */
import type { ProgressEvent, PushReport } from '../../index.js';
import { BackupError } from '../errors.js';
import type { Operation } from '../operation.js';

/** Why the gateway pushes. */
export type PushReason = 'manual' | 'scheduled' | 'compaction' | 'reset' | 'shutdown';

/** A push that was asked for. */
export interface Run {
  readonly reason: PushReason;
  /** Whether it was asked for by somebody else before. */
  readonly joined: boolean;
  /** Settles when the snapshot's content is fixed, or when there will be none. Never rejects. */
  readonly captured: Promise<void>;
  /** @throws {BackupError} */
  readonly done: Promise<PushReport>;
}

/** What runs. */
export interface Running {
  readonly reason: PushReason;
  readonly progress: ProgressEvent | undefined;
}

/** What a pusher works with. */
export interface PusherDeps {
  push(reason: PushReason, operation: Operation): Promise<PushReport>;
  /** Called once for each push, joined or not, after its end and before those who wait hear of it. */
  ended(reason: PushReason, outcome: PushReport | BackupError): void;
}

/**
 * Which running push will do: any; one whose content is not fixed yet; or one that has not looked at the state
 * yet, so that it holds all there was when it was asked for.
 */
export type Joins = 'any' | 'uncaptured' | 'unseen';

/** Phases in which nothing of the state has been looked at yet. */
const UNSEEN: ReadonlySet<string> = new Set(['open', 'wait']);
/** Phases in which the content is fixed. */
const CAPTURED: ReadonlySet<string> = new Set(['captured', 'upload']);

interface Active extends Omit<Run, 'joined'> {
  progress: ProgressEvent | undefined;
  readonly cut: AbortController;
  readonly watchers: Set<(event: ProgressEvent) => void>;
}

/** Runs pushes one after the other. */
export class Pusher {
  readonly #deps: PusherDeps;
  readonly #stop = new AbortController();
  #active: Active | undefined;
  #next: Active | undefined;

  constructor(deps: PusherDeps) {
    this.#deps = deps;
  }

  /** The push that runs now. */
  get running(): Running | undefined {
    return this.#active;
  }

  /** Asks for a push. One that cannot join the running push follows it; all that follow are one. */
  request(reason: PushReason, joins: Joins, onProgress?: (event: ProgressEvent) => void): Run {
    const [run, joined] = this.#find(reason, joins);
    if (onProgress !== undefined) run.watchers.add(onProgress);
    return { reason: run.reason, joined, captured: run.captured, done: run.done };
  }

  /** Stops what runs and refuses everything after it. What was captured is finished by the next push. */
  stop(): void {
    this.#stop.abort(new BackupError('the gateway is stopping', { code: 'B2_CANCELLED' }));
  }

  /** Cuts off what runs and all that follow it, and says `why`; resolves once nothing runs. Later ones are taken again. */
  async interrupt(why = 'something else goes first'): Promise<void> {
    for (let active = this.#active; active !== undefined; active = this.#active) {
      active.cut.abort(new BackupError(why, { code: 'B2_CANCELLED' }));
      await settled(active.done);
    }
  }

  #find(reason: PushReason, joins: Joins): [Active, boolean] {
    const active = this.#active;
    if (active === undefined) {
      const started = this.#start(reason, Promise.resolve());
      this.#active = started;
      return [started, false];
    }
    if (canJoin(active, joins)) return [active, true];
    if (this.#next !== undefined) return [this.#next, true];
    this.#next = this.#start(reason, settled(active.done));
    return [this.#next, false];
  }

  #start(reason: PushReason, before: Promise<void>): Active {
    let captured = (): void => {};
    const watchers = new Set<(event: ProgressEvent) => void>();
    const cut = new AbortController();
    const run: Active = {
      reason,
      cut,
      progress: undefined,
      watchers,
      captured: new Promise((resolve) => {
        captured = resolve;
      }),
      done: before.then(async () => {
        let outcome: PushReport | BackupError;
        try {
          outcome = await this.#deps.push(reason, {
            signal: AbortSignal.any([this.#stop.signal, cut.signal]),
            onProgress: (event) => {
              run.progress = event;
              if (CAPTURED.has(event.phase)) captured();
              for (const watch of watchers) watch(event);
            },
          });
        } catch (error) {
          outcome = error as BackupError;
        }
        // At once, so that whoever asks now joins the follower instead of running beside it.
        this.#active = this.#next;
        this.#next = undefined;
        this.#deps.ended(reason, outcome);
        captured();
        if (outcome instanceof Error) throw outcome;
        return outcome;
      }),
    };
    // Those who only want to know when it was captured do not listen for the failure.
    run.done.catch(() => {});
    return run;
  }
}

function canJoin({ progress }: Active, joins: Joins): boolean {
  if (joins === 'any' || progress === undefined) return true;
  return joins === 'unseen' ? UNSEEN.has(progress.phase) : !CAPTURED.has(progress.phase);
}

function settled(done: Promise<unknown>): Promise<void> {
  return done.then(
    () => {},
    () => {},
  );
}
