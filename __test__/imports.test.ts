/** No file of `ts/` uses itself in a circle, not even for its types: so each can be read after what it stands on. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const TS = fileURLToPath(new URL('../ts', import.meta.url));

type Graph = ReadonlyMap<string, readonly string[]>;

/** What each file imports of our own: statically, as types, on demand, or to pass it on. */
function importsIn(root: string, pattern = /\b(?:from|import)\s*\(?\s*'(\.[^']+)'/g): Graph {
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) =>
    /\.m?ts$/.test(name),
  );
  return new Map(
    files.map((name) => {
      const path = join(root, name);
      const found = readFileSync(path, 'utf8').matchAll(pattern);
      const targets = [...found].map(([, to = '']) => join(dirname(path), to.replace(/js$/, 'ts')));
      return [name, targets.filter((to) => existsSync(to)).map((to) => relative(root, to))];
    }),
  );
}

/** The files that each file comes to in the end. */
function reachable(graph: Graph, from: string): ReadonlySet<string> {
  const seen = new Set<string>();
  const open = [from];
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    for (const next of graph.get(file) ?? []) {
      if (!seen.has(next)) {
        seen.add(next);
        open.push(next);
      }
    }
  }
  return seen;
}

const inCircles = (graph: Graph): string[] =>
  [...graph.keys()].filter((file) => reachable(graph, file).has(file)).sort();

it('reads imports', () => {
  const graph = importsIn(TS);
  expect(graph.get('worker.ts')).toContain('serve-job.ts');
  expect([...graph.values()].flat().length).toBeGreaterThan(300);
});

it('sees a planted circle', () => {
  const planted = new Map([
    ['a', ['b', 'd']],
    ['b', ['c']],
    ['c', ['a']],
    ['d', []],
  ]);
  expect(inCircles(planted)).toEqual(['a', 'b', 'c']);
});

it('has none', () => {
  expect(inCircles(importsIn(TS))).toEqual([]);
});

it('reads what only other commands need when those are called for', () => {
  const statically = importsIn(TS, /^(?:import|export)(?! type) [^;]*?from '(\.[^']+)'/gm);
  const read = (command: string) => [
    ...reachable(statically, 'cli.ts'),
    ...reachable(statically, `cli/${command}.ts`),
  ];
  expect(read('setup')).toContain('setup/json5-edit.ts');
  for (const command of ['push', 'restore']) {
    expect(read(command)).toContain('cli/main.ts');
    expect(read(command)).not.toContain('setup/json5-edit.ts');
    expect(read(command).filter((file) => /^(boot|updates|plugin)\//.test(file))).toEqual([]);
  }
});
