import { describe, expect, it, vi } from 'vitest';
import { json, PRUNED, run } from './cli-support.ts';
import type { World } from './support.ts';

const withFile = (deps: World): World => ({ ...deps, fileExists: () => true });

describe('prune', () => {
  it('deletes by the numbers that are configured, and says what is freed', async () => {
    const prune = vi.fn(async () => PRUNED);
    const readHostConfig = async () => ({
      config: { bucket: 'file:///b', passphrase: 'words', keepSnapshots: 3, keepDaily: 0 },
      warning: null,
    });
    const { exit, out, err } = await run('prune', { prune, readHostConfig }, withFile);
    expect([exit, err]).toEqual([0, '']);
    expect(prune).toHaveBeenCalledWith(
      expect.anything(),
      {
        keepSnapshots: 3,
        keepDaily: 0,
        keepWeekly: 4,
        keepUpdates: 5,
        dryRun: false,
        moreThanHalf: false,
        waitMs: 600_000,
      },
      expect.anything(),
    );
    expect(out).toMatch(/1 snapshot deleted, 2 snapshots kept/);
    expect(out).toMatch(/freed +3\.0 MB in 2 packs/);
    expect(out).toMatch(/a day later +1\.5 MB in 1 pack\n/);
    expect(out).toMatch(/left alone +4 snapshots/);
    expect((await run('prune -q', { prune, readHostConfig }, withFile)).out).toBe('');
  });

  it('shows with --dry-run why each snapshot is kept or goes', async () => {
    const { out } = await run('prune --dry-run', { prune: async () => PRUNED });
    expect(out).toMatch(/2026-02-17T00-00-00Z-1f2e3d4c .*goes\n/);
    expect(out).toMatch(/2026-02-18T00-00-00Z-1f2e3d4c .*daily 1, weekly 1\n/);
    expect(out).toMatch(/1 snapshot would go, 2 snapshots would stay/);
  });

  it('says what would stop it, and passes on the flag that goes on', async () => {
    const prune = vi.fn(async () => ({ ...PRUNED, stop: '2 of the 3 snapshots would go' }));
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
    const { exit, document } = await json('prune --dry-run', { prune: async () => PRUNED });
    expect(exit).toBe(0);
    expect(document).toEqual({ ok: true, dryRun: true, ...PRUNED, stop: null });
  });

  it('refuses numbers that would keep nothing', async () => {
    const readHostConfig = async () => ({
      config: { bucket: 'file:///b', passphrase: 'words', keepSnapshots: 0 },
      warning: null,
    });
    const { exit, err } = await run('prune', { prune: async () => PRUNED, readHostConfig }, withFile);
    expect(exit).toBe(1);
    expect(err).toMatch(/keepSnapshots.*B2_CONFIG/);
  });
});
