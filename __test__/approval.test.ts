/** Which rollbacks of an agent the owner has to approve, and what an approval is for. */
import { describe, expect, it } from 'vitest';
import { ASKED, BACKUP, entry, gateway, HASH, ID, NUMBER, PLAN } from './rollback-support.ts';

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
        'secret changes: channels.x.token. Goes back to yesterday, 00:00: MEMORY.md. No restart is needed. You can ' +
        'undo it.',
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
    expect(description).toContain('Goes back to yesterday, 00:00');
    const [long] = [{ weight: 'allows', text: 'x'.repeat(600) }];
    const other = await gateway({ plan: { effects: [long], needsApproval: ['x'] } });
    await other.run({ action: 'preview', snapshot: ID });
    expect(other.decide({ action: 'restore', plan: HASH })?.requireApproval?.description).toMatch(
      /^1 change of what runs or is allowed: see the preview\. Goes back/,
    );
  });

  it('asks for ten minutes, and says what a person gets and loses', async () => {
    const entries = [
      entry('agents/main/agent/openclaw-agent.sqlite', { database: true, bytes: 2_000_000 }),
      entry('skills/planted/SKILL.md', { action: 'delete', bytes: 0 }),
      entry('state/openclaw.sqlite', { database: true }),
      entry('workspace/MEMORY.md'),
      entry('workspace/old.md', { action: 'keep-live' }),
    ];
    const createdAt = '2026-11-19T00:00:00Z';
    const plan = { entries, createdAt, needsRestart: true, needsApproval: ['x'] };
    const { decide, run } = await gateway({ plan });
    const { text } = await run({ action: 'preview', snapshot: ID });
    const asked = decide({ action: 'restore', plan: NUMBER })?.requireApproval;
    expect(asked?.timeoutMs).toBe(600_000);
    const said =
      'Goes back to Thursday, 19 November, 00:00: conversations of main since then, jobs and what OpenClaw remembers ' +
      'and MEMORY.md. Removed: the skill planted. OpenClaw restarts, about 30 seconds. You can undo it. If OpenClaw ' +
      'does not start afterwards, run "openclaw b2-backup undo" in a shell.';
    expect(asked?.description).toBe(said);
    expect(text).toContain(said);
    expect(text).toContain('\n  conversations of main (2.0 MB)\n');
    // What would run comes first, and has room, whatever files are called.
    const long = Array.from({ length: 40 }, (_, at) => entry(`workspace/${'x'.repeat(200)}${at}`));
    const gone = long.map((one) => ({ ...one, action: 'delete' }));
    const effects = [{ weight: 'runs', text: 'hook: evil comes' }];
    const other = await gateway({ plan: { ...plan, entries: [...entries, ...long, ...gone], effects } });
    await other.run({ action: 'preview', snapshot: ID });
    const { description = '' } = other.decide({ action: 'restore', plan: HASH })?.requireApproval ?? {};
    expect(description).toMatch(/^What runs: hook: evil comes\. Goes back to Thursday, 19 November, 00:00: /);
    expect(description.length).toBeLessThanOrEqual(512);
    expect(description).toContain('"openclaw b2-backup undo"');
  });

  it('knows a plan by its number; a number of two plans, an old one and half of one are none', async () => {
    const twin = `${NUMBER}${'cd'.repeat(28)}`;
    const hashes = [HASH, twin, HASH];
    const planRollback = async () => ({ ...PLAN, ...ASKED.plan, hash: hashes.shift() ?? 'ef'.repeat(32) });
    const { decide, run, engine } = await gateway({ ...ASKED, planRollback });
    await run({ action: 'preview', snapshot: ID });
    decide({ action: 'restore', plan: NUMBER })?.requireApproval?.onResolution('allow-once');
    // The word was for the first plan. Another one with its number comes in between.
    await run({ action: 'preview', snapshot: ID });
    const refused = { code: 'B2_PLAN_CHANGED' };
    await expect(run({ action: 'restore', plan: NUMBER })).rejects.toMatchObject(refused);
    expect(decide({ action: 'restore', plan: NUMBER })).toMatchObject({ block: true });
    // Nor has the other one the word of the first.
    await expect(run({ action: 'restore', plan: twin })).rejects.toMatchObject({ code: 'B2_NOT_APPROVED' });
    for (const plan of [NUMBER.slice(0, 7), '', ' ', `${NUMBER}*`, 'ef'.repeat(4)]) {
      expect(decide({ action: 'restore', plan }), plan).toMatchObject({ block: true });
      await expect(run({ action: 'restore', plan }), plan).rejects.toMatchObject(refused);
    }
    expect(engine.rollBack).not.toHaveBeenCalled();
    decide({ action: 'restore', plan: HASH })?.requireApproval?.onResolution('allow-once');
    await run({ action: 'restore', plan: HASH });
    expect(engine.rollBack).toHaveBeenCalledExactlyOnceWith(
      expect.anything(),
      { snapshot: ID },
      HASH,
      expect.anything(),
    );
    // It is used up.
    await expect(run({ action: 'restore', plan: HASH })).rejects.toMatchObject(refused);
  });

  it('gives the tool a proof for one call', async () => {
    const { decide, run, engine } = await gateway(ASKED);
    await run({ action: 'preview', snapshot: ID });
    decide({ action: 'restore', plan: HASH })?.requireApproval?.onResolution('allow-once');
    expect((await run({ action: 'restore', plan: HASH })).text).toContain(`Rolled back to ${BACKUP}.`);
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
