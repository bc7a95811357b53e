/** The slash command `/b2`: a person asks for a rollback in a chat. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ASKED, BACKUP, CHAT, gateway, HASH, ID, NUMBER, PLAN } from './rollback-support.ts';

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
    expect(done).toContain(`Rolled back to ${BACKUP}.`);
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

  it('has a button where the channel has them, and says the same without', async () => {
    const { host, type } = await gateway();
    const reply = async (args: string) =>
      host.command?.handler({
        args,
        sessionKey: CHAT,
        agentId: 'main',
        senderId: 'ada',
        senderIsOwner: true,
      });
    const buttons = async (args: string) => {
      const blocks = (await reply(args))?.presentation?.blocks ?? [];
      return blocks.flatMap((block) => (block.type === 'buttons' ? block.buttons : []));
    };
    const shown = await reply('restore yesterday');
    expect(shown?.presentationTextMode).toBe('fallback');
    expect(shown?.presentation?.blocks[0]).toEqual({ type: 'text', text: shown?.text });
    expect(await buttons('restore yesterday')).toEqual([
      { label: 'Do it', style: 'danger', action: { type: 'command', command: `/b2 confirm ${NUMBER}` } },
    ]);
    expect(await type(`confirm ${NUMBER}`)).toContain('Rolled back');
    await type('restore yesterday');
    expect(await buttons(`confirm ${NUMBER}`)).toMatchObject([{ action: { command: '/b2 undo' } }]);
    expect((await buttons('status')).map(({ action }) => action?.command)).toEqual([
      '/b2 backup',
      '/b2 list',
    ]);
    const inTelegram = await host.command?.handler({ args: 'status', channel: 'telegram', sessionKey: CHAT });
    expect(inTelegram?.presentation?.blocks.at(-1)).toMatchObject({
      buttons: [{ value: '/b2 backup' }, { value: '/b2 list' }],
    });
    for (const args of ['help', 'list', 'confirm 12345678'])
      expect(await reply(args)).not.toHaveProperty('presentation');
    const nothing = await gateway({ plan: { entries: [] } });
    const { command } = nothing.host;
    expect(await command?.handler({ args: 'restore yesterday' })).not.toHaveProperty('presentation');
  });

  it('compares, explains itself, and says where it is set up without asking for a key', async () => {
    const { type, engine } = await gateway();
    expect(await type('diff yesterday --path notes.md')).toContain('~ workspace/MEMORY.md');
    const options = {
      from: ID,
      to: 'live',
      text: true,
      agentWorkspace: '/ws',
      paths: ['workspace/notes.md'],
    };
    expect(engine.diff).toHaveBeenLastCalledWith(expect.anything(), options, expect.anything());
    expect(await type('diff')).toContain('From 2026-11-22 00:00 to the present');
    expect(await type('diff yesterday --exact')).toContain('there is no option --exact');
    const help = await type('help');
    for (const verb of ['status', 'list', 'backup', 'diff', 'history', 'restore', 'undo', 'confirm', 'setup'])
      expect(help).toContain(`/b2 ${verb}`);
    const setup = await type('setup');
    expect(setup).toContain('Settings, Plugins, B2 Backup');
    expect(setup).toContain('openclaw b2-backup setup');
    expect(setup).toContain('do not answer');
    expect(await type('setup now K001abc')).toBe(setup);
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
    expect(lines[8]).toContain('Goes back to yesterday, 00:00: MEMORY.md.');
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
    expect(await type('restore yesterday')).toBe(`Nothing would change: everything is as in ${BACKUP}.`);
  });

  it('says what of a backup does not come', async () => {
    const leftOut = [
      { path: '/mnt/w', code: 'B2_ROOT_GONE', message: 'is not there', failure: true, missing: true },
    ];
    const { type } = await gateway({ plan: { entries: [], leftOut } });
    expect(await type('restore yesterday')).toBe(
      `Nothing would change, but not everything is as in ${BACKUP}.\nNot restored: /mnt/w: is not there`,
    );
  });
});
