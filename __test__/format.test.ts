/** Reports as text for chats and models. */
import { describe, expect, it } from 'vitest';
import type { PushReport, SnapshotChanges, StatusReport } from '../index.js';
import { briefs, formatList, formatProgress, formatPush, formatStatus } from '../ts/plugin/format.ts';
import { Times } from '../ts/plugin/times.ts';
import { loadLanguages } from '../ts/plugin/words/dates.ts';
import { findSnapshots } from '../ts/plugin/words.ts';
import { made } from './words-support.ts';

const NOW = new Date('2026-02-19T15:00:00Z');
const languages = await loadLanguages('en');
const HERE = { now: NOW, timeZone: 'UTC' };

const CHANGES: SnapshotChanges = {
  added: 1,
  changed: 12,
  removed: 0,
  storedBytes: 3_100_000,
  most: [
    { path: 'agents/main/agent/openclaw-agent.sqlite', bytes: 2_900_000 },
    { path: 'workspace/MEMORY.md', bytes: 1_200 },
    { path: 'workspace/a\u001b[2Jb\u202e', bytes: 900 },
    { path: 'workspace/fourth.md', bytes: 800 },
  ],
};

describe('the list', () => {
  it('says when, why, how big and what changed most, newest first', () => {
    const snapshots = [
      made('2026-02-18 03:00'),
      made('2026-02-19 13:58', 'compaction', { files: 1234, bytes: 200e6 }),
      made('2026-02-18 22:40', 'safety'),
    ].map((snapshot, at) => (at === 1 ? { ...snapshot, changes: CHANGES } : snapshot));
    expect(formatList({ snapshots, warnings: [] }, { ...HERE, limit: 10 })).toBe(
      [
        '3 snapshots, newest first:',
        '- 2026-02-19 13:58 (1 hour ago), made before a compaction, 1,234 files, 200.0 MB',
        '  changed: conversations of main, MEMORY.md, a\\x1b[2Jb\\u202e and 10 more files; 3.1 MB stored',
        '- 2026-02-18 22:40 (16 hours ago), made before a rollback, 10 files, 1.0 kB',
        '- 2026-02-18 03:00 (1 day ago), made by the schedule, 10 files, 1.0 kB',
      ].join('\n'),
    );
  });

  it('is cut, and says so', () => {
    const snapshots = Array.from({ length: 15 }, (_, day) =>
      made(`2026-02-${String(day + 1).padStart(2, '0')} 03:00`),
    );
    const text = formatList({ snapshots, warnings: ['a pack is missing\u0007'] }, { ...HERE, limit: 3 });
    expect(text.match(/^- /gm)).toHaveLength(3);
    expect(text).toContain('15 snapshots');
    expect(text).toContain('2026-02-15 03:00');
    expect(text).not.toContain('2026-02-12 03:00');
    expect(text).toMatch(/\nand 12 older\nNote: a pack is missing\\x07$/);
  });

  it('counts of the remarks that are left out only what may be missing', () => {
    const remark = (path: string, missing: boolean) => ({
      path,
      code: missing ? 'B2_SKIPPED_UNREADABLE' : 'B2_CHANGED_WHILE_READ',
      message: '',
      failure: false,
      missing,
    });
    const list = (...remarks: ReturnType<typeof remark>[]): string => {
      const snapshots = [made('2026-02-18 03:00', 'scheduled', { remarks, moreRemarks: 41 })];
      return formatList({ snapshots, warnings: [] }, { ...HERE, limit: 1 });
    };
    expect(list(remark('a', true), remark('b', true))).toMatch(/it lacks a, b and 41 more$/);
    // The worst come first: all that follow are saved, as this one is.
    expect(list(remark('a', true), remark('b', false))).toMatch(/it lacks a$/);
  });

  it('says when there is nothing', () => {
    expect(formatList({ snapshots: [], warnings: [] }, { ...HERE, limit: 3 })).toBe(
      'There are no snapshots yet.',
    );
  });

  it('shows times, ids and days in a way that is understood', () => {
    const timeZone = 'Europe/Berlin';
    const snapshots = [
      ...['2026-02-01 04:00', '2026-02-16 23:30', '2026-02-18 23:30', '2026-02-19 13:58:41'].map((at) =>
        made(at),
      ),
      // Two in one minute, and one of another machine: a time alone says not which.
      made('2026-02-17 08:00:01'),
      made('2026-02-17 08:00:40', 'manual'),
      made('2026-02-17 09:00', 'manual', { machine: 'aaaa1111' }),
    ];
    const text = formatList({ snapshots, warnings: [] }, { now: NOW, timeZone, limit: 9 });
    const shown = [...text.matchAll(/^- (.{16}) \((.*?)\).*(?:\n {2}its id: (\S+))?$/gm)];
    const newestFirst = snapshots.toSorted((one, other) => (one.createdAt < other.createdAt ? 1 : -1));
    expect(shown).toHaveLength(snapshots.length);
    expect(shown.filter(([, , , id]) => id !== undefined)).toHaveLength(3);
    for (const [at, [, time = '', ago = '', id]] of shown.entries()) {
      const name = id ?? time;
      for (const words of [name, ...(ago.endsWith('days ago') ? [ago] : [])]) {
        const found = findSnapshots(words, snapshots, { now: NOW, timeZone, languages });
        const named =
          found.kind === 'one'
            ? [found.snapshot]
            : found.kind === 'several'
              ? found.candidates
              : [found.nearest];
        if (words === ago && newestFirst[at]?.thisMachine === false) continue;
        expect(
          named.map((snapshot) => snapshot?.id),
          words,
        ).toContain(newestFirst[at]?.id);
        if (words !== ago) expect(found.kind, words).toBe('one');
      }
    }
  });

  it('costs a model 1,500 tokens at most for 20 snapshots, whatever they are called', () => {
    const long = 'x'.repeat(250);
    const remark = { path: long, code: 'B2_SKIPPED_UNREADABLE', message: long, failure: true, missing: true };
    const most = Array.from({ length: 5 }, (_, at) => ({ path: `workspace/${long}${at}`, bytes: 1e9 }));
    const many = (parts: Parameters<typeof made>[2]) =>
      Array.from({ length: 20 }, (_, at) =>
        made(`2026-02-${String((at % 9) + 10)} ${10 + (at % 13)}:00`, 'compaction', parts),
      );
    const tokens = (snapshots: ReturnType<typeof many>) =>
      JSON.stringify({ total: 20, snapshots: briefs(snapshots, { ...HERE, limit: 20 }) }).length / 4;
    expect(tokens(many({ bytes: 200e6, changes: CHANGES }))).toBeLessThan(1_100);
    const worst = { bytes: 123_456e6, changes: { ...CHANGES, most }, remarks: [remark, remark, remark] };
    expect(tokens(many({ ...worst, incomplete: true, machine: 'aaaa1111' }))).toBeLessThanOrEqual(1_500);
    expect(tokens(many({ problem: long, machine: 'aaaa1111' }))).toBeLessThanOrEqual(1_500);
  });

  it('never reads as younger what is older', () => {
    const order = ['minute', 'hour', 'day', 'week', 'month', 'year'];
    const ages = Array.from({ length: 4_000 }, (_, at) => 1.004 ** at * 31_000).filter((ms) => ms < 3e11);
    const rank = (ms: number): number => {
      const at = new Date(NOW.getTime() - ms).toISOString();
      const [, number = '0', unit = ''] = /\((\d+) (\w+?)s? ago\)/.exec(new Times(HERE).tell(at)) ?? [];
      return order.indexOf(unit) * 1_000 + Number(number);
    };
    const ranks = ages.map(rank);
    expect(ranks.every((value) => value > 0)).toBe(true);
    for (const [at, value] of ranks.entries())
      expect(value, String(ages[at])).toBeGreaterThanOrEqual(ranks[at - 1] ?? 0);
  });

  it('gives local times', () => {
    const text = (timeZone: string) =>
      formatList({ snapshots: [made('2026-02-18 23:30')], warnings: [] }, { now: NOW, timeZone, limit: 1 });
    expect(text('Europe/Berlin')).toContain('2026-02-19 00:30 (16 hours ago)');
    expect(text('Pacific/Tongatapu')).toContain('2026-02-19 12:30');
  });

  it.each([
    ['2026-02-19 14:59:40', 'now'],
    ['2026-02-19 14:59', '1 minute ago'],
    ['2026-02-19 13:30', '2 hours ago'],
    ['2026-02-18 04:10', '1 day ago'],
    ['2026-02-17 15:00', '2 days ago'],
    ['2026-02-05 15:00', '2 weeks ago'],
    ['2025-12-01 15:00', '3 months ago'],
    ['2023-02-01 15:00', '3 years ago'],
    // A clock that is wrong.
    ['2026-02-19 15:10', 'in 10 minutes'],
  ])('of %s says %s', (time, expected) => {
    expect(formatList({ snapshots: [made(time)], warnings: [] }, { ...HERE, limit: 1 })).toContain(
      `(${expected})`,
    );
  });

  it('names other machines, and what cannot be used or trusted', () => {
    const snapshots = [
      made('2026-02-10 03:00'),
      made('2026-02-11 03:00', 'manual', { machine: 'aaaa1111' }),
      made('2026-02-12 03:00', 'manual', { authenticated: false }),
      made('2026-02-13 03:00', '', { problem: 'a pack is damaged (B2_DAMAGED)', authenticated: false }),
    ];
    const text = formatList({ snapshots, warnings: [] }, { ...HERE, limit: 9 });
    expect(text).toContain('made by hand, 10 files, 1.0 kB, of machine aaaa1111');
    expect(text.match(/whoever can write to the bucket/g)).toHaveLength(1);
    expect(text).toMatch(
      /2026-02-13 03:00 \(6 days ago\)\n {2}cannot be used: a pack is damaged \(B2_DAMAGED\)\n/,
    );
    const original = made('2026-02-01 03:00', '', { machine: '', authenticated: false, format: 1 });
    const mixed = formatList({ snapshots: [...snapshots, original], warnings: [] }, { ...HERE, limit: 9 });
    expect(mixed.match(/whoever can write to the bucket/g)).toHaveLength(1);
    expect(mixed).toMatch(/\n {2}of the original plugin, not authenticated: only a command in a shell/);
    const plain = snapshots.map((snapshot) => ({ ...snapshot, authenticated: false }));
    expect(formatList({ snapshots: plain, warnings: [] }, { ...HERE, limit: 9 })).toMatch(
      /\nNote: not encrypted: whoever can write to the bucket can have made it$/,
    );
  });
});

describe('a push', () => {
  const report: PushReport = {
    snapshot: '2026-02-19T15-00-00Z-d0e8c2c9',
    changed: true,
    snapshots: 3,
    files: 1234,
    bytes: 200e6,
    uploadedBytes: 3_100_000,
    requests: 4,
    incomplete: false,
    skipped: [],
    warnings: [],
    durationMs: 1_200,
  };
  const { snapshot: _, ...unchanged } = { ...report, changed: false, uploadedBytes: 0, durationMs: 210 };
  const unread = {
    path: 'workspace/a',
    code: 'B2_READ',
    message: 'no permission',
    failure: false,
    missing: true,
  };
  const torn = { ...unread, path: 'workspace/b', code: 'B2_CHANGED_WHILE_READ', missing: false };

  it.each([
    [report, 'Snapshot 2026-02-19T15-00-00Z-d0e8c2c9: 1,234 files, 200.0 MB; 3.1 MB sent, 1.2 s'],
    [unchanged, 'Nothing has changed since the last snapshot (0.2 s)'],
    [
      { ...unchanged, resumed: '2026-02-18T22-30-00Z-d0e8c2c9', skipped: [unread, torn] },
      'Nothing has changed since the last snapshot (0.2 s); finished 2026-02-18T22-30-00Z-d0e8c2c9, ' +
        'which had been cut off; incomplete: it lacks workspace/a; 1 file saved with a remark',
    ],
  ])('is one line (%#)', (given, expected) => expect(formatPush(given)).toBe(expected));

  it('says how far it is', () => {
    expect(formatProgress({ phase: 'upload', doneBytes: 2.5e6, totalBytes: 10e6, doneFiles: 7 })).toBe(
      'Uploading: 25 %, 2.5 MB of 10.0 MB, 7 files',
    );
  });
});

describe('the status', () => {
  const bucket: StatusReport = {
    stateDir: '/home/me/.openclaw',
    bucket: 'my-bucket',
    prefix: 'openclaw-backup',
    encrypt: true,
    machine: 'd0e8c2c9',
    lastSnapshot: '2026-02-19T03-00-00Z-d0e8c2c9',
    lastSnapshotAt: '2026-02-19T03:00:00.000Z',
    snapshots: 12,
    machines: [],
    storedBytes: 1.5e9,
    damagedPacks: 0,
    pending: false,
    opensWith: ['application-key', 'recovery-code'],
    incomplete: false,
    remarks: [],
    warnings: [],
  };
  const tell = (standing: Parameters<typeof formatStatus>[0]) => formatStatus(standing, HERE).split('\n');

  it('tells that all is well', () => {
    const standing = {
      failures: 0,
      schedule: 'daily',
      nextAt: '2026-02-20T00:00:00Z',
      lastSuccessAt: '2026-02-19T14:00:00.000Z',
      lastSnapshot: '2026-02-19T13-58-00Z-d0e8c2c9',
      bucket,
    };
    expect(tell(standing)).toEqual([
      'Last backup: 2026-02-19 14:00 (1 hour ago)',
      'Next backup: 2026-02-20 00:00 (in 9 hours), schedule "daily"',
      'Bucket: my-bucket, prefix openclaw-backup, encrypted; 12 snapshots, 1.5 GB',
    ]);
  });

  it('says what one lost key would cost, with the command of the gateway', () => {
    const only = { ...bucket, opensWith: ['application-key'] };
    expect(tell({ failures: 0, bucket: only }).at(-1)).toBe(
      'Note: only the B2 application key opens these backups: if it is lost together with this machine, nobody can ' +
        'read them again. "openclaw b2-backup key recovery" makes a recovery code to print and keep',
    );
    expect(tell({ failures: 0, bucket: { ...bucket, opensWith: [] } }).join()).not.toContain(
      'application key',
    );
  });

  it('knows from the bucket what nobody remembers', () => {
    expect(tell({ failures: 0, bucket })[0]).toBe('Last backup: 2026-02-19 03:00 (12 hours ago)');
    expect(
      tell({
        failures: 0,
        bucket: { ...bucket, pending: true, encrypt: false, warnings: ['old\u001b'] },
      }).slice(1),
    ).toEqual([
      'Bucket: my-bucket, prefix openclaw-backup, not encrypted; 12 snapshots, 1.5 GB',
      'An upload was cut off; the next backup finishes it.',
      'Note: old\\x1b',
    ]);
  });

  it('tells what is wrong first', () => {
    const lastFailure = {
      at: '2026-02-19T14:30:00Z',
      code: 'B2_NETWORK',
      message: 'no route to\u0000the server',
      retryable: true,
    };
    expect(tell({ failures: 3, lastFailure, running: { reason: 'manual', phase: 'upload' } })).toEqual([
      'A backup is running (upload).',
      'The last 3 backups have failed (2026-02-19 14:30 (30 minutes ago)): no route to\\x00the server (B2_NETWORK)',
      'Nothing has been backed up with these settings yet.',
    ]);
    expect(tell({ failures: 1 })[0]).toBe('The last backup has failed');
    expect(tell({ failures: 0, problem: { code: 'B2_CONFIG', message: 'bucket is not set' } })[0]).toBe(
      'Nothing can be backed up: bucket is not set (B2_CONFIG)',
    );
    expect(tell({ failures: 0, bucketProblem: { code: 'B2_NETWORK', message: 'no route' } }).at(-1)).toBe(
      'The bucket cannot be asked: no route (B2_NETWORK)',
    );
    const { code, message } = lastFailure;
    expect(tell({ failures: 1, lastFailure, bucketProblem: { code, message } }).at(-1)).toBe(
      'The bucket cannot be asked: it is the same (B2_NETWORK)',
    );
  });
});
