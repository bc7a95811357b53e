import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Arrival, AutoRestoreReport, RollbackReport } from '../index.js';
import { BackupError } from '../ts/errors.ts';
import { registerHooks } from '../ts/plugin/hooks.ts';
import { createService } from '../ts/plugin/service.ts';
import { setGatewayRuns } from '../ts/plugin/shared.ts';
import { CONFIG, FakeHost, HeldEngine, NOT_NEW, rest, TestClock, temporaryState } from './plugin-support.ts';
import { PATIENT } from './support.ts';

const ID = '2026-11-20T12-00-00Z-aaaaaaaa';

const ARRIVAL: Arrival = {
  byItself: true,
  madeAt: '2026-11-20T12:00:00.000Z',
  from: '/home/ada/.openclaw',
  machineName: 'anna-laptop',
  files: 1_234,
  withSecrets: false,
  logins: ['model provider anthropic:default', 'channel whatsapp'],
  notes: ['/data/work is in the snapshot, but not configured now'],
  runs: ['MCP server files', 'hooks/greet', 'workspace/skills/mine'],
};

const STAGED: AutoRestoreReport = { ...NOT_NEW, outcome: 'staged', id: '1', snapshot: ID, arrival: ARRIVAL };

const RECOVERED: RollbackReport = {
  outcome: 'applied',
  id: '1',
  snapshot: ID,
  downloadedBytes: 0,
  requests: 0,
  failed: [],
  late: ['state/openclaw.sqlite'],
  left: [],
  warnings: [],
  durationMs: 1,
  arrival: ARRIVAL,
};

const started: FakeHost[] = [];
afterEach(async () => {
  for (const host of started.splice(0)) await host.service?.stop(host.context);
  setGatewayRuns(false);
});

interface Parts {
  readonly state?: string;
  readonly config?: object;
  readonly autoRestore?: () => Promise<AutoRestoreReport>;
  readonly recover?: () => Promise<RollbackReport>;
  /** Whether the service's start is waited for. */
  readonly wait?: boolean;
}

async function gateway({ state, config, autoRestore, recover, wait = true }: Parts = {}) {
  const stateDir = state ?? (await temporaryState());
  const host = new FakeHost(stateDir, { ...CONFIG, timezone: 'UTC', ...config });
  const clock = new TestClock();
  const held = new HeldEngine();
  const restart = vi.fn();
  // What is ready already is not made ready again.
  let staged = false;
  const once = async (): Promise<AutoRestoreReport> => {
    const report = await (autoRestore ?? (async () => NOT_NEW))();
    const again = staged && report.outcome === 'staged';
    staged ||= report.outcome === 'staged';
    return again ? { ...NOT_NEW, outcome: 'waiting' } : report;
  };
  const engine = {
    autoRestore: vi.fn(once),
    recoverRollback: vi.fn(recover ?? (async () => RECOVERED)),
  };
  registerHooks(host.api);
  host.service = createService(host.api, { engine: held.engine(engine), clock, restart });
  started.push(host);
  const ready = Promise.resolve(host.service.start(host.context));
  if (wait) await ready;
  await rest();
  return { host, clock, held, restart, engine, state: stateDir, ready };
}

const text = (host: FakeHost): string => host.events.map((event) => event.text).join('\n');

describe('a machine that was backed up before', () => {
  it('is known by a file, and costs no process', async () => {
    const state = await temporaryState();
    await mkdir(join(state, 'b2-backup'));
    await writeFile(join(state, 'b2-backup', 'machine'), 'aaaaaaaa');
    const { engine, held } = await gateway({ state });
    expect(engine.autoRestore).not.toHaveBeenCalled();
    expect(held.pushes).toHaveLength(1);
  });

  it('is asked about once', async () => {
    const { engine, held, host } = await gateway();
    await held.last.succeed();
    void host.fire('before_reset');
    await rest();
    expect(held.pushes).toHaveLength(2);
    expect(engine.autoRestore).toHaveBeenCalledTimes(1);
    expect(host.events).toEqual([]);
  });
});

describe('a new machine', () => {
  it('restarts for what it is given, pushes nothing before, and tells after it', async () => {
    const first = await gateway({ autoRestore: async () => STAGED });
    expect(first.restart).toHaveBeenCalledTimes(1);
    expect(first.held.pushes).toEqual([]);
    // Nobody is told yet: an agent that wakes would use the machine.
    expect(first.host.events).toEqual([]);
    expect(first.host.lines).toContain(
      `info b2-backup: This machine is new. I restore what anna-laptop (aaaaaaaa) had: ${ID}, ` +
        'made 2026-11-20 12:00 (3 days ago) (the state was in /home/ada/.openclaw). OpenClaw restarts for that in a moment.',
    );
    await mkdir(join(first.state, 'b2-backup', 'restore', '1'), { recursive: true });
    await first.host.fire('gateway_stop', { reason: 'gateway restarting' });
    expect(first.engine.recoverRollback).toHaveBeenCalledWith(expect.anything(), true);
    await first.host.service?.stop(first.host.context);

    const recover = async () => ({ ...RECOVERED, outcome: 'nothing' });
    const { host, held, restart } = await gateway({ state: first.state, recover });
    expect(restart).not.toHaveBeenCalled();
    expect(held.pushes).toHaveLength(1);
    expect(host.events).toHaveLength(1);
    const told = text(host);
    expect(told).toContain(
      `now has what anna-laptop (aaaaaaaa) had: 1,234 files from ${ID}, made 2026-11-20 12:00 (3 days ago)`,
    );
    expect(told).toContain('model provider anthropic:default, channel whatsapp. Log in again');
    expect(told).toContain('/data/work is in the snapshot');
    expect(told).toContain('If the old machine still runs, turn it off');
    // The gateway writes to its own database all the time.
    expect(told).not.toContain('openclaw.sqlite');
    expect(host.lines.join('\n')).toContain(told.split('\n')[0]);
  });

  it('is told when it was cut off, and finished at the next start', async () => {
    const state = await temporaryState();
    await mkdir(join(state, 'b2-backup', 'restore', '1'), { recursive: true });
    const first = await gateway({ state });
    expect(first.restart).toHaveBeenCalledTimes(1);
    await first.host.service?.stop(first.host.context);
    const second = await gateway({ state, recover: async () => ({ ...RECOVERED, outcome: 'nothing' }) });
    expect(text(second.host)).toContain('This new machine now has');
  });

  it('that got its logins, too, says so', async () => {
    const state = await temporaryState();
    await mkdir(join(state, 'b2-backup', 'restore', '1'), { recursive: true });
    const arrival = { ...ARRIVAL, withSecrets: true };
    await (await gateway({ state, recover: async () => ({ ...RECOVERED, arrival }) })).host.service?.stop(
      started[0]?.context as never,
    );
    const { host } = await gateway({ state, recover: async () => ({ ...RECOVERED, outcome: 'nothing' }) });
    expect(text(host)).toContain('Logins came with it.');
    expect(text(host)).not.toContain('Log in again');
  });

  it.each(['given-up', 'rolled-back'])(
    'that was not given it (%s) says so, and is backed up',
    async (outcome) => {
      const state = await temporaryState();
      await mkdir(join(state, 'b2-backup', 'restore', '1'), { recursive: true });
      const recover = async () => ({ ...RECOVERED, outcome, problem: 'for a reason' });
      const first = await gateway({ state, recover });
      await first.host.service?.stop(first.host.context);
      const second = await gateway({ state, recover: async () => ({ ...RECOVERED, outcome: 'nothing' }) });
      const told = text(first.host) + text(second.host);
      expect(told).toContain('for a reason');
      expect(told).toContain('openclaw b2-backup restore');
      // What touched nothing needs no restart.
      expect(first.restart).toHaveBeenCalledTimes(outcome === 'given-up' ? 0 : 1);
      expect(second.held.pushes).toHaveLength(1);
    },
  );

  it('that was given half of it says so, and nothing else', async () => {
    const first = await gateway({ autoRestore: async () => STAGED });
    await mkdir(join(first.state, 'b2-backup', 'restore', '1'), { recursive: true });
    await first.host.service?.stop(first.host.context);
    const recover = () => Promise.reject(new BackupError('no space', { code: 'B2_DISK_FULL' }));
    const { host } = await gateway({ state: first.state, autoRestore: async () => STAGED, recover });
    expect(text(host)).toMatch(
      /^The rollback to the backup of .+ was only half finished\..*no space.*--resume/s,
    );
    expect(text(host)).not.toContain('as it was before');
  });

  it('is left alone where the user wants that', async () => {
    const { engine, held } = await gateway({
      config: { autoRestore: false },
      autoRestore: async () => STAGED,
    });
    expect(engine.autoRestore).not.toHaveBeenCalled();
    expect(held.pushes).toHaveLength(1);
  });

  it.each([
    [{ outcome: 'used', used: 'workspace/MEMORY.md' }, 'content of its own (workspace/MEMORY.md)'],
    [{ outcome: 'no-snapshot', warnings: ['of the original plugin'] }, 'of the original plugin'],
    [{ outcome: 'failed' }, ''],
  ])('with %j begins as any other', async (parts, line) => {
    const { host, held, restart } = await gateway({ autoRestore: async () => ({ ...NOT_NEW, ...parts }) });
    expect(held.pushes).toHaveLength(1);
    expect(restart).not.toHaveBeenCalled();
    expect(host.events).toEqual([]);
    expect(host.lines.join('\n')).toContain(line);
  });

  it('whose key opens nothing says what to do, and is backed up', async () => {
    const error = new BackupError('no key slot opens', { code: 'B2_WRONG_KEY' });
    const { host, held, engine } = await gateway({ autoRestore: () => Promise.reject(error) });
    expect(held.pushes).toHaveLength(1);
    const told = text(host);
    for (const part of ['no key slot opens', 'passphrase', 'application key', 'b2-backup restore SNAPSHOT']) {
      expect(told).toContain(part);
    }
    await held.last.succeed();
    void host.fire('before_reset');
    await rest();
    expect(engine.autoRestore).toHaveBeenCalledTimes(1);
  });

  it('without a connection pushes nothing, says so once, and tries again', async () => {
    const error = new BackupError('no route', { code: 'B2_NETWORK', retryable: true });
    let answer: () => Promise<AutoRestoreReport> = () => Promise.reject(error);
    const { host, held, engine, clock } = await gateway({ autoRestore: () => answer() });
    expect(held.pushes).toEqual([]);
    await clock.advance(5 * 60_000);
    await clock.advance(15 * 60_000);
    expect(engine.autoRestore.mock.calls.length).toBeGreaterThanOrEqual(3);
    expect(held.pushes).toEqual([]);
    expect(
      host.events.filter((event) => event.text.includes('no route') && event.text.includes('autoRestore')),
    ).toHaveLength(1);
    // That must not be the agent who passes the news on.
    const heartbeat = host.api.runtime?.system?.requestHeartbeat;
    expect(heartbeat).not.toHaveBeenCalled();
    // As soon as somebody works here, there is something to lose.
    answer = async () => ({ ...NOT_NEW, outcome: 'used', used: 'workspace/MEMORY.md' });
    void host.fire('before_reset');
    await rest();
    expect(held.pushes).toHaveLength(1);
  });

  it('does not begin with it in a stop', async () => {
    const error = new BackupError('no route', { code: 'B2_NETWORK', retryable: true });
    const { host, held, engine } = await gateway({ autoRestore: () => Promise.reject(error) });
    const asked = engine.autoRestore.mock.calls.length;
    await host.fire('gateway_stop', { reason: 'gateway stopping' });
    expect(engine.autoRestore).toHaveBeenCalledTimes(asked);
    expect(held.pushes).toEqual([]);
  });

  it('keeps the gateway waiting for a minute at most', async () => {
    let finish = (_report: AutoRestoreReport): void => {};
    const arriving = new Promise<AutoRestoreReport>((resolve) => {
      finish = resolve;
    });
    const made = await gateway({ autoRestore: () => arriving, wait: false });
    await vi.waitFor(() => expect(made.engine.autoRestore).toHaveBeenCalledTimes(1), PATIENT);
    let ready = false;
    void made.ready.then(() => {
      ready = true;
    });
    await made.clock.advance(59_000);
    expect(ready).toBe(false);
    await made.clock.advance(2_000);
    await vi.waitFor(() => expect(ready).toBe(true), PATIENT);
    expect(made.held.pushes).toEqual([]);
    finish(STAGED);
    await vi.waitFor(() => expect(made.restart).toHaveBeenCalledTimes(1), PATIENT);
    expect(made.engine.autoRestore).toHaveBeenCalledTimes(1);
  });

  it('does not keep a reload waiting', async () => {
    const first = await gateway();
    await first.host.fire('gateway_start');
    await first.host.service?.stop(first.host.context);
    await first.host.fire('gateway_stop', { reason: 'plugin replacement' });
    const second = await gateway({ autoRestore: () => new Promise(() => {}) });
    expect(second.engine.autoRestore).toHaveBeenCalledTimes(1);
    expect(second.held.pushes).toEqual([]);
  });

  it('is given nothing by a gateway that stops meanwhile', async () => {
    const signals: (AbortSignal | undefined)[] = [];
    const state = await temporaryState();
    const host = new FakeHost(state, CONFIG);
    const engine = {
      autoRestore: (_settings: unknown, { signal }: { signal?: AbortSignal }) => {
        signals.push(signal);
        return new Promise<AutoRestoreReport>((_resolve, reject) => {
          signal?.addEventListener('abort', () => reject(new BackupError('cut', { code: 'B2_CANCELLED' })));
        });
      },
    };
    const held = new HeldEngine();
    host.service = createService(host.api, {
      engine: held.engine(engine as never),
      clock: new TestClock(),
      restart: vi.fn(),
    });
    const ready = Promise.resolve(host.service.start(host.context));
    await vi.waitFor(() => expect(signals).toHaveLength(1), PATIENT);
    await host.service.stop(host.context);
    await ready;
    expect(signals[0]?.aborted).toBe(true);
    expect(held.pushes).toEqual([]);
    expect(host.events).toEqual([]);
  });
});
