/** The backup of one running gateway: what hooks, tools, commands and the schedule ask. */
import type {
  DiffOptions,
  DiffReport,
  HistoryOptions,
  HistoryReport,
  ListReport,
  PushReport,
  Settings,
  ShowOptions,
  ShowReport,
} from '../../index.js';
import { monthlyTrial } from '../boot/drill.js';
import { readBooted } from '../boot/record.js';
import type { Activity } from '../control-ui/protocol.js';
import type { Engine } from '../engine.js';
import { type BackupError, toBackupError } from '../errors.js';
import { given } from '../given.js';
import type { Operation } from '../operation.js';
import { secretsInside } from '../secrets.js';
import { checkUpdate } from '../updates/check.js';
import type { Here } from '../updates/history.js';
import { type Announcer, formatRunning } from './announce.js';
import { Arrival } from './arrival.js';
import { anyChore, Chores } from './chores.js';
import { type Clock, within } from './clock.js';
import { Once } from './once.js';
import { View } from './page/view.js';
import { PlanCounter } from './plan-count.js';
import { driller, VERIFY_BYTES, verifier } from './prover.js';
import { pruner } from './pruner.js';
import { Pusher, type PushReason } from './pusher.js';
import { boundRemarks } from './record.js';
import type { Reporter } from './report.js';
import { Rollbacks } from './rollback.js';
import { dueAt, keepTime } from './schedule.js';
import type { Configured } from './settings.js';
import { type GatewayStatus, plain, remembered } from './status.js';
import type { Reader } from './times.js';
import { noteVersion, type UpdateCheckDeps, updateChecker } from './update-check.js';

/** What a {@linkcode Backup} works with. */
export interface BackupDeps {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly reporter: Reporter;
  /** The settings, or what is wrong with them. */
  readonly configured: Configured | BackupError;
  /** Asks the gateway to restart once what it does now is done. */
  restart(): void;
  /** The version of OpenClaw that is installed now, whichever runs. */
  readonly installed?: () => string | undefined;
  /** Tells pages that are open. */
  readonly announcer?: Announcer | undefined;
}

/** Compactions within this time of a snapshot made for one need no other, in milliseconds. */
const DEBOUNCE_MS = 5 * 60_000;
/** How long a compaction or a reset waits for the capture, in milliseconds; the host's own limit is 30 s. */
const CAPTURE_WAIT_MS = 25_000;
/** How long a stopping gateway waits for its last push, in milliseconds. `docker stop` kills after 10 s. */
const STOP_WAIT_MS = 8_000;
/** The same where another OpenClaw is in the place of the one that runs; less than a hook may take (hooks.ts). */
const UPDATE_WAIT_MS = 50_000;
/** How long a rollback waits for a push that it cuts off, in milliseconds. */
const MAKE_WAY_MS = 12_000;
/** How long a stopping gateway waits for chores to be cut off, in milliseconds. */
const CHORES_END_MS = 2_000;
/** How long a push waits for another process that works on the same state, in milliseconds. */
const LOCK_WAIT_MS = 10 * 60_000;

/** See above. */
export class Backup {
  readonly #deps: BackupDeps;
  readonly #pusher: Pusher;
  readonly #chores: Chores;
  readonly #arrival: Arrival;
  /** What rolls this state back. */
  readonly rollbacks: Rollbacks;
  /** What the page "Backups" is made of. */
  readonly view: View;
  #cancelTime = (): void => {};
  #lastCompaction: number | undefined;
  #toldInside = false;
  readonly #told = new Once();

  constructor(deps: BackupDeps) {
    this.#deps = deps;
    const counter = new PlanCounter({ ...deps, settings: () => this.#settings() });
    this.rollbacks = new Rollbacks({
      ...deps,
      count: (plan, operation) => counter.count(plan, operation),
      settings: () => this.#settings(),
      timeZone: () => this.timeZone,
      changed: () => this.view.changed(),
      makeWay: async () => {
        await within(deps.clock, MAKE_WAY_MS, this.#makeWay());
      },
    });
    this.view = new View(deps, {
      status: () => this.status({ bucket: false }),
      timeZone: () => this.timeZone,
      here: () => this.here,
    });
    this.view.onChange(() => deps.announcer?.changed());
    this.#arrival = new Arrival(deps);
    this.#pusher = new Pusher({
      push: (reason, operation) => this.#push(reason, this.#announced(operation)),
      ended: (reason, outcome) => {
        deps.reporter.ended(reason, outcome);
        this.announce();
        this.view.changed();
        if (this.#pusher.running === undefined) this.#chores.afterPush({ reason, outcome });
      },
    });
    this.#chores = this.#makeChores();
  }

  /** The time zone in which the user speaks of days. */
  get timeZone(): string {
    const { configured } = this.#deps;
    const named = configured instanceof Error ? undefined : configured.policy.schedule.timeZone;
    return named ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
  }

  /** OpenClaw's state directory. @throws {BackupError} when there are no settings that work */
  get stateDir(): string {
    return this.#settings().stateDir;
  }

  /** When and where the user reads what is told. */
  get reader(): Reader {
    return { now: this.#deps.clock.now(), timeZone: this.timeZone };
  }

  /** What this machine knows of its OpenClaw. */
  get here(): Here {
    const { configured, reporter } = this.#deps;
    const version = configured instanceof Error ? undefined : configured.settings.hostVersion;
    const { update } = reporter.record;
    return { version, unsavedSince: update?.version === version ? update?.unsavedSince : undefined };
  }

  /** Finishes a rollback that is open. Agents must not run yet. Never fails. */
  async recover(): Promise<void> {
    if (!(this.#deps.configured instanceof Error)) await this.rollbacks.atStart();
  }

  /** Gives a new machine what another one had. Agents must not run yet. Never fails. */
  async autoRestore(signal: AbortSignal): Promise<void> {
    if (!(this.#deps.configured instanceof Error)) await this.#arrival.atStart(signal);
  }

  /** Begins to keep the schedule. */
  start(): void {
    const { clock, configured, reporter } = this.#deps;
    if (configured instanceof Error) return;
    const { policy } = configured;
    noteVersion(this.#updates(configured.settings));
    this.#cancelTime = keepTime(
      clock,
      () => dueAt(policy, reporter.record, clock.now()),
      () => this.#pusher.request('scheduled', 'any').done.then(ignore, ignore),
      () => reporter.look(policy),
    );
  }

  /** Stops everything that runs, at once; the next push goes on with it. */
  stop(): void {
    this.#cancelTime();
    this.view.stop();
    this.#pusher.stop();
    void this.#chores.stop();
  }

  /** Pushes because somebody asks; the first time with what a snapshot holds, in words. @throws {BackupError} */
  async push({ signal, onProgress }: Operation = {}): Promise<{
    report: PushReport;
    joined: boolean;
    inside?: string;
  }> {
    const settings = this.#settings();
    const run = this.#pusher.request('manual', 'unseen', onProgress);
    const pushed = { report: await untilAborted(run.done, signal), joined: run.joined };
    if (this.#toldInside) return pushed;
    this.#toldInside = true;
    return { ...pushed, inside: secretsInside(settings) };
  }

  /**
   * Stops the push that runs and all that wait behind it. What was read so far is kept, and the next push goes on with
   * it. False when none runs.
   */
  async cancelPush(): Promise<boolean> {
    const runs = this.#pusher.running !== undefined;
    await this.#pusher.interrupt('this backup was stopped; the next one continues it');
    return runs;
  }

  /** What happens right now, and how the last rollback went. */
  get activity(): Activity {
    const { running } = this.#pusher;
    return given({ running: running && formatRunning(running), rollback: this.rollbacks.lastInWords() });
  }

  /** Tells pages that are open what happens right now. */
  announce(activity: Activity = {}): void {
    this.#deps.announcer?.activity(() => ({ ...this.activity, ...activity }));
  }

  /** Returns when the state before a compaction is safe on this disk, or after a while. Never fails. */
  async beforeCompaction(): Promise<void> {
    const now = this.#deps.clock.now().getTime();
    const last = this.#lastCompaction;
    if (last !== undefined && now >= last && now - last < DEBOUNCE_MS) return;
    this.#lastCompaction = now;
    await this.#captured('compaction');
  }

  /** The same before a session is reset. */
  beforeReset(): Promise<void> {
    return this.#captured('reset');
  }

  /**
   * The gateway's last push; cut off when it takes too long, and finished at the next start. Where a rollback waits
   * for this moment, that is carried out instead: its safety snapshot holds what was there. Never fails.
   */
  async beforeStop(): Promise<void> {
    const { clock, configured, reporter } = this.#deps;
    this.#cancelTime();
    if (configured instanceof Error) return;
    // They hold the lock that a rollback needs, and a push.
    await within(clock, CHORES_END_MS, this.#chores.stop());
    if (await this.rollbacks.beforeStop()) {
      this.#pusher.stop();
      return;
    }
    const { done } = this.#pusher.request('shutdown', 'unseen');
    const saved = await within(clock, this.#stopWaitMs(), done.then(yes, ignore));
    this.#pusher.stop();
    if (saved === true) reporter.rests(true);
    await reporter.saved();
  }

  #stopWaitMs(): number {
    const { version } = this.here;
    return (this.#deps.installed?.() ?? version) === version ? STOP_WAIT_MS : UPDATE_WAIT_MS;
  }

  /** All snapshots. @throws {BackupError} */
  async list(operation: Operation = {}): Promise<ListReport> {
    return this.#deps.engine.list(this.#settings(), operation);
  }

  /** Those of the warnings that this session was not told yet: they need not stand with every list. */
  untold(warnings: readonly string[], sessionKey: string | undefined): readonly string[] {
    return this.#told.fresh(warnings, sessionKey ?? '');
  }

  /** What differs. @throws {BackupError} */
  async diff(options: DiffOptions, operation: Operation = {}): Promise<DiffReport> {
    return this.#deps.engine.diff(this.#settings(), options, operation);
  }

  /** What a snapshot holds. @throws {BackupError} */
  async show(options: ShowOptions, operation: Operation = {}): Promise<ShowReport> {
    return this.#deps.engine.show(this.#settings(), options, operation);
  }

  /** The versions of a file. @throws {BackupError} */
  async history(options: HistoryOptions, operation: Operation = {}): Promise<HistoryReport> {
    return this.#deps.engine.history(this.#settings(), options, operation);
  }

  /** How things are. Never fails; without `bucket` it makes no request. */
  async status({ bucket }: { bucket: boolean }, operation: Operation = {}): Promise<GatewayStatus> {
    const { configured, reporter, clock, engine } = this.#deps;
    const known = remembered(reporter.record, this.#pusher.running);
    if (configured instanceof Error) return { ...known, problem: plain(configured) };
    const { settings, policy } = configured;
    const status = given({
      ...known,
      schedule: policy.schedule.text,
      nextAt: dueAt(policy, reporter.record, clock.now()).toISOString(),
      booted: readBooted(settings.stateDir),
    });
    if (!bucket) return status;
    try {
      const found = await engine.status(settings, operation);
      // Others may have pushed since.
      const { remarks: _remembered, moreRemarks: _counted, ...rest } = status;
      const { remarks, ...bucket } = found;
      return { ...rest, ...boundRemarks(remarks), bucket };
    } catch (error) {
      return { ...status, bucketProblem: plain(toBackupError(error)) };
    }
  }

  async #captured(reason: PushReason): Promise<void> {
    const { clock, configured } = this.#deps;
    if (configured instanceof Error) return;
    await within(clock, CAPTURE_WAIT_MS, this.#pusher.request(reason, 'uncaptured').captured);
  }

  #announced({ onProgress, ...operation }: Operation): Operation {
    return {
      ...operation,
      onProgress: (event) => {
        onProgress?.(event);
        this.announce();
      },
    };
  }

  async #push(reason: PushReason, operation: Operation): Promise<PushReport> {
    const settings = this.#settings();
    this.#deps.reporter.began();
    this.announce();
    await this.#chores.interrupt();
    await this.#arrival.beforePush(reason, operation);
    return this.#deps.engine.push(settings, { reason, waitMs: LOCK_WAIT_MS }, operation);
  }

  /** Lets what runs go, and what would follow it. */
  async #makeWay(): Promise<void> {
    await this.#pusher.interrupt();
    await this.#chores.interrupt();
  }

  #makeChores(): Chores {
    const { clock, configured, engine, reporter } = this.#deps;
    if (configured instanceof Error) return new Chores([]);
    const { settings, policy } = configured;
    const { keepSnapshots, keepDaily, keepWeekly, keepUpdates, verifyWeeks: weeks } = policy;
    const keep = { keepSnapshots, keepDaily, keepWeekly, keepUpdates };
    const since = () => reporter.record.since;
    const prune = pruner({
      clock,
      keep,
      lastAt: () => reporter.record.lastPruneAt,
      work: (operation) => engine.prune(settings, keep, operation),
      ended: (outcome) => reporter.pruned(outcome),
    });
    const verify = verifier({
      clock,
      since,
      last: () => reporter.record.verify ?? {},
      began: () => reporter.proofBegan('verify'),
      work: (operation) => engine.verify(settings, { weeks, mostBytes: VERIFY_BYTES }, operation),
      ended: (outcome) => reporter.verified(outcome),
    });
    const drill = driller({
      clock,
      since,
      last: () => reporter.record.drill ?? {},
      began: () => reporter.proofBegan('drill'),
      work: (operation) =>
        policy.drill === 'boot'
          ? monthlyTrial(engine, settings, operation)
          : engine.drill(settings, operation),
      ended: (outcome) => reporter.drilled(outcome),
      tooLarge: (bytes) => reporter.drillTooLarge(bytes),
    });
    return new Chores([
      anyChore(prune),
      anyChore(updateChecker(this.#updates(settings))),
      ...(weeks > 0 ? [anyChore(verify)] : []),
      ...(policy.drill !== false ? [anyChore(drill)] : []),
    ]);
  }

  #updates(settings: Settings): UpdateCheckDeps {
    const { clock, engine, reporter } = this.#deps;
    const check: UpdateCheckDeps['check'] = (operation, known) =>
      checkUpdate(engine, settings, operation, known);
    return { clock, reporter, version: settings.hostVersion, check };
  }

  #settings(): Settings {
    const { configured } = this.#deps;
    if (configured instanceof Error) throw configured;
    return configured.settings;
  }
}

/** The push goes on when one who waits for it gives up: others may wait too. */
function untilAborted<T>(done: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return done;
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    done.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

function ignore(): void {}
const yes = (): true => true;
