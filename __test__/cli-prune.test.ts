import { describe, expect, it, vi } from 'vitest';
import type { PruneReport } from '../index.js';
import { json, run } from './cli-support.ts';
import type { World } from './support.ts';

const REPORT: PruneReport = {
  snapshots: [
    { id: '2026-02-17T00-00-00Z-1f2e3d4c', createdAt: '2026-02-17T00:00:00.000Z', reasons: [] },
    {
      id: '2026-02-18T00-00-00Z-1f2e3d4c',
      createdAt: '2026-02-18T00:00:00.000Z',
      reasons: ['daily 1', 'weekly 1'],
    },
    { id: '2026-02-19T00-00-00Z-1f2e3d4c', createdAt: '2026-02-19T00:00:00.000Z', reasons: ['newest 1'] },
  ],
  deletedSnapshots: 1,
  deletedPacks: 2,
  freedBytes: 3_000_000,
  waitingPacks: 1,
  waitingBytes: 1_500_000,
  hidden: 0,
  others: 4,
  requests: 7,
  warnings: [],
  durationMs: 900,
};

const withFile = (deps: World): World => ({ ...deps, fileExists: () => true });

describe('prune', () => {
  it('deletes by the numbers that are configured, and says what is freed', async () => {
    const prune = vi.fn(async () => REPORT);
    const readHostConfig = async () => ({
      config: { bucket: 'file:///b', passphrase: 'words', keepSnapshots: 3, keepDaily: 0 },
      warning: null,
    });
    const { exit, out, err } = await run('prune', { prune, readHostConfig }, withFile);
    expect([exit, err]).toEqual([0, '']);
    expect(prune).toHaveBeenCalledWith(
      expect.anything(),
      { keepSnapshots: 3, keepDaily: 0, keepWeekly: 4, dryRun: false, moreThanHalf: false, waitMs: 600_000 },
      expect.anything(),
    );
    expect(out).toMatch(/1 snapshot deleted, 2 snapshots kept/);
    expect(out).toMatch(/freed +3\.0 MB in 2 packs/);
    expect(out).toMatch(/a day later +1\.5 MB in 1 pack\n/);
    expect(out).toMatch(/left alone +4 snapshots/);
    expect((await run('prune -q', { prune, readHostConfig }, withFile)).out).toBe('');
  });

  it('shows with --dry-run why each snapshot is kept or goes', async () => {
    const { out } = await run('prune --dry-run', { prune: async () => REPORT });
    expect(out).toMatch(/2026-02-17T00-00-00Z-1f2e3d4c .*goes\n/);
    expect(out).toMatch(/2026-02-18T00-00-00Z-1f2e3d4c .*daily 1, weekly 1\n/);
    expect(out).toMatch(/1 snapshot would go, 2 snapshots would stay/);
  });

  it('says what would stop it, and passes on the flag that goes on', async () => {
    const prune = vi.fn(async () => ({ ...REPORT, stop: '2 of the 3 snapshots would go' }));
    const { exit, out, err } = await run('prune --dry-run', { prune });
    expect(exit).toBe(0);
    expect(out).toMatch(/Nothing would be deleted/);
    expect(err).toMatch(/2 of the 3 snapshots would go/);
    await run('prune --more-than-half', { prune });
    expect(prune).toHaveBeenLastCalledWith(
      expect.anything(),
      expect.objectContaining({ moreThanHalf: true, dryRun: false }),
      expect.anything(),
    );
  });

  it('gives one document', async () => {
    const { exit, document } = await json('prune --dry-run', { prune: async () => REPORT });
    expect(exit).toBe(0);
    expect(document).toEqual({ ok: true, dryRun: true, ...REPORT, stop: null });
  });

  it('refuses numbers that would keep nothing', async () => {
    const readHostConfig = async () => ({
      config: { bucket: 'file:///b', passphrase: 'words', keepSnapshots: 0 },
      warning: null,
    });
    const { exit, err } = await run('prune', { prune: async () => REPORT, readHostConfig }, withFile);
    expect(exit).toBe(1);
    expect(err).toMatch(/keepSnapshots.*B2_CONFIG/);
  });
});
