/** The caller's `AbortSignal` and progress callback around one operation, wherever it runs. */
import type { ProgressEvent } from '../index.js';
import { toBackupError } from './errors.js';

/** What every operation takes last. */
export interface Operation {
  /** Aborting it stops the operation, which then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Called at most about ten times a second. What it throws is ignored. */
  readonly onProgress?: ((event: ProgressEvent) => void) | undefined;
}

/** Something that can be told to stop: the addon's `CancelHandle`, or a child process. */
export interface Cancellable {
  cancel(): void;
}

/**
 * Runs `start` so that aborting `signal` cancels it.
 *
 * The signal stays ours: napi's own support for it takes over `onabort`, misses a signal that is already
 * aborted, and refuses one from another image of the addon, which is what a reloaded plugin has.
 *
 * @throws the signal's reason when it was aborted, else a {@linkcode BackupError}
 */
export async function underSignal<H extends Cancellable, T>(
  signal: AbortSignal | undefined,
  handle: H,
  start: (handle: H) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const onAbort = (): void => handle.cancel();
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    return await start(handle);
  } catch (error) {
    const failure = toBackupError(error);
    if (signal?.aborted === true && failure.code === 'B2_CANCELLED') throw signal.reason;
    throw failure;
  } finally {
    signal?.removeEventListener('abort', onAbort);
  }
}

/**
 * A callback that cannot hurt: called from native code, an exception would be uncaught, once per event, and
 * would end the host. An async callback's rejection is swallowed too.
 */
export function harmless(
  callback: ((event: ProgressEvent) => void) | undefined,
): ((event: ProgressEvent) => void) | undefined {
  if (callback === undefined) return undefined;
  return (event) => {
    try {
      const returned: unknown = callback(event);
      if (returned instanceof Promise) returned.catch(ignore);
    } catch {
      // A display must never break a backup.
    }
  };
}

function ignore(): void {}
