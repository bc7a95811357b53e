/** What a user does with the plugin in the first hour: installs it, looks at it, asks for backups. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { ListReport } from '../index.js';
import { Bucket } from './support/bucket.ts';
import { Gateway, Home } from './support/gateway.ts';
import { project } from './support/host.ts';
import { Model } from './support/model.ts';
import { type Finished, finish, Program } from './support/processes.ts';

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

/** `b2-backup ARGS` by itself, for the user of the home. */
async function standalone(...args: string[]): Promise<Finished> {
  const cli = join(project, 'dist', 'cli.js');
  // OpenClaw tells its plugins by this variable where the state is.
  const env = { ...home.env, OPENCLAW_STATE_DIR: home.stateDir };
  const start = { env, cwd: home.path };
  return await finish(new Program(`b2-backup ${args.join(' ')}`, process.execPath, [cli, ...args], start));
}

/** Writes a file of the agent's workspace. */
function writeNotes(text: string): void {
  const workspace = join(home.stateDir, 'workspace');
  mkdirSync(workspace, { recursive: true });
  writeFileSync(join(workspace, 'NOTES.md'), text);
}

const ids = async (): Promise<string[]> => (await bucket.snapshots()).map(({ id }) => id);

it('is installed from a registry, with the platform package of this machine', async () => {
  const { said, asked } = inject('installed');
  expect(said).toContain('Installed plugin: b2-backup');
  const native = `@openclaw/b2-backup-linux-${process.arch}-gnu`;
  expect(asked).toEqual(expect.arrayContaining(['@openclaw/b2-backup', native, 'croner', 'chrono-node']));
  const { loaded, errors } = (await gateway.health()).plugins;
  expect(loaded).toContain('b2-backup');
  expect(errors).toEqual([]);
});

it('backs up by itself at the first start', async () => {
  const [, id] = await gateway.says(/scheduled push: Snapshot (\S+):/);
  expect(await bucket.snapshots()).toEqual([
    expect.objectContaining({ id, reason: 'scheduled', authenticated: true, problem: null }),
  ]);
});

describe('the model', () => {
  const use = async (args: object) =>
    await (await gateway.operator()).say(`CALL b2_rollback ${JSON.stringify(args)} `);

  it('lists snapshots', async () => {
    const { text } = await use({ action: 'list' });
    expect(text).toMatch(/^RESULT: .*1 snapshot, newest first:.*made by the schedule/s);
    // A time says which it is.
    for (const id of await ids()) expect(text).not.toContain(id);
  });

  it('tells whether backups work', async () => {
    expect((await use({ action: 'status' })).text).toMatch(/Last backup: .*Next backup: /s);
  });

  it('tells what has changed, and in which lines', async () => {
    writeNotes('buy milk\n');
    const { text } = await use({ action: 'diff', snapshot: 'latest', paths: ['workspace/**'] });
    expect(text).toMatch(
      /From [-0-9]+ [0-9:]+ to the present: 1 file new, 0 changed, 0 gone\..*\+ workspace\/NOTES.md.*\+buy milk/s,
    );
  });

  it('backs up, and the operator sees how far it is', async () => {
    const { text, tools } = await use({ action: 'backup' });
    expect(text).toMatch(/Backed up\. Snapshot of [-0-9]+ [0-9:]+: \d+ files/);
    expect((await bucket.snapshots()).at(-1)).toMatchObject({ reason: 'manual' });
    const updates = tools.filter(({ phase }) => phase === 'update').map((event) => JSON.stringify(event));
    expect(updates.join('\n')).toMatch(/Uploading|Reading/i);
  });
});

describe('an operator', () => {
  const say = async (command: string): Promise<string> =>
    (await (await gateway.operator()).say(command)).text;

  it('has /b2 in chats', async () => {
    expect(await say('/b2')).toMatch(
      /^(?:Your backups work|Backups are made|Looking into the bucket).*\nLast backup: /s,
    );
    const before = await ids();
    expect(await say('/b2 list')).toContain(`${before.length} snapshots, newest first:`);
    expect(await say('/b2 backup')).toMatch(/^Backed up\. Snapshot of /);
    expect(await ids()).toHaveLength(before.length + 1);
    expect(await say('/b2 what')).toContain('/b2 list - ');
  });

  it('has methods of the gateway', async () => {
    const { snapshots } = await gateway.call<ListReport>('b2-backup.list');
    expect(snapshots.map(({ id }) => id)).toEqual(await ids());
    const status = await gateway.call('b2-backup.status');
    expect(status).toMatchObject({
      schedule: 'daily',
      failures: 0,
      lastSnapshot: snapshots.at(-1)?.id,
      bucket: { bucket: 'backups', snapshots: snapshots.length, pending: false },
    });
    expect(status).not.toHaveProperty('problem');
  });
});

describe('openclaw b2-backup', () => {
  beforeAll(() => writeNotes('buy milk\nand eggs\n'));

  it.each([
    [['list'], 0],
    [['status', '--json'], 0],
    [['verify'], 0],
    [['push', '--dry-run', '--list'], 0],
    [['diff', 'latest', '--text', '--path', 'workspace/**'], 0],
    [['restore', 'latest'], 2],
    [['list', '--what', '--json'], 2],
  ])('%j says what b2-backup says', async (args, code) => {
    /** Without how long it took. */
    const timeless = (said: Finished): Finished => ({
      ...said,
      out: said.out.replaceAll(/^( *took +)\S+ s$/gm, '$1some time'),
    });
    for (;;) {
      const before = timeless(await standalone(...args));
      const ours = timeless(await home.openclaw(['b2-backup', ...args]));
      // The gateway may have written something in between: then they spoke of different states.
      if (!isDeepStrictEqual(before, timeless(await standalone(...args)))) continue;
      expect(ours).toEqual(before);
      expect(ours).toMatchObject({ code });
      break;
    }
  });

  it('restores into a directory', async () => {
    const to = join(home.path, 'restored');
    const { out, err, code } = await home.openclaw(['b2-backup', 'restore', 'latest', '--to', to]);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toContain(`Restored ${(await ids()).at(-1)} to ${to}`);
    expect(readdirSync(to)).toEqual(
      expect.arrayContaining(['agents', 'openclaw.json', 'state', 'workspace']),
    );
  });
});

it('backs up by the schedule what has changed, as soon as the schedule is set', async () => {
  const from = gateway.log.length;
  home.configurePlugin({ schedule: '* * * * * *' });
  await gateway.says(/b2-backup: backing up .* schedule "\* \* \* \* \* \*"/, { from });
  await gateway.says(/scheduled push: Nothing has changed/, { from });
  writeNotes('all bought\n');
  const isThere = async (): Promise<boolean> => {
    const to = join(home.path, `restored-${(await ids()).at(-1)}`);
    await bucket.b2Backup('restore', 'latest', '--to', to, '--path', 'workspace/NOTES.md');
    return readFileSync(join(to, 'workspace', 'NOTES.md'), 'utf8') === 'all bought\n';
  };
  await gateway.until('to back up the new file', isThere);
  expect((await bucket.snapshots()).at(-1)).toMatchObject({ reason: 'scheduled' });
});
