/** A program of its own that is given one job and gives one answer: what of Node this process lacks, or must not do, it does. */
import { spawn } from 'node:child_process';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { BackupError } from '../errors.js';

/** What is run, and on what. */
export interface Run {
  /** Program and arguments. */
  readonly command: readonly string[];
  /** A folder of its own. */
  readonly folder: string;
  /** What this is, for the message when it dies. */
  readonly what: string;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs the program, and gives its answer. It ends with this process.
 *
 * @throws {BackupError} B2_WORKER_DIED
 */
export function runProgram<Answer>(
  { command: [program = '', ...args], folder, what, signal }: Run,
  job: unknown,
): Promise<Answer> {
  const died = (how: string): BackupError =>
    new BackupError(`${what} ended without an answer: ${how}`, { code: 'B2_WORKER_DIED', retryable: true });
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const child = spawn(program, args, {
      // Nothing of this process's settings and secrets.
      env: { PATH: '/usr/local/bin:/usr/bin:/bin', HOME: folder, TMPDIR: folder, LANG: 'C.UTF-8' },
      cwd: folder,
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    let out = '';
    const stop = (): void => {
      child.stdin.end();
    };
    signal?.addEventListener('abort', stop, { once: true });
    child.stdin.on('error', () => {});
    child.stdin.write(`${JSON.stringify(job)}\n`);
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text;
    });
    child.once('error', (error) => reject(died(error.message)));
    child.once('close', (code, how) => {
      signal?.removeEventListener('abort', stop);
      if (signal?.aborted === true) return reject(signal.reason);
      const told = answerIn<Answer>(out);
      if (told?.answer !== undefined) resolve(told.answer);
      else reject(died(told?.error ?? how ?? `exit status ${code}`));
    });
  });
}

interface Told<Answer> {
  readonly answer?: Answer;
  readonly error?: string;
}

function answerIn<Answer>(out: string): Told<Answer> | undefined {
  for (const line of out.split('\n').reverse()) {
    if (!line.startsWith('{')) continue;
    try {
      return JSON.parse(line) as Told<Answer>;
    } catch {
      // A line of somebody else's.
    }
  }
  return undefined;
}

/** The program's side: does its job, answers, and ends; earlier, when whoever started it is gone or wants no answer. */
export function serveProgram<Job>(work: (job: Job) => Promise<unknown>, endEarly = (): void => {}): void {
  const lines = createInterface({ input: process.stdin });
  lines.once('line', async (line) => {
    try {
      const answer = await work(JSON.parse(line) as Job);
      process.stdout.write(`${JSON.stringify({ answer })}\n`, () => process.exit(0));
    } catch (error) {
      const told = error instanceof Error ? error.message : String(error);
      process.stdout.write(`${JSON.stringify({ error: told })}\n`, () => process.exit(1));
    }
  });
  lines.once('close', () => {
    endEarly();
    process.exit(1);
  });
}
