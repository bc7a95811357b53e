import { describe, expect, it, vi } from 'vitest';
import { main } from '../ts/cli/main.ts';
import type { Engine } from '../ts/engine.ts';
import type { Operation } from '../ts/operation.ts';
import { json, PUSHED, run } from './cli-support.ts';
import { PATIENT, type World, world } from './support.ts';

describe('signals', () => {
  const untilAborted = (operation: Operation | undefined): Promise<never> =>
    new Promise((__, reject) => {
      operation?.signal?.addEventListener('abort', () => reject(operation.signal?.reason));
    });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('%s cancels and ends with %d; the second one ends at once', async (signal, status) => {
    const deps = world({ push: (__, ___, operation) => untilAborted(operation) });
    const running = main(['push'], deps);
    await vi.waitUntil(() => deps.signals.count === 2, PATIENT);
    deps.signals.send(signal);
    deps.signals.send(signal);
    expect(await running).toBe(status);
    expect(deps.exits).toEqual([status]);
    expect(deps.stderr.text).toBe(
      'Stopping; once more to stop at once.\nb2-backup: cancelled (B2_CANCELLED)\n',
    );
    expect(deps.signals.count).toBe(0);
  });

  it('keep to the document with --json', async () => {
    const deps = world({ push: (__, ___, operation) => untilAborted(operation) });
    const running = main(['push', '--json'], deps);
    await vi.waitUntil(() => deps.signals.count === 2, PATIENT);
    deps.signals.send('SIGTERM');
    expect(await running).toBe(143);
    expect(JSON.parse(deps.stdout.text)).toEqual({ ok: false, code: 'B2_CANCELLED', message: 'cancelled' });
    expect(deps.stderr.text).toBe('');
  });
});

describe('progress', () => {
  const push: Engine['push'] = async (__, ___, operation) => {
    operation?.onProgress?.({ phase: 'scan', doneBytes: 0, doneFiles: 5 });
    return PUSHED;
  };
  const onTerminal = (deps: World): World => {
    deps.stderr.isTTY = true;
    return deps;
  };

  it('is shown on a terminal and cleaned up', async () => {
    const { err } = await run('push', { push }, onTerminal);
    expect(err).toBe('\r\u001b[2KLooking for changes: 5 files\r\u001b[2K');
  });

  it.each(['push --json', 'push --quiet'])('is not shown by %s', async (line) => {
    expect((await run(line, { push }, onTerminal)).err).toBe('');
  });

  it('is not shown where there is no terminal', async () => {
    expect((await run('push', { push })).err).toBe('');
  });

  const waiting: Engine['push'] = async (__, ___, operation) => {
    for (let at = 0; at < 3; at += 1) operation?.onProgress?.({ phase: 'wait', doneBytes: 0, doneFiles: 0 });
    return PUSHED;
  };

  it('says once that another backup is waited for, also where there is no terminal', async () => {
    expect((await run('push', { push: waiting })).err).toBe('Another backup is running; waiting for it\n');
    expect((await run('push', { push: waiting }, onTerminal)).err).toBe(
      '\r\u001b[2KAnother backup is running; waiting for it ...\r\u001b[2K',
    );
    expect((await run('push --quiet', { push: waiting })).err).toBe('');
    expect((await json('push', { push: waiting })).document).toMatchObject({ ok: true });
  });
});
