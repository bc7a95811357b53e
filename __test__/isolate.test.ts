import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { until } from '../e2e/support/until.ts';
import { createIsolate } from '../ts/isolate.ts';
import { LineSplitter } from '../ts/protocol.ts';

const directory = mkdtempSync(join(tmpdir(), 'b2-isolate-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const JOB = { op: 'push', args: [{ stateDir: '/s', applicationKey: 'sécret' }, {}] } as const;

/** Every fake worker can hear a line and say one; `body` is what it does with the job. */
function worker(name: string, body: string): string {
  const path = join(directory, `${name}.mjs`);
  const head = `
    import { writeSync } from 'node:fs';
    import { createInterface } from 'node:readline';
    const say = (value) => writeSync(3, JSON.stringify(value) + '\\n');
    const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
    const hear = async () => JSON.parse((await lines.next()).value);
    const job = await hear();
  `;
  writeFileSync(path, head + body);
  return path;
}

function isolate(name: string, body: string, over: Parameters<typeof createIsolate>[0] = {}) {
  return createIsolate({ workerPath: worker(name, body), ...over });
}

describe('a job in a process of its own', () => {
  it('gets the job over stdin, nothing in arguments or environment, and answers', async () => {
    const run = isolate(
      'answer',
      `say({ result: { job, argv: process.argv.slice(2), env: Object.keys(process.env), pid: process.pid } });
       process.exit(0);`,
      {
        env: {
          ...process.env,
          B2_APPLICATION_KEY: 'k',
          NODE_OPTIONS: '--no-warnings',
          NAPI_RS_NATIVE_LIBRARY_PATH: '/cloned/evil.node',
          TZ: 'UTC',
        },
      },
    );
    const answer = (await run(JOB)) as unknown as { job: unknown; argv: []; env: string[]; pid: number };
    expect(answer.job).toEqual(JOB);
    expect(answer.argv).toEqual([]);
    expect(answer.env).toContain('HOME');
    expect(answer.env).toContain('TZ');
    for (const name of ['B2_APPLICATION_KEY', 'NODE_OPTIONS', 'NAPI_RS_NATIVE_LIBRARY_PATH', 'PATH']) {
      expect(answer.env).not.toContain(name);
    }
    expect(answer.pid).not.toBe(process.pid);
  });

  it('passes progress on, and its own prints do not disturb', async () => {
    const seen: unknown[] = [];
    const run = isolate(
      'progress',
      `console.log('{"result":"fake"}'); console.error('noise');
       say({ progress: { phase: 'scan', doneBytes: 0, doneFiles: 3 } });
       say({ result: { changed: false } }); process.exit(0);`,
    );
    const onProgress = (event: unknown): void => {
      seen.push(event);
      throw new Error('display broken');
    };
    expect(await run(JOB, { onProgress })).toEqual({ changed: false });
    expect(seen).toEqual([{ phase: 'scan', doneBytes: 0, doneFiles: 3 }]);
  });

  it('carries a large answer', async () => {
    const run = isolate(
      'large',
      `import('node:net').then(({ Socket }) => {
         const out = new Socket({ fd: 3, readable: false, writable: true });
         const entries = Array.from({ length: 50_000 }, (_, at) => ({ path: 'ä/' + at + '-'.repeat(50) }));
         out.write(JSON.stringify({ result: { entries } }) + '\\n', () => process.exit(0));
       });
       await new Promise(() => setTimeout(() => {}, 20_000));`,
    );
    const { entries } = (await run(JOB)) as unknown as { entries: { path: string }[] };
    expect(entries).toHaveLength(50_000);
    expect(entries.at(-1)?.path).toBe(`ä/49999${'-'.repeat(50)}`);
  });

  it('turns an answered error into a BackupError', async () => {
    const run = isolate(
      'error',
      `say({ error: { message: 'no', code: 'B2_NETWORK', retryable: true } }); process.exit(0);`,
    );
    await expect(run(JOB)).rejects.toMatchObject({
      name: 'BackupError',
      message: 'no',
      code: 'B2_NETWORK',
      retryable: true,
    });
  });

  it('runs the real worker, which reports what is wrong with the job or the addon', async () => {
    const built = new URL('../dist/worker.js', import.meta.url).pathname;
    const run = createIsolate({ workerPath: built });
    await expect(run({ op: 'push', args: [{ stateDir: '/nonexistent/state' }, {}] })).rejects.toMatchObject({
      name: 'BackupError',
      code: expect.stringMatching(/^B2_(?!WORKER_DIED|INTERNAL)/),
    });
  });
});

/** The last of the signals that the worker sets a handler for. */
const { SIGHUP } = constants.signals;

/** Whether a process handles a signal, by its number. */
function catches(pid: number | undefined, signal: number): boolean {
  const [, mask = '0'] = /^SigCgt:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return ((BigInt(`0x${mask}`) >> BigInt(signal - 1)) & 1n) === 1n;
}

describe('the real worker', () => {
  const path = new URL('../dist/worker.js', import.meta.url).pathname;

  it('ends with its parent, and not by a signal to the group', async () => {
    const child = spawn(process.execPath, [path], { stdio: ['pipe', 'ignore', 'pipe', 'pipe'] });
    let noise = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      noise += text;
    });
    // It has to have come as far as to listen: on a busy machine that takes longer.
    if (process.platform === 'linux')
      await until('the worker to hear signals', () => catches(child.pid, SIGHUP));
    else await new Promise((resolve) => setTimeout(resolve, 5_000));
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) child.kill(signal);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(child.exitCode ?? child.signalCode).toBeNull();
    child.stdin?.end();
    const [code] = (await once(child, 'exit')) as [number | null];
    expect({ code, noise }).toEqual({ code: 1, noise: '' });
  });
});

describe('cancelling', () => {
  it('sends a line, and rejects with the reason of the signal', async () => {
    const run = isolate(
      'cancel',
      `const next = await hear();
       say({ error: { message: 'cancelled', code: next.cancel ? 'B2_CANCELLED' : 'B2_INTERNAL', retryable: false } });
       process.exit(0);`,
    );
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error('enough')), 20);
    await expect(run(JOB, { signal: controller.signal })).rejects.toThrow('enough');
  });

  it('kills a worker that does not listen', async () => {
    const run = isolate('deaf', `setInterval(() => {}, 1000);`, { graceMs: 100 });
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error('enough')), 200);
    await expect(run(JOB, { signal: controller.signal })).rejects.toThrow('enough');
  });

  it('kills a worker that has answered and does not end', async () => {
    const run = isolate('clingy', `say({ result: { changed: true } }); setInterval(() => {}, 1000);`, {
      graceMs: 100,
    });
    expect(await run(JOB)).toEqual({ changed: true });
  });

  it('starts nothing for a signal that is aborted already', async () => {
    const run = createIsolate({ workerPath: '/does/not/exist.mjs' });
    const signal = AbortSignal.abort(new Error('too late'));
    await expect(run(JOB, { signal })).rejects.toThrow('too late');
  });
});

describe('a worker that dies', () => {
  it.each([
    ['code', `console.error('oh no'); process.exit(7);`, /exit code 7\): oh no$/],
    ['throw', `throw new Error('kaboom');`, /exit code 1\)(.|\n)*kaboom/],
    [
      'signal',
      `process.kill(process.pid, 'SIGKILL'); setInterval(() => {}, 1000);`,
      /signal SIGKILL, perhaps/,
    ],
  ])('by %s becomes B2_WORKER_DIED', async (name, body, message) => {
    await expect(isolate(name, body)(JOB)).rejects.toMatchObject({
      code: 'B2_WORKER_DIED',
      retryable: true,
      message: expect.stringMatching(message),
    });
  });

  it('keeps only the end of what it printed', async () => {
    const run = isolate(
      'chatty',
      `console.error('x'.repeat(100_000) + 'the end'); process.exitCode = 1; process.stdin.destroy();`,
    );
    const error = (await run(JOB).catch((thrown: unknown) => thrown)) as Error;
    expect(error.message.length).toBeLessThan(2_200);
    expect(error.message).toMatch(/the end$/);
  });

  it('is told from one that never started', async () => {
    const notExecutable = join(directory, 'node');
    writeFileSync(notExecutable, '');
    chmodSync(notExecutable, 0o644);
    for (const execPath of ['/does/not/exist', notExecutable]) {
      await expect(createIsolate({ execPath })(JOB)).rejects.toMatchObject({
        code: 'B2_WORKER_DIED',
        message: expect.stringContaining(`cannot start the backup process ${execPath}`),
      });
    }
  });
});

describe('lines', () => {
  it('come out whole however the bytes are cut', () => {
    const bytes = new TextEncoder().encode('{"a":"ü"}\n\n{"b":1}\n{"rest"');
    for (let size = 1; size <= bytes.length; size += 1) {
      const seen: string[] = [];
      const splitter = new LineSplitter((line) => seen.push(line));
      for (let at = 0; at < bytes.length; at += size) splitter.push(bytes.subarray(at, at + size));
      expect(seen).toEqual(['{"a":"ü"}', '{"b":1}']);
    }
  });
});
