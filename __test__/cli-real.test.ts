/** The command as a user runs it: `node dist/cli.js`. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
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
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addon, CLI } from './addon-support.ts';
import { hasTerminal, program, terminal } from './program-support.ts';

/** The system's own way to take the lock that a push takes. */
const canLock = process.platform === 'linux' && spawnSync('flock', ['--version']).status === 0;

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'b2-cli-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const cli = (args: readonly string[], env: NodeJS.ProcessEnv = {}, onError?: (text: string) => void) =>
  program(process.execPath, [CLI, ...args], { HOME: directory, TZ: 'UTC', ...env }, onError);

const atTerminal = (
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  answers: Parameters<typeof terminal>[2],
): ReturnType<typeof terminal> => terminal([CLI, ...args], { HOME: directory, TZ: 'UTC', ...env }, answers);

describe.skipIf(!existsSync(CLI))('the command (needs dist/)', () => {
  it('tells its version and helps', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
      version: string;
    };
    expect(await cli(['--version'])).toEqual({ exit: 0, out: `${version}\n`, err: '' });
    expect((await cli([])).out).toContain('Usage: b2-backup');
  });

  it('says what is not configured', async () => {
    const { exit, err } = await cli(['push']);
    expect(exit).toBe(1);
    expect(err).toContain(`not set; put them into ${join(directory, '.openclaw', 'openclaw.json')}`);
  });

  it('does not crash when its reader goes away', async () => {
    const child = spawn(process.execPath, [CLI, 'help'], { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.destroy();
    let err = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      err += text;
    });
    const [exit] = (await once(child, 'close')) as [number | null];
    expect({ exit, err }).toEqual({ exit: 141, err: '' });
  });

  it.skipIf(!existsSync('/dev/full'))('fails in order where its output cannot be written', async () => {
    const help = ['exec "$0" "$@" > /dev/full', process.execPath, CLI, 'help'];
    expect(await program('sh', ['-c', ...help], { HOME: directory })).toEqual({
      exit: 1,
      out: '',
      err: 'b2-backup: the output could not be written: no space is left (B2_DISK_FULL)\n',
    });
  });
});

describe.skipIf(addon === undefined)('the command, with the addon', () => {
  it.skipIf(process.platform === 'win32')(
    'shuts others out of what it makes, whatever the umask',
    async () => {
      const home = join(directory, 'open');
      const state = join(home, '.openclaw');
      mkdirSync(state, { recursive: true });
      writeFileSync(join(state, 'openclaw.json'), '{}');
      const env = {
        HOME: home,
        B2_BUCKET: `file://${join(home, 'bucket')}`,
        B2_BACKUP_PASSPHRASE: 'tulip granite orbit velvet mango',
      };
      const push = ['umask 0; exec "$0" "$@"', process.execPath, CLI, 'push', '--json'];
      expect(await program('sh', ['-c', ...push], env)).toMatchObject({ exit: 0, err: '' });
      const made = ['bucket', '.openclaw/b2-backup'].flatMap((top) => [
        top,
        ...readdirSync(join(home, top), { recursive: true, encoding: 'utf8' }).map((path) => join(top, path)),
      ]);
      expect(made.length).toBeGreaterThan(12);
      for (const path of made) {
        const { mode } = lstatSync(join(home, path));
        expect((mode & 0o777).toString(8), path).toBe(
          lstatSync(join(home, path)).isDirectory() ? '700' : '600',
        );
      }
    },
  );

  it('encrypts nothing new with a passphrase that would be guessed', async () => {
    const home = join(directory, 'weak');
    mkdirSync(join(home, '.openclaw'), { recursive: true });
    const env = {
      HOME: home,
      B2_BUCKET: `file://${join(home, 'bucket')}`,
      B2_BACKUP_PASSPHRASE: 'Sommer2026!',
    };
    const pushed = await cli(['push', '--json'], env);
    expect(pushed.exit).toBe(1);
    expect(JSON.parse(pushed.out)).toMatchObject({
      code: 'B2_WEAK_PASSPHRASE',
      message: expect.stringMatching(/five words .* 14 random characters/),
    });
    expect(existsSync(join(home, 'bucket', 'openclaw-backup'))).toBe(false);
    const examined = JSON.parse((await cli(['doctor', '--json'], env)).out) as {
      findings: { code?: string }[];
    };
    expect(examined.findings.map(({ code }) => code)).toContain('B2_WEAK_PASSPHRASE');
  });

  it('backs up and brings back', async () => {
    const state = join(directory, '.openclaw');
    mkdirSync(join(state, 'workspace'), { recursive: true });
    mkdirSync(join(directory, 'bucket'));
    // JSON5, as people write it.
    writeFileSync(
      join(state, 'openclaw.json'),
      `{ plugins: { entries: { "b2-backup": { enabled: true, config: { bucket: "file://${join(directory, 'bucket')}",
        passphrase: { source: "env", provider: "default", id: "B2_BACKUP_PASSPHRASE" }, }, }, }, }, }`,
    );
    writeFileSync(join(state, 'workspace', 'MEMORY.md'), 'remember the milk\n');
    const env = { B2_BACKUP_PASSPHRASE: 'tulip granite orbit velvet mango' };

    const pushed = await cli(['push', '--json'], env);
    expect(pushed).toMatchObject({ exit: 0, err: '' });
    const { snapshot } = JSON.parse(pushed.out) as { snapshot: string };
    expect(JSON.parse(pushed.out)).toMatchObject({ ok: true, changed: true, skipped: [] });
    expect(JSON.parse((await cli(['push', '--json'], env)).out)).toMatchObject({ ok: true, snapshot: null });

    expect((await cli(['list'], env)).out).toContain(snapshot);
    expect((await cli(['push', '--dry-run', '--list'], env)).out).toContain('workspace/MEMORY.md');
    expect((await cli(['diff', 'latest'], env)).out).toContain('Nothing is different.');
    writeFileSync(join(state, 'workspace', 'new.md'), 'new\n');
    const compared = await cli(['diff', snapshot, '--text'], env);
    expect(compared).toMatchObject({ exit: 0, err: '' });
    expect(compared.out).toMatch(/^added +- +4 B {2}workspace\/new\.md$/m);
    expect(compared.out).toContain('\nworkspace/new.md\n@@ -0,0 +1 @@\n+new\n');
    expect((await cli(['verify', '--read-data'], env)).exit).toBe(0);
    expect((await cli(['status'], env)).out).toContain(snapshot);
    const examined = await cli(['doctor', '--write', '--json'], env);
    expect(examined).toMatchObject({ exit: 0, err: '' });
    expect(JSON.parse(examined.out)).toMatchObject({ ok: true });
    expect(examined.out).toContain(`${snapshot}, made at`);
    expect(examined.out).not.toContain('granite');
    expect(await cli(['undelete', '--json'], env)).toMatchObject({
      exit: 1,
      out: expect.stringContaining('keeps no versions'),
    });
    expect((await cli(['list', '--as-of', '2026-01-01', '--json'], env)).out).toContain('B2_CONFIG');

    const to = join(directory, 'restored');
    const blank = ['--state-dir', join(directory, 'blank'), '--config', join(state, 'openclaw.json')];
    const restored = await cli(
      [...blank, 'restore', snapshot, '--to', to, '--path', 'workspace/MEMORY.md', '--json'],
      env,
    );
    expect(restored).toMatchObject({ exit: 0, err: '' });
    expect(JSON.parse(restored.out)).toMatchObject({ ok: true, snapshot, files: 1, failed: [] });

    const again = await cli(['restore', 'latest', '--to', to], env);
    expect(again.exit).toBe(1);
    expect(again.err).toMatch(/^b2-backup: .* \(B2_TARGET_NOT_EMPTY\)\n$/);
  });

  it.skipIf(!hasTerminal)(
    'brings everything back with the bucket and a typed code (needs script)',
    async () => {
      const state = join(directory, 'lost');
      const bucket = `file://${join(directory, 'bucket-of-lost')}`;
      mkdirSync(join(directory, 'bucket-of-lost'));
      mkdirSync(join(state, 'workspace'), { recursive: true });
      writeFileSync(join(state, 'workspace', 'MEMORY.md'), 'remember the milk\n');
      const env = {
        B2_BUCKET: bucket,
        B2_BACKUP_PASSPHRASE: 'copper lantern walrus pebble quartz',
        OPENCLAW_STATE_DIR: state,
      };
      expect((await cli(['push'], env)).exit).toBe(0);
      expect(await cli(['key', 'recovery', '--json'], env)).toMatchObject({ exit: 2 });
      const made = await cli(['key', 'recovery'], env);
      expect(made).toMatchObject({ exit: 0, err: '' });
      const code = /^ {4}([0-9A-Z-]{41})$/m.exec(made.out)?.[1] ?? '';
      const group = code.slice(12, 17);
      const wrong = code.replace(group, `${group.slice(0, 4)}${group.endsWith('0') ? '1' : '0'}`);

      const blank = { B2_BUCKET: bucket, OPENCLAW_STATE_DIR: join(directory, 'blank-of-lost') };
      const to = join(directory, 'lost-and-found');
      const { exit, shown } = await atTerminal(['restore', 'latest', '--to', to], blank, [
        ['Recovery code: ', wrong],
        ['Recovery code: ', code.toLowerCase().replaceAll('-', ' ')],
      ]);
      expect({ exit, shown }).toMatchObject({
        exit: 0,
        shown: expect.stringContaining('group 3 is mistyped'),
      });
      expect(readFileSync(join(to, 'workspace', 'MEMORY.md'), 'utf8')).toBe('remember the milk\n');
      expect(existsSync(blank.OPENCLAW_STATE_DIR)).toBe(false);

      // From the environment, where nobody can be asked.
      const listed = await cli(['list', '--json'], { ...blank, B2_BACKUP_RECOVERY_CODE: code });
      expect(JSON.parse(listed.out)).toMatchObject({ ok: true, snapshots: [{ authenticated: true }] });
      const refused = await cli(['list'], { ...blank, B2_BACKUP_RECOVERY_CODE: wrong });
      expect(refused).toMatchObject({ exit: 1, err: expect.stringContaining('(B2_RECOVERY_CODE)') });
      for (const part of code.split('-')) expect(refused.err).not.toContain(part);

      // A passphrase that is typed does not show, and opens from then on.
      const added = await atTerminal(['key', 'add', '--passphrase'], env, [
        ['Passphrase: ', 'marble cactus velvet ferry pigeon'],
        ['Once more: ', 'marble cactus velvet ferry pigeon'],
      ]);
      expect(added).toMatchObject({ exit: 0, shown: expect.stringContaining('added: passphrase') });
      expect(added.shown).not.toContain('marble cactus velvet ferry pigeon');
      const keys = await cli(['key', 'list', '--json'], {
        ...blank,
        B2_BACKUP_PASSPHRASE: 'marble cactus velvet ferry pigeon',
      });
      const { slots } = JSON.parse(keys.out) as {
        slots: { id: string; kind: string; opens: boolean | null }[];
      };
      // Made within a second, they may be in any order.
      expect(slots.map(({ kind, opens }) => `${kind} ${opens}`).sort()).toEqual([
        'passphrase false',
        'passphrase true',
        'recovery-code null',
      ]);
      const recovery = slots.find(({ kind }) => kind === 'recovery-code')?.id.slice(0, 6) ?? '';

      // The status is content, and a slot goes when its owner agrees.
      expect((await cli(['status'], env)).err).toBe('');
      const removed = await atTerminal(['key', 'remove', recovery], env, [['[y/N] ', 'y']]);
      expect(removed).toMatchObject({ exit: 0, shown: expect.stringContaining('so far keep a copy') });
      expect((await cli(['key', 'list', '--json'], env)).out).not.toContain('recovery-code');
    },
  );

  it.skipIf(!canLock)('waits for another backup on the same state (needs flock)', async () => {
    const state = join(directory, 'locked');
    mkdirSync(join(state, 'b2-backup'), { recursive: true });
    mkdirSync(join(directory, 'bucket-of-locked'));
    writeFileSync(join(state, 'a.md'), 'a');
    const env = {
      B2_BACKUP_PASSPHRASE: 'tulip granite orbit velvet mango',
      B2_BUCKET: `file://${join(directory, 'bucket-of-locked')}`,
      OPENCLAW_STATE_DIR: state,
    };
    // The other one says that it has the lock, and keeps it until its input ends.
    const holding = ['-n', join(state, 'b2-backup', 'lock'), 'sh', '-c', 'echo locked; cat'];
    const other = spawn('flock', holding, { stdio: ['pipe', 'pipe', 'inherit'] });
    await once(other.stdout, 'data');
    const pushing = cli(['push'], env, (text) => {
      if (text.includes('Another backup is running')) other.stdin.end();
    });
    expect(await pushing).toMatchObject({
      exit: 0,
      out: expect.stringMatching(/^Snapshot /),
      err: 'Another backup is running; waiting for it\n',
    });
    expect(other.stdin.writableEnded, 'it did wait').toBe(true);
  });

  it('explains a broken configuration', async () => {
    const config = join(directory, 'broken.json');
    writeFileSync(config, '{ plugins: ');
    const { exit, out } = await cli(['push', '--json', '--config', config]);
    expect(exit).toBe(1);
    expect(JSON.parse(out)).toMatchObject({
      ok: false,
      code: 'B2_CONFIG',
      message: expect.stringContaining(config),
    });
  });

  it('brings back what a bad edit of the configuration spoilt', async () => {
    const home = join(directory, 'edited');
    const state = join(home, '.openclaw');
    const file = join(state, 'openclaw.json');
    mkdirSync(state, { recursive: true });
    const bucket = `file://${join(home, 'bucket')}`;
    const passphrase = 'tulip granite orbit velvet mango';
    const config = { plugins: { entries: { 'b2-backup': { config: { bucket, passphrase } } } } };
    writeFileSync(file, JSON.stringify({ ...config, note: 'good' }));
    const within = async (args: readonly string[], env: NodeJS.ProcessEnv = {}) => {
      const { exit, out } = await cli([...args, '--json'], { HOME: home, ...env });
      return { exit, ...(JSON.parse(out) as Record<string, unknown>) };
    };
    const environment = { B2_BUCKET: bucket, B2_BACKUP_PASSPHRASE: passphrase };
    const inFile = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
    expect(await within(['push'])).toMatchObject({ exit: 0, ok: true });

    const spoil = () => writeFileSync(file, `${JSON.stringify(inFile)} oops`);
    const spoilt = /not understood: it is not valid JSON5/;
    spoil();
    // Settings that nobody knows any more: a push would be another one than was configured.
    for (const command of [['push'], ['prune'], ['list']]) {
      expect(await within(command)).toMatchObject({ exit: 1, code: 'B2_CONFIG' });
    }
    expect(await within(['push'], environment)).toMatchObject({ exit: 1, code: 'B2_CONFIG' });
    expect(await within(['list'], environment)).toMatchObject({
      exit: 0,
      warnings: expect.arrayContaining([expect.stringMatching(spoilt)]),
    });
    expect(await within(['restore', 'latest', '--yes'], environment)).toMatchObject({ exit: 0, ok: true });
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ note: 'good' });
    // Taken back, it is what the edit made of it.
    expect(await within(['undo', '--yes'], environment)).toMatchObject({ exit: 0, ok: true });
    expect(readFileSync(file, 'utf8')).toContain('oops');

    // The copy that OpenClaw keeps of the last one that it could read.
    writeFileSync(`${file}.last-good`, JSON.stringify(inFile));
    expect(await within(['list'])).toMatchObject({
      exit: 0,
      warnings: expect.arrayContaining([expect.stringContaining(`come from ${file}.last-good`)]),
    });
    // They may lack what was set since, a passphrase say: nothing is stored or deleted by them.
    for (const command of [['push'], ['prune']]) {
      expect(await within(command)).toMatchObject({ exit: 1, code: 'B2_CONFIG' });
    }
    expect(await within(['restore', 'latest', '--yes'])).toMatchObject({ exit: 0, ok: true });

    // Half understood is not understood.
    writeFileSync(file, JSON.stringify({ ...inFile, agents: { $include: './gone.json5' } }));
    expect(await within(['push'])).toMatchObject({ exit: 1, code: 'B2_CONFIG' });
    expect(await within(['list'])).toMatchObject({ exit: 0 });
  });
});
