import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { DrillReport, PruneReport, VerifyOptions, VerifyReport } from '../index.js';
import { BackupError, type ErrorCode } from '../ts/errors.ts';
import type { Operation } from '../ts/operation.ts';
import { formatStatus } from '../ts/plugin/format.ts';
import { registerHooks } from '../ts/plugin/hooks.ts';
import type { Record } from '../ts/plugin/record.ts';
import { registerRpc } from '../ts/plugin/rpc.ts';
import { createService } from '../ts/plugin/service.ts';
import type { GatewayStatus } from '../ts/plugin/status.ts';
import { CONFIG, FakeHost, HeldEngine, PRUNED, rest, TestClock, temporaryState } from './plugin-support.ts';
import { PATIENT } from './support.ts';

const HOUR = 60 * 60_000;
const DAY = 24 * HOUR;

/** No looks at what is stored, which go first. */
const ALONE = { verifyWeeks: 0 };

const VERIFIED: VerifyReport = {
  snapshots: 9,
  packs: 40,
  bytes: 100_000_000,
  readBytes: 5_000_000,
  problems: [],
  requests: 60,
  downloadedBytes: 6_000_000,
  durationMs: 900,
};

const DRILLED: DrillReport = {
  snapshot: '2026-11-23T12-00-00Z-aaaaaaaa',
  snapshotAt: '2026-11-23T12:00:00.000Z',
  files: 10,
  bytes: 1_000,
  databases: 2,
  failed: [],
  incomplete: false,
  remarks: [],
  warnings: [],
  requests: 7,
  downloadedBytes: 900,
  durationMs: 80,
};

const LOST = {
  object: 'packs/aaaaaaaa/01',
  code: 'B2_DAMAGED',
  message: 'packs/aaaaaaaa/01 is damaged: 1 of its 9 frames do not open',
  snapshots: ['a', 'b'],
  paths: ['workspace/MEMORY.md'],
};

/** A proof that the test brings to its end. */
interface Held<T> {
  readonly options?: VerifyOptions;
  readonly operation: Operation;
  succeed(report?: Partial<T>): Promise<void>;
  fail(code: ErrorCode): Promise<void>;
}

function hold<T>(all: Held<T>[], whole: T) {
  return (operation: Operation = {}, options?: VerifyOptions): Promise<T> =>
    new Promise((resolve, reject) => {
      operation.signal?.addEventListener('abort', () => reject(operation.signal?.reason));
      all.push({
        operation,
        ...(options === undefined ? {} : { options }),
        succeed: async (report) => {
          resolve({ ...whole, ...report });
          await rest();
        },
        fail: async (code) => {
          reject(new BackupError(`because of ${code}`, { code, retryable: code === 'B2_NETWORK' }));
          await rest();
        },
      });
    });
}

/** A gateway whose next push is due, with what it remembers; times of `record` are days ago. */
async function gateway({
  days = {},
  record = {},
  config = {},
  stateDir,
  clock = new TestClock(),
}: {
  days?: { readonly since?: number; readonly verify?: number; readonly drill?: number };
  record?: Partial<Record>;
  config?: object;
  stateDir?: string;
  clock?: TestClock;
} = {}) {
  const ago = (count: number): string => new Date(clock.now().getTime() - count * DAY).toISOString();
  let state = stateDir;
  if (state === undefined) {
    state = await temporaryState();
    await mkdir(join(state, 'b2-backup'));
    const { since = 100, verify = 0, drill = 0 } = days;
    const saved: Record = {
      failures: 0,
      told: [],
      since: ago(since),
      lastPruneAt: ago(0),
      ...(verify < 0 ? {} : { verify: { doneAt: ago(verify), triedAt: ago(verify) } }),
      ...(drill < 0 ? {} : { drill: { doneAt: ago(drill), triedAt: ago(drill) } }),
      ...record,
    };
    await writeFile(join(state, 'b2-backup', 'gateway.json'), JSON.stringify(saved));
  }
  const verifies: Held<VerifyReport>[] = [];
  const drills: Held<DrillReport>[] = [];
  const [verify, drill] = [hold(verifies, VERIFIED), hold(drills, DRILLED)];
  const prune = vi.fn(async (): Promise<PruneReport> => PRUNED);
  const held = new HeldEngine();
  const host = new FakeHost(state, { ...CONFIG, ...config });
  registerHooks(host.api);
  registerRpc(host.api);
  const engine = held.engine({
    prune,
    verify: (_settings, options, operation) => verify(operation, options),
    drill: (_settings, operation) => drill(operation),
  });
  host.service = createService(host.api, { engine, clock });
  onTestFinished(() => host.service?.stop(host.context));
  await host.service.start(host.context);
  for (let turn = 0; turn < 20; turn += 1) {
    await rest();
    await readFile(new URL(import.meta.url));
  }
  const status = async () => (await host.call('b2-backup.status', { bucket: false })) as GatewayStatus;
  /** A day passes, and its scheduled push succeeds. */
  const nextDay = async (day = DAY): Promise<void> => {
    // Not minute by minute.
    clock.sleep(day - 60_000);
    await clock.advance(60_000);
    await held.last.succeed();
  };
  return { host, clock, held, verifies, drills, prune, status, nextDay, stateDir: state };
}

describe('a look at what is stored', () => {
  it('comes each week after a scheduled push, with its bounds', async () => {
    const { held, verifies, nextDay, status, clock } = await gateway({ days: { verify: 5 } });
    await held.last.succeed();
    expect(verifies).toHaveLength(0);
    await nextDay();
    await nextDay();
    expect(verifies.map(({ options }) => options)).toEqual([{ weeks: 20, mostBytes: 5_000_000_000 }]);
    await clock.advance(10 * 60_000);
    await verifies[0]?.succeed();
    expect(await status()).toMatchObject({ lastVerifyAt: '2026-11-25T12:10:00.000Z' });
    await nextDay(DAY - 10 * 60_000);
    for (let day = 0; day < 5; day += 1) await nextDay();
    expect(verifies).toHaveLength(1);
    await nextDay();
    expect(verifies, 'after seven days and not eight, though it took ten minutes').toHaveLength(2);
  });

  it('takes the weeks that are configured, or none', async () => {
    const one = await gateway({ days: { verify: 9 }, config: { verifyWeeks: 4 } });
    await one.held.last.succeed();
    expect(one.verifies[0]?.options).toMatchObject({ weeks: 4 });
    const none = await gateway({ days: { verify: 9 }, config: { verifyWeeks: 0 } });
    await none.held.last.succeed();
    expect(none.verifies).toHaveLength(0);
  });

  it('first comes a week after the first start, and is remembered over restarts', async () => {
    const first = await gateway({ days: { since: 2, verify: -1 } });
    await first.held.last.succeed();
    for (let day = 0; day < 5; day += 1) await first.nextDay();
    expect(first.verifies).toHaveLength(1);
    await first.verifies[0]?.succeed();
    await first.host.service?.stop(first.host.context);
    const { stateDir, clock } = first;
    const second = await gateway({ stateDir, clock });
    await clock.advance(DAY);
    await second.held.last.succeed();
    expect(second.verifies).toHaveLength(0);
    expect(await second.status()).toMatchObject({ lastVerifyAt: '2026-11-28T12:00:00.000Z' });
  });

  it('comes after pruning, not beside it', async () => {
    const { held, verifies, prune } = await gateway({
      days: { verify: 9 },
      record: { lastPruneAt: '2026-11-20T00:00:00.000Z' },
    });
    let pruned = (): void => {};
    prune.mockImplementationOnce(
      () =>
        new Promise((resolve) => {
          pruned = () => resolve(PRUNED);
        }),
    );
    await held.last.succeed();
    expect(verifies).toHaveLength(0);
    pruned();
    await rest();
    expect(verifies).toHaveLength(1);
  });

  it('does not come while somebody is at work, nor after a failure', async () => {
    const { held, verifies, host } = await gateway({ days: { verify: 9, drill: 60 } });
    await held.last.fail(new BackupError('gone', { code: 'B2_NETWORK' }));
    const compaction = host.fire('before_compaction');
    await rest();
    await held.last.succeed();
    await compaction;
    expect(verifies).toHaveLength(0);
  });

  it('makes way for a push, and is tried again a day later', async () => {
    const { held, verifies, host, status, nextDay } = await gateway({ days: { verify: 9 } });
    await held.last.succeed();
    const reset = host.fire('before_reset');
    await rest();
    expect(verifies[0]?.operation.signal?.aborted).toBe(true);
    await held.last.succeed();
    await reset;
    expect(verifies).toHaveLength(1);
    expect(await status()).not.toHaveProperty('verifyProblem');
    await nextDay();
    expect(verifies).toHaveLength(2);
  });

  it('is cut off when the gateway stops', async () => {
    const { held, verifies, host } = await gateway({ days: { verify: 9 } });
    await held.last.succeed();
    const stop = host.fire('gateway_stop', { reason: 'shutdown' });
    await vi.waitFor(() => expect(held.pushes).toHaveLength(2), PATIENT);
    expect(verifies[0]?.operation.signal?.aborted).toBe(true);
    await held.last.succeed();
    await stop;
    expect(verifies).toHaveLength(1);
  });

  it('fails without a fuss when the bucket cannot be reached', async () => {
    const { held, verifies, host, status, nextDay } = await gateway({ days: { verify: 9 } });
    await held.last.succeed();
    await verifies[0]?.fail('B2_NETWORK');
    expect(host.lines.at(-1)).toMatch(/^warn .*could not be checked: because of B2_NETWORK/);
    expect(host.events).toEqual([]);
    expect(host.health).not.toContain('because of B2_NETWORK');
    expect(await status()).toMatchObject({ verifyProblem: { code: 'B2_NETWORK' }, failures: 0 });
    await nextDay();
    await verifies[1]?.succeed();
    expect(await status()).not.toHaveProperty('verifyProblem');
  });

  it('tells the user once of what is damaged, and what to do', async () => {
    const { held, verifies, host, status, nextDay } = await gateway({ days: { verify: 9 } });
    await held.last.succeed();
    await verifies[0]?.succeed({ problems: [LOST] });
    expect(host.events.map(({ text }) => text)).toEqual([
      '1 object of the backups in the bucket is lost or damaged: packs/aaaaaaaa/01. They harm 2 snapshots. The next ' +
        'backup stores again what is still on this machine. "openclaw b2-backup verify" tells what older snapshots ' +
        'have lost, "openclaw b2-backup undelete --dry-run" whether it can be brought back.',
    ]);
    expect(host.health.at(-1)).toBe(host.events[0]?.text);
    const standing = await status();
    expect(standing).toMatchObject({ verifyProblem: { code: 'B2_DAMAGED' } });
    expect(formatStatus(standing, { now: new Date() })).toContain(
      'The last look at what is stored: 1 object of the backups',
    );
    const week = async (problems: VerifyReport['problems']): Promise<void> => {
      for (let day = 0; day < 7; day += 1) await nextDay();
      await verifies.at(-1)?.succeed({ problems });
    };
    await week([LOST]);
    expect(verifies).toHaveLength(2);
    expect(host.events, 'that is known').toHaveLength(1);
    await week([LOST, { ...LOST, object: 'packs/aaaaaaaa/02' }]);
    expect(host.events).toHaveLength(2);
    await week([]);
    expect(host.events.at(-1)?.text).toMatch(/whole again, or needed no more/);
    expect(await status()).not.toHaveProperty('verifyProblem');
  });

  it('that comes to no end says nothing of what the last one found damaged', async () => {
    const { held, verifies, host, status, nextDay } = await gateway({ days: { verify: 9 } });
    await held.last.succeed();
    await verifies[0]?.succeed({ problems: [LOST] });
    const [damage] = host.events;
    for (let day = 0; day < 7; day += 1) await nextDay();
    await verifies[1]?.fail('B2_NETWORK');
    expect(await status()).toMatchObject({ verifyProblem: { code: 'B2_DAMAGED' } });
    await nextDay();
    expect(host.health.at(-1)).toBe(damage?.text);
    // It is tried again as it would be without the damage.
    await verifies[2]?.fail('B2_DISK_FULL');
    for (let day = 0; day < 6; day += 1) await nextDay();
    expect(verifies).toHaveLength(3);
    expect(host.health.at(-1)).toBe(damage?.text);
    await nextDay();
    await verifies[3]?.succeed();
    expect(host.health.at(-1)).toBe('ok');
    expect(host.events.map(({ text }) => text)).toEqual([damage?.text, expect.stringMatching(/whole again/)]);
  });
});

describe('a trial restore', () => {
  it('comes a day after the first start, and then each month', async () => {
    const { held, drills, nextDay, status } = await gateway({
      days: { since: 0, drill: -1 },
      config: ALONE,
    });
    await held.last.succeed();
    expect(drills).toHaveLength(0);
    await nextDay();
    expect(drills).toHaveLength(1);
    await drills[0]?.succeed();
    expect(await status()).toMatchObject({ lastDrillAt: '2026-11-24T12:00:00.000Z' });
    for (let day = 0; day < 29; day += 1) await nextDay();
    expect(drills).toHaveLength(1);
    await nextDay();
    expect(drills).toHaveLength(2);
  });

  it('can be turned off', async () => {
    const { held, drills } = await gateway({ days: { drill: 60 }, config: { drill: false } });
    await held.last.succeed();
    expect(drills).toHaveLength(0);
  });

  it('follows a look at what is stored', async () => {
    const { held, drills, verifies } = await gateway({ days: { verify: 9, drill: 60 } });
    await held.last.succeed();
    expect([verifies.length, drills.length]).toEqual([1, 0]);
    await verifies[0]?.succeed();
    expect(drills).toHaveLength(1);
  });

  it('is not made of a snapshot that is too large, and the status says so', async () => {
    const { held, drills, host, status, nextDay } = await gateway({ days: { drill: 60 }, config: ALONE });
    await held.last.succeed({ bytes: 10_000_000_001 });
    expect(drills).toHaveLength(0);
    const line = /10\.0 GB are too much for a trial restore/;
    expect(host.lines.join('\n')).toMatch(line);
    expect(formatStatus(await status(), { now: new Date() })).toMatch(line);
    for (let day = 0; day < 7; day += 1) await nextDay();
    expect(drills, 'it has become smaller').toHaveLength(1);
    expect(await status()).not.toHaveProperty('drillSkipped');
  });

  it('says in the status that the disk has no room, and does not try each day', async () => {
    const { held, drills, host, status, nextDay } = await gateway({ days: { drill: 60 }, config: ALONE });
    await held.last.succeed();
    await drills[0]?.fail('B2_DISK_FULL');
    expect(host.events).toEqual([]);
    expect(formatStatus(await status(), { now: new Date() })).toContain(
      'The last trial restore: because of B2_DISK_FULL (B2_DISK_FULL)',
    );
    for (let day = 0; day < 6; day += 1) await nextDay();
    expect(drills).toHaveLength(1);
    await nextDay();
    expect(drills).toHaveLength(2);
  });

  it('that brings not everything back is told once, and again when all is well', async () => {
    const { held, drills, host, status, nextDay } = await gateway({ days: { drill: 60 }, config: ALONE });
    await held.last.succeed();
    const damage = { code: 'B2_DAMAGED', message: 'is damaged', failure: false, missing: true };
    const failed = ['a', 'b', 'c', 'd'].map((path) => ({ path, ...damage }));
    await drills[0]?.succeed({ failed });
    expect(host.events.map(({ text }) => text)).toEqual([
      'A trial restore of 2026-11-23T12-00-00Z-aaaaaaaa did not bring back 4 files: a, b, c and 1 more. The next ' +
        'backup stores again what is still on this machine; "openclaw b2-backup drill" tries again.',
    ]);
    expect(host.health.at(-1)).toBe(host.events[0]?.text);
    expect(await status()).toMatchObject({ drillProblem: { code: 'B2_DAMAGED' } });
    for (let day = 0; day < 7; day += 1) await nextDay();
    expect(drills, 'a week after it failed').toHaveLength(2);
    expect(host.events, 'a push that succeeds proves nothing').toHaveLength(1);
    await drills[1]?.succeed();
    expect(host.events.at(-1)?.text).toMatch(/brought back all of 10 files/);
    expect(await status()).not.toHaveProperty('drillProblem');
  });

  it.each([
    ['comes to no end', 'B2_NETWORK'],
    ['has no room', 'B2_DISK_FULL'],
    ['would be too large by now', undefined],
  ] as const)('that %s mends nothing that the last one did not bring back', async (_what, code) => {
    const { held, drills, host, status, clock, nextDay } = await gateway({
      days: { drill: 60 },
      config: ALONE,
    });
    await held.last.succeed();
    const damage = { code: 'B2_DAMAGED', message: 'is damaged', failure: false, missing: true };
    await drills[0]?.succeed({ failed: [{ path: 'a', ...damage }] });
    const [lost] = host.events;
    for (let day = 0; day < 6; day += 1) await nextDay();
    clock.sleep(DAY - 60_000);
    await clock.advance(60_000);
    await held.last.succeed(code === undefined ? { bytes: 10_000_000_001 } : {});
    if (code !== undefined) await drills[1]?.fail(code);
    expect(await status()).toMatchObject({ drillProblem: { code: 'B2_DAMAGED' } });
    await nextDay();
    expect(host.health.at(-1)).toBe(lost?.text);
    for (let day = 0; day < 6; day += 1) await nextDay();
    await drills.at(-1)?.succeed();
    expect(host.health.at(-1)).toBe('ok');
    expect(host.events).toHaveLength(2);
  });

  it('that the secret does not open is told', async () => {
    const { held, drills, host } = await gateway({ days: { drill: 60 }, config: ALONE });
    await held.last.succeed();
    await drills[0]?.fail('B2_WRONG_KEY');
    expect(host.events[0]?.text).toMatch(
      /^A trial restore of the newest backup failed: because of B2_WRONG_KEY/,
    );
  });

  it('gives way to a rollback and to pushes', async () => {
    const { held, drills, host } = await gateway({ days: { drill: 60 }, config: ALONE });
    await held.last.succeed();
    const compaction = host.fire('before_compaction');
    await rest();
    expect(drills[0]?.operation.signal?.aborted).toBe(true);
    await held.last.succeed();
    await compaction;
  });
});
