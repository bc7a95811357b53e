/** Two gateways that share a bucket, each with somebody else at work on its state. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { Bucket } from './support/bucket.ts';
import { Gateway, Home } from './support/gateway.ts';
import { project } from './support/host.ts';
import { Model } from './support/model.ts';
import { type Finished, finish, Program } from './support/processes.ts';
import { query } from './support/sqlite.ts';

const NAMES = ['first', 'second'] as const;
const ROUNDS = 3;

interface Machine {
  readonly name: string;
  readonly home: Home;
  readonly gateway: Gateway;
}

let model: Model;
let bucket: Bucket;
let machines: readonly Machine[];
const homes: Home[] = [];
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'b2-together-'));
  model = await Model.start();
  bucket = await Bucket.start();
  const start = async (name: string): Promise<Machine> => {
    const home = await Home.create(model, { like: inject('installed').home });
    homes.push(home);
    // A few snapshots each, so that there is something to prune.
    const keep = { keepSnapshots: 3, keepDaily: 0, keepWeekly: 0 };
    home.configurePlugin({ ...bucket.settings, ...keep, schedule: '* * * * * *' });
    // Otherwise the one that comes second would restore what the first one has stored.
    home.configurePlugin({ autoRestore: false });
    return { name, home, gateway: await Gateway.start(home) };
  };
  machines = await Promise.all(NAMES.map(start));
});

afterAll(async () => {
  for (const { gateway } of machines ?? []) await gateway.kill();
  await bucket?.close();
  await model?.close();
  for (const home of homes) home.remove();
  rmSync(folder, { recursive: true, force: true });
});

/** `b2-backup ARGS` for the user of a home, beside its gateway. */
async function beside({ home }: Machine, ...args: string[]): Promise<Finished> {
  const cli = join(project, 'dist', 'cli.js');
  const start = { env: home.env, cwd: home.path };
  return await finish(new Program(`b2-backup ${args.join(' ')}`, process.execPath, [cli, ...args], start));
}

/** An agent's talk, a file of its workspace, and backups from the shell and from the agent, all at once. */
async function busy(machine: Machine, round: number): Promise<void> {
  const { name, home, gateway } = machine;
  const word = `${name}-${round}`;
  await gateway.agent(`SAY ${word}`);
  mkdirSync(join(home.stateDir, 'workspace'), { recursive: true });
  writeFileSync(join(home.stateDir, 'workspace', 'NOTES.md'), `${word}\n`);
  const [shell, tool] = await Promise.all([
    beside(machine, 'push', '--json'),
    gateway.agent(`CALL b2_rollback ${JSON.stringify({ action: 'backup' })} `, 120),
  ]);
  expect(shell, shell.err).toMatchObject({ code: 0 });
  expect(tool).toMatch(/Snapshot of [-0-9]+ [0-9:]+: \d+ files|Nothing has changed/);
}

it('keeps what each of them has, whoever pushes', async () => {
  for (let round = 1; round <= ROUNDS; round += 1)
    await Promise.all(machines.map((machine) => busy(machine, round)));
  for (const { gateway } of machines) expect(await gateway.stop()).toMatchObject({ code: 0 });

  const snapshots = await bucket.snapshots();
  // Oldest first, so that the newest of each machine is what stays.
  const newest = new Map(snapshots.map(({ machine, id }) => [machine, id]));
  expect(newest.size).toBe(NAMES.length);
  for (const { authenticated, problem } of snapshots) {
    expect({ authenticated, problem }).toEqual({ authenticated: true, problem: null });
  }
  expect(await bucket.b2Backup('verify', '--read-data')).toMatchObject({ code: 0 });

  // The newest of each, on a machine that has nothing.
  const found = new Map<string, string[]>();
  for (const [machine, id] of newest) {
    const to = join(folder, machine);
    const restored = await bucket.b2Backup('restore', id, '--to', to);
    expect(restored, restored.err).toMatchObject({ code: 0 });
    const database = join(to, 'agents', 'main', 'agent', 'openclaw-agent.sqlite');
    const events = await query(database, 'SELECT event_json FROM transcript_events');
    const text = JSON.stringify(events);
    const words = NAMES.flatMap((name) => [1, 2, 3].map((round) => `${name}-${round}`));
    found.set(
      readFileSync(join(to, 'workspace', 'NOTES.md'), 'utf8').trim(),
      words.filter((word) => text.includes(word)),
    );
  }
  expect(Object.fromEntries(found)).toEqual({
    'first-3': ['first-1', 'first-2', 'first-3'],
    'second-3': ['second-1', 'second-2', 'second-3'],
  });
}, 600_000);
