/**
 * A full disk and a read-only one, as the kernel gives them: small file systems in a mount namespace of our own, which
 * needs no privilege where user namespaces are allowed, and ends with the process.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addon } from './addon-support.ts';

const cli = fileURLToPath(new URL('../dist/cli.js', import.meta.url));
const namespace = ['--user', '--map-root-user', '--mount', 'sh', '-e', '-c'];
const allowed =
  process.platform === 'linux' &&
  spawnSync('unshare', [...namespace, 'mount -t tmpfs -o size=64k x /mnt']).status === 0;

/** 20 MB of pages that are all in use. */
const MAKE_DATABASE = [
  'import sqlite3, sys',
  'made = sqlite3.connect(sys.argv[1])',
  "made.execute('CREATE TABLE t (x)')",
  "made.executemany('INSERT INTO t VALUES (randomblob(?))', [(1000000,)] * 20)",
  'made.commit()',
].join('; ');
const canMakeDatabases = spawnSync('python3', ['-c', 'import sqlite3']).status === 0;

describe.skipIf(addon === undefined || !allowed)(
  'disks that are full or read-only (needs the built addon, and Linux with user namespaces)',
  () => {
    let directory: string;
    beforeAll(() => {
      directory = mkdtempSync(join(tmpdir(), 'b2-disk-'));
      for (const name of ['bucket', 'state', 'small']) mkdirSync(join(directory, name));
      writeFileSync(join(directory, 'state', 'noise'), randomFillSync(new Uint8Array(3_000_000)));
    });
    afterAll(() => rmSync(directory, { recursive: true, force: true }));

    /** Runs a script in which `b2` is the command with `--json`, and returns what each call printed. */
    function within(script: string): { ok: boolean; code?: string }[] {
      const b2 = `b2() { "${process.execPath}" "${cli}" "$@" --json || true; }`;
      const output = execFileSync('unshare', [...namespace, `${b2}\n${script}`], {
        cwd: directory,
        encoding: 'utf8',
        env: {
          PATH: process.env['PATH'],
          B2_BUCKET: `file://${join(directory, 'bucket')}`,
          B2_BACKUP_PASSPHRASE: 'tulip granite orbit velvet mango',
          OPENCLAW_STATE_DIR: join(directory, 'state'),
        },
      });
      return output
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { ok: boolean; code?: string });
    }

    it('a push to a full disk says so, and goes on when there is room', () => {
      const [full, later] = within(`
        mount -t tmpfs -o size=1m x bucket
        b2 push
        mount -o remount,size=50m bucket
        b2 push`);
      expect(full).toMatchObject({ ok: false, code: 'B2_DISK_FULL' });
      expect(later).toMatchObject({ ok: true });
    });

    it.skipIf(!canMakeDatabases)(
      'a database that no disk has room to copy is named, and the rest is saved',
      () => {
        const [pushed, restored] = within(`
        mount -t tmpfs -o size=50m x bucket
        mount -t tmpfs -o size=30m y state
        mount -t tmpfs -o size=1m z small
        export TMPDIR="$PWD/small"
        mkdir state/workspace
        echo remember > state/workspace/MEMORY.md
        python3 -c "${MAKE_DATABASE}" state/workspace/big.sqlite
        b2 push --new-bucket
        b2 restore latest --to restored-without`);
        const lacks = [{ path: 'workspace/big.sqlite', code: 'B2_DISK_FULL' }];
        expect(pushed).toMatchObject({ ok: true, files: 1, skipped: lacks });
        expect(restored).toMatchObject({ ok: true, files: 1, incomplete: true, remarks: lacks });
      },
    );

    it('a read-only bucket is refused for writing and restores all the same', () => {
      const [first, refused, restored] = within(`
        mount -t tmpfs -o size=50m x bucket
        b2 push --new-bucket
        mount -o remount,ro bucket
        echo new > state/new
        b2 push
        b2 restore latest --to restored`);
      expect(first).toMatchObject({ ok: true });
      expect(refused).toMatchObject({ ok: false, code: 'B2_PERMISSION' });
      expect(restored).toMatchObject({ ok: true, files: 1 });
    });

    it('a restore to a full disk says so', () => {
      const [first, full] = within(`
        mount -t tmpfs -o size=50m x bucket
        b2 push --new-bucket
        mount -t tmpfs -o size=1m y small
        b2 restore latest --to small/restored`);
      expect(first).toMatchObject({ ok: true });
      expect(full).toMatchObject({ ok: false, code: 'B2_DISK_FULL' });
    });
  },
);
