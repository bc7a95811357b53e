/** Everything that the page looks at: what the gateway remembers, and what the bucket said. */

import type { HistoryReport, ListReport, Settings, StatusReport } from '../../../index.js';
import type { Engine } from '../../engine.js';
import type { BackupError } from '../../errors.js';
import { given } from '../../given.js';
import { LIVE } from '../../operations.js';
import type { Policy } from '../../policy.js';
import type { Here } from '../../updates/history.js';
import type { Clock } from '../clock.js';
import { standingFailure } from '../format.js';
import type { Record } from '../record.js';
import type { GatewayStatus } from '../status.js';
import { type Content, contentsOf } from './contents.js';
import { type Differences, differencesOf, withoutKeys } from './differences.js';
import type { Facts } from './facts.js';
import { Kept, type Looked, type Patience } from './kept.js';

/** What a view works with. */
export interface ViewDeps {
  readonly engine: Pick<Engine, 'status' | 'list' | 'show' | 'diff' | 'history'>;
  readonly clock: Clock;
  readonly reporter: { readonly record: Record };
  /** The settings, or what is wrong with them. */
  readonly configured: { readonly settings: Settings; readonly policy: Policy } | BackupError;
}

/** What else is known without asking the bucket. */
export interface Known {
  status(): Promise<GatewayStatus>;
  timeZone(): string;
  /** What this machine knows of its OpenClaw. */
  here(): Here;
}

/** Whom a lookup asks. */
interface Source {
  readonly engine: ViewDeps['engine'];
  readonly settings: Settings;
  readonly signal: AbortSignal;
}

/** The bucket as a whole. A page that opens shows what is known without it, rather than wait. */
const BUCKET: Patience = { freshMs: 60_000, waitMs: 150 };
/** What is in a snapshot stays as it is. Whoever asks for it waits for a moment. */
const SNAPSHOT: Patience = { freshMs: Number.POSITIVE_INFINITY, waitMs: 2_000 };
/** What differs from the present changes. */
const PRESENT: Patience = { freshMs: 30_000, waitMs: 2_000 };
/** So many answers are kept, and of each only what is shown: they take memory of the gateway. */
const MOST = 8;

/** See above. */
export class View {
  readonly #deps: ViewDeps;
  readonly #known: Known;
  readonly #kept: Kept;
  readonly #listeners = new Set<() => void>();
  /** Lookups of snapshots and files, one after the other: some take a process, and all take memory. */
  #queue: Promise<unknown> = Promise.resolve();

  constructor(deps: ViewDeps, known: Known) {
    this.#deps = deps;
    this.#known = known;
    this.#kept = new Kept(deps.clock, MOST, () => this.#tell());
  }

  /** What is known now. The bucket is asked meanwhile, if what it said is old. Never fails, and waits for no network. */
  async facts(): Promise<Facts> {
    const { value, at, problem, asking } = await this.#look<{ status: StatusReport; list: ListReport }>(
      'bucket',
      BUCKET,
      async ({ engine, settings, signal }) => ({
        status: await engine.status(settings, { signal }),
        list: await engine.list(settings, { signal }),
      }),
    );
    return {
      ...(await this.#remembered()),
      ...(value === undefined ? {} : { bucket: { ...value, askedAt: at ?? '' } }),
      ...(problem === undefined ? {} : { bucketProblem: problem }),
      asking,
    };
  }

  /** What a snapshot holds, by parts. */
  snapshot(id: string): Promise<Looked<readonly Content[]>> {
    return this.#lookInTurn(`show ${id}`, SNAPSHOT, async ({ engine, settings, signal }) =>
      contentsOf((await engine.show(settings, { snapshot: id }, { signal })).entries),
    );
  }

  /** What differs between two snapshots, or one and the present (`live`); lines only of plain files of `workspace`. */
  diff(from: string, to: string, workspace?: string): Promise<Looked<Differences>> {
    return this.#lookInTurn(
      `diff ${from} ${to}`,
      to === LIVE ? PRESENT : SNAPSHOT,
      async ({ engine, settings, signal }) =>
        differencesOf(await engine.diff(settings, { from, to, ...linesOf(workspace) }, { signal })),
    );
  }

  /** The versions of a file; lines only of plain files of `workspace`. */
  history(path: string, workspace?: string): Promise<Looked<HistoryReport>> {
    return this.#lookInTurn(`history ${path}`, PRESENT, async ({ engine, settings, signal }) => {
      const report = await engine.history(settings, { path, ...linesOf(workspace) }, { signal });
      return { ...report, versions: report.versions.map(withoutKeys) };
    });
  }

  /** Something has happened to the backups: what the bucket said counts no more. */
  changed(): void {
    this.#kept.forget('bucket');
    this.#tell();
  }

  /** Calls `listener` whenever there is something new to see. Returns how to call it off. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Asks nobody any more. */
  stop(): void {
    this.#kept.stop();
    this.#listeners.clear();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }

  #lookInTurn<T>(key: string, patience: Patience, ask: (source: Source) => Promise<T>): Promise<Looked<T>> {
    return this.#look(key, patience, (source) => {
      const turn = this.#queue.then(() => {
        source.signal.throwIfAborted();
        return ask(source);
      });
      this.#queue = turn.catch(() => {});
      return turn;
    });
  }

  #look<T>(key: string, patience: Patience, ask: (source: Source) => Promise<T>): Promise<Looked<T>> {
    const { configured, engine } = this.#deps;
    if (configured instanceof Error) {
      const { code, message } = configured;
      return Promise.resolve({ problem: { code, message }, asking: false });
    }
    return this.#kept.look(key, patience, (signal) => ask({ engine, settings: configured.settings, signal }));
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
      here: this.#known.here(),
      rollbackWaits: rollback !== undefined && rollback.outcome === undefined,
      ...given({ standing, since }),
    };
    if (configured instanceof Error) return { ...known, drills: false, encrypt: true };
    const { policy, settings } = configured;
    const periodMs = policy.schedule.period(now);
    return { ...known, drills: policy.drill !== false, encrypt: settings.encrypt !== false, periodMs };
  }
}

/** The rules of the agent's tool: lines are told of the own files of an agent alone, and of none where that is not known. */
function linesOf(workspace: string | undefined): { text?: boolean; agentWorkspace?: string } {
  return workspace === undefined ? {} : { text: true, agentWorkspace: workspace };
}
