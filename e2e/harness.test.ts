/** The harness itself, shown with a plugin that only watches. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Bucket } from './support/bucket.ts';
import { CONTEXT_WINDOW, Gateway, Home } from './support/gateway.ts';
import { project } from './support/host.ts';
import { Model } from './support/model.ts';
import { packFolder, packForRegistry, Registry } from './support/registry.ts';
import { query } from './support/sqlite.ts';

const NATIVE = `@openclaw/b2-backup-linux-${process.arch}-gnu`;

let tarballs: string;
let registry: Registry;
let model: Model;
let home: Home;
let gateway: Gateway;

const noted = (): string[] => readFileSync(join(home.path, 'probe.log'), 'utf8').trimEnd().split('\n');

beforeAll(async () => {
  tarballs = mkdtempSync(join(tmpdir(), 'b2-registry-'));
  await packForRegistry(tarballs);
  await packFolder(join(project, 'e2e', 'probe'), tarballs);
  registry = await Registry.start(tarballs);
  model = await Model.start();
  home = await Home.create(model, { tools: { alsoAllow: ['b2_probe'] } });
  await home.install(registry, '@openclaw/b2-probe');
  gateway = await Gateway.start(home);
});

afterAll(async () => {
  await gateway?.kill();
  await model?.close();
  await registry?.close();
  home?.remove();
  rmSync(tarballs, { recursive: true, force: true });
});

describe('a gateway with a plugin', () => {
  it('was installed from the registry, the other platforms not being there', () => {
    expect(registry.asked).toEqual(expect.arrayContaining(['@openclaw/b2-probe', NATIVE]));
  });

  it('has the model call the tool, whose updates reach the operator', async () => {
    const turn = await (await gateway.operator()).say('CALL b2_probe {"words":"one two"}');
    expect(turn.text).toContain('probe: one two');
    expect(turn.tools.map(({ phase }) => phase)).toContain('update');
    expect(model.exchanges.at(-1)?.reply).toMatchObject({ text: expect.stringContaining('probe: one two') });
  });

  it('answers slash commands, methods and the command line', async () => {
    expect((await (await gateway.operator()).say('/probe list it')).text).toBe('probe: list it');
    expect(await gateway.call('b2-probe.echo', { a: 1 })).toEqual({ a: 1 });
    expect(await home.openclaw(['b2-probe', 'push', '--help', '--', '-x'])).toMatchObject({
      code: 0,
      out: '["push","--help","--","-x"]\n',
    });
    await expect(gateway.call('b2-probe.nothing')).rejects.toThrow(/unknown method/);
  });

  it('tells its health', async () => {
    const problem = {
      id: 'b2-probe',
      failurePhase: 'service',
      error: expect.stringContaining('only a probe'),
    };
    expect((await gateway.health()).plugins.errors).toEqual([expect.objectContaining(problem)]);
  });

  it('compacts when asked to, and by itself; and keeps what was said', async () => {
    await gateway.agent('SAY remember the milk');
    for (const words of [900, 901]) await gateway.agent(`BIG ${words}`);
    expect(await gateway.compact()).toMatchObject({ compacted: true });
    expect(noted()).toEqual(['before_compaction']);

    model.promptTokens = CONTEXT_WINDOW - 3_000;
    await gateway.agent('BIG 902');
    model.promptTokens = undefined;
    await gateway.until('to compact by itself', () => noted().length === 2);

    await (await gateway.operator()).say('/new');
    await gateway.until('to reset the session', () => noted().at(-1) === 'before_reset new');
    const milk = "SELECT count(*) AS rows FROM transcript_events WHERE event_json LIKE '%remember the milk%'";
    expect(await query(home.agentDatabase(), milk)).toEqual([{ rows: 2 }]);
  });

  it('stops when asked to', async () => {
    expect(await gateway.stop()).toEqual({ code: 0, signal: null });
    expect(noted().slice(-2)).toEqual(['gateway_stop gateway stopping', 'service stopped']);
  });
});

it('OpenClaw installs a plugin without its platform package, and does not say so', async () => {
  registry.hide(NATIVE);
  const other = await Home.create(model);
  try {
    expect((await other.install(registry, '@openclaw/b2-probe')).out).toContain('Installed plugin: b2-probe');
  } finally {
    registry.show(NATIVE);
    other.remove();
  }
});

it('a bucket is empty before the first push', async () => {
  const bucket = await Bucket.start();
  try {
    expect(await bucket.snapshots()).toEqual([]);
  } finally {
    await bucket.close();
  }
});
