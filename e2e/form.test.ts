/** Settings of the wrong kind, in every field of the form. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { Gateway, Home } from './support/gateway.ts';
import { project } from './support/host.ts';

const manifest = JSON.parse(readFileSync(join(project, 'openclaw.plugin.json'), 'utf8')) as {
  configSchema: { properties: Record<string, unknown> };
};
const SETTINGS = Object.keys(manifest.configSchema.properties);

let home: Home;
let gateway: Gateway | undefined;

beforeAll(async () => {
  home = await Home.create({ url: 'http://127.0.0.1:9/v1' }, { like: inject('installed').home });
});

afterAll(async () => {
  await gateway?.kill();
  home?.remove();
});

it('does not keep the gateway from starting, and each that is wrong is named', async () => {
  home.configurePlugin(Object.fromEntries(SETTINGS.map((setting) => [setting, [{ wrong: 1 }]])));
  gateway = await Gateway.start(home);
  const [said] = await gateway.says(/b2-backup: nothing is backed up.*/);
  for (const setting of SETTINGS) expect(said).toContain(setting);
});
