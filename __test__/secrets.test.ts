/**
 * Secrets that were planted, searched for wherever they may not be: what commands say, what errors hold, lists of
 * processes, environments, files. What packs and caches hold is in `tests/it/secrets.rs`; core dumps have a file of their own.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../e2e/support/until.ts';
import type * as Library from '../ts/index.ts';
import { report } from './campaign-support.ts';
import { type Ended, Person, processesCanRun, Server, states } from './process-support.ts';

/** As B2 makes them. */
const APPLICATION_KEY = 'K004plantedApplicationKey0123456';
const OLD_KEY = 'K003plantedOldApplicationKey0123';
const PASSPHRASE = 'planted words of a passphrase';
const TOKEN = 'tok-7f1e9a52c4-planted';
const PROXY_PASSWORD = 'planted-proxy-password';
const SECRETS: readonly string[] = [APPLICATION_KEY, OLD_KEY, PASSPHRASE, TOKEN, PROXY_PASSWORD];

/** Files of the state that stay on the machine. */
const SECRET_FILES = [
  '.env',
  'credentials/oauth.json',
  'identity/device.json',
  'agents/main/agent/auth-profiles.json',
];

function leaked(text: string, secrets: readonly string[]): string[] {
  return secrets.filter((secret) => text.includes(secret));
}

/** Files below a folder. */
function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((path) => join(folder, path))
    .filter((path) => lstatSync(path).isFile());
}

describe.skipIf(!processesCanRun)('planted secrets (needs Linux, the addon and the tools)', () => {
  let folder: string;
  let server: Server;
  let me: Person;
  let checked = 0;
  /** Made by `key recovery`; nothing but that command may show it. */
  let code = '';

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'b2-secrets-'));
    server = await Server.start(join(folder, 'buckets'), {
      keyId: 'test-key-id',
      applicationKey: APPLICATION_KEY,
    });
    me = person('me');
    await states.generate(me.state, { seed: 1, mb: 3 });
    for (const path of SECRET_FILES) {
      mkdirSync(join(me.state, path, '..'), { recursive: true });
      writeFileSync(join(me.state, path), JSON.stringify({ token: TOKEN }));
    }
    await me.json('push');
    const made = await me.json<{ recoveryCode: string }>('key', 'recovery', '--show-code');
    code = made.recoveryCode;
    expect(code).toMatch(/^[0-9A-Z-]{41}$/);
  });
  afterAll(async () => {
    report('secrets', 'commands', { checked });
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** As verbose as it gets. */
  function person(name: string, extra: NodeJS.ProcessEnv = {}): Person {
    return new Person(join(folder, name), server, {
      B2_BACKUP_PASSPHRASE: PASSPHRASE,
      B2_BACKUP_OLD_KEYS: OLD_KEY,
      RUST_LOG: 'trace',
      RUST_BACKTRACE: 'full',
      ...extra,
    });
  }

  async function says(who: Person, ...args: readonly string[]): Promise<Ended> {
    const ended = await who.run(...args);
    checked += 1;
    const all = [...SECRETS, code];
    expect(leaked(ended.out + ended.err, all), `${args.join(' ')}: ${ended.out}${ended.err}`).toEqual([]);
    return ended;
  }

  it('are in nothing that a command says, whatever it does', async () => {
    const { state } = me;
    await states.day(state, { seed: 1, scale: 0.1 });
    const lines = [
      'push --dry-run --list',
      'push',
      'list',
      'diff latest --text',
      'show latest',
      'show latest openclaw.json',
      'history openclaw.json',
      `restore latest --to ${join(me.folder, 'to')}`,
      'verify --read-data',
      'drill',
      'doctor --write',
      'status',
      'key list',
      'key add',
      'prune --dry-run',
      'prune',
      'undelete --dry-run',
      'restore --resume',
      'restore --discard',
    ];
    for (const line of lines) {
      const ended = await says(me, ...line.split(' '));
      // A folder keeps no versions, and this server does not either.
      if (!line.startsWith('undelete')) expect(ended.exit, `${line}: ${ended.out}${ended.err}`).toBe(0);
      if (!line.startsWith('show latest openclaw')) await says(me, ...line.split(' '), '--json');
    }
    const [first] = (await me.json<{ snapshots: { id: string }[] }>('list')).snapshots;
    for (const args of [
      ['restore', first?.id ?? '', '--yes'],
      ['undo', '--yes'],
    ]) {
      expect(await says(me, ...args)).toMatchObject({ exit: 0 });
    }
    await says(me, 'adopt', '00000000');
    await says(me, 'forget', '00000000');
  }, 600_000);

  it('are in nothing that a failing command says', async () => {
    const dead = 'http://127.0.0.1:9';
    const proxy = `http://somebody:${PROXY_PASSWORD}@127.0.0.1:9`;
    const failing: readonly (readonly [string, NodeJS.ProcessEnv, string])[] = [
      ['wrong-key', { B2_APPLICATION_KEY: OLD_KEY }, 'B2_CREDENTIALS'],
      ['swapped', { B2_APPLICATION_KEY: 'test-key-id', B2_APPLICATION_KEY_ID: APPLICATION_KEY }, 'B2_CONFIG'],
      ['no-network', { B2_ENDPOINT: dead }, 'B2_NETWORK'],
      ['proxy', { http_proxy: proxy, HTTP_PROXY: proxy, B2_ENDPOINT: 'http://127.0.0.2:9' }, 'B2_NETWORK'],
      ['no-bucket', { B2_BUCKET: 'another' }, 'B2_BUCKET'],
      ['bucket', { B2_BUCKET: APPLICATION_KEY }, 'B2_CONFIG'],
      ['bucket-words', { B2_BUCKET: PASSPHRASE }, 'B2_CONFIG'],
      ['region', { B2_REGION: PASSPHRASE }, 'B2_CONFIG'],
      ['region-key', { B2_REGION: APPLICATION_KEY }, 'B2_CONFIG'],
      ['prefix', { B2_PREFIX: PASSPHRASE }, 'B2_CONFIG'],
      ['endpoint', { B2_ENDPOINT: `http://127.0.0.1:9/${PASSPHRASE}?${APPLICATION_KEY}` }, 'B2_CONFIG'],
      ['login', { B2_ENDPOINT: `http://a:${APPLICATION_KEY}@127.0.0.1:9` }, 'B2_CONFIG'],
    ];
    const fails = async ([name, env, expected]: (typeof failing)[number]): Promise<void> => {
      const who = person(name, env);
      writeFileSync(join(who.state, 'MEMORY.md'), 'remember the milk');
      const ended = await says(who, 'push');
      expect(ended, name).toMatchObject({ exit: 1, err: expect.stringContaining(expected) });
      const others = [['list', '--json'], ['status'], ['doctor', '--json']];
      await Promise.all(others.map((args) => says(who, ...args)));
    };
    // Those that find no server try again for a while.
    await Promise.all(failing.map(fails));
  }, 600_000);

  it('are in nothing that is said where no secret opens, or the bucket is damaged', async () => {
    const other = person('other', { B2_BACKUP_PASSPHRASE: `${PASSPHRASE}!`, B2_BACKUP_OLD_KEYS: '' });
    const to = join(other.folder, 'to');
    expect(await says(other, 'restore', 'latest', '--to', to)).toMatchObject({
      err: expect.stringContaining('B2_WRONG_KEY'),
    });
    const group = code.slice(12, 17);
    const wrong = code.replace(group, `${group.slice(0, 4)}${group.endsWith('0') ? '1' : '0'}`);
    const typed = person('typed', { B2_BACKUP_PASSPHRASE: '', B2_BACKUP_RECOVERY_CODE: wrong });
    const { err } = await says(typed, 'list');
    expect(err).toContain('B2_RECOVERY_CODE');
    for (const part of wrong.split('-')) expect(err).not.toContain(part);
    // The right one opens, and does not show either.
    const opened = person('opened', { B2_BACKUP_PASSPHRASE: '', B2_BACKUP_RECOVERY_CODE: code });
    expect(await says(opened, 'restore', 'latest', '--to', join(opened.folder, 'to'))).toMatchObject({
      exit: 0,
    });

    // Another bucket with the same objects, and a byte of each is another.
    const damaged = join(folder, 'buckets', 'damaged');
    cpSync(server.objects, damaged, { recursive: true });
    for (const path of filesBelow(damaged)) {
      const bytes = readFileSync(path);
      const at = Math.floor(bytes.length / 2);
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      writeFileSync(path, bytes);
    }
    const reader = person('reader', { B2_BUCKET: 'damaged' });
    for (const args of [
      ['verify', '--read-data'],
      ['list'],
      ['restore', 'latest', '--to', join(reader.folder, 'to')],
    ]) {
      const ended = await says(reader, ...args);
      if (args[0] !== 'list') expect(ended.exit, ended.out + ended.err).not.toBe(0);
      await says(reader, ...args, '--json');
    }
  }, 600_000);

  it('are in nothing that is said of a configuration that has them in the wrong place', async () => {
    const who = person('configured', {
      B2_APPLICATION_KEY: '',
      B2_BUCKET: '',
      B2_ENDPOINT: '',
      B2_REGION: '',
    });
    const path = join(who.folder, 'openclaw.json');
    const wrong = [
      'bucket',
      'endpoint',
      'region',
      'prefix',
      'schedule',
      'timezone',
      'keepSnapshots',
      'include',
    ];
    const { endpoint, ...rest } = {
      endpoint: `http://${server.address}`,
      region: 'us-east-1',
      bucket: 'backups',
    };
    const whole = { ...rest, endpoint, keyId: 'test-key-id', applicationKey: APPLICATION_KEY };
    const texts = [
      ...wrong.flatMap((field) => [
        { ...whole, [field]: PASSPHRASE },
        { ...whole, [field]: OLD_KEY },
        { ...whole, [field]: [OLD_KEY] },
        { ...whole, [field]: { [field]: PASSPHRASE } },
      ]),
      { ...whole, keyId: OLD_KEY },
      { ...whole, applicationKey: { source: 'env', provider: 'default', id: OLD_KEY } },
      { ...whole, applicationKey: { source: OLD_KEY, id: 'x' } },
      { ...whole, applicationKey: [OLD_KEY] },
    ].map((config) => JSON.stringify({ plugins: { entries: { 'b2-backup': { config } } } }));
    const broken = [
      `{ applicationKey: "${APPLICATION_KEY}" passphrase: '${PASSPHRASE}`,
      `{ a: ${APPLICATION_KEY} }`,
    ];
    for (const text of [...texts, ...broken]) {
      writeFileSync(path, text);
      await says(who, 'prune', '--dry-run', '--config', path);
    }
  }, 600_000);

  it('are in no error of the library, however deep one looks', async () => {
    const library = (await import(new URL('../dist/index.js', import.meta.url).href)) as typeof Library;
    const settings = {
      stateDir: me.state,
      bucket: 'backups',
      keyId: 'test-key-id',
      applicationKey: OLD_KEY,
      passphrase: PASSPHRASE,
      endpoint: `http://${server.address}`,
      region: 'us-east-1',
    };
    const odd: readonly Record<string, unknown>[] = [
      {},
      { bucket: APPLICATION_KEY },
      { region: PASSPHRASE },
      { endpoint: 'http://127.0.0.1:9' },
      ...[
        'stateDir',
        'passphrase',
        'applicationKey',
        'keyId',
        'oldKeys',
        'recoveryCode',
        'uploadLimit',
        'machineName',
        'hostInstall',
      ].flatMap((field) => [{ [field]: { value: PASSPHRASE } }, { [field]: [{ value: APPLICATION_KEY }] }]),
      { recoveryCode: PASSPHRASE },
    ];
    let errors = 0;
    const fails = async (
      over: Record<string, unknown>,
      operation: 'push' | 'list' | 'verify',
    ): Promise<void> => {
      const failed: unknown = await library[operation]({ ...settings, ...over } as Library.Settings).catch(
        (error: unknown) => error,
      );
      if (!(failed instanceof Error)) return;
      errors += 1;
      const text = inspect(failed, { depth: 20, showHidden: true, getters: true });
      expect(leaked(text, SECRETS), `${operation} ${JSON.stringify(Object.keys(over))}: ${text}`).toEqual([]);
    };
    for (const over of odd) {
      await Promise.all((['push', 'list', 'verify'] as const).map((operation) => fails(over, operation)));
    }
    expect(errors).toBeGreaterThan(30);
  }, 600_000);

  it('are in no list of processes, in no environment but the command’s own, and in no file', async () => {
    await states.day(me.state, { seed: 2, scale: 0.1 });
    // A push has no other process, and removes what a rollback set aside.
    expect((await me.start('push').ended).exit).toBe(0);
    for (const args of [
      ['prune', '--dry-run'],
      ['diff', 'latest'],
    ]) {
      server.hold();
      const running = me.start(...args);
      const worker = await running.whenWorking();
      expect(worker).toBeDefined();
      // As soon as it is another program than ours.
      const lines = await until('the worker to be Node', () => {
        const line = readFileSync(`/proc/${worker}/cmdline`, 'utf8');
        return line.includes('worker.js')
          ? [line, readFileSync(`/proc/${running.pid}/cmdline`, 'utf8')]
          : undefined;
      });
      const environment = readFileSync(`/proc/${worker}/environ`, 'utf8');
      expect(environment).toContain(`TMPDIR=${me.tmp}`);
      expect(leaked([...lines, environment].join(), [...SECRETS, code])).toEqual([]);
      server.goOn();
      expect((await running.ended).exit).toBe(0);
    }
    const ours = join(me.state, 'b2-backup');
    const allowed = new Set(SECRET_FILES.map((path) => join(me.state, path)));
    const files = filesBelow(me.folder).filter((path) => !allowed.has(path));
    expect(files.length).toBeGreaterThan(50);
    for (const path of [...files, ...filesBelow(server.objects)]) {
      expect(leaked(readFileSync(path, 'latin1'), [...SECRETS, code]), path).toEqual([]);
      if (path.startsWith(ours) && !path.endsWith('/lock'))
        expect(lstatSync(path).mode & 0o777, path).toBe(0o600);
    }
    for (const name of ['', 'repositories', 'tmp']) {
      expect(lstatSync(join(ours, name)).mode & 0o777, name).toBe(0o700);
    }
  }, 600_000);

  it('are in no words of a worker that was given nonsense', async () => {
    const path = new URL('../dist/worker.js', import.meta.url).pathname;
    const child = spawn(process.execPath, [path], { stdio: ['pipe', 'pipe', 'pipe', 'pipe'] });
    let said = '';
    for (const stream of [child.stdout, child.stderr, child.stdio[3]]) {
      stream?.on('data', (bytes: Buffer) => {
        said += bytes.toString();
      });
    }
    child.stdin.write(`{"op":"push","settings":{"applicationKey":"${APPLICATION_KEY}"\n`);
    const [exit] = (await once(child, 'close')) as [number | null];
    expect({ exit, said }).toMatchObject({ exit: 0, said: expect.stringContaining('nonsense') });
    expect(leaked(said, SECRETS)).toEqual([]);
  });
});
