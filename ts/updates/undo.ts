/**
 * Undoes an update of OpenClaw: the old version is installed and the state that it left is restored, as one undertaking that can
 * be cut off anywhere. What comes first is what can be tried again without harm: an old OpenClaw refuses a newer state, and
 * changes nothing of it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { RollbackOptions, RollbackPlan, RollbackReport, Settings } from '../../index.js';
import { agentsIn } from '../boot/state.js';
import type { Engine } from '../engine.js';
import { BackupError, type ErrorCode, toBackupError } from '../errors.js';
import type { Installation } from '../installation.js';
import type { Operation } from '../operation.js';
import { noteUndone } from './checked.js';
import { isNewer, type Target, targetOf } from './history.js';
import type { Host } from './host.js';
import { installCommand, isVersion } from './install.js';
import { type Journal, readJournal, removeJournal, type Step, writeJournal } from './journal.js';
import { agentDatabase } from './survey.js';
import { takeTurn } from './turn.js';

/** How long a gateway may take to be ready, or somebody to stop it or to install something, milliseconds. */
const PATIENCE_MS = 10 * 60_000;
/** How often it is looked, milliseconds. */
const LOOK_MS = 1_000;
/** So many looks a gateway that somebody stopped stays away. */
const LOOKS = 5;

/** What an undo works with. */
export interface UndoDeps {
  readonly engine: Engine;
  readonly settings: Settings;
  readonly operation: Operation;
  readonly host: Host;
  /** Tells the user what happens, or what to do. */
  say(line: string): void;
  /** Whether somebody is there who can do what is asked for. */
  readonly attended: boolean;
  /** Whether the user agrees to all that; not asked when an undo goes on that was agreed to. */
  agree(intent: Intent): Promise<void>;
  readonly lookMs?: number;
  readonly patienceMs?: number;
}

/** What would be done. */
export interface Intent {
  readonly from: string;
  readonly target: Target;
  readonly installation: Installation;
  readonly running: boolean;
  readonly plan: RollbackPlan;
}

/** What was done. */
export interface UndoReport {
  readonly from: string;
  readonly to: string;
  readonly snapshot: string;
  /** What was there before; not set where nothing had to be restored. */
  readonly safety?: string;
  /** `ready`, `by-hand` (whoever started the gateway has to start it again), or `not-running` (it did not run before). */
  readonly gateway: 'ready' | 'by-hand' | 'not-running';
  /** Whether an undo that had begun was given up, and the version that it left is there again. */
  readonly turnedBack: boolean;
  readonly failed: RollbackReport['failed'];
  readonly warnings: readonly string[];
}

/** What is asked for. */
export interface UndoRequest {
  /** The version to go back to; the one before the last update when not set. While one is open, the version it left turns back. */
  readonly to?: string | undefined;
  /** Whether only the intent is wanted. */
  readonly dryRun: boolean;
}

/**
 * Undoes an update, or goes on with what was cut off.
 *
 * @throws {BackupError} B2_HOST_REFUSES where OpenClaw, or who installs it, does not do what it should; the same command goes
 * on. B2_LOCKED while another run is at it; B2_DISK_FULL, B2_SNAPSHOT_NOT_FOUND, B2_USAGE, and those of a rollback
 */
export async function undoUpdate(deps: UndoDeps, request: UndoRequest): Promise<UndoReport | Intent> {
  const { to, dryRun } = request;
  if (to !== undefined && !isVersion(to)) {
    throw new BackupError(`--to takes a version of OpenClaw, such as 2026.9.5, not "${to}"`, {
      code: 'B2_USAGE',
    });
  }
  const { stateDir } = deps.settings;
  const giveBack = dryRun ? undefined : takeTurn(stateDir);
  try {
    const open = readJournal(stateDir);
    return await (open === undefined ? begin(deps, request) : goOn(deps, open, request));
  } finally {
    giveBack?.();
  }
}

async function begin(deps: UndoDeps, { to, dryRun }: UndoRequest): Promise<UndoReport | Intent> {
  const intent = await intentOf(deps, to);
  if (dryRun) return intent;
  await deps.agree(intent);
  const { from, target, installation, running } = intent;
  const journal: Journal = {
    ...{ step: 'stop', from, to: target.version, snapshot: target.snapshot },
    ...{ installation, ran: running, service: false },
  };
  writeJournal(deps.settings.stateDir, journal);
  return new Undo(deps, journal).run();
}

async function intentOf(
  { engine, settings, operation, host }: UndoDeps,
  to: string | undefined,
): Promise<Intent> {
  const installation = host.installation();
  const from = installation === undefined ? undefined : host.version(installation);
  if (installation === undefined || from === undefined) {
    throw new BackupError(
      'OpenClaw was not found here, or is only half installed: run this with the Node that OpenClaw runs on, and with openclaw in the PATH',
      { code: 'B2_HOST_REFUSES' },
    );
  }
  const { snapshots } = await engine.list(settings, operation);
  const target = targetOf(snapshots, from, to);
  if (target.version === from) {
    throw new BackupError(
      `OpenClaw ${from} is what is installed; "b2-backup restore ${target.snapshot}" brings its state back`,
      { code: 'B2_USAGE' },
    );
  }
  if (isNewer(target.version, from)) {
    // What is here has an older schema by then, over which nothing newer is restored.
    throw new BackupError(
      `${target.version} is newer than the OpenClaw that is here, ${from}: update OpenClaw by its own means ("openclaw update --tag ` +
        `${target.version}"), start it once, and bring the state of then back with "b2-backup restore ${target.snapshot}"`,
      { code: 'B2_USAGE' },
    );
  }
  // Before the gateway is stopped.
  const why = host.installs(installation) ? await host.obstacle(installation, target.version) : undefined;
  if (why !== undefined) throw why;
  const plan = await engine.planRollback(settings, { snapshot: target.snapshot }, operation);
  return { from, target, installation, running: host.running() !== undefined, plan };
}

async function goOn(deps: UndoDeps, open: Journal, { to, dryRun }: UndoRequest): Promise<UndoReport> {
  const { from, to: old, step } = open;
  if (dryRun) {
    throw new BackupError(
      `the undo of the update ${old} to ${from} was cut off: "b2-backup undo-update" goes on with it (${step})`,
      { code: 'B2_USAGE' },
    );
  }
  if (to === undefined || to === old) {
    deps.say(`Going on with the undo of the update ${old} to ${from}, which was cut off.`);
    return new Undo(deps, open).run();
  }
  if (to === from && (await isUntouched(deps, open))) {
    deps.say(`Turning back: nothing of the state was changed, ${from} is installed again.`);
    return new Undo(deps, open).turnBack();
  }
  throw new BackupError(
    `the undo of the update ${old} to ${from} was cut off: "b2-backup undo-update" finishes it. It cannot turn back any more, ` +
      `since the state is restored already; nor go to another version in the middle`,
    { code: 'B2_USAGE' },
  );
}

/** Whether the state is still what the new version left. A restore that was cut off is finished or taken back first. */
async function isUntouched({ engine, settings, operation }: UndoDeps, open: Journal): Promise<boolean> {
  if (open.step === 'stop' || open.step === 'install') return true;
  if (open.step !== 'restore' || open.safety !== undefined) return false;
  if ((await engine.recoverRollback(settings, false)).outcome === 'applied') return false;
  const { entries } = await engine.planRollback(settings, { snapshot: open.snapshot }, operation);
  return entries.some(({ action }) => action !== 'keep-live');
}

/** Which process it is, or that this user cannot see it. */
function whose(pid: number | undefined): string {
  if (pid === undefined) return '';
  return pid === 0 ? ', which runs under another user' : ` (process ${pid})`;
}

/** One that runs. */
class Undo {
  readonly #deps: UndoDeps;
  #journal: Journal;
  #failed: RollbackReport['failed'] = [];
  readonly #warnings: string[] = [];

  constructor(deps: UndoDeps, journal: Journal) {
    this.#deps = deps;
    this.#journal = journal;
  }

  async run(): Promise<UndoReport> {
    await this.#waitForInstaller();
    if (this.#journal.step === 'stop') await this.#canInstall(this.#journal.to);
    // A gateway that somebody started meanwhile must not work with a state that changes.
    await this.#stop();
    if (this.#journal.step === 'stop') this.#next('install');
    if (this.#journal.step === 'install') {
      await this.#install(this.#journal.to);
      this.#next('restore');
      // npm takes minutes: what supervises the gateway may have started it again.
      await this.#stop();
    }
    if (this.#journal.step === 'restore') {
      await this.#restore();
      await this.#recognized();
      this.#next('start');
    }
    noteUndone(this.#deps.settings.stateDir, this.#journal.to);
    return this.#finish(false);
  }

  async turnBack(): Promise<UndoReport> {
    await this.#waitForInstaller();
    await this.#install(this.#journal.from);
    return this.#finish(true);
  }

  async #finish(turnedBack: boolean): Promise<UndoReport> {
    const gateway = await this.#start();
    const { from, to, snapshot, safety } = this.#journal;
    removeJournal(this.#deps.settings.stateDir);
    return {
      ...{ from, to, snapshot, gateway, turnedBack, failed: this.#failed, warnings: this.#warnings },
      ...(safety === undefined ? {} : { safety }),
    };
  }

  /** By npm it stays in its place, though half of one is not found; pnpm has a place for each version. */
  get #installation(): Installation {
    const { installation } = this.#journal;
    return installation.kind === 'npm' ? installation : (this.#deps.host.installation() ?? installation);
  }

  #next(step: Step, more: Partial<Journal> = {}): void {
    this.#journal = { ...this.#journal, ...more, step };
    writeJournal(this.#deps.settings.stateDir, this.#journal);
  }

  async #stop(): Promise<void> {
    const { host, say } = this.#deps;
    if (host.running() === undefined) return;
    say('Stopping the gateway.');
    const service = await host.stop(this.#installation);
    // Where the service manager did it, it can start it again.
    const gone = service && (await this.#until(() => host.running() === undefined, LOOK_MS * 60));
    if (service && gone) return this.#next(this.#journal.step, { ran: true, service: true });
    this.#next(this.#journal.step, { ran: true });
    await this.#byHand(
      `OpenClaw does not stop the gateway by itself${whose(host.running())}. Stop it the way you started it: with Ctrl-C, or by what supervises it, so that it does not start it again.`,
      this.#settled(() => host.running() === undefined),
    );
  }

  async #install(version: string): Promise<void> {
    const { host, say } = this.#deps;
    const installation = this.#installation;
    if (host.version(installation) === version) return;
    const command = installCommand(installation, version);
    if (!host.installs(installation)) {
      return this.#byHand(
        `This process cannot install OpenClaw here. Install ${version} now: "${command}".`,
        () => host.version(this.#installation) === version,
      );
    }
    await this.#canInstall(version);
    say(`Installing OpenClaw ${version}: ${command}`);
    const why = await host.install(installation, version, (installer) =>
      this.#next(this.#journal.step, { installer }),
    );
    if (why !== undefined) {
      throw this.#stuck(`OpenClaw ${version} could not be installed: ${why}`);
    }
  }

  /** Before anything is stopped or changed. */
  async #canInstall(version: string): Promise<void> {
    const { host } = this.#deps;
    const installation = this.#installation;
    if (host.version(installation) === version || !host.installs(installation)) return;
    const why = await host.obstacle(installation, version);
    if (why !== undefined) throw this.#stuck(why.message, why.code);
  }

  /** A run that was killed leaves npm at work: two of them would take the package from each other. */
  async #waitForInstaller(): Promise<void> {
    const { host, say } = this.#deps;
    const { installer } = this.#journal;
    if (installer === undefined || !host.lives(installer)) return;
    say(`Waiting for npm, which an earlier run left at work (process ${installer.pid}).`);
    if (await this.#until(() => !host.lives(installer), this.#patience)) return;
    throw this.#stuck(`npm still works since an earlier run (process ${installer.pid}): end it`, 'B2_LOCKED');
  }

  async #recognized(): Promise<void> {
    try {
      await this.#deps.host.restored(this.#journal.to);
    } catch (error) {
      this.#warnings.push(
        `OpenClaw ${this.#journal.to} will not know this machine's identity, and devices have to be paired again: ${toBackupError(error).message}`,
      );
    }
  }

  async #restore(): Promise<void> {
    const { engine, settings, operation, host, say } = this.#deps;
    const { snapshot, from } = this.#journal;
    // What is saved first is of the version that is left. The one that is there now is asked whether it takes what comes.
    const mine: Settings = { ...settings, hostVersion: from, openclaw: host.calling(this.#installation) };
    // One that was cut off: forwards or back, as it can.
    const open = await engine.recoverRollback(mine, false);
    this.#note(open);
    const bring = async (options: RollbackOptions): Promise<void> => {
      const plan = await engine.planRollback(mine, options, operation);
      if (plan.entries.every(({ action }) => action === 'keep-live')) return;
      say(`Restoring ${snapshot}.`);
      const report = await engine.rollBack(mine, options, plan.hash, operation);
      this.#note(report);
      if (report.outcome === 'applied' || report.outcome === 'nothing') return;
      throw this.#stuck(
        report.outcome === 'waiting'
          ? 'the gateway was started meanwhile'
          : `the state could not be restored, and is as it was: ${report.problem ?? report.outcome}`,
      );
    };
    await bring({ snapshot });
    // The old version does not start beside a database of the new one, though it is of an agent that it does not know.
    const paths = agentsIn(settings.stateDir).map(agentDatabase);
    if (paths.length === 0) return;
    const all = { snapshot, paths, exact: true };
    const { entries } = await engine.planRollback(mine, all, operation);
    const unknown = entries.filter(({ action }) => action === 'delete').map(({ path }) => path);
    if (unknown.length > 0) await bring({ ...all, paths: unknown });
  }

  #note({ outcome, safety, failed, warnings }: RollbackReport): void {
    this.#warnings.push(...warnings);
    if (outcome !== 'applied') return;
    this.#failed = failed;
    // The first one has what the new version had.
    if (safety !== undefined && this.#journal.safety === undefined) this.#next('restore', { safety });
  }

  async #start(): Promise<UndoReport['gateway']> {
    const { host, say } = this.#deps;
    const { ran, service } = this.#journal;
    if (!ran) return 'not-running';
    if (await host.ready()) return 'ready';
    if (!service || !(await host.start(this.#installation))) return 'by-hand';
    say('Waiting until the gateway is ready.');
    if (await this.#until(() => host.ready(), this.#patience)) return 'ready';
    throw this.#stuck(
      'the gateway was started and does not become ready; "openclaw gateway status --deep" says more',
    );
  }

  /** Tells somebody what to do, and waits for it. @throws {BackupError} where nobody is there */
  async #byHand(what: string, done: () => boolean): Promise<void> {
    if (done()) return;
    if (!this.#deps.attended) throw this.#stuck(what);
    this.#deps.say(`${what}\nWaiting for it; Ctrl-C stops the waiting, and the same command goes on.`);
    if (!(await this.#until(done, this.#patience))) throw this.#stuck(what);
  }

  /** Whether something has been so for some looks: a supervisor starts again what was stopped. */
  #settled(done: () => boolean): () => boolean {
    let looks = 0;
    return () => {
      looks = done() ? looks + 1 : 0;
      return looks >= LOOKS;
    };
  }

  get #patience(): number {
    return this.#deps.patienceMs ?? PATIENCE_MS;
  }

  async #until(done: () => boolean | Promise<boolean>, patienceMs: number): Promise<boolean> {
    const { operation, lookMs = LOOK_MS } = this.#deps;
    for (let waited = 0; ; waited += lookMs) {
      operation.signal?.throwIfAborted();
      if (await done()) return true;
      if (waited >= patienceMs) return false;
      await sleep(lookMs);
    }
  }

  #stuck(message: string, code: ErrorCode = 'B2_HOST_REFUSES'): BackupError {
    const { from, step } = this.#journal;
    const back = step === 'start' ? '' : `, and "b2-backup undo-update --to ${from}" turns back`;
    const end = message.endsWith('.') ? '' : '.';
    return new BackupError(`${message}${end} "b2-backup undo-update" goes on from here${back}`, { code });
  }
}
