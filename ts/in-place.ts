/** Runs pushes in the process of the command `b2-backup`: nothing else in it has the state open. See `worker.ts`. */
import { createIsolate, type RunIsolated } from './isolate.js';
import { type LoadNative, loadNative } from './native.js';
import { harmless, underSignal } from './operation.js';
import { call } from './operations.js';
import { standBack } from './priority.js';

/** What a test may replace. */
export interface InPlaceOptions {
  readonly runIsolated?: RunIsolated;
  readonly loadNative?: LoadNative;
  readonly standBack?: () => void;
}

/**
 * Makes a {@linkcode RunIsolated} that saves a push the start of a second Node: half of what one without changes takes.
 * All else has a process of its own as in the gateway: it starts OpenClaw, or holds much in memory.
 */
export function createInPlace({
  runIsolated = createIsolate(),
  loadNative: load = loadNative,
  standBack: yieldToOthers = standBack,
}: InPlaceOptions = {}): RunIsolated {
  return async (job, operation = {}) => {
    if (job.op !== 'push') return runIsolated(job, operation);
    const native = await load();
    yieldToOthers();
    return underSignal(operation.signal, new native.CancelHandle(), (cancel) =>
      call(native, job.op, job.args, cancel, harmless(operation.onProgress)),
    );
  };
}
