import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { failuresOf, parts, rustFailures } from '../scripts/suites.mjs';
import { SECRET_SETTINGS, SETTINGS } from '../ts/config.ts';
import { CORE_CODES, ERROR_CODES } from '../ts/errors.ts';
import entry from '../ts/plugin.ts';
import { addon } from './addon-support.ts';
import { FakeHost } from './plugin-support.ts';

const top = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));
const read = (path: string): string => readFileSync(top(path), 'utf8');

interface Manifest {
  version: string;
  files: string[];
  bin: Record<string, string>;
  dependencies?: object;
  openclaw: { extensions: string[] };
  engines: object;
  napi: { targets: string[] };
}
const manifest = JSON.parse(read('package.json')) as Manifest;

function sorted(codes: Iterable<string>): string[] {
  return [...codes].sort();
}

describe('error codes', () => {
  it('are all explained in docs/errors.md, and no others', () => {
    const explained = [...read('docs/errors.md').matchAll(/^\| `(B2_\w+)`/gm)].map((match) => match[1] ?? '');
    expect(sorted(explained)).toEqual(sorted(ERROR_CODES));
  });

  it('are those of src/error.rs', () => {
    const list = /const CODES[^=]*=\s*&\[([^\]]*)\]/.exec(read('src/error.rs'))?.[1] ?? '';
    const inRust = [...list.matchAll(/"(B2_\w+)"/g)].map((match) => match[1] ?? '');
    expect(inRust).toEqual([...CORE_CODES]);
  });

  it.skipIf(addon === undefined)('are those of the addon', () => {
    const errorCodes = addon?.['errorCodes'] as () => string[];
    expect(errorCodes()).toEqual([...CORE_CODES]);
  });
});

describe('the package', () => {
  it('has one version', () => {
    expect(/^version = "(.*)"$/m.exec(read('Cargo.toml'))?.[1]).toBe(manifest.version);
    expect(read('CHANGELOG.md')).toContain(manifest.version);
  });

  it.skipIf(addon === undefined)('has every file that it lists', () => {
    for (const path of [...manifest.files, ...Object.values(manifest.bin)]) {
      expect(existsSync(top(path)), path).toBe(true);
    }
  });

  it('has a folder for every platform, in the same version and for the same Node', () => {
    const folders = readdirSync(top('npm'));
    expect(folders).toHaveLength(manifest.napi.targets.length);
    for (const folder of folders) {
      const platform = JSON.parse(read(`npm/${folder}/package.json`)) as Record<string, unknown>;
      expect(platform).toMatchObject({
        name: `@openclaw/b2-backup-${folder}`,
        version: manifest.version,
        engines: manifest.engines,
      });
    }
  });

  it('depends at run time on what docs/dependencies.md names, in exact versions', () => {
    const atRunTime = read('docs/dependencies.md')
      .replace(/^[\s\S]*\nAt run time/, '')
      .replace(/\nFor building[\s\S]*$/, '');
    const named = [...atRunTime.matchAll(/^- \*\*(\S+)\*\* \((\S+),/gm)];
    expect(manifest.dependencies).toEqual(
      Object.fromEntries(named.map(([, name, version]) => [name, version])),
    );
  });
});

describe('the icons', () => {
  it('are what the host takes: a square PNG, and an SVG of a few plain shapes', () => {
    const png = readFileSync(top('assets/icon.png'));
    expect(png.subarray(1, 4).toString()).toBe('PNG');
    expect([png.readUInt32BE(16), png.readUInt32BE(20)]).toEqual([512, 512]);
    const elements = [...read('assets/activity.svg').matchAll(/<(\w+)/g)].map((match) => match[1]);
    expect(elements).toEqual(['svg', 'path', 'path', 'path']);
  });
});

describe('the plugin manifest', () => {
  const plugin = JSON.parse(read('openclaw.plugin.json')) as {
    id: string;
    contracts: { tools: string[] };
    controlUi: { entry: string; styles: string[] };
    toolMetadata: Record<string, object>;
    cliCommands: { name: string; description: string; hasSubcommands: boolean }[];
    commandAliases: { name: string; kind: string; cliCommand: string }[];
    configSchema: {
      properties: Record<string, { anyOf: { type: string | string[] }[] }>;
      required?: unknown;
    };
    configGroups: { properties: string[] }[];
    uiHints: Record<string, { label?: string; help?: string; sensitive?: boolean }>;
    configContracts: { secretInputs: { paths: { path: string }[] } };
  };
  const host = new FakeHost('/s', {});
  entry.register(host.api);

  it('promises what the code registers', () => {
    expect(plugin.id).toBe(entry.id);
    const tool = host.createTool?.({ senderIsOwner: true });
    expect(plugin.contracts.tools).toEqual([tool?.name]);
    expect(Object.keys(plugin.toolMetadata)).toEqual([tool?.name]);
    expect(plugin.toolMetadata[tool?.name ?? '']).toMatchObject({ optional: true });
    expect(plugin.cliCommands).toEqual(
      host.cli.map(({ name, description, hasSubcommands }) => ({ name, description, hasSubcommands })),
    );
    const alias = { name: host.command?.name, kind: 'runtime-slash', cliCommand: host.cli[0]?.name };
    expect(plugin.commandAliases).toEqual([alias]);
  });

  it('has exactly the settings that are read, and requires none', () => {
    expect(sorted(Object.keys(plugin.configSchema.properties))).toEqual(sorted(SETTINGS));
    expect(plugin.configSchema.required).toBeUndefined();
    for (const field of Object.keys(plugin.uiHints)) expect(SETTINGS).toContain(field);
  });

  it('refuses no value, because the host does not start with one that is refused', () => {
    const every = ['array', 'boolean', 'null', 'number', 'object', 'string'];
    for (const [setting, { anyOf }] of Object.entries(plugin.configSchema.properties)) {
      // The form shows the first alone: it leaves out what may be null (e2e/form.test.ts).
      expect(anyOf, setting).toHaveLength(2);
      expect(sorted([anyOf[1]?.type ?? []].flat()), setting).toEqual(every);
    }
  });

  it('has a form with each setting in one group, named and explained', () => {
    const grouped = plugin.configGroups.flatMap(({ properties }) => properties);
    expect(sorted(grouped)).toEqual(sorted(SETTINGS));
    for (const setting of SETTINGS) {
      const { label, help } = plugin.uiHints[setting] ?? {};
      expect(label, setting).toMatch(/^[A-Z]/);
      expect(help, setting).toMatch(/^[A-Za-z].*\.$/);
    }
  });

  it('hides the secrets and lets them be references', () => {
    const secret = plugin.configContracts.secretInputs.paths.map(({ path }) => path);
    expect(sorted(secret)).toEqual(sorted(SECRET_SETTINGS));
    for (const field of ['applicationKey', 'passphrase']) expect(plugin.uiHints[field]?.sensitive).toBe(true);
  });

  it('is explained in docs/settings.md, setting by setting', () => {
    const page = read('docs/settings.md');
    expect(SETTINGS.filter((field) => !page.includes(`\`${field}\``))).toEqual([]);
  });

  it('has an entry that is built and packed', () => {
    const { extensions } = manifest.openclaw;
    const { entry: page, styles } = plugin.controlUi;
    for (const path of [...extensions, page, ...styles]) expect(existsSync(top(path)), path).toBe(true);
    expect(manifest.files).toEqual(expect.arrayContaining(['dist', 'openclaw.plugin.json']));
  });

  it('says at first what the tool is for', () => {
    // A model sees only so much of a description until it asks for more.
    const tool = host.createTool?.({ senderIsOwner: true });
    expect(tool?.description.slice(0, 60)).toMatch(/^Backups of your own memory and state: list, compare/);
  });
});

describe('the house', () => {
  const sources = readdirSync(top('ts'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => ({ path: path.replaceAll('\\', '/'), source: read(`ts/${path}`) }));

  it('reaches the addon through one file', () => {
    const importers = sources
      .filter(({ source }) =>
        /^import (?!type\b).*from '[./]*\/index\.js'|import\('[./]*\/index\.js'\)/m.test(source),
      )
      .map(({ path }) => path);
    expect(importers).toEqual(['native.ts']);
  });

  it('keeps the half that runs in a browser apart: only the types of what is said cross over', () => {
    const imported = (source: string) => [...source.matchAll(/^(import[^;]*?) from '([^']*)'/gm)];
    for (const { path, source } of sources) {
      for (const [, what = '', from = ''] of imported(source)) {
        if (path.startsWith('control-ui/')) expect(from, path).toMatch(/^\.\/[a-z-]+\.js$/);
        else if (from.includes('control-ui/')) {
          expect(what, path).toMatch(/^import type /);
          expect(from, path).toMatch(/\/control-ui\/protocol\.js$/);
        }
      }
    }
  });

  it('keeps its files small', () => {
    for (const { path, source } of sources) expect(source.split('\n').length, path).toBeLessThanOrEqual(400);
  });
});

describe('npm test', () => {
  const test = (title: string, status: string, group = 'disks (needs namespaces)') => ({
    ancestorTitles: [group],
    title,
    status,
  });

  it('names what was not run: a group as a whole, or what is left of it', () => {
    const report = {
      testResults: [
        { name: '/x/disk.test.ts', assertionResults: [test('a', 'skipped'), test('b', 'pending')] },
        { name: '/x/addon.test.ts', assertionResults: [test('a', 'passed'), test('b', 'skipped')] },
      ],
    };
    const { ran, skipped } = parts(report);
    expect(ran).toEqual([
      'addon.test.ts: disks (needs namespaces)',
      'addon.test.ts: disks (needs namespaces): a',
    ]);
    expect([...new Set(skipped)]).toEqual([
      'disk.test.ts: disks (needs namespaces)',
      'addon.test.ts: disks (needs namespaces): b',
    ]);
  });

  it('names at its end what failed, and a file that could not be loaded', () => {
    const failed = {
      ...test('a', 'failed'),
      fullName: 'disks a',
      failureMessages: ['Error: no space\n    at x'],
    };
    const report = {
      testResults: [
        { name: '/x/disk.test.ts', assertionResults: [failed, test('b', 'passed')], status: 'failed' },
        { name: '/x/broken.test.ts', assertionResults: [], status: 'failed', message: 'no such import\n' },
      ],
    };
    expect(failuresOf(report)).toEqual([
      'disk.test.ts: disks a: Error: no space',
      'broken.test.ts: no such import',
    ]);
  });

  it('names what failed in Rust, once', () => {
    const nextest = '        FAIL [   0.010s] (  1/797) openclaw-b2-backup::it push::writes\n';
    const killed = '     SIGABRT [   1.010s] (2/797) openclaw-b2-backup::it push::dies\n';
    const passed = '        PASS [   0.010s] (3/797) openclaw-b2-backup::it push::FAIL\n';
    expect(rustFailures(nextest + killed + passed + nextest)).toEqual([
      'openclaw-b2-backup::it push::writes',
      'openclaw-b2-backup::it push::dies',
    ]);
    expect(rustFailures('test push::writes ... FAILED\ntest push::reads ... ok\n')).toEqual(['push::writes']);
  });
});
