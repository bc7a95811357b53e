/** `/b2` in a channel with buttons: OpenClaw's own Telegram channel, against a Bot API on loopback. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { Bucket } from './support/bucket.ts';
import { Gateway, Home } from './support/gateway.ts';
import { Telegram } from './support/telegram.ts';

let telegram: Telegram;
let bucket: Bucket;
let home: Home;
let gateway: Gateway;

beforeAll(async () => {
  telegram = await Telegram.start();
  bucket = await Bucket.start();
  home = await Home.create({ url: 'http://127.0.0.1:9/v1' }, { like: inject('installed').home });
  home.writeConfig({ ...home.readConfig(), ...telegram.config });
  home.configurePlugin(bucket.settings);
  mkdirSync(join(home.stateDir, 'workspace'), { recursive: true });
  writeFileSync(memory(), 'The cat is called Momo.\n');
  gateway = await Gateway.start(home);
  await gateway.says(/scheduled push: Snapshot /);
});

afterAll(async () => {
  await gateway?.kill();
  await telegram?.close();
  await bucket?.close();
  home?.remove();
});

const memory = (): string => join(home.stateDir, 'workspace', 'MEMORY.md');

it('shows buttons, and does what they say when they are pressed', async () => {
  const status = await telegram.write('/b2', /^Backups are made/);
  expect(status.buttons.map(({ text }) => text)).toEqual(['Back up now', 'Show backups']);
  await telegram.press(status, 'Back up now', /^Backed up\./);
  writeFileSync(memory(), 'spoilt\n');
  const plan = await telegram.write('/b2 restore latest --path MEMORY.md', /To do it: \/b2 confirm/);
  expect(plan.buttons.map(({ text }) => text)).toEqual(['Do it']);
  expect(readFileSync(memory(), 'utf8')).toBe('spoilt\n');
  const done = await telegram.press(plan, 'Do it', /Rolled back to/);
  expect(readFileSync(memory(), 'utf8')).toBe('The cat is called Momo.\n');
  const undo = await telegram.press(done, 'Undo', /To do it: \/b2 confirm/);
  await telegram.press(undo, 'Do it', /Rolled back to/);
  expect(readFileSync(memory(), 'utf8')).toBe('spoilt\n');
});
