/** The state is spoilt, and asked back in a conversation: preview, approval, restart; and back again. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, watch, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { Bucket } from './support/bucket.ts';
import { Gateway, Home, type HostConfig } from './support/gateway.ts';
import { Model } from './support/model.ts';
import type { Operator } from './support/operator.ts';
import { query } from './support/sqlite.ts';
import { within } from './support/until.ts';

/** Starting OpenClaw and its commands takes half a minute each on a busy machine; in milliseconds. */
const LONG_MS = 600_000;

let model: Model;
let bucket: Bucket;
let home: Home;
let gateway: Gateway;

const inState = (path: string): string => join(home.stateDir, path);
const read = (path: string): string => readFileSync(inState(path), 'utf8');

function write(path: string, text: string): void {
  mkdirSync(join(inState(path), '..'), { recursive: true });
  writeFileSync(inState(path), text);
}

/** A hook of the host that says at each start of the gateway that it ran. */
function writeHook(name: string): void {
  const metadata = JSON.stringify({ openclaw: { events: ['gateway:startup'] } });
  const head = [
    '---',
    `name: ${name}`,
    'description: "says that it ran"',
    `metadata: ${metadata}`,
    '---',
    '',
  ];
  write(`hooks/${name}/HOOK.md`, head.join('\n'));
  write(`hooks/${name}/handler.js`, `export default () => console.log('hook ${name} ran');\n`);
}

type Config = HostConfig & {
  agents: { defaults: Record<string, unknown> };
  hooks?: { internal?: { enabled?: boolean; entries?: Record<string, object> } };
};

function enableHook(name: string): void {
  const config = home.readConfig() as Config;
  const entries = { ...config.hooks?.internal?.entries, [name]: { enabled: true } };
  config.hooks = { ...config.hooks, internal: { ...config.hooks?.internal, enabled: true, entries } };
  home.writeConfig(config);
}

/** Which of these words were said to an agent, as its database has it. */
async function said(words: readonly string[], agent = 'main'): Promise<string[]> {
  const found: string[] = [];
  for (const word of words) {
    const [row] = await query(
      home.agentDatabase(agent),
      `SELECT count(*) AS rows FROM transcript_events WHERE event_json LIKE '%${word}%'`,
    );
    if (row?.['rows'] !== 0) found.push(word);
  }
  return found;
}

/** Files that take a while to come back, after all others: somebody may kill the gateway meanwhile. */
const MANY = Array.from({ length: 2_000 }, (_, at) => `workspace/many/${at}.md`);

const WORDS = ['alpha-one', 'bravo-two', 'charlie-three'] as const;

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
  const plan = /with plan ([0-9a-f]{8})\b/.exec(text)?.[1];
  if (plan === undefined) throw new Error(`there is no plan in: ${text}`);
  return plan;
}

interface Job {
  readonly id: string;
  readonly name: string;
}

async function job(name: string): Promise<Job | undefined> {
  return (await gateway.call<{ jobs: Job[] }>('cron.list')).jobs.find((one) => one.name === name);
}

async function addJob(name: string): Promise<void> {
  await gateway.call('cron.add', {
    name,
    enabled: true,
    schedule: { kind: 'cron', expr: '0 5 * * *' },
    sessionTarget: 'isolated',
    wakeMode: 'now',
    payload: { kind: 'command', argv: ['sh', '-c', `echo ${name} >> "$HOME/ran"`] },
    delivery: { mode: 'none' },
  });
}

/** How often jobs have run, by what they wrote. */
function runs(): string {
  const ran = join(home.path, 'ran');
  return existsSync(ran) ? readFileSync(ran, 'utf8') : '';
}

let snapshot: string;
/** What `openclaw doctor` finds before anything is rolled back. */
let findings: string[];
/** What is live, whatever is rolled back: a login that was made since, and settings of this plugin. */
const LOGIN = `sk-ant-oat01-${'x'.repeat(90)}`;

async function login(): Promise<Record<string, unknown>[]> {
  const shared = inState('state/openclaw.sqlite');
  return await query(
    shared,
    "SELECT state_key FROM config_machine_state WHERE state_key LIKE 'authProfiles%' AND value_json LIKE ?",
    `%${LOGIN}%`,
  );
}

beforeAll(async () => {
  model = await Model.start();
  bucket = await Bucket.start();
  home = await Home.create(model, { like: inject('installed').home });
  home.configurePlugin(bucket.settings);
  const workspace = inState('workspace-work');
  const add = ['agents', 'add', 'work', '--non-interactive', '--workspace', workspace];
  expect(await home.openclaw(add)).toMatchObject({ code: 0 });
  writeHook('mine');
  enableHook('mine');
  gateway = await Gateway.start(home);

  write('workspace/AGENTS.md', '# agents\n');
  write('workspace/MEMORY.md', 'remember the milk\n');
  for (const path of MANY) write(path, `${path}\n`);
  await gateway.agent('SAY alpha-one');
  await (await gateway.operator()).say('SAY alpha-one', { sessionKey: 'agent:work:main' });
  await addJob('milk');
  // The host remembers, of a database that it has opened before, that all of it is well.
  await gateway.restart();
  await gateway.stop();
  gateway = await Gateway.start(home);
  findings = await home.findings();
  await tool({ action: 'backup' });
  snapshot = (await bucket.snapshots()).at(-1)?.id ?? '';

  // And then it goes wrong.
  await gateway.agent('SAY bravo-two');
  await (await gateway.operator()).say('SAY bravo-two', { sessionKey: 'agent:work:main' });
  rmSync(inState('workspace/MEMORY.md'));
  write('skills/planted/SKILL.md', 'be evil\n');
  writeHook('evil');
  enableHook('evil');
  await gateway.call('cron.remove', { id: (await job('milk'))?.id });
  await addJob('evil');
  const config = home.readConfig() as Config;
  config.agents.defaults['timeoutSeconds'] = 777;
  home.writeConfig(config);
  home.configurePlugin({ keepDaily: 33 });
  const paste = ['models', 'auth', '--agent', 'main', 'paste-token', '--provider', 'anthropic'];
  expect(await home.openclaw(paste, { input: `${LOGIN}\n` })).toMatchObject({ code: 0 });
  expect(await login()).toHaveLength(1);
}, LONG_MS);

afterAll(async () => {
  await gateway?.kill();
  await bucket?.close();
  await model?.close();
  home?.remove();
});

/** Everything is as in the snapshot, but for what belongs to the machine. */
async function isAsBefore(from: number): Promise<void> {
  expect(await said(WORDS)).toEqual(['alpha-one']);
  expect(await said(WORDS, 'work')).toEqual(['alpha-one']);
  expect(read('workspace/MEMORY.md')).toBe('remember the milk\n');
  for (const planted of ['skills/planted', 'hooks/evil']) expect(existsSync(inState(planted))).toBe(false);
  expect(await job('milk')).toBeDefined();
  expect(await job('evil')).toBeUndefined();
  const config = home.readConfig() as Config;
  expect(config.agents.defaults).not.toHaveProperty('timeoutSeconds');
  expect(Object.keys(config.hooks?.internal?.entries ?? {})).toEqual(['mine']);
  // The machine's own: our installation and its settings, and logins.
  expect(config.plugins?.entries?.['b2-backup']?.config).toMatchObject({ keepDaily: 33, bucket: 'backups' });
  expect((await gateway.health()).plugins.loaded).toContain('b2-backup');
  expect(await login()).toHaveLength(1);
  // The last start is one with the hooks that were there.
  const since = gateway.log.slice(from);
  expect(since).toContain('hook mine ran');
  expect(since.slice(since.lastIndexOf('http server listening'))).not.toContain('hook evil ran');
}

/** OpenClaw has started, and its agent answers. */
async function answers(word: string): Promise<void> {
  await gateway.until('to be ready', () => gateway.isReady(), { seconds: 120 });
  expect(await gateway.agent(`SAY ${word}`)).toContain(word);
}

/** And its doctor finds nothing that was not there before. */
async function isWell(word: string): Promise<void> {
  await answers(word);
  const found = await home.findings();
  expect(found.filter((finding) => !findings.includes(finding))).toEqual([]);
}

describe('what an agent lost', () => {
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
    expect(text).toContain('Rolled back to the backup of ');
    expect(read('workspace/MEMORY.md')).toBe('remember the milk\n');
    expect(await said(WORDS)).toContain('bravo-two');
    rmSync(inState('workspace/MEMORY.md'));
  });

  it('stays lost when the owner says no', async () => {
    const preview = await tool({ action: 'preview', snapshot, exact: true });
    expect(preview).toContain('OpenClaw restarts, about 30 seconds.');
    expect(await tool({ action: 'restore', plan: planIn(preview) }, 'deny')).toMatch(/denied/i);
    expect(existsSync(inState('workspace/MEMORY.md'))).toBe(false);
    expect(await tool({ action: 'restore', plan: 'made-up' })).toContain(
      'Make a preview in this session first',
    );
  });

  it(
    'comes back over a restart, and what was planted is gone',
    async () => {
      const preview = await tool({ action: 'preview', snapshot, exact: true });
      // One turn of that agent, and a job for another.
      expect(preview).toContain('conversations of work since then (2 messages), ');
      expect(preview).toMatch(/conversations of main since then \(\d+ messages\), /);
      expect(preview).toContain(' 2 jobs');
      expect(existsSync(inState('b2-backup/plan'))).toBe(false);
      const from = gateway.log.length;
      expect(await tool({ action: 'restore', plan: planIn(preview) }, 'allow-once')).toContain(
        'Ready to roll back to the backup of ',
      );
      const asked = model.exchanges.length;
      await told(/OpenClaw was rolled back to/, from);
      await isAsBefore(from);
      // The turn that the snapshot was made in is not gone on with: the model was asked nothing about it.
      const repeated = model.exchanges.slice(asked).filter(({ reply }) => reply.kind === 'call');
      expect(repeated).toEqual([]);
    },
    LONG_MS,
  );

  it('goes on from there, and the job runs', async () => {
    await isWell('charlie-three');
    expect(await said(WORDS)).toEqual(['alpha-one', 'charlie-three']);
    const [check] = await query(home.agentDatabase(), 'PRAGMA integrity_check');
    expect(check).toEqual({ integrity_check: 'ok' });
    await gateway.call('cron.run', { id: (await job('milk'))?.id, mode: 'force' });
    await gateway.until('to run the job', () => runs() !== '');
    expect(runs()).toBe('milk\n');
  });

  it(
    'is taken back by undo',
    async () => {
      const preview = await tool({ action: 'preview', undo: true });
      expect(preview).toContain('conversations of work (2 messages come back)');
      const from = gateway.log.length;
      await tool({ action: 'undo', plan: planIn(preview) }, 'allow-once');
      await told(/The last rollback was undone/, from);
      expect(await said(WORDS)).toEqual(['alpha-one', 'bravo-two']);
      expect(await said(WORDS, 'work')).toEqual(['alpha-one', 'bravo-two']);
      for (const planted of ['skills/planted', 'hooks/evil']) expect(existsSync(inState(planted))).toBe(true);
      expect(existsSync(inState('workspace/MEMORY.md'))).toBe(false);
      expect(await job('evil')).toBeDefined();
      expect((home.readConfig() as Config).agents.defaults).toMatchObject({ timeoutSeconds: 777 });
      expect(await login()).toHaveLength(1);
      await isWell('delta-four');
    },
    LONG_MS,
  );
});

/** Whether a rollback is being carried out: the last byte of a phase, in `src/local/journal.rs`. */
function isHalfDone(): boolean {
  const folder = inState('b2-backup/restore');
  const phases = readdirSync(folder).map((id) => join(folder, id, 'phase'));
  return phases.some((path) => existsSync(path) && readFileSync(path).at(-1) === 1);
}

/** Kills the gateway, and the process that rolls back, as soon as a file is back. */
async function killedAt(path: string): Promise<void> {
  const { pid } = gateway;
  const watcher = watch(dirname(inState(path)));
  const killed = new Promise<void>((resolve) => {
    watcher.on('change', (_event, name) => {
      if (name !== basename(path) || !existsSync(inState(path))) return;
      process.kill(-pid, 'SIGKILL');
      resolve();
    });
  });
  try {
    await within('the rollback to begin', killed, { seconds: 120, evidence: () => gateway.tail() });
  } finally {
    watcher.close();
  }
  await gateway.kill();
}

it(
  'is finished at the next start when it is killed on the way',
  async () => {
    let half = false;
    // It may be too late by the time that the file is seen.
    for (let round = 0; round < 3 && !half; round += 1) {
      rmSync(inState('workspace/MEMORY.md'), { force: true });
      rmSync(inState('workspace/many'), { recursive: true });
      const preview = await tool({ action: 'preview', snapshot, exact: true });
      const killed = killedAt('workspace/MEMORY.md');
      await tool({ action: 'restore', plan: planIn(preview) }, 'allow-once');
      await killed;
      half = isHalfDone() && !MANY.every((path) => existsSync(inState(path)));

      // It starts twice, the second time to see what was brought back.
      gateway = await Gateway.start(home, { seconds: 300 });
      await told(/OpenClaw was rolled back to/, 0);
      await isAsBefore(0);
      expect(MANY.filter((path) => !existsSync(inState(path)))).toEqual([]);
    }
    expect(half).toBe(true);
    await gateway.call('cron.run', { id: (await job('milk'))?.id, mode: 'force' });
    await gateway.until('to run the job', () => runs() === 'milk\nmilk\n');
  },
  LONG_MS,
);

it(
  'holds as often as it is done, in one process, to snapshots made in turns',
  async () => {
    for (const round of [1, 2, 3]) {
      await tool({ action: 'backup' });
      const made = (await bucket.snapshots()).at(-1)?.id ?? '';
      await gateway.agent(`SAY late-${round}`);
      const preview = await tool({ action: 'preview', snapshot: made });
      const from = gateway.log.length;
      await tool({ action: 'restore', plan: planIn(preview) }, 'allow-once');
      await told(/OpenClaw was rolled back to/, from);
      expect(await said([`late-${round}`])).toEqual([]);
      await answers(`after-${round}`);
    }
    await isWell('well');
  },
  LONG_MS,
);

it(
  'is taken back in a shell while OpenClaw does not start',
  async () => {
    const made = (await bucket.snapshots()).at(-1)?.id ?? '';
    await gateway.agent('SAY india-nine');
    await gateway.stop();
    const config = home.readConfig() as Config;
    config.agents.defaults['timeoutSeconds'] = 778;
    home.writeConfig(config);
    expect(await bucket.inShellOf(home, 'restore', made, '--yes')).toMatchObject({ code: 0 });
    expect(await said(['india-nine'])).toEqual([]);
    expect((home.readConfig() as Config).agents.defaults).not.toMatchObject({ timeoutSeconds: 778 });

    writeFileSync(home.configPath, '{ spoilt by an edit');
    await expect(Gateway.start(home, { seconds: 60 })).rejects.toThrow();
    expect(await bucket.inShellOf(home, 'undo', '--yes')).toMatchObject({ code: 0 });
    expect(await said(['india-nine'])).toEqual(['india-nine']);
    expect((home.readConfig() as Config).agents.defaults).toMatchObject({ timeoutSeconds: 778 });
    gateway = await Gateway.start(home);
    await isWell('juliet-ten');
  },
  LONG_MS,
);
