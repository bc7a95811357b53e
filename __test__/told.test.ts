/** What the user, the log and the host's health hear of pushes. */
import { describe, expect, it } from 'vitest';
import { BackupError } from '../ts/errors.ts';
import { formatStatus } from '../ts/plugin/format.ts';
import { theBackup } from '../ts/plugin/rpc.ts';
import { TestClock } from './plugin-support.ts';
import { DAY, gateway, HOUR, MINUTE, recently } from './service-support.ts';

const UNREAD = {
  path: 'workspace/a',
  code: 'B2_SKIPPED_UNREADABLE',
  message: 'no permission',
  failure: false,
  missing: true,
};

describe('the user is told', () => {
  const broken = new BackupError('the server does not answer', { code: 'B2_NETWORK', retryable: true });

  it('in health, until it works again', async () => {
    const { host, held } = await gateway();
    await held.last.fail(broken);
    expect(host.health).toEqual(['the server does not answer']);
    expect(await host.call('b2-backup.status', { bucket: false })).toMatchObject({
      failures: 1,
      lastFailure: { code: 'B2_NETWORK' },
    });
  });

  it('in words that are no commands to a terminal, and no lines of their own', async () => {
    const { host, held, clock } = await gateway();
    const evil = 'a\u001b[2J\nb2-backup: all is well\u202e';
    await held.last.succeed({
      skipped: [{ path: evil, code: 'B2_PERMISSION', message: evil, failure: false, missing: true }],
      warnings: [evil],
    });
    for (let failed = 0; failed < 3; failed += 1) {
      await clock.advance(13 * HOUR);
      await held.last.fail(new BackupError(evil, { code: 'B2_NETWORK', retryable: true }));
    }
    const told = [...host.lines, ...host.health];
    expect(told.filter((line) => line.includes('all is well')).length).toBeGreaterThan(4);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    for (const line of told) expect(line).not.toMatch(/[\x00-\x1f\x7f-\x9f\u202e]/);
    expect(host.events.length).toBeGreaterThan(0);
    const load = () => Promise.reject(new BackupError(evil, { code: 'B2_NATIVE_UNAVAILABLE' }));
    const rpc = await gateway({ load });
    const refused = (await rpc.host.call('b2-backup.list').catch((error: unknown) => error)) as Error;
    expect(refused.message).toContain('all is well');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    expect(refused.message).not.toMatch(/[\x00-\x1f\x7f-\x9f\u202e]/);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    for (const { text } of host.events) expect(text).not.toMatch(/[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]/);
  });

  it('in the session after three failures in a row, once, and when it works again', async () => {
    const { host, held, clock } = await gateway();
    for (const wait of [6 * MINUTE, 16 * MINUTE, 61 * MINUTE, 61 * MINUTE]) {
      await held.last.fail(broken);
      const count = held.pushes.length;
      await clock.advance(wait);
      expect(held.pushes.length).toBe(count + 1);
    }
    expect(host.events).toEqual([
      {
        sessionKey: 'agent:main:main',
        text: expect.stringMatching(/^Backups to B2 have failed 3 times in a row\. .*does not answer/),
      },
    ]);
    await held.last.succeed();
    expect(host.health.at(-1)).toBe('ok');
    expect(host.events.at(-1)?.text).toBe('Backups to B2 work again.');
  });

  it('of failures that time does not heal only when the schedule has tried again', async () => {
    const { held, clock } = await gateway();
    await held.last.fail(new BackupError('wrong key', { code: 'B2_CREDENTIALS' }));
    await clock.advance(11 * HOUR);
    expect(held.pushes).toHaveLength(1);
    await clock.advance(2 * HOUR);
    expect(held.pushes).toHaveLength(2);
  });

  it('when nothing was backed up for twice the schedule', async () => {
    const { host, clock } = await gateway();
    // The first push hangs.
    await clock.advance(MINUTE);
    expect(host.events).toEqual([]);
    await clock.advance(2 * DAY + MINUTE);
    expect(host.events).toEqual([
      { sessionKey: 'agent:main:main', text: 'Nothing has been backed up yet; the schedule is "daily".' },
    ]);
  });

  it('not before a gateway that was off, or whose machine slept, had time to make up for it', async () => {
    const clock = new TestClock();
    const { host, held } = await gateway({ clock, record: recently(clock, 7 * DAY) });
    await clock.advance(50 * MINUTE);
    expect(host.events).toEqual([]);
    await held.last.succeed();
    clock.sleep(7 * DAY);
    await clock.advance(50 * MINUTE);
    expect(held.pushes).toHaveLength(2);
    expect(host.events).toEqual([]);
    // That one hangs.
    await clock.advance(12 * MINUTE);
    expect(host.events.map(({ text }) => text)).toEqual([
      expect.stringMatching(/^Nothing has been backed up since 2026-11-23T12:50/),
    ]);
  });

  it('in one line of the log for each push, and by name of what was left out', async () => {
    const { host, held } = await gateway();
    await held.last.succeed({
      skipped: [UNREAD],
    });
    const lines = host.lines.filter((line) => line.includes('push'));
    expect(lines).toHaveLength(1);
    expect(host.lines.join('\n')).toContain('not backed up: "workspace/a": no permission');
  });

  describe('when the backups lack what they must have', () => {
    const LOCKED = {
      path: 'state/openclaw.sqlite',
      code: 'B2_SKIPPED_HOST_DATABASE',
      message: 'is locked',
      failure: true,
      missing: true,
    };
    const said =
      'The backups to B2 are incomplete. state/openclaw.sqlite: is locked (B2_SKIPPED_HOST_DATABASE). All else is backed up.';

    it('in health and to the user, once, until a push has all of it', async () => {
      const { host, held, clock } = await gateway();
      await held.last.succeed({ incomplete: true, skipped: [LOCKED, UNREAD] });
      expect(host.health).toEqual([said]);
      expect(host.events.map(({ text }) => text)).toEqual([said]);
      const status = await theBackup().status({ bucket: false });
      expect(status).toMatchObject({ failures: 0, remarks: [LOCKED, UNREAD] });
      expect(formatStatus(status, { now: clock.now() })).toContain(
        'The newest snapshot is incomplete: it lacks state/openclaw.sqlite, workspace/a\n' +
          '  state/openclaw.sqlite: is locked (B2_SKIPPED_HOST_DATABASE)',
      );

      // A push that finds nothing new clears nothing.
      await clock.advance(DAY);
      await held.last.succeed({ changed: false, incomplete: true, skipped: [LOCKED, UNREAD] });
      expect(host.health).toEqual([said, said]);
      expect(host.events).toHaveLength(1);

      await clock.advance(DAY);
      await held.last.succeed({ incomplete: true, skipped: [UNREAD] });
      expect(host.health.at(-1)).toBe('ok');
      expect(host.events.at(-1)?.text).toBe('Backups are complete again.');
      await clock.advance(DAY);
      await held.last.succeed();
      expect(host.events).toHaveLength(2);
      expect(await theBackup().status({ bucket: false })).not.toHaveProperty('remarks');
    });

    it('once, also where there are more of them than are remembered', async () => {
      const { host, held, clock } = await gateway();
      const many = Array.from({ length: 25 }, (_, at) => ({ ...LOCKED, path: `${at}.sqlite` }));
      for (let day = 0; day < 3; day += 1) {
        await held.last.succeed({ incomplete: true, skipped: many });
        await clock.advance(DAY);
      }
      expect(held.pushes).toHaveLength(4);
      expect(host.events).toHaveLength(1);
      await held.last.succeed({ incomplete: true, skipped: [LOCKED, ...many] });
      expect(host.events.map(({ text }) => text).at(-1)).toContain('state/openclaw.sqlite: is locked');
    });

    it('also after a restart of the gateway', async () => {
      const clock = new TestClock();
      const { host } = await gateway({ clock, record: { ...recently(clock, 1), remarks: [LOCKED] } });
      expect(host.health).toEqual([said]);
    });
  });
});
