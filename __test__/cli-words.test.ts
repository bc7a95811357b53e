/** Snapshots by words at a terminal. */
import { describe, expect, it, vi } from 'vitest';
import { main } from '../ts/cli/main.ts';
import type { Engine } from '../ts/engine.ts';
import { RESTORED } from './cli-support.ts';
import { world } from './support.ts';
import { made } from './words-support.ts';

/** It is Friday, 20 February, noon. */
const SNAPSHOTS = [
  made('2026-02-17 03:00'),
  made('2026-02-18 03:00'),
  made('2026-02-18 14:30', 'compaction'),
  made('2026-02-19 03:00'),
];
const [, , COMPACTION, YESTERDAY] = SNAPSHOTS.map(({ id }) => id);

function engine() {
  return {
    list: vi.fn<Engine['list']>(async () => ({ snapshots: SNAPSHOTS, warnings: [] })),
    restore: vi.fn<Engine['restore']>(async () => RESTORED),
  };
}

/** A command line whose arguments may hold spaces. */
async function run(line: readonly string[], parts: Partial<Engine>) {
  const deps = world(parts);
  return { exit: await main(line, deps), err: deps.stderr.text };
}

describe('restore', () => {
  it.each([
    [['restore', 'yesterday', '--to', '/x'], YESTERDAY],
    [['restore', 'before the last compaction', '--to', '/x'], COMPACTION],
    [['restore', 'wednesday at 15:00', '--to', '/x'], COMPACTION],
  ])('understands %j', async (line, snapshot) => {
    const fake = engine();
    const { exit, err } = await run(line, fake);
    expect({ exit, err }).toEqual({ exit: 0, err: '' });
    expect(fake.restore.mock.calls[0]?.[1]).toMatchObject({ snapshot });
  });

  it('asks nobody about a name', async () => {
    const fake = engine();
    await run(['restore', 'latest', '--to', '/x'], fake);
    await run(['restore', `${YESTERDAY}`, '--to', '/x'], fake);
    expect(fake.list).not.toHaveBeenCalled();
    expect(fake.restore.mock.calls.map(([, { snapshot }]) => snapshot)).toEqual(['latest', YESTERDAY]);
  });

  it.each([
    ['on wednesday', 'B2_USAGE', `2 snapshots fit (on 2026-02-18); name the one you mean: ${COMPACTION}, `],
    ['tomorrow', 'B2_SNAPSHOT_NOT_FOUND', 'it is not certain which snapshot "tomorrow" is: '],
    ['yesterdya', 'B2_SNAPSHOT_NOT_FOUND', 'not understood: "yesterdya"'],
  ])('names what there is instead of guessing: %s', async (words, code, text) => {
    const fake = engine();
    const { exit, err } = await run(['restore', words, '--to', '/x'], fake);
    expect(exit).toBe(code === 'B2_USAGE' ? 2 : 1);
    expect(err).toContain(text);
    expect(err).toContain(code);
    expect(fake.restore).not.toHaveBeenCalled();
  });
});

describe('show, diff and rolling back', () => {
  it('understand the same words', async () => {
    const stop = new Error('far enough');
    const [show, diff, planRollback] = [0, 1, 2].map(() => vi.fn(async () => Promise.reject(stop)));
    const fake = { ...engine(), show, diff, planRollback } as unknown as Partial<Engine>;
    await run(['show', 'yesterday'], fake);
    await run(['diff', 'before the last compaction', 'yesterday'], fake);
    await run(['restore', 'yesterday', '--dry-run'], fake);
    expect(show).toHaveBeenCalledWith(
      expect.anything(),
      expect.objectContaining({ snapshot: YESTERDAY }),
      expect.anything(),
    );
    expect(diff).toHaveBeenCalledWith(
      expect.anything(),
      expect.objectContaining({ from: COMPACTION, to: YESTERDAY }),
      expect.anything(),
    );
    expect(planRollback).toHaveBeenCalledWith(
      expect.anything(),
      expect.objectContaining({ snapshot: YESTERDAY }),
      expect.anything(),
    );
  });
});
