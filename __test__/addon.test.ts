/** The library, through the real addon and the real worker process. */
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type * as Library from '../ts/index.ts';
import type { ProgressEvent, Settings } from '../ts/index.ts';
import { addon } from './addon-support.ts';

const built = new URL('../dist/index.js', import.meta.url).href;

describe.skipIf(addon === undefined)('the library (needs the built addon)', () => {
  let directory: string;
  let settings: Settings;
  let library: typeof Library;

  beforeEach(async () => {
    library = (await import(/* @vite-ignore */ built)) as typeof Library;
    directory = mkdtempSync(join(tmpdir(), 'b2-addon-'));
    const stateDir = join(directory, 'state');
    mkdirSync(join(stateDir, 'workspace', 'empty'), { recursive: true });
    writeFileSync(join(stateDir, 'openclaw.json'), '{}');
    writeFileSync(join(stateDir, 'workspace', 'MEMORY.md'), 'remember the milk\n');
    writeFileSync(join(stateDir, 'workspace', 'odd name %#+\n.md'), 'odd');
    settings = {
      stateDir,
      bucket: `file://${join(directory, 'bucket')}`,
      passphrase: 'tulip granite orbit velvet mango',
      encrypt: true,
    };
    mkdirSync(join(directory, 'bucket'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  it('pushes, lists, restores, verifies and tells the status', async () => {
    const events: ProgressEvent[] = [];
    const first = await library.push(
      settings,
      { reason: 'manual' },
      { onProgress: (event) => events.push(event) },
    );
    expect(first).toMatchObject({ changed: true, skipped: [] });
    expect(first.snapshot).toMatch(/^\d{4}-\d\d-\d\dT/);
    for (const event of events)
      expect(event).toMatchObject({ phase: expect.any(String), doneFiles: expect.any(Number) });

    expect((await library.push(settings)).changed).toBe(false);

    const { snapshots } = await library.list(settings);
    expect(snapshots).toMatchObject([
      {
        id: first.snapshot,
        kind: 'regular',
        reason: 'manual',
        thisMachine: true,
        authenticated: true,
        format: 2,
      },
    ]);

    writeFileSync(join(settings.stateDir, 'workspace', 'new.md'), 'new');
    await library.push(settings);
    expect((await library.list(settings)).snapshots).toMatchObject([
      { id: first.snapshot },
      {
        changes: {
          added: 1,
          changed: 0,
          removed: 0,
          storedBytes: expect.any(Number),
          most: [{ path: 'workspace/new.md', bytes: 3 }],
        },
      },
    ]);
    expect(snapshots[0]).not.toHaveProperty('changes');

    const to = join(directory, 'restored');
    const blank = { ...settings, stateDir: join(directory, 'blank') };
    const restored = await library.restore(blank, { snapshot: first.snapshot ?? '', to });
    expect(restored).toMatchObject({ snapshot: first.snapshot, failed: [] });
    const memory = readdirSync(to, { recursive: true, encoding: 'utf8' }).find((path) =>
      path.endsWith('MEMORY.md'),
    );
    expect(readFileSync(join(to, memory ?? ''), 'utf8')).toBe('remember the milk\n');

    expect(await library.verify(settings, { readData: true })).toMatchObject({ snapshots: 2, problems: [] });
    expect(await library.status(settings)).toMatchObject({
      stateDir: settings.stateDir,
      encrypt: true,
      lastSnapshot: expect.any(String),
      snapshots: 2,
      pending: false,
    });
  });

  it('plans without making anything', async () => {
    const plan = await library.plan(settings);
    expect(plan.entries.find(({ path }) => path.endsWith('MEMORY.md'))).toMatchObject({
      included: true,
      changed: true,
    });
    expect(readdirSync(join(directory, 'bucket'))).toEqual([]);
  });

  it('tells what is different, in another process only where it reads the state', async () => {
    const { snapshot: first = '' } = await library.push(settings);
    writeFileSync(join(settings.stateDir, 'workspace', 'MEMORY.md'), 'remember the bread\n');
    chmodSync(join(settings.stateDir, 'workspace', 'empty'), 0o700);
    const events: ProgressEvent[] = [];
    const live = await library.diff(
      settings,
      { from: 'latest', paths: ['workspace'], text: true },
      { onProgress: (event) => events.push(event) },
    );
    const entry = {
      path: 'workspace/MEMORY.md',
      change: 'changed',
      what: ['content'],
      kind: 'file',
      bytesBefore: 18,
      bytesAfter: 19,
      database: false,
      text: '@@ -1 +1 @@\n-remember the milk\n+remember the bread\n',
    };
    const counted = { added: 0, changed: 1, removed: 0, skipped: [], warnings: [] };
    expect(live).toMatchObject({ from: first, to: 'live', ...counted });
    expect(live.entries.find(({ kind }) => kind === 'file')).toEqual(entry);
    expect(live.entries.find(({ kind }) => kind === 'directory')).toMatchObject({ what: ['mode'] });
    expect(events.map(({ phase }) => phase)).toContain('scan');

    const { snapshot: second = '' } = await library.push(settings);
    // On a machine without a state, too.
    const blank = { ...settings, stateDir: join(directory, 'blank') };
    const between = await library.diff(blank, { from: first, to: second, text: true });
    expect(between).toMatchObject({ to: second, ...counted, entries: live.entries });
    const without = await library.diff(blank, { from: second, to: first });
    expect(without.entries.every((one) => !('text' in one) && !('textOmitted' in one))).toBe(true);
    await expect(library.diff(blank, { from: first })).rejects.toMatchObject({ code: 'B2_CONFIG' });
    await expect(library.diff(settings, { from: first, paths: ['typo'] })).rejects.toMatchObject({
      name: 'BackupError',
      code: 'B2_CONFIG',
      message: expect.stringContaining('typo'),
    });
  });

  it('says what the machine is called', async () => {
    for (const machineName of ['x'.repeat(65), 'two\nlines']) {
      await expect(library.push({ ...settings, machineName })).rejects.toMatchObject({
        code: 'B2_CONFIG',
        message: expect.stringContaining('machineName'),
      });
    }
    await library.push({ ...settings, machineName: "Anna's laptop" });
    expect((await library.list(settings)).snapshots).toMatchObject([{ machineName: "Anna's laptop" }]);
  });

  it('rejects with codes, from both processes', async () => {
    await library.push(settings);
    const wrong = { ...settings, stateDir: join(directory, 'blank'), passphrase: 'haddock' };
    const to = join(directory, 'restored');
    await expect(library.restore(wrong, { snapshot: 'latest', to })).rejects.toMatchObject({
      name: 'BackupError',
      code: 'B2_WRONG_KEY',
    });
    await expect(
      library.restore(settings, { snapshot: '2001-01-01T00-00-00Z-00000000', to }),
    ).rejects.toMatchObject({
      code: 'B2_SNAPSHOT_NOT_FOUND',
    });
    await expect(
      library.restore(settings, { snapshot: 'latest', to: settings.stateDir }),
    ).rejects.toMatchObject({
      code: 'B2_TARGET_NOT_EMPTY',
    });
    await expect(library.push({ ...settings, stateDir: join(directory, 'nothing') })).rejects.toMatchObject({
      name: 'BackupError',
      code: expect.stringMatching(/^B2_(CONFIG|IO)$/),
    });
  });

  it.skipIf(process.getuid?.() === 0)('lists a file that cannot be read, and backs up the rest', async () => {
    chmodSync(join(settings.stateDir, 'workspace', 'MEMORY.md'), 0);
    const { skipped, changed } = await library.push(settings);
    expect(changed).toBe(true);
    expect(skipped).toMatchObject([{ path: expect.stringContaining('MEMORY.md'), code: 'B2_PERMISSION' }]);
  });

  it('stops when asked to, and goes on later', async () => {
    for (let at = 0; at < 200; at += 1) {
      writeFileSync(
        join(settings.stateDir, 'workspace', `${at}.bin`),
        Buffer.alloc(200_000, `${at}-${Math.random()}`),
      );
    }
    const controller = new AbortController();
    const onProgress = (): void => controller.abort(new Error('enough'));
    const running = library.push(settings, {}, { signal: controller.signal, onProgress });
    setTimeout(() => controller.abort(new Error('enough')), 300);
    // It may have been quicker.
    const outcome = await running.catch((error: unknown) => error);
    if (outcome instanceof Error) expect(outcome.message).toBe('enough');
    await library.push(settings);
    const to = join(directory, 'restored');
    expect(await library.restore(settings, { snapshot: 'latest', to })).toMatchObject({ failed: [] });
    expect(statSync(to).isDirectory()).toBe(true);
  });
});
