/** The service of the plugin: when it pushes, what it waits for, and what it does not do. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { BackupError } from '../ts/errors.ts';
import { registerHooks } from '../ts/plugin/hooks.ts';
import { createService } from '../ts/plugin/service.ts';
import { recordPath } from '../ts/updates/checked.ts';
import { CONFIG, FakeHost, HeldEngine, rest, TestClock, temporaryState } from './plugin-support.ts';
import { DAY, gateway, HOUR, MINUTE, quiet, recently, settle } from './service-support.ts';

describe('the start', () => {
  it('pushes at once on a machine that was never backed up, then by the schedule', async () => {
    const { clock, held } = await gateway();
    expect(held.last.options).toMatchObject({ reason: 'scheduled' });
    await held.last.succeed();
    await clock.advance(11 * HOUR);
    expect(held.pushes).toHaveLength(1);
    await clock.advance(HOUR + MINUTE);
    expect(held.pushes).toHaveLength(2);
  });

  it('waits for the schedule when the last push went well', async () => {
    const { clock, held } = await quiet();
    expect(held.pushes).toHaveLength(0);
    await clock.advance(12 * HOUR + MINUTE);
    expect(held.pushes).toHaveLength(1);
  });

  it('goes on at once with a push that was not seen to end', async () => {
    const clock = new TestClock();
    const { held } = await gateway({
      clock,
      record: { ...recently(clock), lastRunAt: clock.now().toISOString() },
    });
    expect(held.pushes).toHaveLength(1);
  });

  it('makes up once for what it slept through', async () => {
    const { clock, held } = await quiet();
    clock.sleep(3 * DAY);
    await clock.advance(MINUTE);
    expect(held.pushes).toHaveLength(1);
    await held.last.succeed();
    await clock.advance(HOUR);
    expect(held.pushes).toHaveLength(1);
  });

  it('does not overlap with itself', async () => {
    const { clock, held } = await gateway({ config: { ...CONFIG, schedule: '* * * * * *' } });
    await clock.advance(HOUR);
    expect(held.pushes).toHaveLength(1);
    await held.last.succeed();
    await clock.advance(2_000);
    expect(held.pushes.length).toBeGreaterThan(1);
    expect(held.peak).toBe(1);
  });

  it('pushes when the clock was set back', async () => {
    const clock = new TestClock();
    const future = '2027-06-01T00:00:00.000Z';
    const { held } = await gateway({ clock, record: { lastRunAt: future, lastSuccessAt: future } });
    expect(held.pushes).toHaveLength(1);
  });

  it.each(['nonsense', '[]', '{"failures":"many","lastRunAt":5,"told":{}}', ''])(
    'takes a damaged record (%s) for none',
    async (text) => {
      const stateDir = await temporaryState();
      await mkdir(join(stateDir, 'b2-backup'));
      await writeFile(join(stateDir, 'b2-backup', 'gateway.json'), text);
      const host = new FakeHost(stateDir, CONFIG);
      const held = new HeldEngine();
      host.service = createService(host.api, { engine: held.engine(), clock: new TestClock() });
      onTestFinished(() => host.service?.stop(host.context));
      await host.service.start(host.context);
      await settle();
      expect(held.pushes).toHaveLength(1);
    },
  );
});

describe('a change of where or how backups are stored', () => {
  /** The same state with other settings, after a push that went well. */
  async function moved(config: object) {
    const clock = new TestClock();
    const first = await gateway({ clock });
    await first.held.last.succeed();
    await first.host.service?.stop(first.host.context);
    const record = JSON.parse(
      await readFile(join(first.stateDir, 'b2-backup', 'gateway.json'), 'utf8'),
    ) as object;
    return { record, ...(await gateway({ clock, record, config: { ...CONFIG, ...config } })) };
  }

  it('pushes at once, and forgets what is in the old bucket', async () => {
    const { record, held, stateDir } = await moved({ bucket: 'file:///another' });
    expect(record).toMatchObject({ lastSnapshot: expect.any(String) });
    expect(held.pushes).toHaveLength(1);
    await settle();
    const text = await readFile(join(stateDir, 'b2-backup', 'gateway.json'), 'utf8');
    expect(JSON.parse(text)).not.toHaveProperty('lastSnapshot');
    await held.last.succeed();
    await settle();
    expect(await readFile(join(stateDir, 'b2-backup', 'gateway.json'), 'utf8')).not.toContain('moved');
  });

  it.each([{ passphrase: 'a new one' }, { prefix: 'other' }])('notices %j', async (config) => {
    const { held } = await moved(config);
    expect(held.pushes).toHaveLength(1);
  });

  it('forgets what was proven of the old bucket, and what was told of that', async () => {
    const clock = new TestClock();
    const first = await gateway({ clock });
    await first.held.last.succeed();
    await settle();
    const path = join(first.stateDir, 'b2-backup', 'gateway.json');
    const { place } = JSON.parse(await readFile(path, 'utf8')) as { place: string };
    const at = new Date(clock.now().getTime() - DAY).toISOString();
    const failure = { at, code: 'B2_DAMAGED', message: 'one is damaged', retryable: false };
    const record = {
      ...recently(clock),
      place,
      told: ['unproven'],
      verify: { doneAt: at, triedAt: at, found: ['packs/a'], failure },
      drill: { doneAt: at, triedAt: at, failure },
    };
    const same = await gateway({ clock, record });
    expect(same.host.health).toEqual(['one is damaged']);
    const other = await gateway({ clock, record, config: { ...CONFIG, bucket: 'file:///another' } });
    const status = await other.host.call('b2-backup.status', { bucket: false });
    for (const known of ['verifyProblem', 'drillProblem', 'lastVerifyAt', 'lastDrillAt'])
      expect(status).not.toHaveProperty(known);
    await other.held.last.succeed();
    expect(other.host.health.at(-1)).toBe('ok');
    expect(other.host.events).toEqual([]);
  });

  it('says at once when it does not work', async () => {
    const { held, host } = await moved({ passphrase: 'wrong' });
    await held.last.fail(new BackupError('the key is refused', { code: 'B2_CREDENTIALS' }));
    await settle();
    expect(host.health.at(-1)).toBe('the key is refused');
    expect(host.events.map(({ text }) => text).join()).toContain('the first backup since then failed');
  });

  it('does nothing where nothing changed, and keeps no secret', async () => {
    const { held, record } = await moved({ schedule: '@weekly' });
    expect(held.pushes).toHaveLength(0);
    const text = JSON.stringify(record);
    expect(text).toContain('"place":"');
    expect(text).not.toContain(CONFIG.passphrase);
  });
});

describe('a configuration that does not work', () => {
  it.each([
    [{}, 'bucket, keyId and applicationKey: not set', 'B2_NOT_SET_UP'],
    [{ ...CONFIG, schedule: 'sometimes' }, 'schedule: '],
    [{ ...CONFIG, keepSnapshots: -1 }, 'keepSnapshots: '],
    [{ ...CONFIG, bucket: 's3://there' }, 'bucket: '],
    [
      { ...CONFIG, passphrase: { source: 'store', provider: 'p', id: 'x' } },
      'passphrase: OpenClaw could not resolve',
    ],
  ])('%j is told in the log, in health and in status', async (config, said, code = 'B2_CONFIG') => {
    const { host, held } = await gateway({ config });
    const told = host.lines.filter((line) => line.includes(said));
    expect(told).toHaveLength(1);
    expect(told[0]).toMatch(/^error b2-backup: nothing is backed up: configuration: /);
    expect(host.health).toEqual([expect.stringContaining(said)]);
    expect(await host.call('b2-backup.status')).toMatchObject({
      problem: { code, message: expect.stringContaining(said) },
    });
    await expect(host.call('b2-backup.list')).rejects.toMatchObject({ code });
    await host.fire('before_compaction');
    await host.fire('gateway_stop', { reason: 'gateway stopping' });
    expect(held.pushes).toHaveLength(0);
  });

  it('is told with all that is wrong with it, of the key and of the schedule', async () => {
    const config = { ...CONFIG, keyId: 7, schedule: 7, keepDaily: 'x', keepWeekly: -1, drill: 'yes' };
    const { host } = await gateway({ config });
    expect(host.health).toHaveLength(1);
    const said = /5 settings are wrong: .*keyId: .*schedule: .*keepDaily: .*keepWeekly: .*drill: /;
    expect(host.health[0]).toMatch(said);
  });

  it('never has a secret in what is told', async () => {
    const { host } = await gateway({ config: { ...CONFIG, passphrase: 'hunter2', schedule: 'x' } });
    expect(JSON.stringify([host.lines, host.health])).not.toContain('hunter2');
  });

  it('tells of a machine without a fitting addon, and lets the gateway run', async () => {
    const missing = new BackupError('install the package x', { code: 'B2_NATIVE_UNAVAILABLE' });
    const { host, held } = await gateway({ load: () => Promise.reject(missing) });
    expect(host.lines.at(-1)).toBe(
      'error b2-backup: nothing is backed up: install the package x (B2_NATIVE_UNAVAILABLE)',
    );
    expect(host.health).toEqual(['install the package x']);
    expect(held.pushes).toHaveLength(0);
  });

  it('warns of a setting that there is not', async () => {
    const { host } = await gateway({ config: { ...CONFIG, keepSnapshot: 3 } });
    expect(host.lines.join('\n')).toContain('keepSnapshot: there is no such setting');
  });
});

describe('before something is lost', () => {
  it('a compaction waits for the capture, not for the upload', async () => {
    const { host, held } = await quiet();
    let over = false;
    const hook = host.fire('before_compaction').then(() => {
      over = true;
    });
    await rest();
    expect(held.last.options).toMatchObject({ reason: 'compaction' });
    held.last.phase('capture');
    await rest();
    expect(over).toBe(false);
    held.last.phase('captured');
    await hook;
    await held.last.succeed();
  });

  it('a compaction soon after another has its snapshot already', async () => {
    const { host, held, clock } = await quiet();
    const compact = async (): Promise<void> => {
      const hook = host.fire('before_compaction');
      await rest();
      if (held.pushes.length > 0) await held.last.succeed();
      await hook;
    };
    await compact();
    await clock.advance(4 * MINUTE);
    await compact();
    expect(held.pushes).toHaveLength(1);
    await clock.advance(2 * MINUTE);
    await compact();
    expect(held.pushes).toHaveLength(2);
  });

  it('a compaction does not wait forever, nor fail, whatever happens', async () => {
    const { host, held, clock } = await quiet();
    const hook = host.fire('before_compaction');
    await clock.advance(26_000);
    await hook;
    await held.last.fail(new BackupError('full', { code: 'B2_DISK_FULL' }));
    expect(host.lines.at(-1)).toBe('error b2-backup: compaction push failed: full (B2_DISK_FULL)');
  });

  it('a reset is another reason', async () => {
    const { host, held } = await quiet();
    const hook = host.fire('before_reset');
    await rest();
    expect(held.last.options).toMatchObject({ reason: 'reset' });
    await held.last.succeed();
    await hook;
  });

  it('nothing happens where no service runs', async () => {
    const host = new FakeHost('/s', CONFIG);
    registerHooks(host.api);
    await host.fire('before_compaction');
    await host.fire('gateway_stop', {});
  });
});

describe('the stop', () => {
  it('pushes once more and waits for it', async () => {
    const { host, held } = await quiet();
    const hook = host.fire('gateway_stop', { reason: 'gateway stopping' });
    await settle();
    expect(held.last.options).toMatchObject({ reason: 'shutdown' });
    await held.last.succeed();
    await hook;
    expect(host.hooks.get('gateway_stop')?.timeoutMs).toBeGreaterThan(8_000);
  });

  it('is remembered as backed up, until the next start', async () => {
    const { host, held, clock, stateDir } = await quiet();
    const atRest = async (): Promise<unknown> =>
      (JSON.parse(await readFile(recordPath(stateDir), 'utf8')) as { atRest?: unknown }).atRest;
    const stop = host.fire('gateway_stop', { reason: 'gateway stopping' });
    await settle();
    await held.last.succeed();
    await stop;
    await host.service?.stop(host.context);
    expect(await atRest()).toBe(true);
    const next = new FakeHost(stateDir, CONFIG);
    const again = new HeldEngine();
    registerHooks(next.api);
    next.service = createService(next.api, { engine: again.engine(), clock });
    await next.service.start(next.context);
    await settle();
    expect(await atRest()).toBeUndefined();
    // A last push that fails is none.
    const failing = next.fire('gateway_stop', { reason: 'gateway stopping' });
    await settle();
    await again.last.fail(new BackupError('no network', { code: 'B2_NETWORK', retryable: true }));
    await failing;
    await next.service.stop(next.context);
    expect(await atRest()).toBeUndefined();
  });

  it('cuts a push off that takes too long, and the next start goes on with it', async () => {
    const { host, held, clock, stateDir } = await quiet();
    const hook = host.fire('gateway_stop', { reason: 'gateway restarting' });
    await settle();
    await clock.advance(8_000);
    await hook;
    await rest();
    expect(held.last.operation.signal?.aborted).toBe(true);
    expect(host.health).not.toContainEqual(expect.stringContaining('cancelled'));
    await host.service?.stop(host.context);
    const again = new HeldEngine();
    const next = new FakeHost(stateDir, CONFIG);
    next.service = createService(next.api, { engine: again.engine(), clock });
    onTestFinished(() => next.service?.stop(next.context));
    await next.service.start(next.context);
    await settle();
    expect(again.pushes).toHaveLength(1);
  });

  it('takes its time where another OpenClaw is in the place of the one that runs', async () => {
    const clock = new TestClock();
    const held = new HeldEngine();
    const host = new FakeHost(await temporaryState(), CONFIG);
    host.version = '2026.9.6';
    registerHooks(host.api);
    host.service = createService(host.api, { engine: held.engine(), clock, installed: () => '2026.9.7' });
    onTestFinished(() => host.service?.stop(host.context));
    await host.service.start(host.context);
    await settle();
    await held.last.succeed();
    const hook = host.fire('gateway_stop', { reason: 'gateway stopping' });
    await settle();
    await clock.advance(8_000);
    expect(held.last.operation.signal?.aborted).toBe(false);
    await clock.advance(42_000);
    await hook;
    expect(held.last.operation.signal?.aborted).toBe(true);
    expect(host.hooks.get('gateway_stop')?.timeoutMs).toBeGreaterThan(50_000);
  });

  it('is none when the plugin is only replaced', async () => {
    const { host, held } = await quiet();
    await host.fire('gateway_stop', { reason: 'plugin replacement' });
    expect(held.pushes).toHaveLength(0);
  });

  it('of the service aborts what runs, at once', async () => {
    const { host, held } = await gateway();
    expect(held.last.operation.signal?.aborted).toBe(false);
    void host.service?.stop(host.context);
    expect(held.last.operation.signal?.aborted).toBe(true);
    await expect(host.call('b2-backup.list')).rejects.toMatchObject({ code: 'B2_NOT_RUNNING' });
  });
});
