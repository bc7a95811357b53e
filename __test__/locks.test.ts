/**
 * The gateway holds its databases open in this process. POSIX drops all locks of a process on a file when any
 * descriptor of it is closed there, so one careless open would let another process write into the middle of the
 * gateway's transaction.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type * as Library from '../ts/index.ts';
import type { Settings } from '../ts/index.ts';
import { addon } from './addon-support.ts';

interface Database {
  exec(sql: string): void;
  prepare(sql: string): { get(): Record<string, unknown> };
  close(): void;
}
interface Sqlite {
  DatabaseSync: new (path: string) => Database;
}

const sqlite = process.getBuiltinModule?.('node:sqlite') as Sqlite | undefined;
const built = new URL('../dist/index.js', import.meta.url).href;

/** What another process can do while we hold the write lock. */
function intrude(path: string): string {
  const script = `
    const { DatabaseSync } = require('node:sqlite');
    const database = new DatabaseSync(process.argv[1]);
    database.exec('pragma busy_timeout = 0');
    try { database.exec('begin immediate'); console.log('lock lost'); } catch { console.log('lock held'); }`;
  return execFileSync(process.execPath, ['--no-warnings', '-e', script, path], { encoding: 'utf8' }).trim();
}

describe.skipIf(addon === undefined || sqlite === undefined)(
  'locks of this process (needs the built addon, and node:sqlite: Node 22.5 or newer)',
  () => {
    let directory: string;
    let settings: Settings;
    let databases: { path: string; database: Database }[];
    let library: typeof Library;

    beforeEach(async () => {
      library = (await import(/* @vite-ignore */ built)) as typeof Library;
      directory = mkdtempSync(join(tmpdir(), 'b2-locks-'));
      const stateDir = join(directory, 'state');
      mkdirSync(join(directory, 'bucket'));
      settings = {
        stateDir,
        bucket: `file://${join(directory, 'bucket')}`,
        passphrase: 'tulip granite orbit velvet mango',
      };
      databases = ['state', 'agents/main/agent'].map((folder) => {
        mkdirSync(join(stateDir, folder), { recursive: true });
        const name = folder === 'state' ? 'openclaw.sqlite' : 'openclaw-agent.sqlite';
        const path = join(stateDir, folder, name);
        if (sqlite === undefined) throw new Error('unreachable');
        const database = new sqlite.DatabaseSync(path);
        database.exec('pragma journal_mode = wal; create table t(x); insert into t values (1)');
        return { path, database };
      });
      writeFileSync(join(stateDir, 'openclaw.json'), '{}');
    });
    afterEach(() => {
      for (const { database } of databases) database.close();
      rmSync(directory, { recursive: true, force: true });
    });

    it('survive a push, a plan and everything that runs in this process', async () => {
      for (const { database } of databases) database.exec('begin immediate; insert into t values (2)');
      const held = databases.map(() => 'lock held');
      const locks = (): string[] => databases.map(({ path }) => intrude(path));
      expect(locks(), 'before').toEqual(held);

      await library.plan(settings);
      expect(locks(), 'after plan').toEqual(held);
      const report = await library.push(settings);
      expect(report).toMatchObject({ changed: true, skipped: [] });
      expect(locks(), 'after push').toEqual(held);
      writeFileSync(join(settings.stateDir, 'new.md'), 'new');
      const { entries } = await library.diff(settings, { from: 'latest', text: true });
      expect(entries).toMatchObject([{ path: 'new.md', change: 'added' }]);
      expect(locks(), 'after diff with the state').toEqual(held);
      const to = join(directory, 'restored');
      const snapshot = 'latest';
      const { hash } = await library.planRollback(settings, { snapshot, paths: ['new.md'], exact: true });
      const others: Record<string, () => Promise<unknown>> = {
        'diff of snapshots': () => library.diff(settings, { from: snapshot, to: snapshot, text: true }),
        status: () => library.status(settings),
        list: () => library.list(settings),
        show: () => library.show(settings, { snapshot, path: 'state/openclaw.sqlite' }),
        history: () => library.history(settings, { path: 'state/openclaw.sqlite' }),
        verify: () => library.verify(settings, { readData: true }),
        drill: () => library.drill(settings),
        doctor: () => library.doctor(settings, { write: true }),
        restore: () => library.restore(settings, { snapshot, to }),
        'a rollback of a file': () =>
          library.rollBack(settings, { snapshot, paths: ['new.md'], exact: true }, hash),
        recovery: () => library.recoverRollback(settings, true),
        prune: () => library.prune(settings, { keepSnapshots: 1, keepDaily: 0, keepWeekly: 0 }),
        keys: () => library.keys(settings),
        'a new recovery code': () => library.newRecoveryCode(settings),
      };
      for (const [name, run] of Object.entries(others)) {
        await run();
        expect(locks(), `after ${name}`).toEqual(held);
      }

      for (const { database } of databases) database.exec('commit');
      // What was committed before the push is in the copy, what was not is not.
      const copies = readdirSync(to, { recursive: true, encoding: 'utf8' }).filter((path) =>
        path.endsWith('.sqlite'),
      );
      expect(copies).toHaveLength(2);
      for (const path of copies) {
        if (sqlite === undefined) throw new Error('unreachable');
        const copy = new sqlite.DatabaseSync(join(to, path));
        expect(copy.prepare('select group_concat(x) as rows from t').get()['rows']).toBe('1');
        expect(copy.prepare('pragma integrity_check').get()['integrity_check']).toBe('ok');
        copy.close();
      }
    });
  },
);
