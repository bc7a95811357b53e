/** A push while a connection of the gateway's own process is in the middle of writing to a database. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { Bucket } from './support/bucket.ts';
import { Gateway, Home } from './support/gateway.ts';
import { support } from './support/host.ts';
import { locksOf } from './support/locks.ts';
import { Model } from './support/model.ts';
import { query } from './support/sqlite.ts';

let model: Model;
let bucket: Bucket;
let home: Home;
let gateway: Gateway;
let database: string;
let orders: string;

beforeAll(async () => {
  model = await Model.start();
  bucket = await Bucket.start();
  home = await Home.create(model, { like: inject('installed').home });
  home.configurePlugin({ ...bucket.settings, schedule: '* * * * * *' });
  database = join(home.stateDir, 'state', 'written.sqlite');
  orders = join(home.path, 'orders');
  mkdirSync(orders);
  gateway = await Gateway.start(home, {
    env: {
      NODE_OPTIONS: `--no-warnings --import ${pathToFileURL(support('write-lock.mjs')).href}`,
      B2_E2E_WRITE_LOCK: orders,
      B2_E2E_DATABASE: database,
    },
  });
});

afterAll(async () => {
  await gateway?.kill();
  await bucket?.close();
  await model?.close();
  home?.remove();
});

/** Has a connection in the gateway's process do something. */
async function order(what: 'begin' | 'commit' | 'again' | 'read'): Promise<void> {
  writeFileSync(join(orders, what), `${gateway.pid}`);
  await gateway.until(`to ${what}`, () => existsSync(join(orders, `${what}.done`)));
}

const writeLocks = (): string[] =>
  locksOf(gateway.pid, [database]).filter((lock) => lock.includes('-shm WRITE'));

async function pushed(text: string): Promise<void> {
  const from = gateway.log.length;
  mkdirSync(join(home.stateDir, 'workspace'), { recursive: true });
  writeFileSync(join(home.stateDir, 'workspace', 'NOTES.md'), text);
  await gateway.says(/scheduled push: Snapshot/, { from });
}

it('leaves its write lock alone, and what it writes is not lost', async () => {
  await pushed('before');
  await order('begin');
  const held = writeLocks();
  expect(held.length).toBeGreaterThan(0);
  await pushed('in the middle of it');
  expect(writeLocks()).toEqual(held);
  await expect(query(database, 'BEGIN IMMEDIATE')).rejects.toThrow(/locked/);
  await order('commit');
  expect(await query(database, 'SELECT count(*) AS rows FROM b2_test')).toEqual([{ rows: 1 }]);
});

it('would lose it, and this test see that, if anybody read the file there', async () => {
  await order('again');
  expect(writeLocks().length).toBeGreaterThan(0);
  await order('read');
  expect(writeLocks()).toEqual([]);
});
