/** Snapshots of the original plugin, as a user meets them: `node dist/cli.js` over a bucket that the original filled. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addon, CLI } from './addon-support.ts';
import { program } from './program-support.ts';

const FIXTURES = fileURLToPath(new URL('../tests/fixtures/legacy/', import.meta.url));
const KEY = 'K004fixtureAppKeyForTestsOnly0000';
const ID = '2026-11-22T07-15-17-455Z-218d2a03';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'b2-original-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const cli = (bucket: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) =>
  program(process.execPath, [CLI, ...args], {
    HOME: directory,
    TZ: 'UTC',
    B2_BUCKET: `file://${join(FIXTURES, bucket)}`,
    B2_APPLICATION_KEY: KEY,
    ...env,
  });

const restore = (to: string) => ['restore', ID, '--to', join(directory, to)];

describe.skipIf(addon === undefined)('snapshots of the original plugin', () => {
  it('are listed as what they are', async () => {
    const { exit, out, err } = await cli('enc-chain', ['list']);
    expect(exit).toBe(0);
    expect(out).toMatch(new RegExp(`^${ID} .* 14 .*of the original plugin, not authenticated$`, 'm'));
    expect(out).toMatch(/^safety-2026-11-22T07-15-18Z .*safety/m);
    expect(err).toContain('4 of these were made by the original plugin');
    const { out: json } = await cli('enc-chain', ['list', '--json']);
    expect(JSON.parse(json)).toMatchObject({
      ok: true,
      snapshots: [{ format: 1, authenticated: false, machine: '', files: 14 }, {}, {}, {}],
    });
  });

  it('are shown and restored when the user says so, and not over the state', async () => {
    const unconfirmed = await cli('enc-chain', restore('unconfirmed'));
    expect(unconfirmed).toMatchObject({ exit: 1, err: expect.stringContaining('(B2_NOT_AUTHENTICATED)') });
    expect(readdirSync(join(directory, 'unconfirmed'))).toEqual([]);

    const done = await cli('enc-chain', [...restore('done'), '--allow-unauthenticated']);
    expect(done.exit).toBe(0);
    expect(done.out).toMatch(/files +14 files/);
    expect(done.err).toContain('kept no permissions');
    expect(readFileSync(join(directory, 'done', 'workspace', 'new.md'), 'utf8')).toHaveLength(11);

    const shown = await cli('enc-chain', ['show', ID, 'workspace/new.md', '--allow-unauthenticated']);
    expect(shown).toMatchObject({
      exit: 0,
      out: readFileSync(join(directory, 'done', 'workspace/new.md'), 'utf8'),
    });

    mkdirSync(join(directory, '.openclaw'));
    const over = await cli('enc-chain', ['restore', ID, '--yes', '--allow-unauthenticated']);
    expect(over).toMatchObject({ exit: 1, err: expect.stringContaining(`restore ${ID} --to DIR`) });
    expect(over.err).toContain('(B2_OLD_FORMAT)');
    expect(existsSync(join(directory, '.openclaw', 'workspace'))).toBe(false);
  });

  it('need the keys that were in use then', async () => {
    const rotated = { B2_APPLICATION_KEY: 'K004another' };
    const args = [...restore('keys'), '--allow-unauthenticated'];
    const without = await cli('enc-chain', args, rotated);
    expect(without).toMatchObject({ exit: 1, err: expect.stringContaining('(B2_WRONG_KEY)') });
    expect(without.err).toContain('B2_BACKUP_OLD_KEYS');
    const given = await cli('enc-chain', args, { ...rotated, B2_BACKUP_OLD_KEYS: `K004first,${KEY}` });
    expect(given.exit).toBe(0);
    expect(given.out + given.err).not.toContain('K004');
  });

  it('come back as far as they are there, and the rest is named', async () => {
    const id = '2026-11-22T07-16-25-635Z-6e07a3be';
    const args = ['restore', id, '--to', join(directory, 'pruned'), '--allow-unauthenticated'];
    const { exit, out, err } = await cli('pruned', args);
    expect(exit).toBe(3);
    expect(out).toMatch(/files +6 files/);
    expect(err).toContain('hooks/on-start.sh');
    expect(err).toContain('no copy of it is in the bucket any more');
  });
});
