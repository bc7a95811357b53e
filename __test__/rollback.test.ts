import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { RollbackEntry, RollbackPlan, RollbackReport, SnapshotInfo } from '../index.js';
import type { Engine } from '../ts/engine.ts';
import { BackupError } from '../ts/errors.ts';
import type { CommandContext, ToolCallDecision } from '../ts/plugin/api.ts';
import { registerApproval } from '../ts/plugin/approval.ts';
import { registerCommand } from '../ts/plugin/command.ts';
import { registerHooks } from '../ts/plugin/hooks.ts';
import { createService } from '../ts/plugin/service.ts';
import { createTool } from '../ts/plugin/tool.ts';
import { CONFIG, FakeHost, HeldEngine, rest, TestClock, temporaryState } from './plugin-support.ts';

const ID = '2026-11-22T00-00-00Z-aaaaaaaa';
const HASH = 'ab'.repeat(32);
const CHAT = 'agent:main:chat';

const SNAPSHOT = {
  id: ID,
  kind: 'regular',
  reason: 'scheduled',
  machine: 'aaaaaaaa',
  thisMachine: true,
  createdAt: '2026-11-22T00:00:00Z',
  files: 10,
  bytes: 1_000,
  authenticated: true,
  format: 2,
  incomplete: false,
  remarks: [],
  moreRemarks: 0,
} satisfies SnapshotInfo;

const entry = (path: string, parts: Partial<RollbackEntry> = {}): RollbackEntry => ({
  path,
  action: 'replace',
  bytes: 100,
  database: false,
  ...parts,
});

const PLAN: RollbackPlan = {
  snapshot: ID,
  createdAt: '2026-11-22T00:00:00Z',
  entries: [entry('workspace/MEMORY.md')],
  bytes: 100,
  fetchBytes: 100,
  touches: { configuration: false, hooks: false, skills: false },
  effects: [],
  needsApproval: [],
  needsRestart: false,
  hash: HASH,
  warnings: [],
};

/** What the owner has to be asked about. */
const ASKED = {
  plan: {
    needsApproval: ['workspace/x holds instructions'],
    effects: [
      { weight: 'runs', text: 'hook: evil comes' },
      { weight: 'allows', text: 'exec policy: deny becomes full' },
      { weight: 'secret', text: 'secret changes: channels.x.token' },
      { weight: 'setting', text: 'setting: a becomes b' },
    ],
  },
};

const REPORT: RollbackReport = {
  outcome: 'applied',
  id: '1',
  snapshot: ID,
  safety: 'safety-2026-11-23T12-00-00Z-aaaaaaaa',
  downloadedBytes: 100,
  requests: 3,
  failed: [],
  late: [],
  left: [],
  warnings: [],
  durationMs: 10,
};
const { id: _id, snapshot: _snapshot, safety: _safety, ...NO_NAMES } = REPORT;
const NOTHING: RollbackReport = { ...NO_NAMES, outcome: 'nothing' };

const started: FakeHost[] = [];
afterEach(async () => {
  for (const host of started.splice(0)) await host.service?.stop(host.context);
});

interface Parts {
  plan?: Partial<RollbackPlan>;
  report?: Partial<RollbackReport>;
  recover?: () => Promise<RollbackReport>;
  stateDir?: string;
  /** Whether the host tells of turns. */
  listens?: boolean;
}

async function gateway({
  plan,
  report,
  recover = async () => NOTHING,
  stateDir,
  listens = false,
  ...rest_
}: Parts & Omit<Partial<Engine>, 'plan'> = {}) {
  const state = stateDir ?? (await temporaryState());
  const host = new FakeHost(state, CONFIG);
  if (listens) host.tellsOfTurns();
  const clock = new TestClock();
  const held = new HeldEngine();
  const restart = vi.fn();
  const engine = {
    list: vi.fn(async () => ({ snapshots: [SNAPSHOT], warnings: [] })),
    planRollback: vi.fn(async () => ({ ...PLAN, ...plan })),
    rollBack: vi.fn(async () => ({ ...REPORT, ...report })),
    recoverRollback: vi.fn(recover),
    diff: vi.fn(async () => ({
      from: ID,
      to: 'live',
      added: 0,
      removed: 0,
      changed: 1,
      bytesBefore: 1,
      bytesAfter: 1,
      skipped: [],
      warnings: [],
      downloadedBytes: 0,
      requests: 0,
      durationMs: 0,
      entries: [
        {
          path: 'workspace/MEMORY.md',
          change: 'changed',
          what: ['content'],
          kind: 'file',
          bytesBefore: 1,
          bytesAfter: 1,
          database: false,
          text: '-then\n+now\n',
        },
      ],
    })),
    ...rest_,
  };
  registerHooks(host.api);
  registerApproval(host.api);
  registerCommand(host.api, () => clock.now());
  host.service = createService(host.api, {
    engine: held.engine(engine),
    clock,
    restart,
    waits: async () => undefined,
  });
  started.push(host);
  await host.service.start(host.context);
  await rest();
  const runIn = async (sessionKey: string | undefined, parameters: object) => {
    const session = sessionKey === undefined ? {} : { sessionKey };
    const tool = createTool(() => clock.now(), { ...session, agentId: 'main' }, '/ws');
    const { content, details } = await tool.execute('1', parameters);
    return { text: content.map(({ text }) => text).join('\n'), details: details as Record<string, unknown> };
  };
  const run = (parameters: object) => runIn(CHAT, parameters);
  const decideIn = (sessionKey: string, params: object) =>
    host.hooks
      .get('before_tool_call')
      ?.handler({ toolName: 'b2_rollback', params: params as Record<string, unknown> }, { sessionKey }) as
      | ToolCallDecision
      | undefined;
  const decide = (params: object) => decideIn(CHAT, params);
  const typeAs = async (who: Partial<CommandContext>, args: string) =>
    (await host.command?.handler({ args, sessionKey: CHAT, agentId: 'main', ...who }))?.text ?? '';
  const type = (args: string) => typeAs({ senderId: 'ada', senderIsOwner: true }, args);
  return { host, clock, held, restart, engine, run, runIn, decide, decideIn, type, typeAs, state };
}

const DONE: RollbackReport = { ...REPORT, id: '7' };

async function fails(): Promise<RollbackReport> {
  throw new BackupError('no space', { code: 'B2_DISK_FULL' });
}

/** As the core leaves it. */
async function staged(state: string): Promise<void> {
  await mkdir(join(state, 'b2-backup', 'restore', '1'), { recursive: true });
}

describe('a preview', () => {
  it('tells the plan, the text that goes back, and how to do it', async () => {
    const { run, engine } = await gateway();
    const { text, details } = await run({
      action: 'preview',
      snapshot: 'yesterday',
      paths: ['workspace/MEMORY.md'],
    });
    expect(engine.planRollback).toHaveBeenCalledWith(
      expect.anything(),
      { snapshot: ID, paths: ['workspace/MEMORY.md'], agentWorkspace: '/ws' },
      expect.anything(),
    );
    expect(text).toContain('Becomes as it was (1 path):');
    expect(text).toContain('+now');
    expect(text).toContain(`restore with plan ${HASH}`);
    expect(details).toMatchObject({ hash: HASH, totalEntries: 1 });
  });

  it('asks when the words are not certain', async () => {
    const { run, engine } = await gateway();
    expect((await run({ action: 'preview', snapshot: 'last spring' })).text).toContain('It is not certain');
    expect(engine.planRollback).not.toHaveBeenCalled();
  });

  it('offers nothing where there is nothing to do', async () => {
    const { run } = await gateway({ plan: { entries: [entry('b2-backup', { action: 'keep-live' })] } });
    const { text } = await run({ action: 'preview', snapshot: ID });
    expect(text).toContain(`Everything else is as in ${ID} already.`);
    expect(text).toContain('Differs, and stays as it is (1 path):\n  b2-backup');
  });
});

describe('a rollback', () => {
  it('takes the plan that was shown, and nothing else', async () => {
    const { run, engine } = await gateway();
    await expect(run({ action: 'restore' })).rejects.toMatchObject({ code: 'B2_USAGE' });
    await expect(run({ action: 'restore', plan: HASH })).rejects.toMatchObject({ code: 'B2_PLAN_CHANGED' });
    expect(engine.rollBack).not.toHaveBeenCalled();
    await run({ action: 'preview', snapshot: 'latest', exact: true });
    const { text } = await run({ action: 'restore', plan: HASH });
    // By the id that was shown, whatever "latest" is by now.
    expect(engine.rollBack).toHaveBeenCalledWith(
      expect.anything(),
      { snapshot: ID, exact: true },
      HASH,
      expect.anything(),
    );
    expect(text).toContain(`Rolled back to ${ID}.`);
    expect(text).toContain('undo brings it back');
    await expect(run({ action: 'restore', plan: HASH })).rejects.toMatchObject({ code: 'B2_PLAN_CHANGED' });
  });

  it('that needs a restart asks for one after the answer, applies in the stop, and is told of in the session', async () => {
    const first = await gateway({
      report: { outcome: 'waiting' },
      recover: async () => ({ ...REPORT, late: ['workspace/x'] }),
    });
    await first.run({ action: 'preview', snapshot: ID });
    const { text } = await first.run({ action: 'restore', plan: HASH });
    expect(text).toContain('OpenClaw restarts in a moment');
    expect(first.restart).not.toHaveBeenCalled();
    await first.clock.advance(3_000);
    expect(first.restart).toHaveBeenCalledTimes(1);

    await staged(first.state);
    const pushes = first.held.pushes.length;
    await first.host.fire('gateway_stop', { reason: 'gateway restarting' });
    expect(first.engine.recoverRollback).toHaveBeenCalledWith(expect.anything(), true);
    expect(first.held.pushes).toHaveLength(pushes);
    await first.host.service?.stop(first.host.context);

    const second = await gateway({ stateDir: first.state });
    expect(second.host.events).toEqual([
      { sessionKey: 'agent:main:chat', text: expect.stringContaining(`rolled back to ${ID}`) },
    ]);
    expect(second.host.events[0]?.text).toContain('workspace/x');
    expect(second.restart).not.toHaveBeenCalled();
    await second.host.service?.stop(second.host.context);
    const third = await gateway({ stateDir: first.state });
    expect(third.host.events).toEqual([]);
  });

  it('that was cut off is finished at the start, and the gateway starts once more to see it', async () => {
    const state = await temporaryState();
    await staged(state);
    const { restart, host } = await gateway({ stateDir: state, recover: async () => REPORT });
    expect(restart).toHaveBeenCalledTimes(1);
    expect(host.events).toEqual([]);
    await host.service?.stop(host.context);
    const next = await gateway({ stateDir: state });
    expect(next.restart).not.toHaveBeenCalled();
    expect(next.host.events).toHaveLength(1);
  });

  it('that cannot be finished keeps the gateway from nothing', async () => {
    const state = await temporaryState();
    await staged(state);
    const recover = () => Promise.reject(new BackupError('no space', { code: 'B2_DISK_FULL' }));
    const { host, restart } = await gateway({ stateDir: state, recover });
    expect(host.lines.join('\n')).toContain('a rollback could not be finished: no space');
    expect(restart).not.toHaveBeenCalled();
  });

  it('is told of at every start until a turn has carried it', async () => {
    const state = await temporaryState();
    await staged(state);
    const { host } = await gateway({ stateDir: state, recover: async () => REPORT });
    await host.service?.stop(host.context);
    const told = async () => {
      const next = await gateway({ stateDir: state, listens: true });
      const { events } = next.host;
      await next.host.service?.stop(next.host.context);
      return events.length;
    };
    // The host throws, a turn fails, the gateway is killed: none of that is telling.
    expect(await told()).toBe(1);
    expect(await told()).toBe(1);
    const last = await gateway({ stateDir: state, listens: true });
    last.host.turn('agent:main:main', 'stop');
    await rest();
    await last.host.service?.stop(last.host.context);
    expect(await told()).toBe(0);
  });

  it.each([
    [
      'that was finished by somebody else',
      { ...NOTHING, id: '1', late: ['workspace/x'] },
      /was rolled back to.*workspace\/x/s,
    ],
    [
      'that did not take place',
      { ...NOTHING, id: 'another' },
      /could not be finished; everything is as it was/,
    ],
  ])('%s is told of, too', async (_what, found, text) => {
    const first = await gateway({ report: { outcome: 'waiting' } });
    await first.run({ action: 'preview', snapshot: ID });
    await first.run({ action: 'restore', plan: HASH });
    await first.host.service?.stop(first.host.context);
    const second = await gateway({ stateDir: first.state, recover: async () => found });
    expect(second.host.events).toEqual([
      { sessionKey: 'agent:main:chat', text: expect.stringMatching(text) },
    ]);
    expect(second.restart).not.toHaveBeenCalled();
  });

  it('that stands half way is told of with the reason, and what a failed one said, too', async () => {
    const first = await gateway({ report: { outcome: 'waiting' } });
    await first.run({ action: 'preview', snapshot: ID });
    await first.run({ action: 'restore', plan: HASH });
    await first.host.service?.stop(first.host.context);
    await staged(first.state);
    const second = await gateway({ stateDir: first.state, recover: fails, listens: true });
    expect(second.host.events[0]?.text).toBe(
      `The rollback to ${ID} was only half finished.\nThe reason: no space\n` +
        'To finish it, run "openclaw b2-backup restore --resume" in a shell.',
    );
    await second.host.service?.stop(second.host.context);
    let calls = 0;
    const recover = (): Promise<RollbackReport> => {
      calls += 1;
      return calls === 1 ? fails() : Promise.resolve(NOTHING);
    };
    const third = await gateway({ stateDir: first.state, recover });
    expect(third.host.events[0]?.text).toMatch(/everything is as it was before.*no space/s);
  });

  it('that stands half way is told of in the main session where nobody here asked for it', async () => {
    // Somebody did it in a shell; the one that was asked for here has ended, and that is still to be told.
    const first = await gateway({ report: { outcome: 'waiting', id: '7' }, recover: async () => DONE });
    await first.run({ action: 'preview', snapshot: ID });
    await first.run({ action: 'restore', plan: HASH });
    await staged(first.state);
    await first.host.fire('gateway_stop', { reason: 'gateway restarting' });
    await first.host.service?.stop(first.host.context);
    const half =
      'A rollback was only half finished.\nThe reason: no space\n' +
      'To finish it, run "openclaw b2-backup restore --resume" in a shell.';
    const told = async (stateDir: string) => {
      const { host } = await gateway({ stateDir, recover: fails, listens: true });
      await host.service?.stop(host.context);
      return host.events;
    };
    for (const _start of [1, 2]) {
      expect(await told(first.state)).toEqual([
        { sessionKey: 'agent:main:main', text: half },
        { sessionKey: CHAT, text: expect.stringContaining(`OpenClaw was rolled back to ${ID}.`) },
      ]);
    }
    const nobody = await temporaryState();
    await staged(nobody);
    expect(await told(nobody)).toEqual([{ sessionKey: 'agent:main:main', text: half }]);
    // Nor is it the one that was asked for here and given up in a shell.
    const other = await gateway({ report: { outcome: 'waiting', id: '7' } });
    await other.run({ action: 'preview', snapshot: ID });
    await other.run({ action: 'restore', plan: HASH });
    await other.host.service?.stop(other.host.context);
    await staged(other.state);
    expect(await told(other.state)).toEqual([{ sessionKey: 'agent:main:main', text: half }]);
  });

  it('that waits is not applied when the plugin is only replaced: agents are at work', async () => {
    const state = await temporaryState();
    await staged(state);
    const recover = vi.fn(async () => REPORT);
    const first = await gateway({ stateDir: state });
    await first.host.fire('gateway_start');
    await first.host.service?.stop(first.host.context);
    await first.host.fire('gateway_stop', { reason: 'plugin replacement' });
    const second = await gateway({ stateDir: state, recover });
    expect(recover).not.toHaveBeenCalled();
    expect(second.restart).not.toHaveBeenCalled();
    await second.host.fire('gateway_stop', { reason: 'gateway restarting' });
    expect(recover).toHaveBeenCalledTimes(1);
    // Out of the way for good: a start after this is one before agents.
    await second.host.service?.stop(second.host.context);
    await gateway({ stateDir: state, recover });
    expect(recover).toHaveBeenCalledTimes(2);
  });

  it('does not fail because a push runs: that makes way, and is gone on with', async () => {
    let cut: boolean | undefined;
    const made = await gateway({
      rollBack: async () => {
        cut = made.held.last.operation.signal?.aborted;
        return REPORT;
      },
    });
    made.held.last.phase('upload');
    await made.run({ action: 'preview', snapshot: ID });
    expect(made.held.last.operation.signal?.aborted).toBe(false);
    expect((await made.run({ action: 'restore', plan: HASH })).text).toContain(`Rolled back to ${ID}.`);
    expect(cut).toBe(true);
  });

  it('is not kept out of the stop by a push that runs', async () => {
    const state = await temporaryState();
    const running: boolean[] = [];
    const { host, held } = await gateway({
      stateDir: state,
      recover: async () => {
        running.push(held.last.operation.signal?.aborted === true);
        return REPORT;
      },
    });
    held.last.phase('upload');
    await staged(state);
    await host.fire('gateway_stop', { reason: 'gateway stopping' });
    expect(running).toEqual([true]);
    expect(held.pushes).toHaveLength(1);
  });

  it('leaves the push at the stop alone where none waits', async () => {
    const state = await temporaryState();
    await staged(state);
    const { host, held } = await gateway({ stateDir: state });
    const before = held.pushes.length;
    await held.last.succeed();
    const stop = host.fire('gateway_stop', { reason: 'gateway stopping' });
    await vi.waitFor(() => expect(held.pushes).toHaveLength(before + 1));
    await rest();
    await held.last.succeed();
    await stop;
  });
});

describe('the approval gate', () => {
  it('lets all through that changes nothing', async () => {
    const { decide } = await gateway();
    for (const action of ['list', 'status', 'backup', 'diff', 'preview'])
      expect(decide({ action })).toBeUndefined();
  });

  it.each(['restore', 'undo'])('blocks a %s of which no preview was made', async (action) => {
    const { decide } = await gateway();
    expect(decide({ action, plan: HASH })).toMatchObject({ block: true });
    expect(decide({ action })).toMatchObject({ block: true });
  });

  it('lets through what the plan says needs no approval', async () => {
    const { decide, run } = await gateway();
    await run({ action: 'preview', snapshot: ID });
    expect(decide({ action: 'restore', plan: HASH })).toBeUndefined();
  });

  it('asks the owner for everything else, and says first what would run and be allowed', async () => {
    const { decide, run } = await gateway(ASKED);
    await run({ action: 'preview', snapshot: ID });
    const asked = decide({ action: 'restore', plan: HASH })?.requireApproval;
    expect(asked).toMatchObject({ severity: 'critical', allowedDecisions: ['allow-once', 'deny'] });
    expect(asked?.title.length).toBeLessThanOrEqual(80);
    expect(asked?.description).toBe(
      'What runs: hook: evil comes. What is allowed: exec policy: deny becomes full. Secrets in the configuration: ' +
        `secret changes: channels.x.token. Rolls back to ${ID} of 2026-11-22T00:00:00Z: coming back: 0, becoming as ` +
        'they were: 1, removed: 0. A safety snapshot is made first.',
    );
  });

  it('has room for it in what the host shows, and says how much more there is', async () => {
    const effects = Array.from({ length: 60 }, (_, at) => ({ weight: 'runs', text: `program ${at} comes` }));
    const { decide, run } = await gateway({ plan: { effects, needsApproval: ['x'] } });
    await run({ action: 'preview', snapshot: ID });
    const description = decide({ action: 'restore', plan: HASH })?.requireApproval?.description ?? '';
    expect(description.length).toBeLessThanOrEqual(512);
    expect(description).toMatch(
      /^What runs: program 0 comes; program 1 comes;.* And \d+ more changes of that kind/,
    );
    expect(description).toContain(ID);
    const [long] = [{ weight: 'allows', text: 'x'.repeat(600) }];
    const other = await gateway({ plan: { effects: [long], needsApproval: ['x'] } });
    await other.run({ action: 'preview', snapshot: ID });
    expect(other.decide({ action: 'restore', plan: HASH })?.requireApproval?.description).toMatch(
      /^1 change of what runs or is allowed: see the preview\. Rolls back/,
    );
  });

  it('gives the tool a proof for one call', async () => {
    const { decide, run, engine } = await gateway(ASKED);
    await run({ action: 'preview', snapshot: ID });
    decide({ action: 'restore', plan: HASH })?.requireApproval?.onResolution('allow-once');
    expect((await run({ action: 'restore', plan: HASH })).text).toContain(`Rolled back to ${ID}.`);
    await run({ action: 'preview', snapshot: ID });
    await expect(run({ action: 'restore', plan: HASH })).rejects.toMatchObject({ code: 'B2_NOT_APPROVED' });
    expect(engine.rollBack).toHaveBeenCalledTimes(1);
  });

  it('says on a host that asks nobody that it cannot ask, and how else it is done', async () => {
    const { decide, run, engine } = await gateway(ASKED);
    await run({ action: 'preview', snapshot: ID, exact: true, paths: ['workspace'] });
    decide({ action: 'restore', plan: HASH });
    await expect(run({ action: 'restore', plan: HASH })).rejects.toThrow(
      `If nobody was asked, this version of OpenClaw cannot ask. The owner can run "openclaw b2-backup restore ${ID} --path workspace --exact" in a shell, or send /b2 restore in a chat.`,
    );
    expect(engine.rollBack).not.toHaveBeenCalled();
  });

  it.each(['deny', 'timeout', 'cancelled', 'allow-always', 'ALLOW-ONCE', ''])(
    'takes "%s" for no',
    async (decision) => {
      const { decide, run, engine } = await gateway(ASKED);
      await run({ action: 'preview', snapshot: ID });
      const resolve = decide({ action: 'restore', plan: HASH })?.requireApproval?.onResolution;
      resolve?.(decision);
      // Nor does a second word count.
      resolve?.('allow-once');
      await expect(run({ action: 'restore', plan: HASH })).rejects.toMatchObject({ code: 'B2_NOT_APPROVED' });
      expect(engine.rollBack).not.toHaveBeenCalled();
    },
  );

  it('does not take the word for another plan, session, call or time', async () => {
    const other = 'cd'.repeat(32);
    const hashes = [HASH, other];
    const made = await gateway({
      ...ASKED,
      planRollback: async () => ({ ...PLAN, ...ASKED.plan, hash: hashes.shift() ?? HASH }),
    });
    const { decide, decideIn, run, runIn, engine, clock } = made;
    const refused = { code: 'B2_NOT_APPROVED' };
    await run({ action: 'preview', snapshot: ID });
    await run({ action: 'preview', snapshot: ID });
    await runIn('agent:main:other', { action: 'preview', snapshot: ID });
    await runIn(undefined, { action: 'preview', snapshot: ID });
    const resolve = decide({ action: 'restore', plan: HASH })?.requireApproval?.onResolution;
    resolve?.('allow-once');
    await expect(run({ action: 'restore', plan: other })).rejects.toMatchObject(refused);
    await expect(runIn('agent:main:other', { action: 'restore', plan: HASH })).rejects.toMatchObject(refused);
    await expect(runIn(undefined, { action: 'restore', plan: HASH })).rejects.toMatchObject(refused);
    expect(decideIn('agent:main:third', { action: 'restore', plan: HASH })).toMatchObject({ block: true });
    // The same question again: an earlier word for it is void, also when it comes late.
    decide({ action: 'restore', plan: HASH });
    await expect(run({ action: 'restore', plan: HASH })).rejects.toMatchObject(refused);
    resolve?.('allow-once');
    await expect(run({ action: 'restore', plan: HASH })).rejects.toMatchObject(refused);
    decide({ action: 'restore', plan: HASH })?.requireApproval?.onResolution('allow-once');
    await clock.advance(61_000);
    await expect(run({ action: 'restore', plan: HASH })).rejects.toMatchObject(refused);
    expect(engine.rollBack).not.toHaveBeenCalled();
  });

  it('does not take a restore for an undo', async () => {
    const { decide, run, engine } = await gateway();
    await run({ action: 'preview', snapshot: ID });
    expect(decide({ action: 'undo', plan: HASH })).toMatchObject({ block: true });
    await expect(run({ action: 'undo', plan: HASH })).rejects.toMatchObject({ code: 'B2_USAGE' });
    expect(engine.rollBack).not.toHaveBeenCalled();
  });

  it('asks when 20 files an hour came back unasked', async () => {
    const entries = Array.from({ length: 5 }, (_, at) => entry(`workspace/${at}.md`));
    const { decide, run, clock } = await gateway({ plan: { entries } });
    for (let time = 0; time < 4; time += 1) {
      await run({ action: 'preview', snapshot: ID });
      expect(decide({ action: 'restore', plan: HASH })).toBeUndefined();
      await run({ action: 'restore', plan: HASH });
    }
    await run({ action: 'preview', snapshot: ID });
    expect(decide({ action: 'restore', plan: HASH })).toHaveProperty('requireApproval');
    await expect(run({ action: 'restore', plan: HASH })).rejects.toMatchObject({ code: 'B2_NOT_APPROVED' });
    await clock.advance(3_600_000);
    expect(decide({ action: 'restore', plan: HASH })).toBeUndefined();
    expect((await run({ action: 'restore', plan: HASH })).text).toContain('Rolled back');
  });
});

describe('/b2', () => {
  it('shows what a rollback would do, and does it when that is confirmed', async () => {
    const { type, engine } = await gateway();
    const shown = await type('restore yesterday --path workspace/MEMORY.md —exact');
    expect(engine.planRollback).toHaveBeenCalledWith(
      expect.anything(),
      { snapshot: ID, paths: ['workspace/MEMORY.md'], exact: true, agentWorkspace: '/ws' },
      expect.anything(),
    );
    expect(shown).toContain('Becomes as it was (1 path):');
    expect(shown).toContain('+now');
    expect(shown).toContain('To do it: /b2 confirm abababab');
    expect(engine.rollBack).not.toHaveBeenCalled();
    const done = await type('confirm ABABABAB');
    expect(done).toContain(`Rolled back to ${ID}.`);
    expect(done).toContain('What you confirmed:\n');
    expect(done).toContain('  workspace/MEMORY.md (100 B)');
    expect(engine.rollBack).toHaveBeenCalledWith(
      expect.anything(),
      { snapshot: ID, paths: ['workspace/MEMORY.md'], exact: true },
      HASH,
      expect.anything(),
    );
    expect(await type('confirm abababab')).toContain('(B2_PLAN_CHANGED)');
  });

  it('undoes, and tells the session that asked over the restart', async () => {
    const { type, engine, restart, clock, state } = await gateway({ report: { outcome: 'waiting' } });
    expect(await type('undo')).toContain('/b2 confirm abababab');
    expect(await type('confirm abababab')).toContain('OpenClaw restarts');
    expect(engine.rollBack).toHaveBeenCalledWith(expect.anything(), { undo: true }, HASH, expect.anything());
    await clock.advance(2_000);
    expect(restart).toHaveBeenCalledOnce();
    const record: unknown = JSON.parse(await readFile(join(state, 'b2-backup', 'gateway.json'), 'utf8'));
    expect(record).toMatchObject({ rollback: { sessionKey: 'agent:main:chat', undo: true } });
  });

  it('confirms nothing that was not shown, and nothing by half a number', async () => {
    const { type, engine } = await gateway();
    await type('restore yesterday');
    for (const plan of ['abab', 'cdcdcdcd', '*']) {
      expect(await type(`confirm ${plan}`)).toContain('(B2_PLAN_CHANGED)');
    }
    expect(engine.rollBack).not.toHaveBeenCalled();
  });

  it('confirms only what the same sender was shown in the same session, and for the owner alone', async () => {
    // The agent is shown one plan, the person another.
    const personal = 'cd'.repeat(32);
    const hashes = [HASH];
    const planRollback = async () => ({ ...PLAN, hash: hashes.shift() ?? personal });
    const { typeAs, type, run, engine } = await gateway({ planRollback });
    await run({ action: 'preview', snapshot: ID });
    expect(await type('confirm abababab')).toContain('(B2_PLAN_CHANGED)');
    expect(await type('restore yesterday')).toContain('/b2 confirm cdcdcdcd');
    for (const who of [
      { senderId: 'eve', senderIsOwner: true },
      { senderId: 'ada', senderIsOwner: true, sessionKey: 'agent:main:group' },
      { senderId: 'ada', senderIsOwner: true, channel: 'telegram' },
    ]) {
      expect(await typeAs(who, 'confirm cdcdcdcd')).toContain('(B2_PLAN_CHANGED)');
    }
    for (const who of [
      { senderId: 'ada' },
      { senderId: 'ada', senderIsOwner: false, gatewayClientScopes: ['operator.admin'] },
      { senderId: 'ada', gatewayClientScopes: ['operator.write', 'operator.approvals'] },
    ]) {
      expect(await typeAs(who, 'confirm cdcdcdcd')).toContain('(B2_NOT_APPROVED)');
    }
    const demoted = {
      senderId: 'ada',
      senderIsOwner: true,
      assertOwnerCurrent: () => {
        throw new Error('not the owner any more');
      },
    };
    expect(await typeAs(demoted, 'confirm cdcdcdcd')).toContain('not the owner any more');
    // Nor is a plan that a person was shown one for the agent.
    await expect(run({ action: 'restore', plan: personal })).rejects.toMatchObject({
      code: 'B2_PLAN_CHANGED',
    });
    expect(engine.rollBack).not.toHaveBeenCalled();
    const client = { senderId: 'ada', gatewayClientScopes: ['operator.admin'] };
    expect(await typeAs(client, 'confirm cdcdcdcd')).toContain('Rolled back');
  });

  it('says first what would run and be allowed', async () => {
    const { type } = await gateway(ASKED);
    const lines = (await type('restore yesterday')).split('\n');
    expect(lines.slice(0, 8)).toEqual([
      'What runs:',
      '  hook: evil comes',
      'What is allowed:',
      '  exec policy: deny becomes full',
      'Secrets in the configuration:',
      '  secret changes: channels.x.token',
      'Other settings:',
      '  setting: a becomes b',
    ]);
    expect(lines[8]).toContain('Rolling back to');
  });

  it('asks which snapshot is meant, and what it does not know', async () => {
    const { type, engine } = await gateway();
    expect(await type('restore last spring')).toContain('It is not certain');
    expect(await type('restore --exact')).toContain('(B2_USAGE)');
    expect(await type('restore yesterday --path')).toContain('(B2_USAGE)');
    expect(await type('restore yesterday --force')).toContain('there is no option --force');
    expect(await type('restore')).toContain('/b2 restore WHEN');
    expect(engine.planRollback).not.toHaveBeenCalled();
  });

  it('offers nothing where there is nothing to do', async () => {
    const { type } = await gateway({ plan: { entries: [] } });
    expect(await type('restore yesterday')).toBe(`Everything is as in ${ID} already.`);
  });
});
