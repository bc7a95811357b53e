/** What keeps a gateway from backing up is named by `doctor` and `status`, and nothing else is: over every setting there is. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { main } from '../ts/cli/main.ts';
import { createEngine, type Engine } from '../ts/engine.ts';
import { BackupError } from '../ts/errors.ts';
import { readPlugins, whyNotLoaded } from '../ts/loads.ts';
import { loadNative } from '../ts/native.ts';
import { call } from '../ts/operations.ts';
import { pluginsOf } from '../ts/plugin/cli.ts';
import { configure } from '../ts/plugin/settings.ts';
import { addon } from './addon-support.ts';
import { FakeHost } from './plugin-support.ts';
import { world } from './support.ts';

const { properties } = (
  JSON.parse(readFileSync(new URL('../openclaw.plugin.json', import.meta.url), 'utf8')) as {
    configSchema: { properties: Readonly<Record<string, { anyOf: readonly { type: string | string[] }[] }>> };
  }
).configSchema;

/** A value of each type; no text here means anything to any setting. */
const OF_TYPE: Readonly<Record<string, unknown>> = {
  string: 'no such thing, anywhere',
  integer: 7,
  number: 7.5,
  boolean: true,
  object: { source: 'nowhere' },
  array: [7],
};

/** Of the right type, and wrong. */
const WRONG: Readonly<Record<string, readonly unknown[]>> = {
  bucket: ['', '/mnt/backup', 'file://relative', 'https://x.example.com'],
  keyId: ['', '__B2_BACKUP_KEY_ID__'],
  applicationKey: ['', '__B2_BACKUP_APPLICATION_KEY__', { source: 'env' }],
  region: ['', 'K004abcdefghijklmnopqrstuvwxyz01'],
  endpoint: ['', 's3.example.com', 'ftp://x.example.com', 'https://u:p@x.example.com'],
  prefix: ['', '../up', '/abs', 'a//b', 'x'.repeat(2000)],
  encrypt: ['yes'],
  passphrase: ['', '__B2_BACKUP_PASSPHRASE__'],
  includeSecrets: ['yes'],
  schedule: ['every day', '61 * * * *', '0 0 31 2 *', ''],
  timezone: ['Mars/X', ''],
  keepSnapshots: [0, -1, 1.5],
  keepDaily: [-1, 1.5],
  keepWeekly: [-1, 1.5],
  keepUpdates: [-1, 1.5],
  include: [[''], ['[']],
  exclude: [[''], ['[']],
  autoRestore: ['no'],
  drill: ['Boot'],
  verifyWeeks: [-1, 1.5],
  uploadLimit: [0, -1, 1.5],
  machineName: ['x'.repeat(65), 'a\nb'],
  healthcheckUrl: ['ftp://x', 'hc-ping.com/x'],
};

/** Each setting with values that are wrong, and with others that may be. */
const ROWS = Object.entries(properties).flatMap(([setting, { anyOf }]) => {
  const right = [anyOf[0]?.type ?? []].flat();
  const types = Object.keys(OF_TYPE);
  return [
    ...types.map((type) => [setting, OF_TYPE[type], !right.includes(type)] as const),
    ...(WRONG[setting] ?? []).map((value) => [setting, value, true] as const),
  ];
});

let folder: string;
let engine: Engine;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'b2-refuses-'));
  mkdirSync(join(folder, 'state'));
  writeFileSync(join(folder, 'state', 'openclaw.json'), '{}');
  // All in this process: the program of the worker is in dist/.
  engine = createEngine({
    runIsolated: async ({ op, args }) => {
      const native = await loadNative();
      return call(native, op, args, new native.CancelHandle(), undefined);
    },
  });
  if (addon !== undefined) expect(await refusal(settings({}))).toBeUndefined();
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Settings that work, and one more. */
function settings(more: object): Record<string, unknown> {
  return {
    bucket: `file://${join(folder, 'bucket')}`,
    // Stretching a secret takes a second, each time.
    encrypt: false,
    ...more,
  };
}

function write(plugins: object): string {
  const path = join(folder, 'state', 'openclaw.json');
  writeFileSync(path, JSON.stringify({ plugins }));
  return path;
}

async function cli(
  command: string,
  { inOpenClaw = false, env = {} }: { inOpenClaw?: boolean; env?: NodeJS.ProcessEnv } = {},
) {
  const deps = {
    ...world(engine, { OPENCLAW_STATE_DIR: join(folder, 'state'), ...env }),
    engine,
    fileExists: existsSync,
    readPlugins,
    inOpenClaw,
  };
  const exit = await main(['--json', command], deps);
  return { exit, ...(JSON.parse(deps.stdout.text) as Answer) };
}

interface Found {
  readonly check: string;
  readonly level: string;
  readonly message: string;
  readonly advice?: string | null;
}

interface Answer {
  readonly message?: string;
  readonly findings?: readonly Found[];
  readonly gateway?: readonly Found[];
  readonly warnings?: readonly string[];
}

/** What a command calls a problem, in one text. */
function problems({ message = '', findings = [], gateway = [] }: Answer): string {
  const found = [...findings, ...gateway].filter(({ level }) => level === 'problem');
  return [message, ...found.map((one) => one.message)]
    .filter((text) => text !== '' && !/^\d+ problems? found$/.test(text))
    .join('\n');
}

/** Why a gateway with these settings backs up nothing. */
async function refusal(config: unknown): Promise<BackupError | undefined> {
  const stateDir = join(folder, 'state');
  const { configured } = configure(new FakeHost(stateDir, config).api, stateDir);
  if (configured instanceof BackupError) return configured;
  return engine.push(configured.settings, { reason: 'scheduled' }).then(
    () => undefined,
    (error: BackupError) => error,
  );
}

it('the table has every setting', () => {
  expect(Object.keys(WRONG).sort()).toEqual(Object.keys(properties).sort());
});

describe.skipIf(addon === undefined)('with one setting', () => {
  it.each(ROWS)('%s = %j, the gateway refuses exactly where it is named', async (setting, value, isWrong) => {
    const config = settings({ [setting]: value });
    write({ entries: { 'b2-backup': { enabled: true, config } } });
    const why = await refusal(config);
    if (isWrong) expect(why?.message).toContain(setting);
    for (const inOpenClaw of [false, true]) {
      for (const command of ['doctor', 'status']) {
        const answer = await cli(command, { inOpenClaw });
        const label = `${command}${inOpenClaw ? ' in OpenClaw' : ''}, gateway: ${why?.message}`;
        expect(problems(answer) !== '', `${label}; it: ${problems(answer)}`).toBe(why !== undefined);
        if (why !== undefined) expect(problems(answer), label).toContain(setting);
        if (command === 'doctor') expect(answer.exit, label).toBe(why === undefined ? 0 : 1);
      }
    }
  });
});

describe.skipIf(addon === undefined)('what the gateway does not back up by', () => {
  it('is named all at once, and with what to do', async () => {
    const config = settings({ schedule: 'every day', keepDaily: 'x', drill: 'Boot' });
    const path = write({ entries: { 'b2-backup': { enabled: true, config } } });
    for (const inOpenClaw of [false, true]) {
      const { exit, findings = [] } = await cli('doctor', { inOpenClaw });
      expect(exit).toBe(1);
      const problems = findings.filter(({ level }) => level === 'problem');
      expect(problems).toEqual(
        ['schedule', 'keepDaily', 'drill'].map((setting) => ({
          check: 'gateway',
          level: 'problem',
          code: 'B2_CONFIG',
          message: expect.stringContaining(`it backs up nothing: ${setting}: `),
          advice: `Put it right in ${path} under plugins.entries["b2-backup"].config`,
        })),
      );
      expect((await cli('status', { inOpenClaw })).gateway).toEqual(problems);
    }
    // What a command itself cannot work with is told together with the rest.
    write({ entries: { 'b2-backup': { enabled: true, config: { ...config, bucket: 5 } } } });
    expect((await cli('push')).message).toMatch(/bucket: .*schedule: .*keepDaily: .*drill: /);
  });

  it('are also patterns of which nobody knows whether they can be used', async () => {
    const config = settings({ exclude: ['x'] });
    write({ entries: { 'b2-backup': { enabled: true, config } } });
    const before = engine;
    onTestFinished(() => {
      engine = before;
    });
    engine = { ...before, plan: () => Promise.reject(new BackupError('gone', { code: 'B2_WORKER_DIED' })) };
    const { exit, findings } = await cli('doctor');
    expect(exit).toBe(0);
    expect(findings).toContainEqual(
      expect.objectContaining({ check: 'gateway', level: 'note', message: expect.stringMatching(/gone$/) }),
    );
  });

  it('is a warning of a push from the shell, which works', async () => {
    const config = settings({ timezone: 'Mars/X' });
    write({ entries: { 'b2-backup': { enabled: true, config } } });
    for (const inOpenClaw of [false, true]) {
      const { exit, warnings } = await cli('push', { inOpenClaw });
      expect(exit).toBe(0);
      expect(warnings).toEqual([
        'gateway: it backs up nothing: timezone: is no time zone; write it as "Europe/Vienna"; see "b2-backup doctor"',
      ]);
    }
  });

  it('is judged by the file alone, whatever the environment of the command says', async () => {
    const { bucket, ...rest } = settings({});
    write({ entries: { 'b2-backup': { enabled: true, config: rest } } });
    const env = { B2_BUCKET: String(bucket) };
    const { exit, findings } = await cli('doctor', { env });
    expect(exit).toBe(1);
    expect(problems({ findings: findings ?? [] })).toMatch(
      /^it backs up nothing: bucket, keyId and applicationKey: not set/,
    );

    write({ entries: { 'b2-backup': { enabled: true, config: { bucket, ...rest } } } });
    const other = await cli('doctor', { env: { ...env, B2_PREFIX: 'elsewhere' } });
    expect(other.exit).toBe(0);
    expect(other.findings).toContainEqual(
      expect.objectContaining({
        check: 'gateway',
        level: 'note',
        message: expect.stringMatching(/differ in prefix$/),
      }),
    );
    expect((await cli('doctor', { env })).findings?.map(({ check }) => check)).not.toContain('gateway');
  });

  it('leaves references to secrets to whoever can resolve them, unless they are none', async () => {
    const secret = { source: 'exec', provider: 'vault', id: 'b2' };
    const env = { B2_BACKUP_PASSPHRASE: 'tulip granite orbit velvet mango' };
    const config = settings({ passphrase: secret });
    write({ entries: { 'b2-backup': { enabled: true, config } } });
    expect(await cli('doctor', { env })).toMatchObject({ exit: 0 });
    write({ entries: { 'b2-backup': { enabled: true, config: { ...config, passphrase: { id: 'b2' } } } } });
    expect(problems(await cli('doctor', { env }))).toContain(
      'passphrase: must be a string or a secret reference',
    );
  });
});

describe.skipIf(addon === undefined)('a plugin that OpenClaw does not load', () => {
  const enabled = { enabled: true };
  it.each([
    [
      'disabled',
      { entries: { 'b2-backup': { enabled: false } } },
      /entries\["b2-backup"\]\.enabled is false/,
    ],
    ['not enabled', { entries: { 'b2-backup': {} } }, /enabled is not set/],
    [
      'not allowed',
      { allow: ['telegram'], entries: { 'b2-backup': enabled } },
      /plugins\.allow does not name/,
    ],
    ['denied', { deny: ['B2-Backup'], entries: { 'b2-backup': enabled } }, /plugins\.deny names/],
    ['with all others', { enabled: false, entries: { 'b2-backup': enabled } }, /plugins\.enabled is false/],
  ])('%s is a problem where it has settings, and a note where it has none', async (_, plugins, reason) => {
    const entry = plugins.entries['b2-backup'];
    write({ ...plugins, entries: { 'b2-backup': { ...entry, config: settings({}) } } });
    for (const command of ['doctor', 'status']) {
      const answer = await cli(command);
      expect(problems(answer)).toMatch(/^it backs up nothing, since OpenClaw does not load this plugin: /);
      expect(problems(answer)).toMatch(reason);
      if (command === 'doctor') expect(answer.exit).toBe(1);
    }
    expect((await cli('push')).warnings).toEqual([expect.stringMatching(reason)]);

    write(plugins);
    const answer = await cli('doctor', {
      env: {
        B2_BUCKET: `file://${join(folder, 'other')}`,
        B2_BACKUP_PASSPHRASE: 'tulip granite orbit velvet mango',
      },
    });
    const [found] = answer.findings?.filter(({ check }) => check === 'gateway') ?? [];
    expect(found).toMatchObject({ level: 'note', message: expect.stringMatching(reason) });
  });

  it('is one also where OpenClaw shows its commands that it has enabled it', async () => {
    const path = write({ entries: { 'b2-backup': { config: settings({}) } } });
    const shown = pluginsOf({
      plugins: { entries: { 'b2-backup': { enabled: true } }, deny: ['b2-backup'] },
    });
    expect(whyNotLoaded((await readPlugins(path)) ?? {})?.reason).toMatch(/enabled is not set/);
    expect(whyNotLoaded((await shown(path)) ?? {})?.reason).toMatch(/enabled is not set/);
    write({ $include: './plugins.json5' });
    expect(whyNotLoaded((await shown(path)) ?? {})?.reason).toMatch(/plugins\.deny names/);
  });

  it.each([
    ['an entry that enables it', { entries: { 'b2-backup': { enabled: true } } }],
    ['a list of what is allowed', { allow: [' B2-backup'], entries: { 'b2-backup': {} } }],
    ['what another file includes', { $include: './plugins.json5', entries: { 'b2-backup': {} } }],
  ])('is not one with %s', async (_, plugins) => {
    const entry = plugins.entries['b2-backup'];
    write({ ...plugins, entries: { 'b2-backup': { ...entry, config: settings({}) } } });
    expect(await whyNot(join(folder, 'state', 'openclaw.json'))).toBeUndefined();
  });
});

async function whyNot(path: string) {
  const plugins = await readPlugins(path);
  return plugins && whyNotLoaded(plugins);
}
