/** The table of operations says what the addon's functions take. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import * as library from '../ts/index.ts';
import { OPERATIONS, type OperationName, shapeOf } from '../ts/operations.ts';

const declared = readFileSync(fileURLToPath(new URL('../index.d.ts', import.meta.url)), 'utf8');
const functions = new Map(
  [...declared.matchAll(/^export declare function (\w+)\(settings: Settings(.*)\): Promise<\w+>$/gm)].map(
    ([, name = '', rest = '']) => [
      name,
      [...rest.matchAll(/, (\w+)\??: /g)].map(([, parameter]) => parameter),
    ],
  ),
);
const names = Object.keys(OPERATIONS) as OperationName[];

describe('the table of operations', () => {
  it('has each function of the addon that takes settings, and no other', () => {
    expect([...names].sort()).toEqual([...functions.keys()].sort());
  });

  it.each(names)('hands %s what it takes', (name) => {
    const { own, uncancellable, progress, native } = shapeOf(name);
    const given = native?.(Array.from({ length: own }, () => ({}))).length ?? own;
    const last = functions.get(name)?.slice(given);
    expect(last).toEqual([...(uncancellable ? [] : ['cancel']), ...(progress ? ['onProgress'] : [])]);
  });

  it('is what the library offers, but for what only a gateway does', () => {
    expect(names.filter((name) => !Object.hasOwn(library, name))).toEqual(['autoRestore']);
  });
});
