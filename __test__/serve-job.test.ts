import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { describe, expect, it, vi } from 'vitest';
import { serveJob } from '../ts/serve-job.ts';
import { coded, type FakeCancelHandle, fakeNative, PATIENT } from './support.ts';

const SETTINGS = { stateDir: '/s' };
const JOB = { op: 'push', args: [SETTINGS, { reason: 'manual' }] };

function serve(parts: Record<string, unknown>) {
  const input = new PassThrough();
  const output = new PassThrough();
  const exit = vi.fn<(code: number) => void>();
  serveJob({ input, output, loadNative: async () => fakeNative(parts), exit, orphanGraceMs: 10 });
  const send = (value: unknown) => input.write(`${JSON.stringify(value)}\n`);
  const ended = vi.waitUntil(() => exit.mock.calls.length > 0, PATIENT);
  const said = () =>
    String(output.read())
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown);
  return { input, output, exit, send, ended, said };
}

function untilCancelled(_s: unknown, _o: unknown, handle: FakeCancelHandle): Promise<never> {
  return new Promise((_, reject) => {
    if (handle.cancelled) reject(coded('B2_CANCELLED', 'cancelled'));
    handle.onCancel(() => reject(coded('B2_CANCELLED', 'cancelled')));
  });
}

describe('the worker', () => {
  it('pushes, reports progress, answers once and ends', async () => {
    const push = vi.fn(
      async (_s: unknown, _o: unknown, _c: unknown, onProgress: (event: unknown) => void) => {
        onProgress({ phase: 'scan', doneBytes: 0, doneFiles: 1 });
        return { changed: true };
      },
    );
    const { send, ended, said, exit } = serve({ push });
    send(JOB);
    await ended;
    expect(push.mock.calls[0]?.slice(0, 2)).toEqual(JOB.args);
    expect(said()).toEqual([
      { progress: { phase: 'scan', doneBytes: 0, doneFiles: 1 } },
      { result: { changed: true } },
    ]);
    expect(exit).toHaveBeenCalledWith(0);
  });

  it('plans', async () => {
    const { send, ended, said } = serve({ plan: async () => ({ files: 3 }) });
    send({ op: 'plan', args: [SETTINGS] });
    await ended;
    expect(said()).toEqual([{ result: { files: 3 } }]);
  });

  it('compares', async () => {
    const diff = vi.fn(
      async (_s: unknown, _o: unknown, _c: unknown, onProgress: (event: unknown) => void) => {
        onProgress({ phase: 'compare', doneBytes: 1, doneFiles: 1 });
        return { added: 1 };
      },
    );
    const { send, ended, said } = serve({ diff });
    const options = { from: 'latest', to: 'live' };
    send({ op: 'diff', args: [SETTINGS, options] });
    await ended;
    expect(diff.mock.calls[0]?.slice(0, 2)).toEqual([SETTINGS, options]);
    expect(said()).toEqual([
      { progress: { phase: 'compare', doneBytes: 1, doneFiles: 1 } },
      { result: { added: 1 } },
    ]);
  });

  it('answers with the code of an error', async () => {
    const { send, ended, said } = serve({ push: () => Promise.reject(coded('B2_BUCKET', 'no such bucket')) });
    send(JOB);
    await ended;
    expect(said()).toEqual([{ error: { message: 'no such bucket', code: 'B2_BUCKET', retryable: false } }]);
  });

  it('cancels on a second line, also when it comes at once', async () => {
    const { input, ended, said } = serve({ push: untilCancelled });
    input.write(`${JSON.stringify(JOB)}\n{"cancel":true}\n`);
    await ended;
    expect(said()).toEqual([{ error: { message: 'cancelled', code: 'B2_CANCELLED', retryable: false } }]);
  });

  it('cancels and ends when its parent dies', async () => {
    const { input, ended, said, send } = serve({ push: untilCancelled });
    send(JOB);
    input.end();
    await ended;
    expect(said()).toMatchObject([{ error: { code: 'B2_CANCELLED' } }]);
  });

  it('ends by force when the job does not listen', async () => {
    const { input, ended, send, exit } = serve({ push: () => new Promise(() => {}) });
    send(JOB);
    input.end();
    await ended;
    expect(exit).toHaveBeenCalledWith(1);
  });

  it('ends when it never gets a job', async () => {
    const { input, ended, exit } = serve({});
    input.end();
    input.resume();
    await once(input, 'end');
    await ended;
    expect(exit).toHaveBeenCalledWith(1);
  });
});
