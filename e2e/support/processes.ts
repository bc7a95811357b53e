/** Programs that tests start. None outlives the run: see `reaper.mjs`. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { RUN_MARK, runId, support } from './host.ts';
import { within } from './until.ts';

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Start {
  readonly env: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** A file that gets all output as well. */
  readonly log?: string;
  /** Whether standard input stays open, for the test to write to; otherwise it is empty. */
  readonly input?: boolean;
}

/** How much of a program's output a failure shows, in lines. */
const TAIL_LINES = 60;

let reaping = false;

/** One for the run, before its first program. */
function startReaper(): void {
  if (reaping) return;
  reaping = true;
  const child = spawn(process.execPath, [support('reaper.mjs'), `${RUN_MARK}=${runId}`], {
    // A session of its own: a Ctrl-C for the run is not for it.
    detached: true,
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  // The run does not wait for it.
  child.unref();
  (child.stdin as Socket).unref();
}

/** A running program, or one that ran. */
export class Program {
  readonly name: string;
  /** When the process is gone. */
  readonly exited: Promise<Exit>;
  /** When its output is complete, too: whatever it started and gave its output to has ended. */
  readonly closed: Promise<unknown>;
  /** Standard output alone. */
  out = '';
  /** Standard error alone. */
  err = '';
  /** Both, as they came. */
  output = '';
  #exit: Exit | undefined;
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #listeners = new Set<() => void>();

  constructor(name: string, command: string, args: readonly string[], { env, cwd, log, input }: Start) {
    startReaper();
    this.name = name;
    this.#child = spawn(command, args, {
      env,
      cwd,
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    if (input !== true) this.#child.stdin.end();
    // A program that ended does not read what is written to it; its exit says so.
    this.#child.stdin.on('error', () => {});
    for (const [stream, key] of [
      [this.#child.stdout, 'out'],
      [this.#child.stderr, 'err'],
    ] as const) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this[key] += text;
        this.output += text;
        if (log !== undefined) appendFileSync(log, text);
        for (const listener of this.#listeners) listener();
      });
    }
    this.exited = new Promise((resolve, reject) => {
      this.#child.once('error', reject);
      this.#child.once('exit', (code, signal) => {
        this.#exit = { code, signal };
        for (const listener of this.#listeners) listener();
        resolve(this.#exit);
      });
    });
    this.closed = once(this.#child, 'close');
    // Whoever waits for the end sees the failure; nobody has to.
    this.exited.catch(() => {});
    this.closed.catch(() => {});
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error(`${this.name} did not start`);
    return this.#child.pid;
  }

  get ended(): Exit | undefined {
    return this.#exit;
  }

  /** Called whenever there is new output, or the program ended. Gives the way to stop that. */
  onNews(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  write(text: string): void {
    this.#child.stdin.write(text);
  }

  /** Writes the last of its input. */
  end(text: string): void {
    this.#child.stdin.end(text);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Kills the program and whatever is in its process group. */
  async kill(): Promise<void> {
    try {
      process.kill(-this.pid, 'SIGKILL');
    } catch {
      // The whole group has ended.
    }
    await this.exited.catch(() => {});
  }

  /** Waits for output that matches, from `from` characters on. */
  async says(pattern: RegExp, { from = 0, seconds = 60 } = {}): Promise<RegExpExecArray> {
    const found = this.#next(() => {
      const match = pattern.exec(this.output.slice(from));
      if (match !== null) return match;
      if (this.#exit !== undefined)
        throw new Error(`${this.name} ended without saying ${pattern}\n${this.tail()}`);
      return undefined;
    });
    return await within(`${this.name} to say ${pattern}`, found, { seconds, evidence: () => this.tail() });
  }

  /** The end of the output, for failures. */
  tail(lines = TAIL_LINES): string {
    const ended = this.#exit === undefined ? 'running' : `ended with ${this.#exit.signal ?? this.#exit.code}`;
    const all = this.output.trimEnd().split('\n');
    return `--- ${this.name} (${ended}), last ${Math.min(lines, all.length)} lines\n${all.slice(-lines).join('\n')}\n---`;
  }

  #next<T>(look: () => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const check = (): void => {
        try {
          const found = look();
          if (found === undefined) return;
          stop();
          resolve(found);
        } catch (error) {
          stop();
          reject(error);
        }
      };
      const stop = this.onNews(check);
      check();
    });
  }
}

export interface Finished extends Exit {
  readonly out: string;
  readonly err: string;
}

/** Runs a program to its end. A status other than 0 is a result, not a failure. */
export async function finish(program: Program, { seconds = 120 } = {}): Promise<Finished> {
  try {
    const patience = { seconds, evidence: () => program.tail() };
    const exit = await within(`${program.name} to end`, program.exited, patience);
    await within(`the output of ${program.name} to end`, program.closed, patience);
    return { ...exit, out: program.out, err: program.err };
  } catch (error) {
    await program.kill();
    throw error;
  }
}
