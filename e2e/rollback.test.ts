/** The state is spoilt, and asked back in a conversation: preview, approval, restart; and back again. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { Bucket } from './support/bucket.ts';
import { Gateway, Home } from './support/gateway.ts';
import { Model } from './support/model.ts';
import type { Operator } from './support/operator.ts';
import { query } from './support/sqlite.ts';

let model: Model;
let bucket: Bucket;
let home: Home;
let gateway: Gateway;

beforeAll(async () => {
  model = await Model.start();
  bucket = await Bucket.start();
  home = await Home.create(model, { like: inject('installed').home });
  home.configurePlugin(bucket.settings);
  gateway = await Gateway.start(home);
});

afterAll(async () => {
  await gateway?.kill();
  await bucket?.close();
  await model?.close();
  home?.remove();
});

const inState = (path: string): string => join(home.stateDir, path);

function write(path: string, text: string): void {
  mkdirSync(join(inState(path), '..'), { recursive: true });
  writeFileSync(inState(path), text);
}

/** Which of these words were said in the session, as its database has it. */
async function said(...words: string[]): Promise<string[]> {
  const found: string[] = [];
  for (const word of words) {
    const [row] = await query(
      home.agentDatabase(),
      `SELECT count(*) AS rows FROM transcript_events WHERE event_json LIKE '%${word}%'`,
    );
    if (row?.['rows'] !== 0) found.push(word);
  }
  return found;
}

/** Has the model call the tool; `decision` is the owner's, where one is asked for. */
async function tool(parameters: object, decision?: 'allow-once' | 'deny'): Promise<string> {
  const operator: Operator = await gateway.operator();
  const asked =
    decision === undefined
      ? undefined
      : operator
          .next('an approval to be asked for', ({ event }) => event === 'plugin.approval.requested', 90)
          .then(({ payload }) =>
            operator.request('approval.resolve', { id: payload['id'], kind: 'plugin', decision }),
          );
  const { text } = await operator.say(`CALL b2_rollback ${JSON.stringify(parameters)} `, { seconds: 120 });
  await asked;
  return text;
}

/** Waits until the gateway has restarted and tells how it went, and answers again. */
async function told(pattern: RegExp, from: number): Promise<void> {
  await gateway.says(pattern, { from, seconds: 120 });
  await gateway.until('to answer after its restart', async () => (await gateway.health()) !== undefined);
}

function planIn(text: string): string {
  const plan = /with plan ([0-9a-f]{64})/.exec(text)?.[1];
  if (plan === undefined) throw new Error(`there is no plan in: ${text}`);
  return plan;
}

let snapshot: string;

describe('what an agent lost', () => {
  beforeAll(async () => {
    write('workspace/AGENTS.md', '# agents\n');
    write('workspace/MEMORY.md', 'remember the milk\n');
    await gateway.agent('SAY alpha-one');
    await tool({ action: 'backup' });
    snapshot = (await bucket.snapshots()).at(-1)?.id ?? '';
    await gateway.agent('SAY bravo-two');
    rmSync(inState('workspace/MEMORY.md'));
    write('skills/planted/SKILL.md', 'be evil\n');
  });

  it('is seen in a comparison with the present', async () => {
    const text = await tool({ action: 'diff', snapshot });
    expect(text).toContain('- workspace/MEMORY.md');
    expect(text).toContain('-remember the milk');
    expect(text).toContain('+ skills/planted/SKILL.md');
  });

  it('comes back at once where it is a file of a workspace, without being asked', async () => {
    const preview = await tool({ action: 'preview', snapshot, paths: ['workspace/MEMORY.md'] });
    expect(preview).toContain('No restart is needed.');
    const text = await tool({ action: 'restore', plan: planIn(preview) });
    expect(text).toContain(`Rolled back to ${snapshot}`);
    expect(readFileSync(inState('workspace/MEMORY.md'), 'utf8')).toBe('remember the milk\n');
    expect(await said('bravo-two')).toEqual(['bravo-two']);
    rmSync(inState('workspace/MEMORY.md'));
  });

  it('stays lost when the owner says no', async () => {
    const preview = await tool({ action: 'preview', snapshot, exact: true });
    expect(preview).toContain('OpenClaw restarts for this.');
    expect(await tool({ action: 'restore', plan: planIn(preview) }, 'deny')).toMatch(/denied/i);
    expect(existsSync(inState('workspace/MEMORY.md'))).toBe(false);
    expect(await tool({ action: 'restore', plan: 'made-up' })).toContain('Make a preview first');
  });

  it('comes back over a restart, and what was planted is gone', async () => {
    const preview = await tool({ action: 'preview', snapshot, exact: true });
    const from = gateway.log.length;
    expect(await tool({ action: 'restore', plan: planIn(preview) }, 'allow-once')).toContain(
      `Ready to roll back to ${snapshot}`,
    );
    await told(/OpenClaw was rolled back to/, from);
    expect(readFileSync(inState('workspace/MEMORY.md'), 'utf8')).toBe('remember the milk\n');
    expect(existsSync(inState('skills/planted'))).toBe(false);
    expect(await said('alpha-one', 'bravo-two')).toEqual(['alpha-one']);
    // Our own installation, and the address of the gateway, are the live ones.
    expect((await gateway.health()).plugins.loaded).toContain('b2-backup');
  });

  it('goes on from there', async () => {
    expect(await gateway.agent('SAY charlie-three')).toContain('charlie-three');
    expect(await said('alpha-one', 'bravo-two', 'charlie-three')).toEqual(['alpha-one', 'charlie-three']);
    const [check] = await query(home.agentDatabase(), 'PRAGMA integrity_check');
    expect(check).toEqual({ integrity_check: 'ok' });
  });

  it('is taken back by undo', async () => {
    const preview = await tool({ action: 'preview', undo: true });
    const from = gateway.log.length;
    await tool({ action: 'undo', plan: planIn(preview) }, 'allow-once');
    await told(/The last rollback was undone/, from);
    expect(await said('alpha-one', 'bravo-two', 'charlie-three')).toEqual(['alpha-one', 'bravo-two']);
    expect(existsSync(inState('skills/planted/SKILL.md'))).toBe(true);
    expect(existsSync(inState('workspace/MEMORY.md'))).toBe(false);
  });
});
