/** Rolling back while the gateway runs: previews, rollbacks, and how they go on over a restart. */
import { describe, expect, it, vi } from 'vitest';
import type { RollbackReport } from '../index.js';
import { BackupError } from '../ts/errors.ts';
import { rest, temporaryState } from './plugin-support.ts';
import {
  BACKUP,
  CHAT,
  DONE,
  entry,
  fails,
  gateway,
  HASH,
  ID,
  NOTHING,
  NUMBER,
  REPORT,
  staged,
} from './rollback-support.ts';
import { PATIENT } from './support.ts';

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
    expect(text).toContain(`restore with plan ${NUMBER}`);
    expect(details).toMatchObject({ plan: NUMBER, totalEntries: 1 });
  });

  it('asks when the words are not certain', async () => {
    const { run, engine } = await gateway();
    expect((await run({ action: 'preview', snapshot: 'last spring' })).text).toContain('It is not certain');
    expect(engine.planRollback).not.toHaveBeenCalled();
  });

  it('offers nothing where there is nothing to do', async () => {
    const { run } = await gateway({ plan: { entries: [entry('b2-backup', { action: 'keep-live' })] } });
    const { text } = await run({ action: 'preview', snapshot: ID });
    expect(text).toContain(`everything else is as in ${BACKUP}.`);
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
    expect(text).toContain(`Rolled back to ${BACKUP}.`);
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
      { sessionKey: 'agent:main:chat', text: expect.stringContaining(`rolled back to ${BACKUP}`) },
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

  it('that was undone by a push or in a shell is not told of as if it still held', async () => {
    const first = await gateway({ report: { outcome: 'waiting', id: '7' }, recover: async () => DONE });
    await first.run({ action: 'preview', snapshot: ID });
    await first.run({ action: 'restore', plan: HASH });
    await staged(first.state);
    await first.host.fire('gateway_stop', { reason: 'gateway restarting' });
    await first.host.service?.stop(first.host.context);
    const undone = { ...NOTHING, id: '2', snapshot: `safety-${ID}` };
    for (const _start of [1, 2]) {
      const next = await gateway({ stateDir: first.state, recover: async () => undone, listens: true });
      await next.host.service?.stop(next.host.context);
      expect(next.host.events).toEqual([{ sessionKey: CHAT, text: 'The last rollback was undone.' }]);
    }
  });

  it('that stands half way is told of with the reason, and what a failed one said, too', async () => {
    const first = await gateway({ report: { outcome: 'waiting' } });
    await first.run({ action: 'preview', snapshot: ID });
    await first.run({ action: 'restore', plan: HASH });
    await first.host.service?.stop(first.host.context);
    await staged(first.state);
    const second = await gateway({ stateDir: first.state, recover: fails, listens: true });
    expect(second.host.events[0]?.text).toBe(
      `The rollback to ${BACKUP} was only half finished.\nThe reason: no space\n` +
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
        { sessionKey: CHAT, text: expect.stringContaining(`OpenClaw was rolled back to ${BACKUP}.`) },
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
    expect((await made.run({ action: 'restore', plan: HASH })).text).toContain(`Rolled back to ${BACKUP}.`);
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
    await vi.waitFor(() => expect(held.pushes).toHaveLength(before + 1), PATIENT);
    await rest();
    await held.last.succeed();
    await stop;
  });
});
