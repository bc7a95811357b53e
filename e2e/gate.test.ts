/**
 * Those who want to change the state without the owner's word: a `.env` where OpenClaw was started, somebody in the chat
 * who is not the owner, who has the key and makes a snapshot, and a model that tries every way around the gate. What is
 * tried through the tool and the hook alone is in `__test__/gate.test.ts`; here is what depends on the host.
 */
import { createHash } from 'node:crypto';
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { Bucket } from './support/bucket.ts';
import { Gateway, Home, type HostConfig } from './support/gateway.ts';
import { Model } from './support/model.ts';
import { Operator } from './support/operator.ts';

/** Starting OpenClaw and its commands takes half a minute each on a busy machine; in milliseconds. */
const LONG_MS = 600_000;

let model: Model;
let bucket: Bucket;
let home: Home;
let gateway: Gateway;
let guest: Operator;
let evil: string;
let snapshot: string;
let hostile: string;

const inState = (path: string): string => join(home.stateDir, path);
const read = (path: string): string => readFileSync(inState(path), 'utf8');

function write(path: string, text: string, root = home.stateDir): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

/** Everything that a rollback could change but databases, which the host writes to in every turn. */
function fingerprint(): string {
  const look = (path: string): string[] => {
    const stat = lstatSync(inState(path));
    const bits = (stat.mode & 0o7777).toString(8);
    if (stat.isSymbolicLink()) return [`${path} -> ${readlinkSync(inState(path))}`];
    if (stat.isDirectory()) {
      return [
        `${path}/ ${bits}`,
        ...readdirSync(inState(path))
          .sort()
          .flatMap((name) => look(join(path, name))),
      ];
    }
    return [
      `${path} ${bits} ${createHash('sha256')
        .update(readFileSync(inState(path)))
        .digest('hex')}`,
    ];
  };
  return ['openclaw.json', 'hooks', 'skills', 'workspace', 'workspace-work'].flatMap(look).join('\n');
}

type Config = HostConfig & { tools?: { exec?: object } };

function setPolicy(security: string): void {
  const config = home.readConfig() as Config;
  config.tools = { ...config.tools, exec: { security } };
  home.writeConfig(config);
}

function spoil(word: string): void {
  for (const path of [
    'MEMORY.md',
    'AGENTS.md',
    'SOUL.md',
    '.env',
    'run.sh',
    'skills/x/SKILL.md',
    'memory/1.md',
  ]) {
    write(`workspace/${path}`, `${word}\n`);
  }
  write('workspace-work/MEMORY.md', `${word}\n`);
  write('hooks/mine/notes.md', `${word}\n`);
  write('skills/mine/SKILL.md', `${word}\n`);
}

/** Has the model call the tool in a session; `decision` is the owner's, where one is asked for. */
async function tool(
  parameters: object,
  { decision, sessionKey }: { decision?: 'allow-once' | 'deny'; sessionKey?: string } = {},
): Promise<{ text: string; asked: string }> {
  const operator = await gateway.operator();
  let asked = '';
  const answered =
    decision === undefined
      ? undefined
      : operator
          .next('an approval to be asked for', ({ event }) => event === 'plugin.approval.requested', 90)
          .then(({ payload }) => {
            asked = JSON.stringify(payload);
            return operator.request('approval.resolve', { id: payload['id'], kind: 'plugin', decision });
          });
  const options = { seconds: 120, ...(sessionKey === undefined ? {} : { sessionKey }) };
  const { text } = await operator.say(`CALL b2_rollback ${JSON.stringify(parameters)} `, options);
  await answered;
  // The model repeats the answer as the JSON that it was given.
  return { text: text.replaceAll('\\n', '\n'), asked };
}

async function preview(parameters: object, sessionKey?: string): Promise<string> {
  const options = sessionKey === undefined ? {} : { sessionKey };
  const { text } = await tool({ action: 'preview', snapshot, ...parameters }, options);
  const plan = /with plan ([0-9a-f]{8})\b/.exec(text)?.[1];
  if (plan === undefined) throw new Error(`there is no plan in: ${text}`);
  return plan;
}

beforeAll(async () => {
  model = await Model.start();
  bucket = await Bucket.start();
  home = await Home.create(model, { like: inject('installed').home });
  home.configurePlugin(bucket.settings);
  // Where OpenClaw is started lies a file that somebody brought along.
  const elsewhere = ['B2_BUCKET=evil', 'B2_ENDPOINT=http://127.0.0.1:1', 'B2_BACKUP_PASSPHRASE=evil'];
  write(
    '.env',
    [...elsewhere, 'NAPI_RS_NATIVE_LIBRARY_PATH=/nonexistent/evil.node', ''].join('\n'),
    home.path,
  );
  spoil('then');
  setPolicy('full');
  gateway = await Gateway.start(home);
  await tool({ action: 'backup' });
  snapshot = (await bucket.snapshots()).at(-1)?.id ?? '';
  // Somebody who has the key calls links and programs memory.
  evil = mkdtempSync(join(tmpdir(), 'b2-evil-'));
  write('workspace/MEMORY.md', 'evil\n', evil);
  write('hooks/evil/handler.js', 'evil\n', evil);
  symlinkSync('../hooks', join(evil, 'workspace/memory'));
  expect(await bucket.b2Backup('push', '--state-dir', evil)).toMatchObject({ code: 0 });
  hostile = (await bucket.snapshots()).find(({ id }) => id.slice(-8) !== snapshot.slice(-8))?.id ?? '';
  spoil('now');
  setPolicy('deny');
  const { port, auth } = home.readConfig().gateway;
  guest = await Operator.connect(port, auth.token, home.path, ['operator.read', 'operator.write']);
}, LONG_MS);

afterAll(async () => {
  await guest?.close();
  await gateway?.kill();
  await bucket?.close();
  await model?.close();
  home?.remove();
  if (evil !== undefined) rmSync(evil, { recursive: true, force: true });
});

it('a `.env` where OpenClaw was started changes neither where backups go nor what is loaded', async () => {
  expect((await gateway.health()).plugins.loaded).toContain('b2-backup');
  expect(snapshot).toMatch(/^20\d\d-/);
  const status = await gateway.call('b2-backup.status');
  expect(status).toMatchObject({ failures: 0 });
  expect(JSON.stringify(status)).not.toContain('evil');
});

it('somebody in the chat who is not the owner gets neither the tool nor the command', async () => {
  const before = fingerprint();
  const command = await guest.chat(`/b2 restore ${snapshot}`, { seconds: 120 });
  expect(command.text).toMatch(/requires gateway scope|requires authorization|not authorized/i);
  const call = `CALL b2_rollback ${JSON.stringify({ action: 'list' })} `;
  // The owner gets what the guest is to go without.
  expect((await (await gateway.operator()).say(call, { seconds: 120 })).text).toContain(snapshot);
  const asked = await guest.chat(call, { seconds: 120 });
  expect(asked.text).not.toContain(snapshot);
  expect(fingerprint()).toBe(before);
});

describe('a model that has no approval', () => {
  it(
    'changes nothing, whatever it asks for',
    async () => {
      const before = fingerprint();
      const { text } = await tool({ action: 'diff', snapshot });
      expect(text).toContain('workspace/MEMORY.md:\n');
      for (const path of ['workspace/.env', 'workspace-work/MEMORY.md', 'openclaw.json']) {
        expect(text).not.toContain(`\n${path}:\n`);
      }
      for (const parameters of [
        {},
        { exact: true },
        { paths: ['workspace/*.md'] },
        { paths: ['{openclaw.json,workspace/MEMORY.md}'] },
        { paths: ['workspace/.env'] },
        { paths: ['workspace-work/MEMORY.md'] },
        { snapshot: hostile, paths: ['workspace/memory'] },
        { snapshot: hostile, paths: ['hooks/**'] },
      ]) {
        const plan = await preview(parameters);
        const restored = await tool({ action: 'restore', plan }, { decision: 'deny' });
        expect(restored.text, JSON.stringify(parameters)).toMatch(/denied/i);
        expect(fingerprint(), JSON.stringify(parameters)).toBe(before);
      }
      const plan = await preview({ paths: ['workspace/AGENTS.md'] });
      for (const parameters of [
        { action: 'restore' },
        { action: 'restore', plan: 'ab'.repeat(32) },
        { action: 'undo', plan },
        { action: 'undo' },
      ]) {
        const { text } = await tool(parameters);
        expect(text, JSON.stringify(parameters)).toMatch(/^RESULT: .*Make a preview/s);
        expect(text, JSON.stringify(parameters)).not.toMatch(/Rolled back|Ready to roll back/);
        expect(fingerprint(), JSON.stringify(parameters)).toBe(before);
      }
      // The plan of one session in another.
      const other = await tool({ action: 'restore', plan }, { sessionKey: 'agent:main:other' });
      expect(other.text).toContain('preview in this session first');
      expect(fingerprint()).toBe(before);
    },
    LONG_MS,
  );
});

it(
  'the owner reads what would be allowed before anything else, and the word counts once',
  async () => {
    const everything = await tool({ action: 'preview', snapshot });
    expect(everything.text).toMatch(
      /What is allowed:\n(.*\n)*? {2}exec policy: deny becomes full \(tools\.exec\.security\)/,
    );
    const plan = await preview({ paths: ['workspace/AGENTS.md'] });
    const allowed = await tool({ action: 'restore', plan }, { decision: 'allow-once' });
    expect(allowed.asked).toContain('What runs: instructions: workspace/AGENTS.md changes.');
    expect(allowed.text).toContain('Rolled back to the backup of ');
    expect(read('workspace/AGENTS.md')).toBe('then\n');
    write('workspace/AGENTS.md', 'now\n');
    const before = fingerprint();
    expect((await tool({ action: 'restore', plan })).text).toContain('preview in this session first');
    await preview({ paths: ['workspace/AGENTS.md'] });
    expect((await tool({ action: 'restore', plan }, { decision: 'deny' })).text).toMatch(/denied/i);
    expect(fingerprint()).toBe(before);
  },
  LONG_MS,
);

it(
  'memory comes back unasked, and by /b2 what the owner was shown there',
  async () => {
    const plan = await preview({ paths: ['workspace/MEMORY.md', 'workspace/memory'] });
    expect((await tool({ action: 'restore', plan })).text).toContain('Rolled back to the backup of ');
    expect(read('workspace/MEMORY.md')).toBe('then\n');
    const operator = await gateway.operator();
    const shown = await operator.say(`/b2 restore ${snapshot} --path workspace/SOUL.md`, { seconds: 120 });
    const [, typed] = /\/b2 confirm ([0-9a-f]{8})/.exec(shown.text) ?? [];
    const before = fingerprint();
    const elsewhere = await operator.say(`/b2 confirm ${typed}`, {
      sessionKey: 'agent:main:other',
      seconds: 120,
    });
    expect(elsewhere.text).toContain('B2_PLAN_CHANGED');
    expect(fingerprint()).toBe(before);
    const done = await operator.say(`/b2 confirm ${typed}`, { seconds: 120 });
    expect(done.text).toContain('What you confirmed:');
    expect(read('workspace/SOUL.md')).toBe('then\n');
  },
  LONG_MS,
);
