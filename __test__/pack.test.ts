/** The packages as they are published, and installed as OpenClaw installs them. */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { parseTriple } from '@napi-rs/cli';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pack, packAll, packLocal } from '../scripts/pack.mjs';
import { addon } from './addon-support.ts';
import { dependenciesOf, filesOf, manifestOf, type Registry, startRegistry } from './npm-registry.ts';

const run = promisify(execFile);
const top = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));
const manifest = JSON.parse(readFileSync(top('package.json'), 'utf8')) as {
  name: string;
  version: string;
  files: string[];
  dependencies?: Record<string, string>;
  napi: { targets: string[] };
};

describe.skipIf(addon === undefined)('the packages', () => {
  let directory: string;
  let main: string;
  let platform: string;
  let registry: Registry | undefined;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'b2-pack-'));
    ({ main, platform } = await pack({ to: join(directory, 'packed') }));
  });
  afterAll(async () => {
    await registry?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  it('name a platform package for every target, in exactly this version', () => {
    const names = manifest.napi.targets.map(
      (target) => `${manifest.name}-${parseTriple(target).platformArchABI}`,
    );
    const expected = Object.fromEntries(names.map((name) => [name, manifest.version]));
    expect(manifestOf(main)['optionalDependencies']).toEqual(expected);
    expect(names).toContain(manifestOf(platform).name);
  });

  it('are one with everything in it for whoever tries a clone', async () => {
    const local = await packLocal({ to: join(directory, 'local') });
    const binary = String(manifestOf(platform)['main']);
    expect(filesOf(local).sort()).toEqual([...filesOf(main), binary].sort());
    expect(manifestOf(local)['optionalDependencies']).toEqual({});
  });

  it('hold what they need, and the main one no binary', () => {
    const inMain = filesOf(main);
    expect(inMain).toEqual(expect.arrayContaining(['LICENSE', 'README.md', 'dist/cli.js', 'dist/worker.js']));
    for (const entry of manifest.files) {
      expect(
        inMain.some((path) => path === entry || path.startsWith(`${entry}/`)),
        entry,
      ).toBe(true);
    }
    expect(inMain.filter((path) => path.endsWith('.node'))).toEqual([]);
    const binary = manifestOf(platform)['main'];
    expect(filesOf(platform).sort()).toEqual(['LICENSE', 'README.md', binary, 'package.json'].sort());
  });

  it('install from a registry, and work', async () => {
    // What OpenClaw passes; the registry has no package of another platform, as npm would have skipped those.
    const flags = [
      '--omit=dev',
      '--omit=peer',
      '--legacy-peer-deps',
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
    ];
    const packed = join(directory, 'packed');
    const npm = (args: readonly string[], cwd: string) =>
      run('npm', args, { cwd, shell: process.platform === 'win32' });
    for (const other of dependenciesOf(top('.')))
      await npm(['pack', '--ignore-scripts', '--pack-destination', packed, other], packed);
    const dependencies = readdirSync(packed)
      .map((name) => join(packed, name))
      .filter((path) => path !== main && path !== platform);
    registry = await startRegistry([main, platform, ...dependencies]);

    const project = join(directory, 'project');
    mkdirSync(project);
    writeFileSync(join(project, 'package.json'), '{"private": true}');
    const where = ['--registry', registry.url, '--cache', join(directory, 'cache')];
    await npm(['install', ...flags, ...where, manifest.name], project);
    expect(registry.fetched).toEqual(expect.arrayContaining([basename(main), basename(platform)]));

    const command = join(project, 'node_modules', ...manifest.name.split('/'), 'dist', 'cli.js');
    mkdirSync(join(directory, 'bucket'));
    const env = {
      ...process.env,
      OPENCLAW_STATE_DIR: join(directory, 'state'),
      B2_BUCKET: pathToFileURL(join(directory, 'bucket')).href,
      B2_BACKUP_PASSPHRASE: 'tulip granite orbit velvet mango',
    };
    const list = await run(process.execPath, [command, 'list', '--json'], { env });
    expect(JSON.parse(list.stdout)).toMatchObject({ ok: true, snapshots: [] });
  });

  it('are not made where a binary is missing', async () => {
    // Binaries of all systems are only together where `napi artifacts` collected them.
    await expect(packAll({ to: join(directory, 'all') })).rejects.toThrow(/\.node is not built/);
  });
});
