/** Rolling the state back while the gateway runs: plan, agree, stage, restart, apply in between, tell. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { RollbackOptions, RollbackPlan, RollbackReport, Settings } from '../../index.js';
import type { Engine } from '../engine.js';
import { BackupError, toBackupError } from '../errors.js';
import type { Operation } from '../operation.js';
import { type Clock, within } from './clock.js';
import type { PendingRollback } from './record.js';
import type { Reporter } from './report.js';
import { tellArrived } from './tell-arrival.js';
import { tellOutcome } from './tell-rollback.js';

/** A plan that somebody was shown. */
export interface Planned {
  readonly options: RollbackOptions;
  readonly plan: RollbackPlan;
}

/** Whom to tell how it went. */
export interface Asker {
  readonly sessionKey?: string | undefined;
  readonly agentId?: string | undefined;
}

/** What rollbacks work with. */
export interface RollbackDeps {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly reporter: Reporter;
  /** The time zone in which the user speaks of days. */
  timeZone(): string;
  /** @throws {BackupError} when there are none that work */
  settings(): Settings;
  /** Cuts off the push that runs: it holds the lock that a rollback needs. The next push goes on with it. */
  makeWay(): Promise<void>;
  /** Asks the gateway to restart once what it does now is done. */
  restart(): void;
}

/** So many plans are remembered; what is older has to be looked at again. */
const PLANS = 20;
/** How long a stopping gateway waits for a rollback, in milliseconds. What is cut off is finished at the next start. */
const APPLY_WAIT_MS = 50_000;
/** How long after the answer the restart is asked for, in milliseconds: the asker's turn has to end first. */
const RESTART_AFTER_MS = 2_000;

/** The rollbacks of one running gateway. */
export class Rollbacks {
  readonly #deps: RollbackDeps;
  readonly #plans = new Map<string, Planned>();
  /** Why one could not be finished. */
  #problem: string | undefined;

  constructor(deps: RollbackDeps) {
    this.#deps = deps;
  }

  /** What a rollback would do. @throws {BackupError} */
  async plan(options: RollbackOptions, operation: Operation = {}): Promise<RollbackPlan> {
    const plan = await this.#deps.engine.planRollback(this.#deps.settings(), options, operation);
    this.#plans.delete(plan.hash);
    // The id of what was shown: "latest" may be another one by the time that the user agrees.
    const shown = options.undo === true ? options : { ...options, snapshot: plan.snapshot };
    this.#plans.set(plan.hash, { options: shown, plan });
    for (const hash of this.#plans.keys()) {
      if (this.#plans.size <= PLANS) break;
      this.#plans.delete(hash);
    }
    return plan;
  }

  /** The plan with that hash, if it was shown by this gateway. */
  planned(hash: string): Planned | undefined {
    return this.#plans.get(hash);
  }

  /** The hash of the one plan that starts so, if it was shown by this gateway: what a person types is short. */
  startingWith(start: string): string | undefined {
    const [hash, second] = [...this.#plans.keys()].filter((known) => known.startsWith(start));
    return second === undefined ? hash : undefined;
  }

  /** Carries out a plan that was shown. @throws {BackupError} */
  async carryOut(hash: string, asker: Asker, operation: Operation = {}): Promise<RollbackReport> {
    const { engine, clock, reporter, makeWay, restart } = this.#deps;
    const planned = this.#plans.get(hash);
    if (planned === undefined) {
      throw new BackupError('this plan is not known: make a preview first, and pass on its plan', {
        code: 'B2_PLAN_CHANGED',
      });
    }
    await makeWay();
    const report = await engine.rollBack(this.#deps.settings(), planned.options, hash, operation);
    this.#plans.delete(hash);
    if (report.outcome === 'waiting' && report.id !== undefined) {
      const { sessionKey, agentId } = asker;
      await reporter.rollbackWaits({
        id: report.id,
        snapshot: report.snapshot ?? planned.plan.snapshot,
        undo: planned.options.undo === true,
        ...(sessionKey === undefined ? {} : { sessionKey }),
        ...(agentId === undefined ? {} : { agentId }),
      });
      clock.after(RESTART_AFTER_MS, restart);
    }
    return report;
  }

  /** Whether there is a folder of a rollback; looking into it takes a process of its own. */
  async #mayBeOpen(): Promise<boolean> {
    try {
      const folder = join(this.#deps.settings().stateDir, 'b2-backup', 'restore');
      const entries = await readdir(folder, { withFileTypes: true });
      return entries.some((entry) => entry.isDirectory());
    } catch {
      return false;
    }
  }

  /**
   * In the stop of the gateway, when its agents do not work any more: applies what waits, whoever staged it. Returns
   * whether there was something. Never fails.
   */
  async beforeStop(): Promise<boolean> {
    const { clock, makeWay } = this.#deps;
    if (!(await this.#mayBeOpen())) return false;
    await makeWay();
    const applying = this.#recover().then(async (report) => {
      await this.#applied(report);
      return report !== undefined && report.outcome !== 'nothing';
    });
    return (await within(clock, APPLY_WAIT_MS, applying)) ?? true;
  }

  /** At the start, before agents run: finishes what was cut off, and tells how the last rollback went. */
  async atStart(): Promise<void> {
    const { reporter, restart } = this.#deps;
    const asked = reporter.record.rollback;
    if ((await this.#mayBeOpen()) || endIsUnknown(asked)) {
      // What failed was put back, if that could be: then nothing is open any more.
      const report = (await this.#recover()) ?? (await this.#recover());
      await this.#applied(report);
      if (report === undefined) await this.#stuck();
      // The gateway has read its databases by now: only another start makes it see what was brought back.
      if (report?.outcome === 'applied' || report?.outcome === 'rolled-back') {
        restart();
        return;
      }
    }
    this.tellLast();
  }

  /** Tells how the last rollback went, if no turn has carried that yet. */
  tellLast(): void {
    const { clock, reporter } = this.#deps;
    const pending = reporter.record.rollback;
    if (pending?.outcome === undefined) return;
    const { arrival } = pending;
    const text =
      arrival?.byItself === true
        ? tellArrived({ ...pending, arrival }, { now: clock.now(), timeZone: this.#deps.timeZone() })
        : tellOutcome(pending);
    reporter.tellRollback(text, pending);
  }

  /** Remembers that it is half done, so that the user hears of it at every start. */
  async #stuck(): Promise<void> {
    const { reporter } = this.#deps;
    const asked = reporter.record.rollback;
    if (asked === undefined || this.#problem === undefined) return;
    await reporter.rollbackWaits({ ...asked, outcome: 'open', problem: this.#problem });
  }

  async #applied(report: RollbackReport | undefined): Promise<void> {
    if (report === undefined) return;
    const { reporter } = this.#deps;
    const asked = reporter.record.rollback;
    if (report.outcome === 'nothing') {
      if (!endIsUnknown(asked)) return;
      // It ended, and nobody came to note how: a process was killed, or something failed. What is named is the last one
      // that was carried out.
      const { late, left } = report;
      await reporter.rollbackWaits({
        ...asked,
        ...(report.id === asked.id ? { outcome: 'applied', late, left } : { outcome: 'rolled-back' }),
        ...(this.#problem === undefined ? {} : { problem: this.#problem }),
      });
      return;
    }
    if (report.outcome === 'waiting' || report.id === undefined) return;
    const before: PendingRollback =
      asked?.id === report.id ? asked : { id: report.id, snapshot: report.snapshot ?? '', undo: false };
    const { outcome, late, left, problem, arrival } = report;
    await reporter.rollbackWaits({
      ...before,
      outcome,
      late,
      left,
      ...(problem === undefined ? {} : { problem }),
      ...(arrival === undefined ? {} : { arrival }),
    });
  }

  async #recover(): Promise<RollbackReport | undefined> {
    try {
      return await this.#deps.engine.recoverRollback(this.#deps.settings(), true);
    } catch (error) {
      const { message } = toBackupError(error);
      this.#deps.reporter.warn(`a rollback could not be finished: ${message}`);
      this.#problem = message;
      return undefined;
    }
  }
}

/** Whether somebody asked for it, and nobody knows how it ended. */
function endIsUnknown(asked: PendingRollback | undefined): asked is PendingRollback {
  return asked !== undefined && (asked.outcome === undefined || asked.outcome === 'open');
}
