/** A machine is lost. On another one, in another home, OpenClaw and the plugin are installed, and three settings made. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { Bucket } from './support/bucket.ts';
import { Gateway, Home, type HostConfig } from './support/gateway.ts';
import { project } from './support/host.ts';
import { Model } from './support/model.ts';
import { finish, Program } from './support/processes.ts';
import { query } from './support/sqlite.ts';

/** Starting OpenClaw and its commands takes half a minute each on a busy machine; in milliseconds. */
const LONG_MS = 600_000;

let model: Model;
let bucket: Bucket;
let old: Home;
/** What was said to the agents on the old machine, as its gateway gave it. */
let said: Record<string, unknown>;
let snapshot: string;

const SESSIONS = ['agent:main:main', 'agent:work:main'];
const homes: Home[] = [];
let gateway: Gateway | undefined;

function write(home: Home, path: string, text: string): void {
  mkdirSync(join(home.stateDir, path, '..'), { recursive: true });
  writeFileSync(join(home.stateDir, path), text);
}

const read = (home: Home, path: string): string => readFileSync(join(home.stateDir, path), 'utf8');

/** The messages of both sessions, as a user sees them. */
async function history(of: Gateway): Promise<Record<string, unknown>> {
  const all: Record<string, unknown> = {};
  for (const sessionKey of SESSIONS) {
    const { messages } = await of.call<{ messages: { role: string; content: unknown }[] }>('chat.history', {
      sessionKey,
    });
    all[sessionKey] = messages.map(({ role, content }) => ({ role, content }));
  }
  return all;
}

interface Job {
  readonly id: string;
  readonly name: string;
}

async function jobs(of: Gateway): Promise<Job[]> {
  return (await of.call<{ jobs: Job[] }>('cron.list', {})).jobs;
}

/** A home in which the plugin is installed and the user has made three settings, and where the bucket is. */
async function blank(settings: Record<string, unknown> = {}): Promise<Home> {
  const home = await Home.create(model, { like: inject('installed').home });
  homes.push(home);
  home.configurePlugin({ ...bucket.settings, ...settings });
  return home;
}

beforeAll(async () => {
  model = await Model.start();
  bucket = await Bucket.start();
  old = await blank({ machineName: 'anna-laptop' });
  const first = await Gateway.start(old);
  gateway = first;
  await first.says(/scheduled push: Snapshot/);
  const added = await old.openclaw([
    ...['agents', 'add', 'work', '--non-interactive', '--workspace', join(old.stateDir, 'workspace-work')],
  ]);
  expect(added).toMatchObject({ code: 0 });
  await first.agent('SAY alpha-one');
  await (await first.operator()).say('SAY bravo-two', { sessionKey: 'agent:work:main' });
  write(old, 'workspace/MEMORY.md', 'remember the milk\n');
  write(old, 'workspace-work/plan.md', 'the plan\n');
  const job = ['--name', 'milk', '--cron', '0 5 * * *', '--command', 'echo ran >> "$HOME/ran"'];
  expect(await old.openclaw(['cron', 'add', ...job])).toMatchObject({ code: 0 });
  said = await history(first);
  expect(JSON.stringify(said)).toMatch(/alpha-one.*bravo-two/);
  await (await first.operator()).say('/b2 backup');
  snapshot = (await bucket.snapshots()).at(-1)?.id ?? '';
  // The machine is gone: it does not even say good-bye.
  await first.kill();
  gateway = undefined;
}, LONG_MS);

afterEach(async () => {
  await gateway?.kill();
  gateway = undefined;
});

afterAll(async () => {
  await bucket?.close();
  await model?.close();
  for (const home of homes) home.remove();
});

/** Starts the gateway of a new machine, and waits until it has everything. */
async function arrive(home: Home): Promise<Gateway> {
  gateway = await Gateway.start(home);
  await gateway.says(/This new machine now has what anna-laptop \([0-9a-f]{8}\) had: /, { seconds: 120 });
  const [, pushed] = await gateway.says(/scheduled push: Snapshot (\S+):/, { seconds: 120 });
  await gateway.until('to answer', async () => (await gateway?.health()) !== undefined);
  // It is the old machine to the bucket now: nothing is stored a second time.
  expect(pushed?.slice(-8)).toBe(snapshot.slice(-8));
  return gateway;
}

describe('a new machine', () => {
  let home: Home;
  let here: Gateway;

  beforeAll(async () => {
    home = await blank();
    // As a user sets OpenClaw up: it makes a workspace with files of its own.
    const config = home.readConfig() as HostConfig & { agents: { defaults: { skipBootstrap?: boolean } } };
    delete config.agents.defaults.skipBootstrap;
    home.writeConfig(config);
    const skip = ['health', 'channels', 'skills', 'ui'].map((what) => `--skip-${what}`);
    const setUp = [
      'onboard',
      '--non-interactive',
      '--accept-risk',
      '--mode',
      'local',
      '--auth-choice',
      'skip',
    ];
    expect(await home.openclaw([...setUp, ...skip])).toMatchObject({ code: 0 });
    expect(existsSync(join(home.stateDir, 'workspace', 'BOOTSTRAP.md'))).toBe(true);
    here = await arrive(home);
    // For all tests here, not for one.
    gateway = undefined;
  }, LONG_MS);

  afterAll(async () => {
    await here?.kill();
  });

  it('says what it was given, and what was left out', async () => {
    const machine = snapshot.slice(-8);
    expect(here.log).toContain(`files from ${snapshot}, made `);
    expect(here.log).toContain(`what anna-laptop (${machine}) had: `);
    expect(here.log).toContain(`(the state was in ${old.stateDir})`);
    expect(here.log).toContain('Left out are secrets');
  });

  it('knows what was said, and goes on from there', async () => {
    expect(await history(here)).toEqual(said);
    expect(await here.agent('SAY charlie-three')).toBe('charlie-three');
    const [check] = await query(home.agentDatabase(), 'PRAGMA integrity_check');
    expect(check).toEqual({ integrity_check: 'ok' });
  });

  it('has the files of both workspaces, and is not introduced to its user again', () => {
    expect(read(home, 'workspace/MEMORY.md')).toBe('remember the milk\n');
    expect(read(home, 'workspace-work/plan.md')).toBe('the plan\n');
    expect(existsSync(join(home.stateDir, 'workspace', 'BOOTSTRAP.md'))).toBe(false);
  });

  it('has the job, which runs', async () => {
    const job = (await jobs(here)).find(({ name }) => name === 'milk');
    expect(job).toBeDefined();
    await here.call('cron.run', { id: job?.id, mode: 'force' });
    const ran = join(home.path, 'ran');
    await here.until('to run the job', () => existsSync(ran) && readFileSync(ran, 'utf8') === 'ran\n');
  });

  it('is configured as the old one was, with paths of its own', () => {
    const text = read(home, 'openclaw.json');
    expect(text).not.toContain(old.path);
    expect(text).toContain(join(home.stateDir, 'workspace-work'));
    const { gateway: now } = home.readConfig();
    expect(now.auth.token).not.toBe(old.readConfig().gateway.auth.token);
  });

  it(
    'goes on with the backups of the old one, and stays as it is at the next start',
    async () => {
      const machines = new Set((await bucket.snapshots()).map(({ machine }) => machine));
      expect([...machines]).toEqual([snapshot.slice(-8)]);
      expect(here.log).toContain(`goes on with the backups of machine ${snapshot.slice(-8)}`);
      await here.stop();
      here = await Gateway.start(home);
      expect(here.log).not.toContain('This machine is new');
      expect(JSON.stringify(await history(here))).toContain('charlie-three');
    },
    LONG_MS,
  );
});

describe('nothing is restored by itself', () => {
  it('where the user does not want it', async () => {
    const home = await blank({ autoRestore: false });
    gateway = await Gateway.start(home);
    await gateway.says(/scheduled push: Snapshot/);
    expect(existsSync(join(home.stateDir, 'workspace', 'MEMORY.md'))).toBe(false);
    expect(await jobs(gateway)).not.toContainEqual(expect.objectContaining({ name: 'milk' }));
  });

  it('where something of the user is', async () => {
    const home = await blank();
    write(home, 'workspace/MEMORY.md', 'something else\n');
    gateway = await Gateway.start(home);
    await gateway.says(/content of its own \(workspace\/MEMORY.md\)/);
    await gateway.says(/scheduled push: Snapshot/);
    expect(read(home, 'workspace/MEMORY.md')).toBe('something else\n');
    expect(await jobs(gateway)).not.toContainEqual(expect.objectContaining({ name: 'milk' }));
  });

  it(
    'where the key does not fit: that is said, and backups go on',
    async () => {
      const prefix = 'sealed';
      const env = { ...old.env, B2_PREFIX: prefix, B2_BACKUP_PASSPHRASE: 'tulip granite orbit velvet mango' };
      const cli = join(project, 'dist', 'cli.js');
      const push = new Program('b2-backup push', process.execPath, [cli, 'push'], { env, cwd: old.path });
      expect(await finish(push)).toMatchObject({ code: 0 });
      const home = await blank({ prefix, passphrase: 'meadow copper lantern fjord biscuit' });
      gateway = await Gateway.start(home);
      await gateway.says(/no backup was restored: .*They open with the passphrase/);
      await gateway.says(/scheduled push: Snapshot/);
      expect(existsSync(join(home.stateDir, 'workspace', 'MEMORY.md'))).toBe(false);
    },
    LONG_MS,
  );
});

it(
  'is restored by hand with OpenClaw stopped',
  async () => {
    const home = await blank();
    const { out, err, code } = await home.openclaw(['b2-backup', 'restore', snapshot, '--yes']);
    expect({ code, err: err.replace(/^warning: .*\n/gm, '') }).toEqual({ code: 0, err: '' });
    expect(out).toContain(`Rolled back to ${snapshot}`);
    expect(read(home, 'workspace/MEMORY.md')).toBe('remember the milk\n');
    gateway = await Gateway.start(home);
    expect(await history(gateway)).toEqual(said);
    expect(await jobs(gateway)).toContainEqual(expect.objectContaining({ name: 'milk' }));
    expect((await gateway.health()).plugins.loaded).toContain('b2-backup');
  },
  LONG_MS,
);
