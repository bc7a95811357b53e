/** Which rollbacks of an agent the owner has to approve, and what an approval is for. */
import { describe, expect, it } from 'vitest';
import { ASKED, entry, gateway, HASH, ID, PLAN } from './rollback-support.ts';

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
