/** How releases are made: the workflow, versions, and publishing. */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parseTriple } from '@napi-rs/cli';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { publish } from '../scripts/publish.mjs';
import { mismatches } from '../scripts/version.mjs';
import { startRegistry } from './npm-registry.ts';

const run = promisify(execFile);
const top = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));
const read = (path: string): string => readFileSync(top(path), 'utf8');
const { version, napi } = JSON.parse(read('package.json')) as {
  version: string;
  napi: { targets: string[] };
};

describe('the workflows', () => {
  const release = read('.github/workflows/release.yml');

  /** The targets in the matrix of a job. */
  function targetsOf(job: string): string[] {
    const [, rest = ''] = release.split(new RegExp(`^ {2}${job}:$`, 'm'));
    const [body = ''] = rest.split(/^ {2}\w+:$/m);
    return [...body.matchAll(/- \{ target: ([\w-]+)/g)].map(([, target]) => target ?? '');
  }

  it('build every target once', () => {
    expect(targetsOf('build').sort()).toEqual([...napi.targets].sort());
  });

  it('test only what is built', () => {
    expect(targetsOf('test').length).toBeGreaterThan(0);
    expect(napi.targets).toEqual(expect.arrayContaining(targetsOf('test')));
  });

  it('take actions by their commit', () => {
    for (const file of readdirSync(top('.github/workflows'))) {
      const uses = [...read(`.github/workflows/${file}`).matchAll(/uses: (\S+)(.*)/g)];
      expect(uses.length).toBeGreaterThan(0);
      for (const [line, action = '', comment = ''] of uses) {
        if (action.startsWith('./')) continue;
        expect(action, line).toMatch(/^[\w-]+\/[\w-]+@[0-9a-f]{40}$/);
        expect(comment, line).toMatch(/^ # v\d+\.\d+\.\d+$/);
      }
    }
  });

  it('run no scripts of packages where something is built to be published', () => {
    const installs = [...release.matchAll(/install\b.*--no-save.*/g)];
    for (const [line] of installs) expect(line).toContain('--ignore-scripts');
    expect(installs).toHaveLength(5);
    expect(read('scripts/setup.mjs')).toMatch(/\[\s*'install',[^\]]*'--ignore-scripts'/);
    expect(release).not.toMatch(/npm ci|yarn|pnpm/);
  });

  it('publish nothing with a hole that is known', () => {
    const [, job = ''] = /^ {2}advisories:$(.*?)^ {2}\w+:$/ms.exec(release) ?? [];
    for (const check of ['cargo deny --locked --all-features check', 'npm audit --audit-level=low'])
      expect(job).toContain(`run: ${check}\n`);
    const [, needs = ''] = /^ {2}publish:$.*?needs: \[(.*?)\]/ms.exec(release) ?? [];
    expect(needs.split(', ')).toContain('advisories');
  });

  it('build with the Rust that is installed here, and Cargo.toml and the texts ask for that', () => {
    const [, rust = ''] = /^channel = "(\d+\.\d+\.\d+)"$/m.exec(read('rust-toolchain.toml')) ?? [];
    const used = readdirSync(top('.github/workflows')).flatMap((file) => {
      const names = /\b(?:RUST: |toolchain install |rustup default )(\d\S*)/g;
      return [...read(`.github/workflows/${file}`).matchAll(names)].map(([, name]) => name);
    });
    expect(used).toEqual(Array.from({ length: 9 }, () => rust));
    const minor = rust.replace(/\.\d+$/, '');
    for (const file of ['Cargo.toml', 'fuzz/Cargo.toml'])
      expect(read(file), file).toContain(`\nrust-version = "${minor}"\n`);
    for (const file of ['README.md', 'CONTRIBUTING.md', 'scripts/setup.mjs'])
      expect(read(file), file).toMatch(new RegExp(`need(?:s|) Rust ${minor.replace('.', '\\.')}\\b`));
  });
});

describe('the platform folders', () => {
  it('are those of the targets', () => {
    const names = napi.targets.map((target) => parseTriple(target).platformArchABI);
    expect(readdirSync(top('npm')).sort()).toEqual(names.sort());
  });
});

describe('the version', () => {
  it('is the same everywhere', async () => {
    expect(await mismatches()).toEqual([]);
  });

  it('must be that of the tag', async () => {
    expect(await mismatches('v99.0.0')).toContain(`the tag has 99.0.0, package.json has ${version}`);
    expect(await mismatches(`v${version}`)).not.toContainEqual(expect.stringContaining('the tag'));
  });
});

describe('publishing', () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'b2-publish-'));
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  /** Packages with nothing in them. Each call of npm takes a second, and many of them on a busy machine. */
  async function tarballs<const T extends readonly string[]>(
    ...names: T
  ): Promise<{ [at in keyof T]: string }> {
    const folders = names.map((spec) => {
      const [name, version] = spec.split('@');
      const folder = join(directory, spec);
      mkdirSync(folder);
      writeFileSync(join(folder, 'package.json'), JSON.stringify({ name, version }));
      return folder;
    });
    await run('npm', ['pack', '--pack-destination', directory, ...folders]);
    return names.map((spec) => join(directory, `${spec.replace('@', '-')}.tgz`)) as never;
  }

  it('goes in order, passes over what is there, and tags what is no release', async () => {
    const [first, second, third, fourth, fifth] = await tarballs(
      'first@1.0.0',
      'second@1.0.0-beta.1',
      'third@1.0.0',
      'fourth@2.0.0-beta.1',
      'fifth@1.0.0',
    );
    const registry = await startRegistry([second], 'swordfish');
    const env = {
      ...process.env,
      npm_config_registry: registry.url,
      npm_config_cache: join(directory, 'cache'),
      npm_config_loglevel: 'silent',
      NODE_AUTH_TOKEN: 'swordfish',
    };
    try {
      const options = { provenance: false, env };
      expect(await publish([first, second, third], options)).toEqual(['first@1.0.0', 'third@1.0.0']);
      expect(await publish([first, fourth], options)).toEqual(['fourth@2.0.0-beta.1']);
      expect(registry.published).toEqual([
        'first@1.0.0 latest',
        'third@1.0.0 latest',
        'fourth@2.0.0-beta.1 next',
      ]);
      await expect(publish([fifth], { ...options, env: { ...env, NODE_AUTH_TOKEN: '' } })).rejects.toThrow(
        /npm publish/,
      );
    } finally {
      await registry.close();
    }
  });
});
