/** Rolling the state back while the gateway runs: plan, agree, stage, restart, apply in between, tell. */

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { RollbackOptions, RollbackPlan, RollbackReport, Settings } from '../../index.js';
import type { Engine } from '../engine.js';
import { BackupError, toBackupError } from '../errors.js';
import { given } from '../given.js';
import type { Operation } from '../operation.js';
import { isPlanNumber } from '../plan-number.js';
import { printable } from '../text.js';
import { type Clock, within } from './clock.js';
import { formatArrived } from './format-arrival.js';
import { formatOutcome } from './format-rollback.js';
import type { CountedPlan } from './plan-count.js';
import type { PendingRollback } from './record.js';
import type { Reporter } from './report.js';
import type { Reader } from './times.js';

/** A plan that somebody was shown. */
export interface Planned {
  readonly options: RollbackOptions;
  readonly plan: CountedPlan;
}

/** Who asks, and whom to tell how it went. A plan that one was shown is none for another. */
export interface Asker {
  /** An agent, by its tool, or a person, by a slash command. */
  readonly by: 'agent' | 'person';
  readonly sessionKey?: string | undefined;
  readonly agentId?: string | undefined;
  /** Where the agent of the session works, absolute. Without it, nothing goes unasked, and no lines are told. */
  readonly workspace?: string | undefined;
  /** Of a person: whatever tells one sender from others. */
  readonly sender?: string | undefined;
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
  /** Counts what a plan costs, as far as that takes little. Never fails. */
  count(plan: RollbackPlan, operation: Operation): Promise<CountedPlan>;
  /** A rollback has made a snapshot, and may have changed the state. */
  changed(): void;
}

/** So many plans are remembered; what is older has to be looked at again. */
const PLANS = 20;
/** So many files an hour come back without anybody being asked. */
const FILES_AN_HOUR = 20;
const HOUR_MS = 3_600_000;
/** The call that was approved follows at once; so long an approval waits for it, in milliseconds. */
const APPROVED_MS = 60_000;
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
  /** What the owner was asked last, by session; with when the word was given, in milliseconds. */
  readonly #approvals = new Map<string, { readonly hash: string; givenAt?: number }>();
  /** When files came back without anybody being asked. */
  #unasked: number[] = [];

  constructor(deps: RollbackDeps) {
    this.#deps = deps;
  }

  /** What a rollback would do, for `asker` to be shown. @throws {BackupError} */
  async plan(options: RollbackOptions, asker: Asker, operation: Operation = {}): Promise<CountedPlan> {
    const { workspace } = asker;
    const bare = await this.#deps.engine.planRollback(
      this.#deps.settings(),
      { ...options, ...(workspace === undefined ? {} : { agentWorkspace: workspace }) },
      operation,
    );
    const plan = await this.#deps.count(bare, operation);
    // The id of what was shown: "latest" may be another one by the time that the user agrees.
    const shown = options.undo === true ? options : { ...options, snapshot: plan.snapshot };
    const key = keyOf(plan.hash, asker);
    this.#plans.delete(key);
    this.#plans.set(key, { options: shown, plan });
    for (const old of this.#plans.keys()) {
      if (this.#plans.size <= PLANS) break;
      this.#plans.delete(old);
    }
    return plan;
  }

  /** The plan of that number or hash, if `asker` was shown it. A number that two of them have is none. */
  planned(plan: unknown, asker: Asker): Planned | undefined {
    if (!isPlanNumber(plan)) return undefined;
    const [planned, second] = [...this.#plans]
      .filter(
        ([
          key,
          {
            plan: { hash },
          },
        ]) => hash.startsWith(plan) && key === keyOf(hash, asker),
      )
      .map(([, planned]) => planned);
    return second === undefined ? planned : undefined;
  }

  /** Why the owner has to approve a plan before an agent may carry it out, as things stand; empty where nothing speaks against it. */
  needsApproval({ plan }: Planned): readonly string[] {
    const hourAgo = this.#deps.clock.now().getTime() - HOUR_MS;
    this.#unasked = this.#unasked.filter((at) => at > hourAgo);
    const many = this.#unasked.length + filesOf(plan) > FILES_AN_HOUR;
    const reason = `this would restore more than ${FILES_AN_HOUR} files within an hour without approval`;
    return many ? [...plan.needsApproval, reason] : plan.needsApproval;
  }

  /**
   * Begins to wait for the owner's word on this plan in this session. The word is for the function that is returned, and
   * for the next call in the session; an earlier one that was not used is void.
   */
  expectApproval(hash: string, { sessionKey }: Asker): (decision: string) => void {
    const approval: { readonly hash: string; givenAt?: number } = { hash };
    if (sessionKey !== undefined) this.#approvals.set(sessionKey, approval);
    let open = true;
    return (decision) => {
      if (open && decision === 'allow-once') approval.givenAt = this.#deps.clock.now().getTime();
      open = false;
    };
  }

  /**
   * Carries out a plan that `asker` was shown: for a person who confirmed it; for an agent, if the owner approved it, or
   * need not.
   *
   * @throws {BackupError}
   */
  async carryOut(hash: string, asker: Asker, operation: Operation = {}): Promise<RollbackReport> {
    const { engine, clock, reporter, makeWay, restart, changed } = this.#deps;
    const key = keyOf(hash, asker);
    const planned = this.#plans.get(key);
    const approved = asker.by === 'person' || this.#takeApproval(hash, asker);
    if (planned === undefined) {
      throw new BackupError('this plan is not known here: make a preview first, and pass on its plan', {
        code: 'B2_PLAN_CHANGED',
      });
    }
    if (!approved) this.#admitUnasked(planned);
    await makeWay();
    const report = await engine.rollBack(this.#deps.settings(), planned.options, hash, operation);
    this.#plans.delete(key);
    changed();
    if (report.outcome === 'waiting' && report.id !== undefined) {
      const { sessionKey, agentId } = asker;
      await reporter.rollbackWaits({
        id: report.id,
        snapshot: report.snapshot ?? planned.plan.snapshot,
        undo: planned.options.undo === true,
        ...given({ sessionKey, agentId }),
      });
      clock.after(RESTART_AFTER_MS, restart);
    }
    return report;
  }

  /** Whether the owner approved this plan in this session just now. Whatever was approved there is used up by that. */
  #takeApproval(hash: string, { sessionKey }: Asker): boolean {
    if (sessionKey === undefined) return false;
    const approval = this.#approvals.get(sessionKey);
    this.#approvals.delete(sessionKey);
    if (approval?.givenAt === undefined || approval.hash !== hash) return false;
    return this.#deps.clock.now().getTime() - approval.givenAt <= APPROVED_MS;
  }

  /** Lets a call through that needs no approval. @throws {BackupError} B2_NOT_APPROVED */
  #admitUnasked(planned: Planned): void {
    const [reason] = this.needsApproval(planned);
    if (reason === undefined) {
      const now = this.#deps.clock.now().getTime();
      this.#unasked.push(...Array.from({ length: filesOf(planned.plan) }, () => now));
      return;
    }
    throw new BackupError(
      `nothing was changed: the owner did not approve this plan in this session (${reason}). If nobody was asked, this ` +
        `version of OpenClaw cannot ask. The owner can run "${inShell(planned)}" in a shell, or send ` +
        `/b2 ${planned.options.undo === true ? 'undo' : 'restore'} in a chat.`,
      { code: 'B2_NOT_APPROVED' },
    );
  }

  get #reader(): Reader {
    return { now: this.#deps.clock.now(), timeZone: this.#deps.timeZone() };
  }

  /** The ids of rollbacks that may be open: they have a folder, and looking into it takes a process of its own. */
  async #maybeOpen(): Promise<readonly string[]> {
    try {
      const folder = join(this.#deps.settings().stateDir, 'b2-backup', 'restore');
      const entries = await readdir(folder, { withFileTypes: true });
      return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
    } catch {
      return [];
    }
  }

  /**
   * In the stop of the gateway, when its agents do not work any more: applies what waits, whoever staged it. Returns
   * whether there was something. Never fails.
   */
  async beforeStop(): Promise<boolean> {
    const { clock, makeWay } = this.#deps;
    if ((await this.#maybeOpen()).length === 0) return false;
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
    if ((await this.#maybeOpen()).length > 0 || asked !== undefined) {
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
    const { reporter } = this.#deps;
    const text = this.lastInWords();
    const pending = reporter.record.rollback;
    if (text !== undefined && pending !== undefined) reporter.tellRollback(text, pending);
  }

  /** How the last rollback over a restart went, as long as no turn has carried that. */
  lastInWords(): string | undefined {
    const { reporter } = this.#deps;
    const pending = reporter.record.rollback;
    if (pending?.outcome === undefined) return undefined;
    const { arrival } = pending;
    return arrival?.byItself === true && pending.outcome !== 'open'
      ? formatArrived({ ...pending, arrival }, this.#reader)
      : formatOutcome(pending, this.#reader);
  }

  /** One is half done: the user hears of it at every start, in the session that asked for it, if one did. */
  async #stuck(): Promise<void> {
    const { reporter } = this.#deps;
    const asked = reporter.record.rollback;
    if (this.#problem === undefined) return;
    const half = { outcome: 'open', problem: this.#problem };
    const open = await this.#maybeOpen();
    const isAsked = endIsUnknown(asked) && (open.length === 0 || open.includes(asked.id));
    if (isAsked) await reporter.rollbackWaits({ ...asked, ...half });
    else reporter.tell(formatOutcome({ ...half, id: '', snapshot: '', undo: false }, this.#reader));
  }

  async #applied(report: RollbackReport | undefined): Promise<void> {
    if (report === undefined) return;
    const { reporter } = this.#deps;
    const asked = reporter.record.rollback;
    if (report.outcome === 'nothing') {
      if (asked === undefined) return;
      if (!endIsUnknown(asked)) {
        await this.#overtaken(asked, report);
        return;
      }
      // It ended, and nobody came to note how: a process was killed, or something failed. What is named is the last one
      // that was carried out.
      const { late, left } = report;
      await reporter.rollbackWaits({
        ...asked,
        ...(report.id === asked.id ? { outcome: 'applied', late, left } : { outcome: 'rolled-back' }),
        ...given({ problem: this.#problem }),
      });
      return;
    }
    if (report.outcome === 'waiting' || report.id === undefined) return;
    const before: PendingRollback = asked?.id === report.id ? asked : unasked(report.id, report.snapshot);
    const { outcome, late, left, problem, arrival } = report;
    await reporter.rollbackWaits({ ...before, outcome, late, left, ...given({ problem, arrival }) });
  }

  /** What is still to be told may not hold any more: another one was carried out since, by a push or in a shell. */
  async #overtaken(told: PendingRollback, { id, snapshot, late, left }: RollbackReport): Promise<void> {
    if (id === undefined || id === told.id || told.outcome !== 'applied') return;
    const { sessionKey, agentId } = told;
    const last = { ...unasked(id, snapshot), outcome: 'applied', late, left };
    await this.#deps.reporter.rollbackWaits({ ...last, ...given({ sessionKey, agentId }) });
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

/** One that nobody here asked for: what brings a safety snapshot back undoes another. */
function unasked(id: string, snapshot = ''): PendingRollback {
  return { id, snapshot, undo: snapshot.startsWith('safety-') };
}

/** Whether somebody asked for it, and nobody knows how it ended. */
function endIsUnknown(asked: PendingRollback | undefined): asked is PendingRollback {
  return asked !== undefined && (asked.outcome === undefined || asked.outcome === 'open');
}

function keyOf(hash: string, { by, sessionKey, sender }: Asker): string {
  return JSON.stringify([hash, by, sessionKey ?? null, sender ?? null]);
}

function filesOf({ entries }: RollbackPlan): number {
  return entries.filter(({ action }) => action !== 'keep-live').length;
}

/** The command that does the same. Paths are for a person to read: they are quoted for no shell. */
function inShell({ options }: Planned): string {
  if (options.undo === true) return 'openclaw b2-backup undo';
  const paths = (options.paths ?? []).map((path) => ` --path ${printable(path)}`);
  return `openclaw b2-backup restore ${options.snapshot ?? 'latest'}${paths.join('')}${options.exact === true ? ' --exact' : ''}`;
}
