/** A host made by hand, an engine that does what the test says, and a clock that moves when it is told to. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished, vi } from 'vitest';
import type {
  AutoRestoreReport,
  ProgressEvent,
  PruneReport,
  PushOptions,
  PushReport,
  Settings,
} from '../index.js';
import type { Engine } from '../ts/engine.ts';
import type { Operation } from '../ts/operation.ts';
import type {
  CliDescriptor,
  GatewayClient,
  HookEvent,
  HookHandler,
  PluginApi,
  PluginRuntime,
  Service,
  ServiceContext,
  SlashCommand,
  Tool,
  ToolContext,
  TranscriptUpdate,
} from '../ts/plugin/api.ts';
import type { Clock } from '../ts/plugin/clock.ts';

/** Starts on a Monday at noon. */
export class TestClock implements Clock {
  #now: number;
  #timers: { at: number; run: () => void }[] = [];
  /** Called whenever a timer has run and what it started has come to rest. */
  onMoment = (): void => {};

  constructor(start = '2026-11-23T12:00:00Z') {
    this.#now = Date.parse(start);
  }

  now(): Date {
    return new Date(this.#now);
  }

  after(ms: number, run: () => void): () => void {
    const timer = { at: this.#now + ms, run };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  get waiting(): number {
    return this.#timers.length;
  }

  /** Moves time, timer by timer, and lets what they started come to rest. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      const next = this.#timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.#now = Math.max(this.#now, next.at);
      this.#timers = this.#timers.filter((other) => other !== next);
      next.run();
      await rest();
      this.onMoment();
    }
    this.#now = end;
    await rest();
  }

  /** The machine sleeps: time goes on, timers do not. */
  sleep(ms: number): void {
    this.#now += ms;
    for (const timer of this.#timers) timer.at += ms;
  }
}

/**
 * Lets everything happen that does not wait for time or for other processes. Files are waited for, however long other
 * processes keep the machine from them.
 */
export async function rest(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    while (process.getActiveResourcesInfo().some((one) => one.startsWith('FSReq') || one === 'CloseReq'))
      await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** A push that the test brings to its end. */
export interface HeldPush {
  readonly settings: Settings;
  readonly options: PushOptions;
  readonly operation: Operation;
  phase(phase: string): void;
  succeed(report?: Partial<PushReport>): Promise<void>;
  fail(error: Error): Promise<void>;
}

export const REPORT: PushReport = {
  snapshot: '2026-11-23T12-00-00Z-aaaaaaaa',
  changed: true,
  snapshots: 3,
  files: 10,
  bytes: 1_000,
  uploadedBytes: 100,
  requests: 3,
  incomplete: false,
  skipped: [],
  warnings: [],
  durationMs: 20,
};

export const PRUNED: PruneReport = {
  snapshots: [],
  deletedSnapshots: 0,
  deletedPacks: 0,
  freedBytes: 0,
  waitingPacks: 0,
  waitingBytes: 0,
  hidden: 0,
  others: 0,
  requests: 2,
  warnings: [],
  durationMs: 5,
};

/** What a machine hears that was backed up before. */
export const NOT_NEW: AutoRestoreReport = {
  outcome: 'not-new',
  downloadedBytes: 0,
  requests: 0,
  warnings: [],
  durationMs: 0,
};

/** An engine whose pushes wait for the test. */
export class HeldEngine {
  readonly pushes: HeldPush[] = [];
  /** The most that ran at the same time. */
  peak = 0;
  #running = 0;

  engine(parts: Partial<Engine> = {}): Engine {
    const prune = async (): Promise<PruneReport> => PRUNED;
    const autoRestore = async (): Promise<AutoRestoreReport> => NOT_NEW;
    return { load: async () => {}, push: this.#push, prune, autoRestore, ...parts } as Engine;
  }

  get last(): HeldPush {
    const last = this.pushes.at(-1);
    if (last === undefined) throw new Error('nothing was pushed');
    return last;
  }

  readonly #push = async (settings: Settings, options: PushOptions = {}, operation: Operation = {}) => {
    operation.signal?.throwIfAborted();
    this.#running += 1;
    this.peak = Math.max(this.peak, this.#running);
    return new Promise<PushReport>((resolve, reject) => {
      const end = async (how: () => void): Promise<void> => {
        this.#running -= 1;
        how();
        await rest();
      };
      const { signal } = operation;
      signal?.addEventListener('abort', () => void end(() => reject(signal.reason)));
      this.pushes.push({
        settings,
        options,
        operation,
        phase: (phase) => operation.onProgress?.({ phase, doneBytes: 0, doneFiles: 0 } as ProgressEvent),
        succeed: (report) => end(() => resolve({ ...REPORT, ...report })),
        fail: (error) => end(() => reject(error)),
      });
    });
  };
}

/** Everything that a plugin registered, and the logs. */
export class FakeHost {
  readonly hooks = new Map<string, { handler: HookHandler; timeoutMs: number | undefined }>();
  readonly methods = new Map<string, Parameters<NonNullable<PluginApi['registerGatewayMethod']>>[1]>();
  /** The scope that each method asks for. */
  readonly scopes = new Map<string, string | undefined>();
  /** What open pages were told. */
  readonly announced: { event: string; payload: unknown; scope: string }[] = [];
  readonly lines: string[] = [];
  readonly health: string[] = [];
  readonly events: { text: string; sessionKey: string }[] = [];
  service: Service | undefined;
  command: SlashCommand | undefined;
  cli: readonly CliDescriptor[] = [];
  /** Which OpenClaw this is; it may not say. */
  version: string | undefined;
  createTool: ((context: ToolContext) => Tool | null) | undefined;
  toolOptions: unknown;
  readonly api: PluginApi;
  readonly context: ServiceContext;
  readonly #listeners = new Set<(update: TranscriptUpdate) => void>();

  constructor(stateDir: string, pluginConfig: unknown, parts: Partial<PluginApi> = {}) {
    const log = (level: string) => (message: string) => this.lines.push(`${level} ${message}`);
    const logger = { info: log('info'), warn: log('warn'), error: log('error') };
    this.api = {
      registrationMode: 'full',
      config: {},
      pluginConfig,
      logger,
      runtime: {
        state: { resolveStateDir: () => stateDir },
        agent: { resolveAgentWorkspaceDir: () => '/ws' },
        system: {
          enqueueSystemEvent: (text, { sessionKey }) => {
            this.events.push({ text, sessionKey });
            return true;
          },
          requestHeartbeat: vi.fn(),
        },
      },
      on: (hook, handler, options) => this.hooks.set(hook, { handler, timeoutMs: options?.timeoutMs }),
      registerService: (service) => {
        this.service = service;
      },
      registerTool: (create, options) => {
        this.createTool = create;
        this.toolOptions = options;
      },
      registerCommand: (command) => {
        this.command = command;
      },
      registerGatewayMethod: (name, handler, options) => {
        this.methods.set(name, handler);
        this.scopes.set(name, options?.scope);
      },
      registerCli: (_registrar, { descriptors }) => {
        this.cli = descriptors;
      },
    };
    Object.defineProperty(this.api.runtime, 'version', { get: () => this.version });
    Object.defineProperties(this.api, Object.getOwnPropertyDescriptors(parts));
    this.context = {
      config: {},
      stateDir,
      logger,
      gatewayEvents: {
        emit: (event, payload, { scope }) => this.announced.push({ event, payload, scope }),
      },
      serviceHealth: {
        reportFailure: (error) => this.health.push((error as Error).message),
        clearFailure: () => this.health.push('ok'),
      },
    };
  }

  /** From now on the host says what is added to transcripts. */
  tellsOfTurns(): void {
    const { runtime } = this.api;
    const events: NonNullable<PluginRuntime['events']> = {
      onSessionTranscriptUpdate: (listener) => {
        this.#listeners.add(listener);
        return () => this.#listeners.delete(listener);
      },
    };
    Object.defineProperty(this.api, 'runtime', { value: { ...runtime, events } });
  }

  /** The last message of a turn. */
  turn(sessionKey: string, stopReason: string): void {
    for (const listener of this.#listeners)
      listener({ sessionKey, message: { role: 'assistant', stopReason } });
  }

  async fire(hook: string, event: HookEvent = {}): Promise<void> {
    await this.hooks.get(hook)?.handler(event, {});
  }

  async call(method: string, params: unknown = {}, client?: GatewayClient): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const respond = (ok: boolean, payload?: unknown, error?: unknown): void =>
        ok ? resolve(payload) : reject(error);
      const asks = client === undefined ? {} : { client };
      this.methods
        .get(method)?.({ params, ...asks, respond })
        .catch(reject);
    });
  }
}

export const CONFIG = { bucket: 'file:///backup', passphrase: 'secret words' } as const;

/** A directory that is gone after the test. */
export async function temporaryState(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'b2-plugin-'));
  onTestFinished(() => rm(path, { recursive: true, force: true, maxRetries: 10 }));
  return path;
}
