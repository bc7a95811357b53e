import { afterEach, describe, expect, it, vi } from 'vitest';
import type { DiffReport, PathVersion, SnapshotInfo } from '../index.js';
import type { Engine } from '../ts/engine.ts';
import { BackupError } from '../ts/errors.ts';
import type { ToolResult } from '../ts/plugin/api.ts';
import { Backup } from '../ts/plugin/backup.ts';
import { registerCommand } from '../ts/plugin/command.ts';
import { RecordFile } from '../ts/plugin/record.ts';
import { Reporter } from '../ts/plugin/report.ts';
import { installBackup, removeBackup } from '../ts/plugin/shared.ts';
import { createTool } from '../ts/plugin/tool.ts';
import { checkPolicy } from '../ts/policy.ts';
import { CONFIG, FakeHost, HeldEngine, rest, TestClock, temporaryState } from './plugin-support.ts';

const clock = new TestClock();

function snapshot(createdAt: string, parts: Partial<SnapshotInfo> = {}): SnapshotInfo {
  const id = `${createdAt.slice(0, 19).replaceAll(':', '-')}Z-aaaaaaaa`;
  return {
    id,
    kind: 'regular',
    reason: 'scheduled',
    machine: 'aaaaaaaa',
    thisMachine: true,
    createdAt,
    files: 10,
    bytes: 1_000_000,
    authenticated: true,
    format: 2,
    incomplete: false,
    remarks: [],
    moreRemarks: 0,
    ...parts,
  };
}

const SNAPSHOTS = [
  snapshot('2026-11-21T00:00:00Z'),
  snapshot('2026-11-22T00:00:00Z'),
  snapshot('2026-11-22T10:00:00Z', { reason: 'compaction' }),
  snapshot('2026-11-22T15:00:00Z', { reason: 'compaction' }),
];

const DIFF: DiffReport = {
  from: SNAPSHOTS[0]?.id ?? '',
  to: 'live',
  added: 1,
  removed: 0,
  changed: 1,
  bytesBefore: 100,
  bytesAfter: 120,
  entries: [
    {
      path: 'workspace/MEMORY.md',
      change: 'changed',
      kind: 'file',
      what: ['content'],
      database: false,
      bytesBefore: 100,
      bytesAfter: 110,
      text: '-old\n+new\n',
    },
    {
      path: 'workspace/new.md',
      change: 'added',
      kind: 'file',
      what: [],
      database: false,
      bytesBefore: 0,
      bytesAfter: 10,
    },
  ],
  skipped: [],
  downloadedBytes: 0,
  requests: 2,
  durationMs: 5,
  warnings: [],
};

let installed: Backup | undefined;
afterEach(() => {
  if (installed !== undefined) removeBackup(installed);
  installed = undefined;
});

/** A tool in a gateway whose engine is `parts`. */
async function tool(parts: Partial<Engine> = {}, held = new HeldEngine()) {
  const stateDir = await temporaryState();
  const host = new FakeHost(stateDir, CONFIG);
  const voice = { logger: host.api.logger, tellUser: () => {}, tellForSure: () => {}, tellAgain: () => {} };
  installed = new Backup({
    engine: held.engine({ list: async () => ({ snapshots: SNAPSHOTS, warnings: [] }), ...parts }),
    clock,
    reporter: new Reporter(new RecordFile(stateDir), voice, clock),
    configured: { settings: { stateDir, ...CONFIG }, policy: checkPolicy({ timezone: 'UTC' }) },
    restart: () => {},
  });
  installBackup(installed);
  const subject = createTool(() => clock.now(), {}, '/ws');
  const updates: ToolResult[] = [];
  const run = async (parameters: object, signal?: AbortSignal) => {
    const { content, details } = await subject.execute('1', parameters, signal, (part) => updates.push(part));
    return { text: content.map(({ text }) => text).join('\n'), details: details as Record<string, unknown> };
  };
  return { run, held, updates, host };
}

describe('b2_rollback', () => {
  it('lists, newest first, readable and structured', async () => {
    const { run } = await tool();
    const { text, details } = await run({ action: 'list' });
    expect(text.indexOf('2026-11-22 15:00')).toBeLessThan(text.indexOf('2026-11-21 00:00'));
    expect(text).toContain('before a compaction');
    const newest = { time: '2026-11-22 15:00', made: 'before a compaction', size: '1.0 MB' };
    expect(details).toMatchObject({ total: 4, snapshots: [newest, {}, {}, {}] });
    expect((await run({ action: 'list', limit: 1 })).details['snapshots']).toEqual([newest]);
  });

  it('backs up, and says how far it is', async () => {
    const { run, held, updates } = await tool();
    const answer = run({ action: 'backup' });
    await rest();
    expect(held.last.options).toMatchObject({ reason: 'manual' });
    held.last.phase('capture');
    expect(updates).toHaveLength(1);
    await held.last.succeed();
    const { text, details } = await answer;
    expect(text).toContain('Backed up. Snapshot of 2026-11-23 12:00: 10 files');
    expect(details).toMatchObject({ uploadedBytes: 100 });
    // The first one in a chat says what is in it.
    expect(text).toContain('What you wrote into the configuration and workspaces is in it');
    const second = run({ action: 'backup' });
    await rest();
    await held.last.succeed();
    expect((await second).text).not.toContain('What you wrote');
  });

  it('lets a push go on when its own call is cancelled', async () => {
    const { run, held } = await tool();
    const controller = new AbortController();
    const answer = run({ action: 'backup' }, controller.signal);
    await rest();
    controller.abort(new Error('enough'));
    await expect(answer).rejects.toThrow('enough');
    expect(held.last.operation.signal?.aborted).toBe(false);
    await held.last.succeed();
  });

  it('fails in words that are no commands to a terminal, and no lines of their own', async () => {
    const evil = 'no route\u001b[2J\nall is well\u202e';
    const list = () => Promise.reject(new BackupError(evil, { code: 'B2_NETWORK', retryable: true }));
    const { run } = await tool({ list });
    await expect(run({ action: 'list' })).rejects.toMatchObject({
      message: 'no route\\x1b[2J\\x0aall is well\\u202e',
      code: 'B2_NETWORK',
      retryable: true,
    });
    // What the host itself cut the call off with stays what it is.
    const reason = new Error('enough');
    await expect(
      (await tool({ list: () => Promise.reject(reason) })).run({ action: 'list' }, AbortSignal.abort(reason)),
    ).rejects.toBe(reason);
  });

  it('says that it joined', async () => {
    const { run, held } = await tool();
    const answers = [run({ action: 'backup' }), run({ action: 'backup' })];
    await rest();
    expect(held.pushes).toHaveLength(1);
    await held.last.succeed();
    const [first, second] = await Promise.all(answers);
    expect(first?.text).not.toContain('already running');
    expect(second?.text).toContain('already running');
  });

  it('tells how things are, also when the bucket does not answer', async () => {
    const status = vi.fn(() => Promise.reject(new BackupError('no route', { code: 'B2_NETWORK' })));
    const { run } = await tool({ status });
    const { text, details } = await run({ action: 'status' });
    expect(text).toContain('no route');
    expect(details).toMatchObject({ backups: { bucketProblem: { code: 'B2_NETWORK' }, failures: 0 } });
  });

  it('compares the snapshot that the words mean with the present', async () => {
    const diff = vi.fn(async () => DIFF);
    const { run } = await tool({ diff });
    const { text } = await run({ action: 'diff', snapshot: 'November 21st', paths: ['workspace/**'] });
    expect(diff).toHaveBeenCalledWith(
      expect.anything(),
      { from: SNAPSHOTS[0]?.id, to: 'live', text: true, agentWorkspace: '/ws', paths: ['workspace/**'] },
      expect.anything(),
    );
    expect(text).toContain('workspace/MEMORY.md');
    expect(text).toContain('+new');
  });

  it('compares two snapshots', async () => {
    const diff = vi.fn(async () => DIFF);
    const { run } = await tool({ diff });
    await run({ action: 'diff', snapshot: SNAPSHOTS[0]?.id, with: 'latest' });
    expect(diff).toHaveBeenCalledWith(
      expect.anything(),
      { from: SNAPSHOTS[0]?.id, to: SNAPSHOTS[3]?.id, text: true, agentWorkspace: '/ws' },
      expect.anything(),
    );
  });

  it('asks for no lines where it is not known whose workspace is whose', async () => {
    const diff = vi.fn<Engine['diff']>(async () => DIFF);
    await tool({ diff });
    const subject = createTool(() => clock.now(), { sessionKey: 'agent:main:main', agentId: 'main' });
    await subject.execute('1', { action: 'diff', snapshot: 'latest' });
    expect(diff.mock.calls[0]?.[1]).toEqual({ from: SNAPSHOTS[3]?.id, to: 'live' });
  });

  it('hides what looks like a key, in the details, too', async () => {
    const [first] = DIFF.entries;
    const key = `sk-ant-api03-${'a1B2'.repeat(10)}`;
    const entries = first === undefined ? [] : [{ ...first, text: `-the key is ${key}\n+gone\n` }];
    const { run } = await tool({ diff: async () => ({ ...DIFF, entries }) });
    const { text, details } = await run({ action: 'diff', snapshot: 'latest' });
    expect(text).toContain('-the key is [hidden: looks like a key]');
    expect(JSON.stringify(details)).not.toContain(key);
  });

  it.each(['November 22nd', 'from before compaction yesterday', 'gibberish'])(
    'asks when "%s" is not certain, and compares nothing',
    async (words) => {
      const diff = vi.fn(async () => DIFF);
      const { run } = await tool({ diff });
      const { text } = await run({ action: 'diff', snapshot: words });
      expect(diff).not.toHaveBeenCalled();
      expect(text).toContain(`It is not certain which snapshot "${words}" means`);
    },
  );

  it('names the candidates with their times, and asks a person nothing but that', async () => {
    const { run, host } = await tool();
    const { text } = await run({ action: 'diff', snapshot: 'November 22nd' });
    for (const time of ['00:00', '10:00', '15:00']) expect(text).toContain(`- 2026-11-22 ${time}`);
    expect(text).toContain('Ask the user, then call again');
    registerCommand(host.api, () => clock.now());
    const reply = await host.command?.handler({ args: 'diff November 22nd' });
    expect(reply?.text).toContain('Say it with the time that stands there');
    expect(reply?.text).not.toContain('Ask the user');
  });

  it('tells the history of one file, the newest version first', async () => {
    const version = (createdAt: string, parts: Partial<PathVersion> = {}): PathVersion => ({
      path: 'workspace/MEMORY.md',
      machine: 'aaaaaaaa',
      snapshot: SNAPSHOTS[0]?.id ?? '',
      createdAt,
      lastSnapshot: SNAPSHOTS[1]?.id ?? '',
      snapshots: 1,
      change: 'changed',
      what: ['content'],
      kind: 'file',
      bytes: 100,
      modifiedAt: createdAt,
      database: false,
      ...parts,
    });
    const history = vi.fn<Engine['history']>(async () => ({
      snapshots: 4,
      versions: [
        version('2026-11-21T00:00:00Z', { change: 'added', what: [] }),
        version('2026-11-22T10:00:00Z', {
          text: '@@ -1 +1,2 @@\n-old\n+new\n+two\u001b\n',
          what: ['content', 'mode'],
        }),
        version('2026-11-22T15:00:00Z', { change: 'removed', bytes: 0, textOmitted: 'secret' }),
      ],
      warnings: ['one is passed over'],
      requests: 1,
      downloadedBytes: 1,
    }));
    const { run } = await tool({ history });
    const { text, details } = await run({ action: 'history', paths: ['workspace/MEMORY.md'] });
    expect(history.mock.calls[0]?.[1]).toEqual({
      path: 'workspace/MEMORY.md',
      text: true,
      agentWorkspace: '/ws',
    });
    expect(text).toBe(`3 versions of workspace/MEMORY.md in 4 snapshots, newest first:
- since 2026-11-22 15:00 (21 hours ago): removed, text not shown: secret; last in the backup of 2026-11-22 00:00
- since 2026-11-22 10:00 (1 day ago): changed, 100 B, mode, 2 lines new, 1 gone; last in the backup of 2026-11-22 00:00
    @@ -1 +1,2 @@
    -old
    +new
    +two\\x1b
- since 2026-11-21 00:00 (2 days ago): added, 100 B; last in the backup of 2026-11-22 00:00
Note: one is passed over`);
    expect(details).toMatchObject({ totalVersions: 3 });
    const short = await run({ action: 'history', paths: ['workspace/MEMORY.md'], limit: 1 });
    expect(short.text).toContain('and 2 older');
    expect(short.details['versions']).toHaveLength(1);
    for (const paths of [undefined, [], ['a', 'b']]) {
      await expect(run({ action: 'history', paths })).rejects.toMatchObject({ code: 'B2_USAGE' });
    }
  });

  it('refuses what it does not know', async () => {
    const { run } = await tool();
    await expect(run({ action: 'destroy' })).rejects.toMatchObject({ code: 'B2_USAGE' });
  });

  it('says so where no service runs', async () => {
    const subject = createTool(() => clock.now());
    await expect(subject.execute('1', { action: 'list' })).rejects.toMatchObject({ code: 'B2_NOT_RUNNING' });
  });
});

describe('/b2', () => {
  async function command(args: string, parts: Partial<Engine> = {}) {
    const made = await tool(parts);
    registerCommand(made.host.api, () => clock.now());
    return { ...made, answer: made.host.command?.handler({ args }) };
  }

  it('lists', async () => {
    const { answer } = await command('list');
    expect((await answer)?.text).toContain('- 2026-11-22 15:00 (21 hours ago), made before a compaction');
  });

  it('backs up', async () => {
    const { answer, held } = await command('backup');
    await rest();
    await held.last.succeed();
    const text = (await answer)?.text;
    expect(text).toContain('Backed up. Snapshot of 2026-11-23 12:00: 10 files');
    expect(text).toMatch(/\nWhat you wrote into the configuration and workspaces is in it, encrypted/);
  });

  it('tells errors in a sentence with the code', async () => {
    const list = () => Promise.reject(new BackupError('no such bucket', { code: 'B2_BUCKET' }));
    const { answer } = await command('list', { list });
    expect((await answer)?.text).toBe(
      'There is no such bucket, or the key is for another one: no such bucket (B2_BUCKET)\n' +
        'Check the name of the bucket in the settings of the plugin B2 Backup, and which bucket the key is for.',
    );
  });

  it('shows names that are commands or lies as what they are, as the tool does', async () => {
    const evil = 'bucket\u001b]0;x\u0007 \u202efdp.exe';
    const shown = 'bucket\\x1b]0;x\\x07 \\u202efdp.exe';
    const list = async () => ({ snapshots: SNAPSHOTS, warnings: [evil] });
    const { answer, run } = await command('list', { list });
    expect((await answer)?.text).toContain(shown);
    // Once in a session: it need not stand with every list.
    expect((await run({ action: 'list' })).text).not.toContain('bucket');
    expect((await (await tool({ list })).run({ action: 'list' })).text).toContain(shown);
    const failing = () => Promise.reject(new BackupError(evil, { code: 'B2_BUCKET' }));
    expect((await (await command('list', { list: failing })).answer)?.text).toContain(`${shown} (B2_BUCKET)`);
  });

  it('explains itself', async () => {
    const { answer } = await command('what');
    expect((await answer)?.text).toContain('/b2 status');
  });
});
