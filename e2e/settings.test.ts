/** Settings that do not work, that are put right while the gateway runs, and that change during a push. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { Bucket } from './support/bucket.ts';
import { Gateway, Home } from './support/gateway.ts';
import { Model } from './support/model.ts';

/** The name of an environment variable. */
const VARIABLE = 'TEST_B2_APPLICATION_KEY';

let model: Model;
let bucket: Bucket;
let home: Home;
let gateway: Gateway;

beforeAll(async () => {
  model = await Model.start();
  bucket = await Bucket.start();
  const env = { [VARIABLE]: bucket.settings.applicationKey };
  home = await Home.create(model, { like: inject('installed').home, env });
  gateway = await Gateway.start(home);
});

afterAll(async () => {
  await gateway?.kill();
  await bucket?.close();
  await model?.close();
  home?.remove();
});

/** The log's lines of ours from `from` on, without their times. */
function lines(from = 0): string[] {
  return [...gateway.log.slice(from).matchAll(/\[plugins\] b2-backup: (.*)/g)].map(([, text = '']) => text);
}

const problems = async () =>
  (await gateway.health()).plugins.errors.filter(({ id }) => id === 'b2-backup').map(({ error }) => error);

/** What the gateway says when these settings have replaced those before; waits until `pattern` is in it. */
async function configure(settings: Record<string, unknown>, pattern: RegExp): Promise<string[]> {
  const from = gateway.log.length;
  home.configurePlugin(settings);
  await gateway.says(pattern, { from });
  return lines(from);
}

describe('without settings', () => {
  it('the gateway runs, and says in one line what is missing', async () => {
    await gateway.says(/b2-backup: nothing is backed up/);
    const missing = /bucket, keyId and applicationKey: not set/;
    expect(lines()).toEqual([expect.stringMatching(missing)]);
    expect(await problems()).toEqual([expect.stringMatching(missing)]);
    expect(await gateway.call('b2-backup.status')).toMatchObject({
      problem: { code: 'B2_NOT_SET_UP', message: expect.stringMatching(missing) },
    });
    expect(await gateway.agent('SAY hello')).toBe('hello');
  });

  it('openclaw health names the plugin and what is missing', async () => {
    const { out, err } = await home.openclaw(['health']);
    expect(out + err).toMatch(/b2-backup.*bucket, keyId and applicationKey: not set/s);
  });
});

describe('settings that do not work', () => {
  it.each([
    [{ schedule: 'at noon' }, /schedule: /],
    [{ keepSnapshots: -1, schedule: undefined }, /keepSnapshots: /],
    [{ bucket: '/mnt/backup', keepSnapshots: undefined }, /bucket: .* "file:\/\/\/mnt\/backup"/],
  ])('%j are named', async (wrong, named) => {
    const said = await configure({ ...bucket.settings, ...wrong }, /b2-backup: nothing is backed up/);
    expect(said).toEqual([expect.stringMatching(named)]);
    expect(await problems()).toEqual([expect.stringMatching(named)]);
    expect(await gateway.call('b2-backup.status')).toMatchObject({
      problem: { code: 'B2_CONFIG', message: expect.stringMatching(named) },
    });
  });
});

describe('settings put right', () => {
  it('begin the backups while the gateway runs; what is not known is named and does no harm', async () => {
    const applicationKey = { source: 'env', provider: 'default', id: VARIABLE };
    const settings = { ...bucket.settings, applicationKey, keepsnapshots: 5 };
    const said = await configure(settings, /scheduled push: Snapshot/);
    expect(said).toEqual([
      expect.stringMatching(/keepsnapshots: there is no such setting; it is ignored/),
      expect.stringMatching(/backing up .* to backups, schedule "daily"/),
      // The agent has spoken above.
      expect.stringMatching(/this machine has content of its own .*: nothing is restored by itself/),
      expect.stringMatching(/scheduled push: Snapshot/),
    ]);
    expect(await problems()).toEqual([]);
    expect(await gateway.call('b2-backup.status')).not.toHaveProperty('problem');
    expect(await bucket.snapshots()).toEqual([expect.objectContaining({ reason: 'scheduled' })]);
  });

  it('may keep the key in the environment, for commands, too', async () => {
    const { out, code } = await home.openclaw(['b2-backup', 'list']);
    expect(code).toBe(0);
    for (const { id } of await bucket.snapshots()) expect(out).toContain(id);
  });
});

describe('a change of settings during a push', () => {
  it('leaves the rest to the next instance, and is no end of the gateway', async () => {
    await configure({ schedule: '* * * * * *', keepsnapshots: undefined }, /Nothing has changed/);
    const uploads = bucket.gate.hold();
    mkdirSync(join(home.stateDir, 'workspace'), { recursive: true });
    writeFileSync(join(home.stateDir, 'workspace', 'NOTES.md'), randomBytes(1_000).toString('hex'));
    await uploads.begun();
    expect(secretsOfProcesses()).toEqual([]);

    const from = gateway.log.length;
    await configure({ schedule: 'daily' }, /backing up .* schedule "daily"/);
    await gateway.says(/scheduled push was cut short; the next one continues it/, { from });
    expect(gateway.log.slice(from)).not.toMatch(/exceeded|timed out|reload failed/);
    bucket.gate.release();
    const [, id] = await gateway.says(/scheduled push: .*; finished (\S+), which had been cut off/, { from });
    const snapshots = await bucket.snapshots();
    expect(snapshots).toContainEqual(expect.objectContaining({ id, reason: 'scheduled', problem: null }));
    expect(snapshots.map(({ reason }) => reason)).not.toContain('shutdown');
  });
});

it('the key is nowhere to be read', async () => {
  await gateway.stop();
  const { applicationKey } = bucket.settings;
  expect(gateway.log).not.toContain(applicationKey);
  const { logging } = home.readConfig() as unknown as { logging: { file: string } };
  const files = [home.configPath, logging.file, ...filesIn(join(home.stateDir, 'b2-backup'))];
  expect(files.length).toBeGreaterThan(5);
  for (const path of files) expect(readFileSync(path, 'latin1').includes(applicationKey), path).toBe(false);
});

/** Command lines of processes that show the key, and environments of workers that do. */
function secretsOfProcesses(): string[] {
  const { applicationKey } = bucket.settings;
  let workers = 0;
  const found: string[] = [];
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    let command: string;
    let environment: string;
    try {
      command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      environment = readFileSync(`/proc/${pid}/environ`, 'utf8');
    } catch {
      // It has ended.
      continue;
    }
    const worker = /plugin-captures\S*dist\/worker\.js/.test(command) && environment.includes(home.path);
    if (worker) workers += 1;
    // The test's own server is given the key on its command line.
    if (command.includes('s3_server')) continue;
    if (command.includes(applicationKey) || (worker && environment.includes(applicationKey)))
      found.push(command);
  }
  expect(workers).toBe(1);
  return found;
}

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile());
}
