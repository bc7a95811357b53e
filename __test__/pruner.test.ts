import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { PruneOptions, PruneReport } from '../index.js';
import type { Engine } from '../ts/engine.ts';
import { BackupError } from '../ts/errors.ts';
import type { Operation } from '../ts/operation.ts';
import { registerHooks } from '../ts/plugin/hooks.ts';
import { registerRpc } from '../ts/plugin/rpc.ts';
import { createService } from '../ts/plugin/service.ts';
import { CONFIG, FakeHost, HeldEngine, PRUNED, rest, TestClock, temporaryState } from './plugin-support.ts';
import { PATIENT } from './support.ts';

const HOUR = 60 * 60_000;

/** A prune that the test brings to its end. */
interface HeldPrune {
  readonly options: PruneOptions;
  readonly operation: Operation;
  succeed(report?: Partial<PruneReport>): Promise<void>;
  fail(code: 'B2_PRUNE_STOPPED' | 'B2_LOCKED' | 'B2_NETWORK'): Promise<void>;
}

/** A gateway whose last prune was `since` milliseconds ago, and whose next push is due. */
async function gateway({ since, config = {} }: { since?: number; config?: object } = {}) {
  const stateDir = await temporaryState();
  const clock = new TestClock();
  if (since !== undefined) {
    const lastPruneAt = new Date(clock.now().getTime() - since).toISOString();
    await mkdir(join(stateDir, 'b2-backup'));
    await writeFile(
      join(stateDir, 'b2-backup', 'gateway.json'),
      JSON.stringify({ lastPruneAt, failures: 0, told: [] }),
    );
  }
  const prunes: HeldPrune[] = [];
  const prune: Engine['prune'] = (_settings, options, operation = {}) =>
    new Promise((resolve, reject) => {
      operation.signal?.addEventListener('abort', () => reject(operation.signal?.reason));
      prunes.push({
        options,
        operation,
        succeed: async (report) => {
          resolve({ ...PRUNED, ...report });
          await rest();
        },
        fail: async (code) => {
          reject(new BackupError(`because of ${code}`, { code }));
          await rest();
        },
      });
    });
  const held = new HeldEngine();
  const host = new FakeHost(stateDir, { ...CONFIG, ...config });
  registerHooks(host.api);
  registerRpc(host.api);
  host.service = createService(host.api, { engine: held.engine({ prune }), clock });
  onTestFinished(() => host.service?.stop(host.context));
  await host.service.start(host.context);
  for (let turn = 0; turn < 20; turn += 1) {
    await rest();
    await readFile(new URL(import.meta.url));
  }
  return { host, clock, held, prunes };
}

describe('pruning after pushes', () => {
  it('comes with the first push, with what is configured to be kept', async () => {
    const { held, prunes } = await gateway({ config: { keepSnapshots: 3, keepWeekly: 0 } });
    expect(prunes).toHaveLength(0);
    await held.last.succeed();
    expect(prunes.map(({ options }) => options)).toEqual([
      { keepSnapshots: 3, keepDaily: 7, keepWeekly: 0, keepUpdates: 5 },
    ]);
  });

  it('comes once a day', async () => {
    const { clock, held, prunes, host } = await gateway({ since: 23 * HOUR });
    await held.last.succeed();
    expect(prunes).toHaveLength(0);
    await clock.advance(12 * HOUR + 60_000);
    await held.last.succeed();
    await prunes[0]?.succeed({ deletedSnapshots: 2, freedBytes: 5_000_000, warnings: ['the key may not'] });
    expect(host.lines.join('\n')).toMatch(/2 old snapshots deleted; 5\.0 MB freed/);
    expect(host.lines.join('\n')).toMatch(/warn b2-backup: the key may not/);
    const compaction = host.fire('before_compaction');
    await rest();
    await held.last.succeed();
    await compaction;
    expect(prunes).toHaveLength(1);
  });

  it('comes more often where there are too many, also after compactions', async () => {
    const { clock, held, prunes, host } = await gateway({ since: 59 * 60_000 });
    await held.last.succeed({ snapshots: 27 });
    expect(prunes).toHaveLength(0);
    await clock.advance(60_000);
    const compaction = host.fire('before_compaction');
    await rest();
    held.last.phase('captured');
    await compaction;
    expect(prunes, 'the hook is over before').toHaveLength(0);
    await held.last.succeed({ snapshots: 27 });
    expect(prunes).toHaveLength(1);
  });

  it('makes way for a push, and is made up after it', async () => {
    const { held, prunes, host } = await gateway();
    await held.last.succeed();
    const compaction = host.fire('before_compaction');
    await rest();
    expect(prunes[0]?.operation.signal?.aborted).toBe(true);
    expect(held.pushes).toHaveLength(2);
    held.last.phase('captured');
    await compaction;
    await held.last.succeed();
    expect(prunes).toHaveLength(2);
    expect(await host.call('b2-backup.status')).not.toHaveProperty('lastPruneAt');
    await prunes[1]?.succeed();
    expect(await host.call('b2-backup.status')).toMatchObject({ lastPruneAt: '2026-11-23T12:00:00.000Z' });
  });

  it('never comes with the stop of the gateway', async () => {
    const { held, prunes, host } = await gateway({ since: 23 * HOUR });
    await held.last.succeed();
    const stop = host.fire('gateway_stop', { reason: 'shutdown' });
    await vi.waitFor(() => expect(held.last.options).toMatchObject({ reason: 'shutdown' }), PATIENT);
    await held.last.succeed({ snapshots: 99 });
    await stop;
    expect(prunes).toHaveLength(0);
  });

  it('is cut off when the gateway stops', async () => {
    const { held, prunes, host } = await gateway();
    await held.last.succeed();
    const stop = host.fire('gateway_stop', { reason: 'shutdown' });
    await vi.waitFor(() => expect(held.pushes).toHaveLength(2), PATIENT);
    expect(prunes[0]?.operation.signal?.aborted).toBe(true);
    await held.last.succeed();
    await stop;
    expect(prunes).toHaveLength(1);
  });

  it('frees space when the account is full, and nothing can be pushed', async () => {
    const { held, prunes } = await gateway({ since: 2 * HOUR });
    await held.last.fail(new BackupError('Storage cap exceeded', { code: 'B2_CAP_EXCEEDED' }));
    expect(prunes).toHaveLength(1);
  });

  it('does not come after another failure', async () => {
    const { held, prunes } = await gateway();
    await held.last.fail(new BackupError('gone', { code: 'B2_NETWORK' }));
    expect(prunes).toHaveLength(0);
  });

  it('fails without making backups fail, and says so until it works again', async () => {
    const { clock, held, prunes, host } = await gateway();
    await held.last.succeed();
    await prunes[0]?.fail('B2_PRUNE_STOPPED');
    expect(host.lines.at(-1)).toMatch(/^warn .*old snapshots stay: because of B2_PRUNE_STOPPED/);
    expect(await host.call('b2-backup.status')).toMatchObject({
      failures: 0,
      pruneProblem: { code: 'B2_PRUNE_STOPPED', message: 'because of B2_PRUNE_STOPPED' },
    });
    await clock.advance(12 * HOUR + 60_000);
    await held.last.succeed({ snapshots: 40 });
    expect(await host.call('b2-backup.status')).toHaveProperty('pruneProblem');
    await prunes[1]?.succeed();
    expect(await host.call('b2-backup.status')).not.toHaveProperty('pruneProblem');
    expect(host.health).not.toContain('because of B2_PRUNE_STOPPED');
  });

  it('leaves it to the next push when another process works on the state', async () => {
    const { held, prunes, host } = await gateway();
    await held.last.succeed();
    await prunes[0]?.fail('B2_LOCKED');
    expect(host.lines.join('\n')).not.toMatch(/old snapshots stay/);
    const reset = host.fire('before_reset');
    await rest();
    await held.last.succeed();
    await reset;
    expect(prunes).toHaveLength(2);
  });
});
