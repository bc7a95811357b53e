/** The documentation holds together: links lead somewhere, pages that the code names are there. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const pages = readdirSync(join(root, 'docs'))
  .filter((name) => name.endsWith('.md'))
  .map((name) => `docs/${name}`);
const texts = ['README.md', 'assets/README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md', ...pages];

/** The text without what stands in code, where brackets are no links and `#` begins no heading. */
function prose(markdown: string): string {
  return markdown.replace(/^```[\s\S]*?^```/gm, '').replace(/`[^`\n]*`/g, '');
}

/** The anchors that GitHub makes of the headings. */
function anchors(path: string): string[] {
  const headings = read(path)
    .replace(/^```[\s\S]*?^```/gm, '')
    .matchAll(/^#+ (.*)$/gm);
  return [...headings].map(([, text = '']) =>
    text
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

/** Links to files of this repository: where they stand, which file, which heading of it. */
function links(): { from: string; file: string; anchor: string | undefined }[] {
  return texts.flatMap((from) =>
    [...prose(read(from)).matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, target = '']) => target)
      .filter((target) => !target.includes('://'))
      .map((target) => {
        const [path = '', anchor] = target.split('#');
        // That one is the README of the package.
        const at = from === 'assets/README.md' ? 'README.md' : from;
        const file = path === '' ? from : posix.normalize(posix.join(posix.dirname(at), path));
        return { from, file, anchor };
      }),
  );
}

/** Every file below these places that people write. */
function sources(...places: string[]): string[] {
  return places.flatMap((place) =>
    readdirSync(join(root, place), { recursive: true, encoding: 'utf8' })
      .map((name) => posix.join(place, name.replaceAll('\\', '/')))
      .filter((path) => /\.(rs|ts|mjs|py|ya?ml|toml)$/.test(path)),
  );
}

describe('the documentation', () => {
  it('has no link that leads nowhere', () => {
    expect(links().length).toBeGreaterThan(100);
    const dead = links().filter(
      ({ file, anchor }) =>
        !existsSync(join(root, file)) || (anchor !== undefined && !anchors(file).includes(anchor)),
    );
    expect(dead).toEqual([]);
  });

  it('leads from what is in the package only to what is in it, too', () => {
    const { files } = JSON.parse(read('package.json')) as { files: string[] };
    // npm packs these whatever the list says.
    const packed = [...files, 'README.md', 'LICENSE', 'package.json'];
    const isPacked = (path: string): boolean =>
      packed.some((entry) => path === entry || path.startsWith(`${entry}/`));
    const lost = links().filter(({ from, file }) => isPacked(from) && !isPacked(file));
    expect(lost).toEqual([]);
  });

  it('has every page in its index', () => {
    const listed = [...read('docs/index.md').matchAll(/\]\(([a-z-]+\.md)\)/g)].map(
      ([, name]) => `docs/${name}`,
    );
    expect(pages.filter((page) => page !== 'docs/index.md' && !listed.includes(page))).toEqual([]);
  });

  it('begins with a README that is read in a few minutes', () => {
    expect(read('README.md').split(/\s+/).filter(Boolean).length).toBeLessThanOrEqual(900);
  });

  it('has every page that code names', () => {
    const places = [
      'src',
      'ts',
      'tests',
      '__test__',
      'e2e',
      'scripts',
      'tools',
      'benches',
      'examples',
      '.github',
    ];
    const missing = sources(...places).flatMap((path) =>
      [...read(path).matchAll(/\bdocs\/[\w-]+\.md\b/g)]
        .map(([name]) => name)
        .filter((name) => !existsSync(join(root, name)))
        .map((name) => `${path}: ${name}`),
    );
    expect(missing).toEqual([]);
  });

  it('names only files that are there', () => {
    const missing = texts.flatMap((path) =>
      [...read(path).matchAll(/`((?:src|ts|tests|__test__|e2e|scripts|tools|benches|examples)\/[\w./-]+)`/g)]
        .map(([, name = '']) => name)
        .filter((name) => !existsSync(join(root, name)))
        .map((name) => `${path}: ${name}`),
    );
    expect(missing).toEqual([]);
  });
});
