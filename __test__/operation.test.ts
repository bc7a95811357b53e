import { describe, expect, it, vi } from 'vitest';
import { createEngine } from '../ts/engine.ts';
import { BackupError, toBackupError } from '../ts/errors.ts';
import { harmless } from '../ts/operation.ts';
import { coded, type FakeCancelHandle, fakeNative } from './support.ts';

const SETTINGS = { stateDir: '/s' };
const OPTIONS = { snapshot: 'latest', to: '/t' };
const EVENT = { phase: 'restore', doneBytes: 1, doneFiles: 1 };

function engineOf(restore: (...args: never[]) => unknown) {
  return createEngine({
    loadNative: async () => fakeNative({ restore }),
    runIsolated: () => Promise.reject(new Error('not here')),
  });
}

/** Runs until it is cancelled. */
function untilCancelled(_s: unknown, _o: unknown, handle: FakeCancelHandle): Promise<never> {
  return new Promise((_, reject) => handle.onCancel(() => reject(coded('B2_CANCELLED', 'cancelled'))));
}

describe('abort', () => {
  it('does not start when the signal is aborted already', async () => {
    const restore = vi.fn();
    const signal = AbortSignal.abort(new Error('too late'));
    await expect(engineOf(restore).restore(SETTINGS, OPTIONS, { signal })).rejects.toThrow('too late');
    expect(restore).not.toHaveBeenCalled();
  });

  it("rejects with the signal's reason, and leaves no listener behind", async () => {
    const controller = new AbortController();
    const removed = vi.spyOn(controller.signal, 'removeEventListener');
    const running = engineOf(untilCancelled).restore(SETTINGS, OPTIONS, { signal: controller.signal });
    setTimeout(() => controller.abort(new Error('enough')), 5);
    await expect(running).rejects.toThrow('enough');
    expect(removed).toHaveBeenCalledOnce();
  });

  it('keeps AbortError and TimeoutError', async () => {
    const signal = AbortSignal.timeout(5);
    await expect(engineOf(untilCancelled).restore(SETTINGS, OPTIONS, { signal })).rejects.toMatchObject({
      name: 'TimeoutError',
    });
  });

  it('leaves the onabort of the caller alone', async () => {
    const controller = new AbortController();
    const onabort = vi.fn();
    controller.signal.onabort = onabort;
    const running = engineOf(untilCancelled).restore(SETTINGS, OPTIONS, { signal: controller.signal });
    setTimeout(() => controller.abort(), 5);
    await expect(running).rejects.toMatchObject({ name: 'AbortError' });
    expect(onabort).toHaveBeenCalledOnce();
  });

  it('reports another failure as it is, also after an abort', async () => {
    const controller = new AbortController();
    const engine = engineOf(async () => {
      controller.abort();
      throw coded('B2_DISK_FULL', 'disk full: cannot write /t');
    });
    await expect(engine.restore(SETTINGS, OPTIONS, { signal: controller.signal })).rejects.toMatchObject({
      name: 'BackupError',
      code: 'B2_DISK_FULL',
    });
  });
});

describe('progress', () => {
  it('survives a callback that throws or rejects', async () => {
    const engine = engineOf(async (_s: never, _o: never, _c: never, onProgress: (event: unknown) => void) => {
      onProgress(EVENT);
      onProgress(EVENT);
      return { files: 1 };
    });
    const seen = vi.fn(() => {
      throw new Error('display broken');
    });
    await expect(engine.restore(SETTINGS, OPTIONS, { onProgress: seen })).resolves.toEqual({ files: 1 });
    expect(seen).toHaveBeenCalledTimes(2);
    const rejecting = harmless(async () => {
      throw new Error('display broken');
    });
    rejecting?.(EVENT);
    await new Promise((resolve) => setTimeout(resolve, 5));
  });

  it('hands nothing to the addon when nobody listens', () => {
    expect(harmless(undefined)).toBeUndefined();
  });
});

describe('errors', () => {
  it('keeps message, code and retryable, and has a JavaScript stack and the cause', async () => {
    const cause = coded('B2_NETWORK', 'cannot reach x: reset', true);
    const engine = engineOf(() => Promise.reject(cause));
    const error = await engine.restore(SETTINGS, OPTIONS).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(BackupError);
    expect(error).toMatchObject({
      message: 'cannot reach x: reset',
      code: 'B2_NETWORK',
      retryable: true,
      cause,
    });
  });

  it.each([
    [coded('GenericFailure', 'a panic'), 'internal error: a panic; please report it'],
    ['text', 'internal error: text; please report it'],
    [undefined, 'internal error: undefined; please report it'],
    [new Error(''), 'internal error: unknown failure; please report it'],
  ])('takes anything else for a defect: %s', (thrown, message) => {
    expect(toBackupError(thrown)).toMatchObject({ code: 'B2_INTERNAL', message, retryable: false });
  });

  it('does not wrap twice', () => {
    const error = new BackupError('x', { code: 'B2_IO' });
    expect(toBackupError(error)).toBe(error);
  });

  it('do not repeat an argument of the wrong type, which may be a secret', () => {
    const words = 'Failed to convert JavaScript value `Object {"a":"`planted`"}` into rust type `String`';
    const error = toBackupError(Object.assign(new Error(words), { code: 'StringExpected' }));
    expect(error.code).toBe('B2_INTERNAL');
    expect(error.cause).toBeUndefined();
    expect(error.message).toContain('Failed to convert a value into rust type `String`');
    expect(error.message).not.toContain('planted');
  });

  it('converts what readHostConfig throws', async () => {
    const engine = createEngine({
      loadNative: async () =>
        fakeNative({
          readHostConfig: () => {
            throw coded('B2_CONFIG', 'configuration: openclaw.json: line 3');
          },
        }),
    });
    await expect(engine.readHostConfig('/c')).rejects.toMatchObject({
      name: 'BackupError',
      code: 'B2_CONFIG',
    });
  });
});
