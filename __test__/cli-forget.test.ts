import { describe, expect, it, vi } from 'vitest';
import type { ForgetReport } from '../index.js';
import type { Engine } from '../ts/engine.ts';
import { json, run, SNAPSHOT } from './cli-support.ts';

const REPORT: ForgetReport = {
  machine: '1f2e3d4c',
  snapshots: [SNAPSHOT.id],
  deletedPacks: 0,
  freedBytes: 0,
  waitingPacks: 3,
  waitingBytes: 2_000_000,
  requests: 9,
  warnings: [],
};

describe('forget', () => {
  it('deletes only what was shown and confirmed', async () => {
    const forget = vi.fn<Engine['forget']>(async () => REPORT);
    const asked: string[] = [];
    const answering = (answer: boolean) =>
      run('forget 1f2e3d4c', { forget }, (deps) => ({
        ...deps,
        confirm: async (lines) => {
          asked.push(...lines);
          return answer;
        },
      }));
    expect((await answering(false)).err).toContain('nothing was deleted (B2_CANCELLED)');
    expect(asked.join('\n')).toContain(SNAPSHOT.id);
    expect(forget.mock.calls.map((call) => call[2])).toEqual([{ dryRun: true }]);
    const { exit, out } = await answering(true);
    expect({ exit, out }).toEqual({ exit: 0, out: expect.stringContaining('1 snapshot deleted') });
    expect(out).toContain('2.0 MB in 3 packs');
    expect(forget.mock.calls.map((call) => call[2])).toEqual([
      { dryRun: true },
      { dryRun: true },
      { dryRun: false },
    ]);
  });

  it('needs to be told where nobody can be asked', async () => {
    const forget = vi.fn<Engine['forget']>(async () => REPORT);
    const { exit, err } = await run('forget 1f2e3d4c', { forget });
    expect({ exit, err }).toEqual({ exit: 2, err: expect.stringContaining('--yes') });
    expect((await json('forget 1f2e3d4c --yes', { forget })).document).toMatchObject({
      ok: true,
      dryRun: false,
      snapshots: [SNAPSHOT.id],
    });
    expect((await json('forget 1f2e3d4c --dry-run', { forget })).document).toMatchObject({ dryRun: true });
    expect((await run('forget')).exit).toBe(2);
  });
});
