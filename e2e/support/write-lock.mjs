// A connection of the gateway's own process that writes when `locks.test.ts` says so. NODE_OPTIONS loads it there, with
// the same SQLite as OpenClaw's; files in the folder B2_E2E_WRITE_LOCK say what is wanted of which process, and what is
// done. The database is one that OpenClaw does not know: a write lock held for as long as a push takes would make
// OpenClaw's own writes to its databases fail, and that ends the gateway.
import { existsSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { DatabaseSync } from 'node:sqlite';
import { isMainThread } from 'node:worker_threads';

const { B2_E2E_WRITE_LOCK: folder, B2_E2E_DATABASE: path } = process.env;
/** How often it looks, in milliseconds. */
const LOOK_MS = 20;

let database;

const commands = {
  /** Begins to write, and does not end. */
  begin: () => {
    database = new DatabaseSync(path);
    database.exec('PRAGMA journal_mode = WAL; CREATE TABLE b2_test (word TEXT)');
    database.exec('BEGIN IMMEDIATE; INSERT INTO b2_test VALUES (1)');
  },
  commit: () => {
    database.exec('COMMIT');
    database.close();
  },
  /** Begins once more. */
  again: () => {
    database = new DatabaseSync(path);
    database.exec("BEGIN IMMEDIATE; INSERT INTO b2_test VALUES ('again')");
  },
  /** What no plugin may do: closing a file drops all locks that the process has on it. */
  read: () => readFileSync(`${path}-shm`),
};

if (isMainThread && folder !== undefined) {
  setInterval(() => {
    for (const [name, run] of Object.entries(commands)) {
      const wanted = join(folder, name);
      // Children of the gateway load this as well.
      if (!existsSync(wanted) || readFileSync(wanted, 'utf8') !== `${process.pid}`) continue;
      run();
      renameSync(wanted, `${wanted}.done`);
    }
  }, LOOK_MS).unref();
}
