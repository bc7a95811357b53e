import { describe, expect, it, vi } from 'vitest';
import type { Engine } from '../ts/engine.ts';
import { DRILLED, json, PROBLEM, run, SNAPSHOT, VERIFIED } from './cli-support.ts';

describe('drill', () => {
  it('tells what came back', async () => {
    const { exit, out } = await run('drill', { drill: async () => DRILLED });
    expect(exit).toBe(0);
    expect(out).toContain('The newest snapshot came back whole');
    expect(out).toContain('2 databases');
  });

  it('does not call whole what lacks something', async () => {
    const lacking = { ...DRILLED, incomplete: true, remarks: [PROBLEM] };
    const { exit, out, err } = await run('drill', { drill: async () => lacking });
    expect(exit).toBe(3);
    expect(out).toContain('All that is in the newest snapshot came back, but it is incomplete\n');
    expect(err).toContain('The snapshot is incomplete. Missing or unusable:\n  workspace/a\\x0ab: ');
  });

  it('fails where something did not, and names it', async () => {
    const drill = async () => ({ ...DRILLED, failed: [PROBLEM] });
    const { exit, err } = await run('drill', { drill });
    expect(exit).toBe(1);
    expect(err).toContain('workspace/a\\x0ab');
    const { document } = await json('drill', { drill });
    expect(document).toMatchObject({ ok: false, code: PROBLEM.code, message: '1 file did not come back' });
  });
});

describe('verify', () => {
  it('reads data only when asked', async () => {
    const verify = vi.fn<Engine['verify']>(async () => VERIFIED);
    expect((await run('verify', { verify })).out).toContain('No problems found');
    expect((await run('verify --read-data', { verify })).exit).toBe(0);
    expect((await run('verify --sample 5%', { verify })).out).toContain('1.0 MB of this machine');
    expect(verify.mock.calls.map((call) => call[1])).toEqual([
      { readData: false },
      { readData: true },
      { samplePercent: 5 },
    ]);
    for (const line of ['--sample 0', '--sample 101', '--sample many', '--sample 5 --read-data']) {
      expect((await run(`verify ${line}`, { verify })).exit).toBe(2);
    }
  });

  it('fails when something is damaged, and says what it costs', async () => {
    const problem = {
      object: 'packs/x',
      code: 'B2_DAMAGED',
      message: 'checksum',
      snapshots: [SNAPSHOT.id],
      paths: Array.from({ length: 25 }, (___, at) => `f${at}`),
    };
    const verify: Engine['verify'] = async () => ({ ...VERIFIED, problems: [problem] });
    const { exit, out, err } = await run('verify -q', { verify });
    expect(exit).toBe(1);
    expect(out).toContain('1 problem found');
    expect(err).toContain('packs/x: checksum (B2_DAMAGED)\n  in 2026-02-19');
    expect(err).toContain('and 5 more files');
    expect(await json('verify', { verify })).toMatchObject({
      exit: 1,
      document: { ok: false, code: 'B2_DAMAGED', message: '1 problem found', problems: [problem] },
    });
  });
});
