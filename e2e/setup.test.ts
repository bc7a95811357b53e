/** A user sets backups up with `openclaw b2-backup setup`, beside a running gateway that has no settings yet. */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { Bucket } from './support/bucket.ts';
import { Gateway, Home } from './support/gateway.ts';
import { Model } from './support/model.ts';

const PASSPHRASE = 'marble cactus velvet ferry pigeon';

let model: Model;
let bucket: Bucket;
let home: Home;
let gateway: Gateway;

beforeAll(async () => {
  model = await Model.start();
  bucket = await Bucket.start();
  home = await Home.create(model, { like: inject('installed').home });
  gateway = await Gateway.start(home);
});

afterAll(async () => {
  await gateway?.kill();
  await bucket?.close();
  await model?.close();
  home?.remove();
});

/** Runs setup without questions; secrets come on standard input. */
async function setup(...options: string[]): Promise<Record<string, unknown>> {
  const { keyId, applicationKey, endpoint, region } = bucket.settings;
  const where = ['--bucket', bucket.settings.bucket, '--endpoint', endpoint, '--region', region];
  const line = ['b2-backup', 'setup', '--json', '--secrets', '-', ...where, ...options];
  const input = JSON.stringify({ keyId, applicationKey, passphrase: PASSPHRASE });
  const { out, err, code } = await home.openclaw(line, { input });
  expect({ code, err }).toEqual({ code: 0, err: '' });
  return JSON.parse(out) as Record<string, unknown>;
}

/** `openclaw.json` as it is written there. */
const text = (): string => readFileSync(home.configPath, 'utf8');

describe('openclaw b2-backup setup', () => {
  it('proves the backup and writes the settings, and the gateway begins to back up', async () => {
    await gateway.says(/b2-backup: nothing is backed up/);
    const before = home.readConfig();
    const from = gateway.log.length;
    const report = await setup('--show-code');
    expect(report).toMatchObject({
      ok: true,
      proven: true,
      kind: 's3',
      incomplete: false,
      config: home.configPath,
    });
    expect(report['recoveryCode']).toMatch(/^[0-9A-Z]{5}(-[0-9A-Z]{5}){6}$/);
    await gateway.says(/b2-backup: scheduled push: /, { from });
    expect((await gateway.health()).plugins.errors.filter(({ id }) => id === 'b2-backup')).toEqual([]);

    const { gateway: auth, plugins } = home.readConfig();
    expect(auth).toEqual(before.gateway);
    const { keyId, applicationKey, endpoint, region } = bucket.settings;
    expect(plugins?.entries?.['b2-backup']).toMatchObject({
      enabled: true,
      config: { bucket: 'backups', keyId, applicationKey, endpoint, region, passphrase: PASSPHRASE },
    });
    expect(statSync(home.configPath).mode & 0o777).toBe(0o600);
    // Neither is this machine taken for a new one, nor for a copy of itself.
    expect(gateway.log.slice(from)).not.toMatch(/restored|another machine|is a copy/);
  });

  it('keeps comments, and secrets in a file that the gateway reads', async () => {
    writeFileSync(home.configPath, text().replace('{', '{\n  // The gateway of the kitchen\n'), {
      mode: 0o600,
    });
    const secrets = join(home.path, 'b2-secrets.json');
    const from = gateway.log.length;
    await setup('--replace', '--no-recovery-code', '--secret-refs', secrets);
    expect(text()).toContain('// The gateway of the kitchen');
    expect(text()).not.toContain(PASSPHRASE);
    expect(text()).not.toContain(bucket.settings.applicationKey);
    expect(statSync(secrets).mode & 0o777).toBe(0o600);
    await gateway.says(/b2-backup: backing up .* to backups/, { from });
    await gateway.says(/config hot reload applied/, { from });
    expect(gateway.log.slice(from)).not.toMatch(/nothing is backed up|could not resolve/);
  });

  it('lets commands read that file, too', async () => {
    const { out } = await home.openclaw(['b2-backup', 'list', '--json']);
    const { snapshots } = JSON.parse(out) as { snapshots: { problem: string | null }[] };
    expect(new Set(snapshots.map(({ problem }) => problem))).toEqual(new Set([null]));
  });

  it('changes nothing where it is not proven', async () => {
    const before = text();
    const line = ['b2-backup', 'setup', '--json', '--replace', '--secrets', '-', '--bucket', 'backups'];
    const { endpoint, region, keyId } = bucket.settings;
    const input = JSON.stringify({ keyId, applicationKey: 'wrong', passphrase: PASSPHRASE });
    const { out, code } = await home.openclaw([...line, '--endpoint', endpoint, '--region', region], {
      input,
    });
    expect(code).toBe(1);
    expect(JSON.parse(out)).toMatchObject({ ok: false, code: 'B2_CREDENTIALS' });
    expect(out).not.toContain(PASSPHRASE);
    expect(text()).toBe(before);
  });
});
