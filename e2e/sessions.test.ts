/** What was said to the agent survives: compaction, reset, the gateway's end, a bucket that hangs, another machine. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { Bucket } from './support/bucket.ts';
import { CONTEXT_WINDOW, Gateway, Home } from './support/gateway.ts';
import { locksOf } from './support/locks.ts';
import { Model } from './support/model.ts';
import { openRegistry } from './support/registry.ts';
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
  await gateway.says(/scheduled push: Snapshot/);
});

afterAll(async () => {
  await gateway?.kill();
  await bucket?.close();
  await model?.close();
  home?.remove();
});

/** A transcript, as far as it is of interest here. */
interface Transcript {
  /** What the agent answered, without the long answers. */
  readonly said: readonly string[];
  readonly compactions: number;
}

/** The agent's transcripts of all sessions. */
async function read(database: string): Promise<Transcript> {
  const rows = await query(database, 'SELECT event_json AS event FROM transcript_events ORDER BY rowid');
  // Long ones are kept elsewhere, compressed.
  const events = rows.flatMap(({ event }) => (event === null ? [] : [JSON.parse(`${event}`) as Event]));
  return {
    said: events
      .filter(({ message }) => message?.role === 'assistant')
      .map(({ message }) => message?.content.map(({ text }) => text).join('') ?? ''),
    compactions: events.filter(({ type }) => type === 'compaction').length,
  };
}

interface Event {
  readonly type: string;
  readonly message?: { readonly role: string; readonly content: readonly { readonly text?: string }[] };
}

/** The transcripts in a snapshot. */
async function restored(id = ''): Promise<Transcript> {
  const to = join(home.path, `restored-${id}`);
  const path = 'agents/main/agent/openclaw-agent.sqlite';
  const { code, err } = await bucket.b2Backup('restore', id, '--to', to, '--path', path);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  return await read(join(to, path));
}

/** Waits for the end of a push; gives its snapshot. */
async function pushed(reason: string, from = 0): Promise<string | undefined> {
  const [, id] = await gateway.says(new RegExp(`b2-backup: ${reason} push: Snapshot (\\S+):`), { from });
  expect(await bucket.snapshots()).toContainEqual(expect.objectContaining({ id, reason, problem: null }));
  return id;
}

describe('before it is compacted', () => {
  it('the session is backed up when the user compacts it', async () => {
    await gateway.agent('SAY remember the milk');
    for (const words of [900, 901]) await gateway.agent(`BIG ${words}`);
    expect(await gateway.compact()).toMatchObject({ compacted: true });
    expect(await restored(await pushed('compaction'))).toMatchObject({
      said: ['remember the milk'],
      compactions: 0,
    });
    expect((await read(home.agentDatabase())).compactions).toBe(1);
  });

  it('the session is backed up when OpenClaw compacts it by itself', async () => {
    // Another instance of the plugin: within five minutes the same would leave it at the last one.
    const from = gateway.log.length;
    home.configurePlugin({ keepSnapshots: 20 });
    await gateway.says(/b2-backup: backing up/, { from });
    // No model has a summary ready within the milliseconds that the host gives us.
    const summarize = model.holdSummaries();
    model.promptTokens = CONTEXT_WINDOW - 3_000;
    const turn = gateway.agent('BIG 902');
    const before = await restored(await pushed('compaction', from));
    summarize();
    await turn;
    model.promptTokens = undefined;
    expect(before).toMatchObject({ said: ['remember the milk'], compactions: 1 });
    await gateway.until(
      'to have compacted',
      async () => (await read(home.agentDatabase())).compactions === 2,
    );
  });
});

it('is backed up before a reset', async () => {
  const from = gateway.log.length;
  await (await gateway.operator()).say('/new');
  expect((await restored(await pushed('reset', from))).said).toContain('remember the milk');
});

it('goes on during a push, with all locks of the gateway in place', async () => {
  const databases = [home.agentDatabase(), join(home.stateDir, 'state', 'openclaw.sqlite')];
  const locks = (): string[] => locksOf(gateway.pid, databases);
  const before = locks();
  for (const name of ['openclaw-agent.sqlite', 'openclaw.sqlite'])
    expect(before).toContainEqual(expect.stringMatching(`^${name}-shm READ `));

  const from = gateway.log.length;
  const uploads = bucket.gate.hold();
  const push = (await gateway.operator()).say('/b2 backup', { sessionKey: 'agent:main:other' });
  await uploads.begun();
  expect(locks()).toEqual(expect.arrayContaining(before));
  await gateway.agent('SAY words during a push');
  bucket.gate.release();
  await push;
  await pushed('manual', from);
  expect(locks()).toEqual(expect.arrayContaining(before));
});

describe('the end of the gateway', () => {
  it('comes after a last push', async () => {
    await gateway.agent('SAY last words');
    expect(await gateway.stop()).toEqual({ code: 0, signal: null });
    expect(gateway.log).toContain('[shutdown] completed cleanly');
    expect((await restored(await pushed('shutdown'))).said).toContain('last words');
  });

  it('comes soon when the bucket hangs', async () => {
    gateway = await Gateway.start(home);
    expect((await read(home.agentDatabase())).said).toEqual(
      expect.arrayContaining(['words during a push', 'last words']),
    );
    const count = (await bucket.snapshots()).length;
    await gateway.agent('SAY unsent words');
    bucket.gate.hold();
    expect(await gateway.stop()).toEqual({ code: 0, signal: null });
    expect(gateway.log).toContain('[shutdown] completed cleanly');
    expect(gateway.log).toMatch(/shutdown push was cut short; the next one continues it/);
    expect(await bucket.snapshots()).toHaveLength(count);
    bucket.gate.release();
  });

  it('leaves what could not be sent to the next start', async () => {
    gateway = await Gateway.start(home);
    const [, id] = await gateway.says(/scheduled push: .*; finished (\S+), which had been cut off/);
    expect(await bucket.snapshots()).toContainEqual(expect.objectContaining({ id, reason: 'shutdown' }));
    expect((await restored(id)).said).toContain('unsent words');
    await gateway.stop();
  });
});

it('lives on on another machine', async () => {
  const { tarballs } = inject('installed');
  const registry = await openRegistry(tarballs);
  const blank = await Home.create(model);
  try {
    rmSync(blank.stateDir, { recursive: true });
    const { code, err } = await bucket.b2Backup('restore', 'latest', '--to', blank.stateDir);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    // A snapshot holds none of our own keys: the user puts them where their placeholders stand.
    expect(JSON.stringify(blank.readConfig())).not.toContain(bucket.settings.applicationKey);
    blank.configurePlugin(bucket.settings);
    await blank.install(registry);
    gateway = await Gateway.start(blank);
    expect(await gateway.call('sessions.list')).toMatchObject({
      sessions: expect.arrayContaining([expect.objectContaining({ key: 'agent:main:main' })]),
    });
    const history = await gateway.call('chat.history', { sessionKey: 'agent:main:main' });
    expect(JSON.stringify(history)).toContain('unsent words');
    expect(await gateway.agent('SAY here I am')).toBe('here I am');
    expect(JSON.stringify(model.exchanges.at(-1)?.request.messages)).toContain('unsent words');
    expect((await gateway.health()).plugins.errors).toEqual([]);
    await pushed('scheduled');
  } finally {
    await gateway.kill();
    blank.remove();
    await registry.close();
  }
});
