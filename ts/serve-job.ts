/** The worker's side of the protocol: one job in, progress and one answer out, then the end. */
import type { Readable, Writable } from 'node:stream';
import type { CancelHandle } from '../index.js';
import { toBackupError } from './errors.js';
import type { LoadNative } from './native.js';
import { call } from './operations.js';
import { type Answer, type Job, LineSplitter } from './protocol.js';

/** How long a job may take to stop by itself after the parent is gone, in milliseconds. */
const ORPHAN_GRACE_MS = 5_000;

/** What the worker runs on. */
export interface WorkerDeps {
  readonly input: Readable;
  readonly output: Writable;
  readonly loadNative: LoadNative;
  /** Ends the process. */
  readonly exit: (code: number) => void;
  readonly orphanGraceMs?: number;
}

/** Reads one job from `input` and answers on `output`. Ends the process when done, or when the parent dies. */
export function serveJob({
  input,
  output,
  loadNative,
  exit,
  orphanGraceMs = ORPHAN_GRACE_MS,
}: WorkerDeps): void {
  let started = false;
  let cancelled = false;
  let handle: CancelHandle | undefined;

  const cancel = (): void => {
    cancelled = true;
    handle?.cancel();
  };
  const say = (answer: Answer, then?: () => void): void => {
    output.write(`${JSON.stringify(answer)}\n`, then);
  };
  const end = (answer: Answer): void => say(answer, () => exit(0));

  // Before anything secret is in memory: nothing is read until this has settled.
  const ready = loadNative().then((native) => {
    native.forbidCoreDumps();
    return native;
  });

  const start = async (job: Job): Promise<void> => {
    try {
      const native = await ready;
      handle = new native.CancelHandle();
      if (cancelled) handle.cancel();
      end({ result: await call(native, job.op, job.args, handle, (progress) => say({ progress })) });
    } catch (error) {
      const { message, code, retryable } = toBackupError(error);
      end({ error: { message, code, retryable } });
    }
  };

  const lines = new LineSplitter((line) => {
    if (started) return cancel();
    started = true;
    const job = parseJob(line);
    if (job !== undefined) return void start(job);
    end({ error: { message: 'the worker was given nonsense', code: 'B2_INTERNAL', retryable: false } });
  });
  const listen = (): void => {
    input.on('data', (chunk: Uint8Array) => lines.push(chunk));
  };
  // A failure is the answer to the job.
  ready.then(listen, listen);
  // The parent holds the other end for as long as it lives and wants an answer.
  const orphaned = (): void => {
    if (!started) exit(1);
    cancel();
    setTimeout(() => exit(1), orphanGraceMs).unref();
  };
  input.once('end', orphaned);
  input.once('error', orphaned);
  output.once('error', orphaned);
}

/** The job; nothing of one that cannot be read is repeated, as the words of an exception would. */
function parseJob(line: string): Job | undefined {
  try {
    return JSON.parse(line) as Job;
  } catch {
    return undefined;
  }
}
