import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { CORE_CODES, ERROR_CODES } from '../ts/errors.ts';
import { addon } from './addon-support.ts';

const top = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));
const read = (path: string): string => readFileSync(top(path), 'utf8');

interface Manifest {
  version: string;
  files: string[];
  bin: Record<string, string>;
  dependencies?: object;
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

  it('depends on croner alone at run time', () => {
    expect(Object.keys(manifest.dependencies ?? {})).toEqual(['croner']);
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

  it('keeps its files small', () => {
    for (const { path, source } of sources) expect(source.split('\n').length, path).toBeLessThanOrEqual(400);
  });
});
