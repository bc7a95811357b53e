/** Runs a job in a child process of its own; see `worker.ts` for why. */
import { type ChildProcess, spawn } from 'node:child_process';
import process from 'node:process';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { BackupError, isErrorCode, toBackupError } from './errors.js';
import { type Cancellable, harmless, type Operation, underSignal } from './operation.js';
import { ANSWER_FD, type Answer, type Job, LineSplitter } from './protocol.js';

/** How long a cancelled worker, or one that has answered, may take to end, in milliseconds. */
const GRACE_MS = 10_000;
/** How long output may still trickle in after the worker's end (a grandchild may hold the pipe). */
const DRAIN_MS = 1_000;
/** How much of the worker's output is kept for the message when it dies, in characters. */
const TAIL_CHARS = 2_000;

/**
 * The only variables a worker sees: what finding the home, the temporary directory, certificates and proxies takes.
 * OpenClaw takes no home, certificates and proxies from a `.env`. Settings, secrets, and what has Node or the loader run
 * other code stay behind, and so does `PATH`: the one program that a worker starts, OpenClaw, is named in full (openclaw.ts).
 */
const INHERITED: readonly string[] = [
  'HOME',
  'TMPDIR',
  'LANG',
  'TZ',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'ALL_PROXY',
  'NO_PROXY',
  'http_proxy',
  'https_proxy',
  'all_proxy',
  'no_proxy',
  // Windows cannot start a process or open a socket without these.
  'SystemRoot',
  'SYSTEMROOT',
  'TEMP',
  'TMP',
  'USERPROFILE',
  'APPDATA',
  'LOCALAPPDATA',
];

/** What a test may replace. */
export interface IsolateOptions {
  readonly workerPath?: string;
  readonly execPath?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly graceMs?: number;
}

/** Runs jobs in child processes. */
export type RunIsolated = (job: Job, operation?: Operation) => Promise<unknown>;

/** Makes a {@linkcode RunIsolated}. */
export function createIsolate({
  workerPath = fileURLToPath(new URL('./worker.js', import.meta.url)),
  execPath = process.execPath,
  env = process.env,
  graceMs = GRACE_MS,
}: IsolateOptions = {}): RunIsolated {
  return async (job, { signal, onProgress } = {}) => {
    signal?.throwIfAborted();
    const child = spawn(execPath, [workerPath], {
      stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
      env: workerEnvironment(env),
      windowsHide: true,
    });
    const worker = new Worker(child, execPath, graceMs, harmless(onProgress));
    return underSignal(signal, worker, () => worker.run(job));
  };
}

function workerEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  // glibc keeps what was freed, and more with each thread: megabytes of it, where buffers are large. Others ignore this.
  const kept: NodeJS.ProcessEnv = {
    MALLOC_ARENA_MAX: '2',
    MALLOC_MMAP_THRESHOLD_: '8388608',
    MALLOC_TRIM_THRESHOLD_: '67108864',
  };
  for (const name of INHERITED) {
    const value = env[name];
    if (value !== undefined) kept[name] = value;
  }
  return kept;
}

class Worker implements Cancellable {
  readonly #child: ChildProcess;
  readonly #execPath: string;
  readonly #graceMs: number;
  readonly #onProgress: Operation['onProgress'];
  #answer: Exclude<Answer, { progress: unknown }> | undefined;
  #cancelled = false;
  #tail = '';
  #killer: NodeJS.Timeout | undefined;

  constructor(child: ChildProcess, execPath: string, graceMs: number, onProgress: Operation['onProgress']) {
    this.#child = child;
    this.#execPath = execPath;
    this.#graceMs = graceMs;
    this.#onProgress = onProgress;
  }

  cancel(): void {
    this.#cancelled = true;
    this.#child.stdin?.write('{"cancel":true}\n');
    this.#killLater();
  }

  async run(job: Job): Promise<unknown> {
    const ended = this.#ended();
    const lines = new LineSplitter((line) => this.#hear(line));
    // Without a file descriptor left, Node makes no streams at all.
    const answers = (this.#child.stdio as ChildProcess['stdio'] | undefined)?.[ANSWER_FD] as
      | Readable
      | null
      | undefined;
    answers?.on('data', (chunk: Buffer) => lines.push(chunk)).on('error', ignore);
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#tail = (this.#tail + text).slice(-TAIL_CHARS);
      });
    }
    // A worker that died early breaks the pipe; its end is reported below.
    this.#child.stdin?.on('error', ignore);
    this.#child.stdin?.write(`${JSON.stringify(job)}\n`);
    try {
      const how = await ended;
      return this.#outcome(how);
    } finally {
      clearTimeout(this.#killer);
      // A grandchild that holds a pipe must not keep this process alive.
      for (const stream of this.#child.stdio ?? []) stream?.destroy();
    }
  }

  #hear(line: string): void {
    let answer: Answer;
    try {
      answer = JSON.parse(line) as Answer;
    } catch (error) {
      this.#answer ??= { error: { ...toBackupError(error), message: 'the worker answered nonsense' } };
      this.#killLater();
      return;
    }
    if ('progress' in answer) {
      this.#onProgress?.(answer.progress);
    } else {
      this.#answer ??= answer;
      this.#killLater();
    }
  }

  /** How the process ended, once all it said has been read. */
  #ended(): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#child.once('error', (error) => {
        const message = `cannot start the backup process ${this.#execPath}: ${error.message}`;
        reject(new BackupError(message, { code: 'B2_WORKER_DIED', cause: error }));
      });
      this.#child.once('exit', (code, signal) => {
        const how = signal === null ? `exit code ${code}` : `signal ${signal}`;
        const drained = setTimeout(() => resolve(how), DRAIN_MS);
        this.#child.once('close', () => {
          clearTimeout(drained);
          resolve(how);
        });
      });
    });
  }

  #outcome(how: string): unknown {
    const answer = this.#answer;
    if (answer === undefined) throw this.#died(how);
    if ('result' in answer) return answer.result;
    const { message, code, retryable } = answer.error;
    throw new BackupError(message, { code: isErrorCode(code) ? code : 'B2_INTERNAL', retryable });
  }

  #died(how: string): BackupError {
    if (this.#cancelled) return new BackupError('cancelled', { code: 'B2_CANCELLED' });
    const tail = this.#tail.trim();
    const said = tail === '' ? '' : `: ${tail}`;
    const guess = how === 'signal SIGKILL' ? ', perhaps for lack of memory' : '';
    return new BackupError(`the backup process ended without an answer (${how}${guess})${said}`, {
      code: 'B2_WORKER_DIED',
      retryable: true,
    });
  }

  #killLater(): void {
    this.#killer ??= setTimeout(() => this.#child.kill('SIGKILL'), this.#graceMs);
  }
}

function ignore(): void {}
