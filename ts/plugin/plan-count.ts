/** Counts what a plan costs in messages and jobs, if that takes little; a plan does not wait for more. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { RollbackEntry, RollbackPlan, Settings } from '../../index.js';
import type { Engine } from '../engine.js';
import type { Operation } from '../operation.js';
import type { DifferenceJob, PlanCount, Sides } from '../updates/difference.js';
import { agentOf, countFetched } from '../updates/fetched.js';
import { SHARED_DATABASE } from '../updates/survey.js';
import { type Clock, within } from './clock.js';

/** A plan, and what of it was counted. */
export interface CountedPlan extends RollbackPlan {
  readonly counted?: PlanCount;
}

/** So long an answer waits for the count, in milliseconds. */
const WAIT_MS = 5_000;
/** So many bytes of databases are fetched for it. */
const MOST_FETCHED = 64_000_000;
/** So large may a database be that is read here, in bytes. */
const MOST_READ = 1_000_000_000;

/** What counting works with. */
export interface PlanCounterDeps {
  readonly engine: Pick<Engine, 'restore'>;
  readonly clock: Clock;
  settings(): Settings;
}

/** Counts for one plan after the other. */
export class PlanCounter {
  readonly #deps: PlanCounterDeps;
  #last: Promise<unknown> = Promise.resolve();

  constructor(deps: PlanCounterDeps) {
    this.#deps = deps;
  }

  /** The plan with what could be counted in time. Never fails: then there is no number. */
  async count(plan: RollbackPlan, { signal }: Operation = {}): Promise<CountedPlan> {
    const databases = plan.entries.filter(isCounted);
    if (databases.length === 0) return plan;
    const late = new AbortController();
    const signals = [late.signal, ...(signal === undefined ? [] : [signal])];
    const counting = this.#last.then(() => this.#work(plan.snapshot, databases, AbortSignal.any(signals)));
    this.#last = counting.catch(() => {});
    try {
      const counted = await within(this.#deps.clock, WAIT_MS, counting);
      return counted === undefined ? plan : { ...plan, counted };
    } catch {
      return plan;
    } finally {
      late.abort();
    }
  }

  async #work(
    snapshot: string,
    databases: readonly RollbackEntry[],
    signal: AbortSignal,
  ): Promise<PlanCount | undefined> {
    signal.throwIfAborted();
    const { engine } = this.#deps;
    const settings = this.#deps.settings();
    const come = databases.filter(({ action }) => action !== 'delete');
    const bytes = come.reduce((sum, entry) => sum + entry.bytes, 0);
    if (bytes > MOST_FETCHED || databases.some((entry) => isLarge(settings, entry))) return undefined;
    const paths = come.map(({ path }) => path);
    return await countFetched<PlanCount>(
      { engine, settings, snapshot, paths, bytes, folder: 'plan', operation: { signal } },
      (stored) => jobOf(databases, stored, settings.stateDir),
    );
  }
}

function isCounted({ path, action }: RollbackEntry): boolean {
  return action !== 'keep-live' && (path === SHARED_DATABASE || agentOf(path) !== undefined);
}

function isLarge({ stateDir }: Settings, { path, action }: RollbackEntry): boolean {
  return action !== 'add' && statSync(join(stateDir, path)).size > MOST_READ;
}

function jobOf(databases: readonly RollbackEntry[], stored: string, present: string): DifferenceJob {
  const agents: Record<string, Sides> = {};
  let shared: Sides | undefined;
  for (const { path, action } of databases) {
    const sides = {
      ...(action === 'delete' ? {} : { stored: join(stored, path) }),
      ...(action === 'add' ? {} : { present: join(present, path) }),
    };
    const agent = agentOf(path);
    if (agent === undefined) shared = sides;
    else agents[agent] = sides;
  }
  return { agents, ...(shared === undefined ? {} : { shared }) };
}
