/** What the page in the Control UI lets people do. Who may call which method is the host's to check. */
import { readFileSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import type { ShownPlan, ShownView } from '../ts/control-ui/protocol.ts';
import { BackupError } from '../ts/errors.ts';
import type { Health } from '../ts/plugin/page/health.ts';
import { currentBackup, removeBackup } from '../ts/plugin/shared.ts';
import { rest } from './plugin-support.ts';
import { ASKED, BACKUP, DONE, entry, gateway, HASH, ID, PLAN, SNAPSHOT, staged } from './rollback-support.ts';
import { quiet, settle } from './service-support.ts';

const ADA = { connId: 'ada' };
const EVE = { connId: 'eve' };
const FILE = { snapshot: ID, paths: ['workspace/MEMORY.md'] };
const changedPlan = expect.objectContaining({ code: 'B2_PLAN_CHANGED' });

describe('a rollback from the page', () => {
  it('is shown, and done when that is confirmed', async () => {
    const { host, engine } = await gateway();
    const shown = (await host.call('b2-backup.preview', FILE, ADA)) as ShownPlan;
    expect(shown).toMatchObject({ plan: HASH, snapshot: ID, changes: true, security: '', restarts: false });
    expect(shown.text).toContain('Becomes as it was (1 path):\n  workspace/MEMORY.md (100 B)');
    expect(engine.rollBack).not.toHaveBeenCalled();
    const done = await host.call('b2-backup.confirm', { plan: HASH }, ADA);
    expect(done).toMatchObject({ outcome: 'applied', restarts: false });
    expect(done).toMatchObject({ text: expect.stringContaining(`Rolled back to ${BACKUP}.`) });
    expect(engine.rollBack).toHaveBeenCalledWith(expect.anything(), FILE, HASH, expect.anything());
    // Once.
    await expect(host.call('b2-backup.confirm', { plan: HASH }, ADA)).rejects.toEqual(changedPlan);
    expect(engine.rollBack).toHaveBeenCalledOnce();
  });

  it('undoes the last one in the same way', async () => {
    const { host, engine, clock, restart } = await gateway({ report: { outcome: 'waiting' } });
    await host.call('b2-backup.preview', { undo: true, snapshot: 'ignored' }, ADA);
    expect(engine.planRollback).toHaveBeenCalledWith(expect.anything(), { undo: true }, expect.anything());
    const done = await host.call('b2-backup.confirm', { plan: HASH }, ADA);
    expect(done).toMatchObject({ outcome: 'waiting', restarts: true });
    expect(restart).not.toHaveBeenCalled();
    await clock.advance(2_000);
    expect(restart).toHaveBeenCalledOnce();
  });

  it('tells apart what would run, be allowed or become another secret', async () => {
    const { host } = await gateway(ASKED);
    const { security, text } = (await host.call('b2-backup.preview', FILE, ADA)) as ShownPlan;
    expect(security.split('\n').slice(0, 4)).toEqual([
      'What runs:',
      '  hook: evil comes',
      'What is allowed:',
      '  exec policy: deny becomes full',
    ]);
    expect(text).not.toContain('evil');
  });

  it('says that there is nothing to do, and shows no name that reads as another', async () => {
    const { host } = await gateway({ plan: { entries: [entry('a\u202eb', { action: 'keep-live' })] } });
    const shown = (await host.call('b2-backup.preview', FILE, ADA)) as ShownPlan;
    expect(shown.changes).toBe(false);
    expect(shown.text).toContain('a\\u202eb');
  });

  it('is confirmed by the number of its plan, too', async () => {
    const { host, engine } = await gateway();
    await host.call('b2-backup.preview', FILE, ADA);
    await host.call('b2-backup.confirm', { plan: HASH.slice(0, 8) }, ADA);
    expect(engine.rollBack).toHaveBeenCalledExactlyOnceWith(
      expect.anything(),
      expect.anything(),
      HASH,
      expect.anything(),
    );
  });

  it.each([
    ['half a number', HASH.slice(0, 4)],
    ['another hash', 'cd'.repeat(32)],
    ['none', undefined],
    ['something else', [HASH]],
  ])('does nothing for %s', async (_what, plan) => {
    const { host, engine } = await gateway();
    await host.call('b2-backup.preview', FILE, ADA);
    await expect(host.call('b2-backup.confirm', { plan }, ADA)).rejects.toEqual(changedPlan);
    expect(engine.rollBack).not.toHaveBeenCalled();
  });

  it('does nothing that somebody else was shown', async () => {
    const { host, engine, run, type } = await gateway();
    await host.call('b2-backup.preview', FILE, ADA);
    await run({ action: 'preview', snapshot: ID });
    await expect(host.call('b2-backup.confirm', { plan: HASH }, EVE)).rejects.toEqual(changedPlan);
    // Nor is what the page showed a plan for a chat.
    expect(await type('confirm abababab')).toContain('(B2_PLAN_CHANGED)');
    expect(engine.rollBack).not.toHaveBeenCalled();
  });

  it('says when the state has changed since, and can be looked at again', async () => {
    const changed = Object.assign(new Error('the plan is another one now'), { code: 'B2_PLAN_CHANGED' });
    const rollBack = vi.fn(async () => {
      throw changed;
    });
    const { host } = await gateway({ rollBack });
    await host.call('b2-backup.preview', FILE, ADA);
    await expect(host.call('b2-backup.confirm', { plan: HASH }, ADA)).rejects.toMatchObject({
      code: 'B2_PLAN_CHANGED',
      message: 'the plan is another one now',
    });
    expect(rollBack).toHaveBeenCalledOnce();
    expect(await host.call('b2-backup.preview', FILE, ADA)).toMatchObject({ plan: HASH });
  });

  it('forgets the older of many plans', async () => {
    let made = 0;
    const planRollback = async () => {
      made += 1;
      return { ...PLAN, hash: made.toString(16).padStart(64, '0') };
    };
    const { host, engine } = await gateway({ planRollback });
    for (let times = 0; times < 21; times += 1) await host.call('b2-backup.preview', FILE, ADA);
    const hash = (number: number) => number.toString(16).padStart(64, '0');
    await expect(host.call('b2-backup.confirm', { plan: hash(1) }, ADA)).rejects.toEqual(changedPlan);
    expect(engine.rollBack).not.toHaveBeenCalled();
    await host.call('b2-backup.confirm', { plan: hash(21) }, ADA);
    expect(engine.rollBack).toHaveBeenCalledOnce();
  });

  it.each([
    ['nobody', undefined],
    ['no connection', {}],
    ['the tool of an agent', { connId: 'ada', internal: { agentToolCaller: {} } }],
    ['the run of an agent', { connId: 'ada', internal: { agentRuntimeIdentity: {} } }],
    ['a plugin', { connId: 'ada', internal: { syntheticClient: true } }],
  ])('is nothing for %s', async (_who, client) => {
    const { host, engine } = await gateway();
    await host.call('b2-backup.preview', FILE, ADA);
    for (const [method, params] of [
      ['preview', FILE],
      ['confirm', { plan: HASH }],
    ] as const) {
      await expect(host.call(`b2-backup.${method}`, params, client)).rejects.toMatchObject({
        code: 'B2_NOT_APPROVED',
      });
    }
    expect(engine.planRollback).toHaveBeenCalledOnce();
    expect(engine.rollBack).not.toHaveBeenCalled();
  });

  it.each([
    {},
    { snapshot: '' },
    { snapshot: 5 },
    { snapshot: ID, paths: [] },
    { snapshot: ID, paths: 'workspace' },
    { snapshot: ID, paths: [''] },
    { snapshot: ID, paths: [{}] },
    { undo: 'yes' },
  ])('needs to be asked for as it should be: not as %j', async (params) => {
    const { host, engine } = await gateway();
    await expect(host.call('b2-backup.preview', params, ADA)).rejects.toMatchObject({ code: 'B2_USAGE' });
    expect(engine.planRollback).not.toHaveBeenCalled();
  });
});

const status = async () => ({
  provenAt: undefined,
  remarks: [],
  warnings: [],
  machines: [],
  opensWith: [],
});

describe('what the page shows', () => {
  const shown = async (snapshots: readonly object[], search?: string) => {
    const { host } = await gateway({
      list: vi.fn(async () => ({ snapshots, warnings: [] })) as never,
      status: vi.fn(status) as never,
    });
    return (await host.call('b2-backup.page', { search })) as ShownView;
  };

  it('is what the frame shows, at the address that was asked for', async () => {
    const { markup, undo } = await shown([SNAPSHOT]);
    expect(markup).toContain(`<a href="?snapshot=${ID}">`);
    expect(undo).toBe(false);
    const { markup: one } = await shown([SNAPSHOT], `?snapshot=${ID}`);
    expect(one).toContain(`data-restore="${ID}"`);
    for (const odd of [5, {}, null]) expect((await shown([SNAPSHOT], odd as never)).markup).toContain('<h1>');
  });

  it('says whether a rollback of this machine can be undone', async () => {
    const safety = { ...SNAPSHOT, id: `safety-${ID}`, kind: 'safety' };
    expect((await shown([SNAPSHOT, safety])).undo).toBe(true);
    expect((await shown([{ ...safety, thisMachine: false }])).undo).toBe(false);
  });
});

describe('what a dashboard may show', () => {
  const { dashboard } = JSON.parse(
    readFileSync(new URL('../openclaw.plugin.json', import.meta.url), 'utf8'),
  ) as { dashboard: Record<'dataBindings' | 'actionVerbs', { id: string; method: string }[]> };

  it('is the verdict of the page, and when backups come', async () => {
    const { host, clock } = await gateway({
      list: vi.fn(async () => ({ snapshots: [SNAPSHOT], warnings: [] })) as never,
      status: vi.fn(status) as never,
    });
    await clock.advance(1);
    const health = (await host.call('b2-backup.health', {})) as Health;
    const { markup } = (await host.call('b2-backup.page', {})) as ShownView;
    expect(markup).toContain(health.title);
    expect(health.next).toMatch(/^tomorrow, 00:00$/);
    expect(JSON.stringify(health).length).toBeLessThan(1_000);
  });

  it('reads what who may read sees, and starts what who may write starts, but rolls nothing back', async () => {
    const { host } = await gateway();
    const scopes = (all: readonly { method: string }[]) => all.map(({ method }) => host.scopes.get(method));
    expect(new Set(scopes(dashboard.dataBindings))).toEqual(new Set(['operator.read']));
    expect(scopes(dashboard.actionVerbs)).toEqual(['operator.write']);
    expect(dashboard.actionVerbs.map(({ method }) => method)).toEqual(['b2-backup.push']);
  });

  it('is all that the widget of this plugin asks for', () => {
    const widget = readFileSync(new URL('../assets/health-widget.html', import.meta.url), 'utf8');
    const asked = [...widget.matchAll(/(?:data\.read|action\.run)\('b2-backup\.(\w+)'/g)].map(([, id]) => id);
    const offered = [...dashboard.dataBindings, ...dashboard.actionVerbs].map(({ id }) => id);
    expect(asked).toEqual(['health', 'push']);
    expect(offered).toEqual(expect.arrayContaining(asked));
  });
});

describe('without the service', () => {
  it.each(['activity', 'health', 'push', 'cancel', 'preview', 'confirm'])('%s says so', async (method) => {
    const { host } = await gateway();
    const backup = currentBackup();
    if (backup !== undefined) removeBackup(backup);
    await expect(host.call(`b2-backup.${method}`, FILE, ADA)).rejects.toMatchObject({
      code: 'B2_NOT_RUNNING',
    });
  });
});

describe('a push from the page', () => {
  it('answers at its end, in words', async () => {
    const { host, held } = await quiet();
    const pushed = host.call('b2-backup.push');
    await rest();
    expect(held.last.options).toMatchObject({ reason: 'manual' });
    await held.last.succeed();
    expect(await pushed).toMatchObject({
      snapshot: '2026-11-23T12-00-00Z-aaaaaaaa',
      text: expect.stringMatching(/^Backed up\. Snapshot of 2026-11-23 12:00: 10 files/),
    });
  });

  it('says why it failed', async () => {
    const { host, held } = await quiet();
    const pushed = host.call('b2-backup.push');
    await rest();
    const failed = expect(pushed).rejects.toEqual({ code: 'B2_NETWORK', message: 'no \\x1b[31mroute' });
    await held.last.fail(new BackupError('no \u001b[31mroute', { code: 'B2_NETWORK' }));
    await failed;
  });

  it('is one with another that is asked for meanwhile', async () => {
    const { host, held } = await quiet();
    const both = [host.call('b2-backup.push'), host.call('b2-backup.push')];
    await rest();
    expect(held.pushes).toHaveLength(1);
    held.last.phase('scan');
    const third = host.call('b2-backup.push');
    await held.last.succeed();
    await Promise.all(both);
    await settle();
    // The third came after the state was looked at.
    expect(held.pushes).toHaveLength(2);
    await held.last.succeed();
    await third;
    expect(held.peak).toBe(1);
  });

  it('can be stopped, and that is no failure', async () => {
    const { host, held } = await quiet();
    const pushed = host.call('b2-backup.push');
    await rest();
    held.last.phase('upload');
    const cancelled = host.call('b2-backup.cancel');
    await expect(pushed).rejects.toEqual({
      code: 'B2_CANCELLED',
      message: 'this backup was stopped; the next one continues it',
    });
    expect(await cancelled).toEqual({ cancelled: true });
    expect(await host.call('b2-backup.status', { bucket: false })).toMatchObject({ failures: 0 });
    expect(await host.call('b2-backup.activity')).toEqual({});
    // The next one is taken again.
    const next = host.call('b2-backup.push');
    await rest();
    await held.last.succeed();
    await next;
  });

  it('is stopped with those that wait behind it; without one there is nothing to stop', async () => {
    const { host, held } = await quiet();
    expect(await host.call('b2-backup.cancel')).toEqual({ cancelled: false });
    const first = host.call('b2-backup.push');
    await rest();
    held.last.phase('captured');
    const second = host.call('b2-backup.push');
    const ends = Promise.allSettled([first, second]);
    await host.call('b2-backup.cancel');
    expect((await ends).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(held.pushes).toHaveLength(1);
  });
});

describe('pages that are open', () => {
  it('hear how far a push is, at most twice a second, and of its end', async () => {
    const { host, held, clock } = await quiet();
    await clock.advance(1_000);
    host.announced.length = 0;
    const pushed = host.call('b2-backup.push');
    await rest();
    const opened = { what: 'backup', text: 'Opening the repository ...' };
    const told = () =>
      host.announced.filter(({ event }) => event === 'activity').map(({ payload }) => payload);
    expect(told()).toEqual([{ running: opened }]);
    expect(await host.call('b2-backup.activity')).toEqual({ running: opened });
    for (const doneBytes of [1_000, 2_000, 3_000])
      held.last.operation.onProgress?.({ phase: 'upload', doneBytes, totalBytes: 4_000, doneFiles: 0 });
    expect(told()).toHaveLength(1);
    await clock.advance(500);
    expect(told().slice(1)).toEqual([
      { running: { what: 'backup', text: 'Uploading: 75 %, 3.0 kB of 4.0 kB', part: 0.75 } },
    ]);
    await held.last.succeed();
    await pushed;
    await clock.advance(500);
    expect(told().at(-1)).toEqual({});
    const changes = host.announced.filter(({ event }) => event === 'changed');
    expect(changes.length).toBeGreaterThanOrEqual(2);
    for (const { scope } of host.announced) expect(scope).toBe('operator.read');
    for (const { payload } of changes) expect(payload).toEqual({});
  });

  it('hear how a rollback went over a restart', async () => {
    const { host, state } = await gateway({
      report: { outcome: 'waiting', id: '7' },
      recover: async () => DONE,
      listens: true,
    });
    await staged(state);
    await host.call('b2-backup.preview', FILE, ADA);
    await host.call('b2-backup.confirm', { plan: HASH }, ADA);
    expect(await host.call('b2-backup.activity')).toEqual({});
    await host.fire('gateway_stop');
    expect(await host.call('b2-backup.activity')).toEqual({
      rollback: expect.stringContaining(`OpenClaw was rolled back to ${BACKUP}.`),
    });
  });

  it('do not matter to a push', async () => {
    const { host, held } = await quiet();
    Object.assign(host.context.gatewayEvents ?? {}, {
      emit: () => {
        throw new Error('revoked');
      },
    });
    const pushed = host.call('b2-backup.push');
    await rest();
    await held.last.succeed();
    await pushed;
  });
});
