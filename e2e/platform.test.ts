/** A machine for which no addon was installed. */
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { Bucket } from './support/bucket.ts';
import { Gateway, Home } from './support/gateway.ts';
import { Model } from './support/model.ts';
import { openRegistry, type Registry } from './support/registry.ts';

const NATIVE = `@openclaw/b2-backup-linux-${process.arch}-gnu`;

let model: Model;
let bucket: Bucket;
let registry: Registry;
let home: Home;
let gateway: Gateway;

beforeAll(async () => {
  model = await Model.start();
  bucket = await Bucket.start();
  registry = await openRegistry(inject('installed').tarballs);
  registry.hide(NATIVE);
  home = await Home.create(model);
  await home.install(registry);
  home.configurePlugin(bucket.settings);
  gateway = await Gateway.start(home);
});

afterAll(async () => {
  await gateway?.kill();
  await registry?.close();
  await bucket?.close();
  await model?.close();
  home?.remove();
});

it('the plugin says which package is missing, and the gateway runs on', async () => {
  await gateway.says(/b2-backup: nothing is backed up/);
  const lines = gateway.log.split('\n').filter((line) => line.includes('b2-backup:'));
  expect(lines).toEqual([expect.stringContaining(NATIVE)]);

  const { loaded, errors } = (await gateway.health()).plugins;
  expect(loaded).toContain('b2-backup');
  const problem = { id: 'b2-backup', error: expect.stringContaining(NATIVE) };
  expect(errors).toEqual([expect.objectContaining(problem)]);
  expect(await gateway.call('b2-backup.status')).toMatchObject({
    problem: { code: 'B2_NATIVE_UNAVAILABLE', message: expect.stringContaining(NATIVE) },
  });
  expect(await gateway.agent('SAY I am well')).toBe('I am well');
  expect((await (await gateway.operator()).say('/b2')).text).toContain(NATIVE);
});

it('the command says so, too', async () => {
  const { code, err } = await home.openclaw(['b2-backup', 'list']);
  expect(code).toBe(1);
  expect(err).toContain(NATIVE);
  expect(err).toContain('B2_NATIVE_UNAVAILABLE');
});
