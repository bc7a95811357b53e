/** Stand-ins for the addon and the world. */

import type { CliDeps, SetupDeps, StopSignal } from '../ts/cli/deps.ts';
import type { Engine } from '../ts/engine.ts';
import type { NativeModule } from '../ts/native.ts';

/** How long `vi.waitFor` and `vi.waitUntil` wait: longer than anything takes on a machine that is busy. Theirs is a second. */
export const PATIENT = { timeout: 30_000 };

export class FakeCancelHandle {
  cancelled = false;
  readonly #listeners: (() => void)[] = [];

  cancel(): void {
    this.cancelled = true;
    for (const listener of this.#listeners) listener();
  }

  onCancel(listener: () => void): void {
    this.#listeners.push(listener);
  }
}

/** An addon that has only what the test gives it. */
export function fakeNative(parts: Record<string, unknown>): NativeModule {
  return { CancelHandle: FakeCancelHandle, forbidCoreDumps: () => {}, ...parts } as unknown as NativeModule;
}

/** An error as the addon makes them. */
export function coded(code: string, message: string, retryable = false): Error {
  return Object.assign(new Error(message), { code, retryable });
}

export class Capture {
  text = '';
  isTTY = false;
  columns = 80;

  /** What was written as it is, not as text. */
  readonly bytes: Uint8Array[] = [];

  /** What becomes of the output, where it does not get out. */
  broken: unknown;

  async failure(): Promise<unknown> {
    return this.broken;
  }

  write(text: string | Uint8Array): void {
    if (typeof text === 'string') this.text += text;
    else this.bytes.push(Uint8Array.from(text));
  }
}

export class FakeSignals {
  readonly listeners = new Map<StopSignal, Set<() => void>>();

  on(signal: StopSignal, listener: () => void): void {
    const set = this.listeners.get(signal) ?? new Set();
    this.listeners.set(signal, set.add(listener));
  }

  off(signal: StopSignal, listener: () => void): void {
    this.listeners.get(signal)?.delete(listener);
  }

  send(signal: StopSignal): void {
    for (const listener of this.listeners.get(signal) ?? []) listener();
  }

  get count(): number {
    return [...this.listeners.values()].reduce((sum, set) => sum + set.size, 0);
  }
}

export interface World extends CliDeps {
  readonly stdout: Capture;
  readonly stderr: Capture;
  readonly signals: FakeSignals;
  readonly exits: number[];
}

export const CONFIGURED = {
  B2_BUCKET: 'my-bucket',
  B2_APPLICATION_KEY_ID: 'id',
  B2_APPLICATION_KEY: 'key',
} as const;

export function world(engine: Partial<Engine> = {}, env: NodeJS.ProcessEnv = CONFIGURED): World {
  const exits: number[] = [];
  return {
    env,
    stdout: new Capture(),
    stderr: new Capture(),
    // What several commands ask for, besides what they are about.
    engine: { list: async () => ({ snapshots: [], warnings: [] }), ...engine } as Engine,
    signals: new FakeSignals(),
    exits,
    exit: (code) => exits.push(code),
    now: () => 0,
    date: () => new Date('2026-02-20T12:00:00Z'),
    timeZone: () => 'UTC',
    home: '/home/me',
    cwd: '/work',
    fileExists: () => false,
    readPlugins: async () => undefined,
    version: '1.2.3',
    threads: 2,
    setup: setupWorld(),
  };
}

/** A world in which nobody can be asked, no server answers, and the random numbers are 0, 1, 2 and so on. */
export function setupWorld(parts: Partial<SetupDeps> = {}): SetupDeps {
  let next = 0;
  return {
    b2: {
      fetch: () => Promise.reject(new TypeError('fetch failed')),
      apiUrl: 'http://127.0.0.1:9',
      now: Date.now,
      sleep: async () => {},
    },
    save: async () => {},
    random: (limit) => next++ % limit,
    hostname: 'kitchen',
    readInput: async () => '',
    readFile: (path) => {
      throw Object.assign(new Error(path), { code: 'ENOENT' });
    },
    ...parts,
  };
}
