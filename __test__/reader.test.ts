/** `tools/read_repository.py`: docs/format.md is enough to get a backup back, without a line of this program. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addon, CLI } from './addon-support.ts';
import { HOSTILE_ID, writePlain } from './plain-writer.ts';
import { program } from './program-support.ts';

const READER = fileURLToPath(new URL('../tools/read_repository.py', import.meta.url));
const TESTS = fileURLToPath(new URL('../tests/', import.meta.url));

/** `npm test` says which Python; empty when there is none. By itself: the system's, if it has the packages. */
const chosen = process.env['B2_READER_PYTHON'];
const works = () => spawnSync('python3', ['-c', 'import cryptography, zstandard']).status === 0;
const python = chosen ?? (works() ? 'python3' : '');

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'b2-reader-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const FIRST_PHRASE = 'tulip granite orbit velvet mango';
const SECOND_PHRASE = 'copper lantern walrus pebble quartz';
const GOLDEN = { B2_BACKUP_PASSPHRASE: 'golden' };

const start = (command: string, args: readonly string[], env: NodeJS.ProcessEnv) =>
  program(command, args, { HOME: directory, LC_ALL: 'C.UTF-8', ...env });

const reader = (folder: string, args: readonly string[], env: NodeJS.ProcessEnv = GOLDEN) =>
  // Packages warn of Pythons that they will give up one day.
  start(python, [READER, folder, ...args], { PYTHONWARNINGS: 'ignore', ...env });

let made = 0;
function fresh(): string {
  made += 1;
  return join(directory, `to-${made}`);
}

type Picture = Record<string, Record<string, unknown>>;

/** Everything in a directory as `expected.json` has it. */
function picture(top: string): Picture {
  const seen: Picture = {};
  const look = (folder: Buffer, prefix: string) => {
    for (const name of readdirSync(folder, { encoding: 'buffer' })) {
      const path = Buffer.concat([folder, Buffer.from('/'), name]);
      const shown = prefix + escaped(name);
      const stat = lstatSync(path, { bigint: true });
      const mode = (stat.mode & 0o7777n).toString(8);
      const mtime = { mtime_ns: stat.mtimeNs };
      if (stat.isSymbolicLink()) seen[shown] = { kind: 'symlink', target: readlinkSync(path), ...mtime };
      else if (stat.isDirectory()) {
        seen[shown] = { kind: 'directory', mode, ...mtime };
        look(path, `${shown}/`);
      } else {
        const sha256 = createHash('sha256').update(readFileSync(path)).digest('hex');
        seen[shown] = { kind: 'file', mode, sha256, size: stat.size, ...mtime };
      }
    }
  };
  look(Buffer.from(top), '');
  return seen;
}

/** As the program shows names: what is no printable UTF-8 in hexadecimal. Enough for the names in these tests. */
function escaped(name: Buffer): string {
  const byte = (value: number) => `\\x${value.toString(16).padStart(2, '0')}`;
  return [...name]
    .map((value) => (value < 32 || value > 126 ? byte(value) : String.fromCharCode(value)))
    .join('');
}

/** Nanoseconds do not fit into the numbers of JSON.parse. */
function expectedOf(golden: string): Record<string, Record<string, Picture>> {
  const text = readFileSync(join(TESTS, golden, 'expected.json'), 'utf8');
  const exact = text.replace(/("mtime_ns"|"size"): (-?\d+)/g, '$1: "$2n"');
  return JSON.parse(exact, (_, value) =>
    typeof value === 'string' && /^-?\d+n$/.test(value) ? BigInt(value.slice(0, -1)) : value,
  ) as Record<string, Record<string, Picture>>;
}

/** Where the directories that links lead to come to lie is each reader's choice: it has a test of its own. */
const LINKS = 'golden-remarks';

const goldens = readdirSync(TESTS)
  .filter((name) => existsSync(join(TESTS, name, 'expected.json')))
  .filter((name) => name !== LINKS);
const repositories = goldens.flatMap((golden) => {
  const code = join(TESTS, golden, 'code.txt');
  if (!existsSync(code)) {
    return Object.entries(expectedOf(golden)).map(([kind, snapshots]) => ({
      golden,
      kind,
      snapshots,
      env: GOLDEN as NodeJS.ProcessEnv,
    }));
  }
  // It has snapshots of one kind, and opens with the code alone, as it was printed or typed.
  const env: NodeJS.ProcessEnv = { B2_BACKUP_RECOVERY_CODE: readFileSync(code, 'utf8').toLowerCase() };
  const snapshots = expectedOf(golden) as unknown as Record<string, Picture>;
  return [{ golden, kind: 'sealed', snapshots, env }];
});

/** Python and scrypt take their time on a busy machine. */
const PATIENT = { timeout: 240_000 };

describe.skipIf(python === '')('the reader in Python (needs python3, cryptography and zstd)', PATIENT, () => {
  it('has something to read', () => {
    expect(repositories.map(({ golden, kind }) => `${golden}/${kind}`)).toEqual(
      expect.arrayContaining([
        'golden/plain',
        'golden/sealed',
        'golden-changes/plain',
        'golden-changes/sealed',
        'golden-prefix/plain',
        'golden-prefix/sealed',
        'golden-recovery/sealed',
      ]),
    );
  });

  for (const { golden, kind, snapshots, env } of repositories) {
    it(`restores every snapshot of tests/${golden}/${kind}`, async () => {
      const folder = join(TESTS, golden, kind, 'p');
      const listed = await reader(folder, ['list'], env);
      expect(listed).toMatchObject({ exit: 0, err: '' });
      expect(listed.out.match(/^\S+Z-\w{8}(?= )/gm)?.sort()).toEqual(Object.keys(snapshots).sort());
      expect(listed.out.includes('not authenticated')).toBe(kind === 'plain');
      expect(await reader(folder, ['check'], env)).toMatchObject({
        exit: 0,
        err: '',
        out: expect.stringMatching(/^\d snapshots, \d packs, 0 problems\n$/),
      });
      for (const [id, expected] of Object.entries(snapshots)) {
        const to = fresh();
        const trust = kind === 'plain' ? ['--allow-unauthenticated'] : [];
        expect(await reader(folder, ['restore', id, '--to', to, ...trust], env)).toMatchObject({
          exit: 0,
          err: '',
        });
        expect(picture(to)).toEqual(expected);
      }
    });
  }

  it(`restores every snapshot of tests/${LINKS}, with the directory that a link leads to beside it`, async () => {
    const folder = join(TESTS, LINKS, 'sealed', 'p');
    expect(await reader(folder, ['check'])).toMatchObject({ exit: 0, err: '' });
    for (const [id, wanted] of Object.entries(expectedOf(LINKS)['sealed'] ?? {})) {
      const to = fresh();
      const restored = await reader(folder, ['restore', id, '--to', to]);
      expect(restored).toMatchObject({ exit: 0, err: '' });
      expect(restored.out).toContain('when it was backed up: foreign.db: ');
      const seen = picture(to);
      expect(seen['side']).toMatchObject({ kind: 'symlink' });
      const files = (all: Picture) =>
        Object.entries(all)
          .filter(([, { kind }]) => kind === 'file')
          .map(([path, what]) => [path.replace(/^\.b2-roots\/\d+-side\//, 'side/'), what]);
      expect(Object.fromEntries(files(seen))).toEqual(Object.fromEntries(files(wanted)));
    }
  });

  const SEALED = join(TESTS, 'golden', 'sealed', 'p');
  const FIRST = '2026-02-19T00-00-00Z-83bc2bf3';
  const SECOND = '2026-02-20T00-00-00Z-83bc2bf3';

  it('restores a part, with the names that it shows', async () => {
    const to = fresh();
    const odd = 'workspace/odd\\xff\\x0a.bin';
    expect((await reader(SEALED, ['list', FIRST])).out).toContain(odd);
    expect((await reader(SEALED, ['restore', FIRST, '--to', to, '--path', odd])).exit).toBe(0);
    expect(Object.keys(picture(to))).toEqual(['workspace', odd]);
    const below = fresh();
    expect((await reader(SEALED, ['restore', FIRST, '--to', below, '--path', 'workspace/bin/'])).exit).toBe(
      0,
    );
    expect(Object.keys(picture(below))).toEqual(['workspace', 'workspace/bin', 'workspace/bin/run.sh']);
    expect(await reader(SEALED, ['restore', FIRST, '--to', fresh(), '--path', 'workspace/b'])).toMatchObject({
      exit: 1,
      err: expect.stringContaining(`${FIRST} has no workspace/b`),
    });
  });

  it('refuses what it must', async () => {
    const to = fresh();
    mkdirSync(to);
    writeFileSync(join(to, 'here'), '');
    expect(await reader(SEALED, ['restore', FIRST, '--to', to])).toMatchObject({
      exit: 1,
      err: `${to} is not empty\n`,
    });
    const plain = join(TESTS, 'golden', 'plain', 'p');
    const [id = ''] = Object.keys(expectedOf('golden')['plain'] ?? {});
    const unconfirmed = await reader(plain, ['restore', id, '--to', fresh()]);
    expect(unconfirmed).toMatchObject({ exit: 1, err: expect.stringContaining('--allow-unauthenticated') });
    const wrong = await reader(SEALED, ['restore', FIRST, '--to', fresh()], {
      B2_BACKUP_PASSPHRASE: 'silver',
    });
    expect(wrong).toMatchObject({
      exit: 1,
      err: `${FIRST}: is encrypted, and no secret at hand opens it\n`,
    });
    const none = await reader(SEALED, ['restore', FIRST, '--to', fresh()], {});
    expect(none).toMatchObject({ exit: 1, err: expect.stringContaining('set B2_BACKUP_PASSPHRASE') });
    expect((await reader(SEALED, ['restore', 'latest', '--to', fresh()])).err).toContain(
      'no snapshot latest',
    );
    expect(existsSync(join(directory, `to-${made}`))).toBe(false);
  });

  it('opens what was made for another prefix with a word only', async () => {
    const there = join(fresh(), 'q');
    cpSync(join(TESTS, 'golden-prefix', 'sealed', 'p'), there, { recursive: true });
    for (const word of [[], ['--prefix', 'r']]) {
      expect(await start(python, [READER, ...word, there, 'list'], GOLDEN)).toMatchObject({
        exit: 3,
        out: expect.stringMatching(/^(\S+: was made for the prefix p: .* add --prefix p\n){3}$/),
      });
    }
    const opened = await start(python, [READER, '--prefix', 'p', there, 'check'], GOLDEN);
    expect(opened).toMatchObject({ exit: 0, out: '3 snapshots, 3 packs, 0 problems\n' });
  });

  it('names what damage costs, and restores the rest', async () => {
    const folder = fresh();
    cpSync(SEALED, folder, { recursive: true });
    const pack = join(folder, 'packs', '83bc2bf3', 'c06afc3e213de7a09a88462bf92d3646');
    const bytes = readFileSync(pack);
    bytes[96 + 20] = (bytes[96 + 20] ?? 0) ^ 1;
    writeFileSync(pack, bytes);
    const to = fresh();
    const damaged = await reader(folder, ['restore', FIRST, '--to', to]);
    const lost = [...damaged.err.matchAll(/^not restored: (\S+): packs\/83bc2bf3\/c06afc\S+: is damaged$/gm)];
    expect(damaged.exit).toBe(3);
    expect(lost).toHaveLength(1);
    const { [lost[0]?.[1] ?? '']: _, ...rest } = expectedOf('golden')['sealed']?.[FIRST] ?? {};
    expect(picture(to)).toEqual(rest);
    const checked = await reader(folder, ['check']);
    expect(checked.exit).toBe(3);
    expect(checked.out).toContain(`${FIRST} ${lost[0]?.[1]}: packs/`);

    rmSync(pack);
    const missing = await reader(folder, ['restore', SECOND, '--to', fresh()]);
    expect(missing).toMatchObject({
      exit: 3,
      err: expect.stringContaining('c06afc3e213de7a09a88462bf92d3646: is missing'),
    });

    const manifest = join(folder, SECOND, 'manifest');
    const sealed = readFileSync(manifest);
    sealed[sealed.length - 1] = (sealed.at(-1) ?? 0) ^ 1;
    writeFileSync(manifest, sealed);
    const broken = await reader(folder, ['restore', SECOND, '--to', fresh()]);
    expect(broken).toMatchObject({ exit: 1, err: `${SECOND}: is damaged\n` });
    // Moved to another name it is as good as damaged.
    cpSync(join(folder, FIRST), join(folder, '2026-02-21T00-00-00Z-83bc2bf3'), { recursive: true });
    const listed = await reader(folder, ['list']);
    expect(listed.exit).toBe(3);
    expect(listed.out).toContain('2026-02-21T00-00-00Z-83bc2bf3: is damaged');
    expect(listed.out).toMatch(new RegExp(`^${FIRST}  2026-02-19 00:00  manual, 7 files`, 'm'));
  });

  const hostile: [string, Parameters<typeof writePlain>[1], string][] = [
    ['leads out', [{ path: '../planted' }], 'unsafe path'],
    ['leads out further down', [{ path: 'a/../../planted' }], 'unsafe path'],
    ['is absolute', [{ path: '/tmp/planted' }], 'unsafe path'],
    ['is empty', [{ path: '' }], 'unsafe path'],
    ['holds NUL', [{ path: 'a\0b' }], 'unsafe path'],
    ['is too long', [{ path: 'a/'.repeat(40_000) }], 'unsafe path'],
    [
      'lies below a symlink',
      [{ path: 'a', kind: 2, target: '/tmp' }, { path: 'a-b' }, { path: 'a/planted' }],
      'unsafe path',
    ],
    ['is there twice', [{ path: 'a' }, { path: 'a' }], 'not sorted'],
    ['belongs to no root', [{ path: 'a', root: 1 }], 'below no root'],
    ['is longer than its content', [{ path: 'a', size: 8 }], ''],
    ['has no end', [{ path: 'a', size: 2 ** 53 }], 'only room for'],
  ];
  for (const [what, entries, message] of hostile) {
    it(`writes nothing of a tree with a path that ${what}`, async () => {
      const folder = fresh();
      writePlain(folder, entries);
      const to = fresh();
      const { exit, err } = await reader(
        folder,
        ['restore', HOSTILE_ID, '--to', to, '--allow-unauthenticated'],
        {},
      );
      expect(exit).toBe(message === '' ? 3 : 1);
      expect(err).toContain(message);
      expect(err).not.toContain('Traceback');
      expect(existsSync(to) ? readdirSync(to) : []).toEqual([]);
      expect(existsSync(join(directory, 'planted'))).toBe(false);
    });
  }

  it('takes what is harmless in a plain repository, without setuid', async () => {
    const folder = fresh();
    writePlain(folder, [{ path: 'a' }, { path: 'b/c' }, { path: 'd', kind: 2, target: '/tmp' }]);
    const to = fresh();
    const done = await reader(folder, ['restore', HOSTILE_ID, '--to', to, '--allow-unauthenticated'], {});
    expect(done).toMatchObject({ exit: 0, err: '' });
    expect(picture(to)).toMatchObject({ a: { mode: '755', size: 7n }, 'b/c': {}, d: { target: '/tmp' } });
  });

  it('does not believe a tree to be larger than its chunks', async () => {
    const folder = fresh();
    writePlain(folder, [{ path: 'a' }], 2 ** 31);
    const { exit, err } = await reader(folder, ['check'], {}).then(({ exit, out }) => ({ exit, err: out }));
    expect(exit).toBe(3);
    expect(err).toContain('has a wrong tree');
  });

  it.skipIf(addon === undefined)('reads what this version writes, with old keys and new ones', async () => {
    const home = fresh();
    const state = join(home, 'state');
    const outside = join(home, 'my workspace');
    const bucket = join(home, 'bucket');
    for (const folder of [state, join(state, 'deep', 'er'), join(state, 'empty'), outside, bucket])
      mkdirSync(folder, { recursive: true });
    const config = { agents: { defaults: { workspace: outside } } };
    writeFileSync(join(state, 'openclaw.json'), JSON.stringify(config));
    writeFileSync(join(state, 'deep', 'er', 'noise.bin'), noise(3_000_000));
    writeFileSync(join(state, 'deep', 'text.md'), 'again and again\n'.repeat(50_000));
    writeFileSync(join(outside, 'MEMORY.md'), 'remember\n');
    symlinkSync('MEMORY.md', join(outside, 'link'));
    chmodSync(join(outside, 'MEMORY.md'), 0o6640);
    utimesSync(join(outside, 'MEMORY.md'), 1, -1.5);
    const write = (env: NodeJS.ProcessEnv) =>
      start(process.execPath, [CLI, 'push', '--json'], {
        B2_BUCKET: `file://${bucket}`,
        OPENCLAW_STATE_DIR: state,
        ...env,
      });
    const pushed = await write({ B2_BACKUP_PASSPHRASE: FIRST_PHRASE });
    expect(pushed).toMatchObject({ exit: 0, err: '' });
    const { snapshot } = JSON.parse(pushed.out) as { snapshot: string };
    // A new passphrase gets a slot of its own, in keys/ and in the manifests from now on.
    writeFileSync(join(state, 'deep', 'more.md'), 'more\n');
    expect((await write({ B2_BACKUP_PASSPHRASE: SECOND_PHRASE })).exit).toBe(0);

    // What the program itself restores.
    const own = fresh();
    const restoring = [CLI, 'restore', snapshot, '--to', own, '--state-dir', join(home, 'blank')];
    const blank = { B2_BUCKET: `file://${bucket}`, B2_BACKUP_PASSPHRASE: SECOND_PHRASE };
    expect(await start(process.execPath, restoring, blank)).toMatchObject({ exit: 0 });
    const ours = picture(own);
    // Directories that no snapshot has are as old as the restore.
    const roots = ['.b2-roots', '.b2-roots/1-my_workspace'];
    for (const path of roots) delete ours[path];
    expect(Object.keys(ours)).toEqual(
      expect.arrayContaining(['deep/er/noise.bin', 'empty', '.b2-roots/1-my_workspace/link']),
    );

    const folder = join(bucket, 'openclaw-backup');
    for (const passphrase of [FIRST_PHRASE, SECOND_PHRASE]) {
      const env = { B2_BACKUP_PASSPHRASE: passphrase };
      expect(await reader(folder, ['check'], env)).toMatchObject({
        exit: 0,
        out: expect.stringMatching(/^2 snapshots, \d packs, 0 problems\n$/),
      });
      const to = fresh();
      const done = await reader(folder, ['restore', snapshot, '--to', to], env);
      expect(done).toMatchObject({ exit: 0, err: '' });
      expect(done.out).toContain(`workspace of ${outside}`);
      const theirs = picture(to);
      for (const path of roots) delete theirs[path];
      expect(theirs).toEqual(ours);
      expect(theirs[`${roots[1]}/MEMORY.md`]?.['mode']).toBe('640');
    }
    // And that is what was there.
    chmodSync(join(outside, 'MEMORY.md'), 0o640);
    const workspace = Object.entries(picture(outside)).map(([path, entry]) => [`${roots[1]}/${path}`, entry]);
    expect(ours).toMatchObject(Object.fromEntries(workspace));
    const { sha256 } = picture(state)['deep/er/noise.bin'] ?? {};
    expect(ours['deep/er/noise.bin']?.['sha256']).toBe(sha256);
  });
});

/** Bytes that do not compress, the same each time. */
function noise(length: number): Buffer {
  const blocks = Array.from({ length: Math.ceil(length / 32) }, (_, index) =>
    createHash('sha256').update(`noise ${index}`).digest(),
  );
  return Buffer.concat(blocks).subarray(0, length);
}
