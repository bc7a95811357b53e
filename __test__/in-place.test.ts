import { describe, expect, it, vi } from 'vitest';
import { createInPlace } from '../ts/in-place.ts';
import { coded, type FakeCancelHandle, fakeNative } from './support.ts';

const settings = { stateDir: '/s' };
const PUSH = { op: 'push', args: [settings, { reason: 'manual' }] } as const;

function inPlace(parts: Record<string, unknown>) {
  const runIsolated = vi.fn(async () => 'of another process');
  const standBack = vi.fn();
  const run = createInPlace({
    runIsolated: runIsolated as never,
    loadNative: async () => fakeNative(parts),
    standBack,
  });
  return { run, runIsolated, standBack };
}

describe('the command by itself', () => {
  it('pushes in its own process, behind others, with progress', async () => {
    const push = vi.fn(
      async (_s: unknown, _o: unknown, _c: unknown, onProgress?: (event: unknown) => void) => {
        onProgress?.({ phase: 'scan' });
        return { changed: true };
      },
    );
    const { run, runIsolated, standBack } = inPlace({ push });
    const onProgress = vi.fn();
    expect(await run(PUSH, { onProgress })).toEqual({ changed: true });
    expect(push.mock.calls[0]?.slice(0, 2)).toEqual(PUSH.args);
    expect(onProgress).toHaveBeenCalledWith({ phase: 'scan' });
    expect(standBack).toHaveBeenCalledOnce();
    expect(runIsolated).not.toHaveBeenCalled();
    // Nobody needs to watch.
    expect(await run(PUSH)).toEqual({ changed: true });
  });

  it('has another process for all else', async () => {
    const { run, runIsolated, standBack } = inPlace({});
    const operation = { signal: new AbortController().signal };
    const jobs = [
      { op: 'prune', args: [settings, { dryRun: true }] },
      { op: 'rollBack', args: [settings, {}, 'h'] },
    ] as const;
    for (const job of jobs) {
      expect(await run(job, operation)).toBe('of another process');
      expect(runIsolated).toHaveBeenLastCalledWith(job, operation);
    }
    expect(standBack).not.toHaveBeenCalled();
  });

  it('stops when it is told to, and gives errors as a worker does', async () => {
    const abort = new AbortController();
    const push = vi.fn(
      (_s: unknown, _o: unknown, handle: FakeCancelHandle) =>
        new Promise((_, reject) => {
          handle.onCancel(() => reject(coded('B2_CANCELLED', 'cancelled')));
          abort.abort(new Error('enough'));
        }),
    );
    await expect(inPlace({ push }).run(PUSH, { signal: abort.signal })).rejects.toThrow('enough');
    await expect(inPlace({ push }).run(PUSH, { signal: abort.signal })).rejects.toThrow('enough');
    expect(push).toHaveBeenCalledOnce();
    const failing = async () => {
      throw coded('B2_NETWORK', 'the line is cut');
    };
    await expect(inPlace({ push: failing }).run(PUSH)).rejects.toMatchObject({ code: 'B2_NETWORK' });
  });
});
