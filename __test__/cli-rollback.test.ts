import { describe, expect, it, vi } from 'vitest';
import type { RollbackPlan, RollbackReport } from '../index.js';
import { main } from '../ts/cli/main.ts';
import type { Engine } from '../ts/engine.ts';
import { BackupError } from '../ts/errors.ts';
import { PROBLEM } from './cli-support.ts';
import { world } from './support.ts';

const ID = '2026-11-22T00-00-00Z-aaaaaaaa';
const HASH = 'cd'.repeat(32);

const PLAN: RollbackPlan = {
  snapshot: ID,
  createdAt: '2026-11-22T00:00:00Z',
  entries: [
    { path: 'workspace/MEMORY.md', action: 'add', bytes: 100, database: false },
    { path: 'state/openclaw.sqlite', action: 'replace', bytes: 4096, database: true },
    { path: 'skills/evil\u001b', action: 'delete', bytes: 0, database: false },
    { path: 'openclaw.json', action: 'keep-live', bytes: 0, database: false, reason: 'the gateway is live' },
  ],
  leftOut: [],
  bytes: 4196,
  fetchBytes: 4196,
  touches: { configuration: false, hooks: false, skills: true },
  effects: [],
  needsApproval: [],
  needsRestart: true,
  hash: HASH,
  warnings: ['careful'],
};

const REPORT: RollbackReport = {
  outcome: 'applied',
  id: '1',
  snapshot: ID,
  safety: 'safety-2026-11-23T12-00-00Z-aaaaaaaa',
  downloadedBytes: 4196,
  requests: 4,
  failed: [],
  late: [],
  left: [],
  warnings: [],
  durationMs: 12,
};

async function run(
  line: string,
  {
    plan = {},
    report = {},
    answer,
  }: { plan?: Partial<RollbackPlan>; report?: Partial<RollbackReport>; answer?: boolean } = {},
) {
  const engine = {
    planRollback: vi.fn(async () => ({ ...PLAN, ...plan })),
    rollBack: vi.fn(async () => ({ ...REPORT, ...report })),
    recoverRollback: vi.fn(async () => ({ ...REPORT, ...report })),
    discardRollback: vi.fn(async () => report.outcome === 'waiting'),
  };
  const asked: string[] = [];
  const confirm = async (lines: readonly string[]): Promise<boolean> => {
    asked.push(lines.join('\n'));
    return answer === true;
  };
  const deps = { ...world(engine as Partial<Engine>), confirm: answer === undefined ? undefined : confirm };
  const exit = await main(line.split(' '), deps);
  return { exit, out: deps.stdout.text, err: deps.stderr.text, engine, asked };
}

const AWAY = {
  path: '/mnt/disk/w',
  code: 'B2_ROOT_GONE',
  message: 'is not there. Mount it, or make the directory: mkdir -p "/mnt/disk/w"',
  failure: true,
  missing: true,
};

describe('restore over the live state', () => {
  it.each([
    [PLAN.entries.slice(3), 'openclaw.json  (the gateway is live)'],
    [[], 'Nothing would change'],
  ])('never says that all is as it was where a directory is left out: %#', async (entries, told) => {
    const { exit, out, err, engine } = await run('restore latest --yes', {
      plan: { entries, leftOut: [AWAY] },
    });
    expect(engine.rollBack).not.toHaveBeenCalled();
    expect(exit).toBe(3);
    expect(out).toContain(told);
    expect(out).toContain(`not everything is as in ${ID}`);
    expect(out).not.toContain('already');
    expect(err).toContain('mkdir -p "/mnt/disk/w"');
    const { exit: same, out: json } = await run('--json restore latest', {
      plan: { entries, leftOut: [AWAY] },
    });
    expect(same).toBe(3);
    expect(JSON.parse(json)).toMatchObject({ leftOut: [AWAY] });
  });

  it('names what is left out before it asks', async () => {
    const { asked } = await run('restore latest', { plan: { leftOut: [AWAY] }, answer: false });
    expect(asked[0]).toContain('mkdir -p "/mnt/disk/w"');
  });

  it('shows the plan, asks, and does what was shown', async () => {
    const { exit, out, engine, asked } = await run('restore latest --path workspace/** --exact', {
      answer: true,
    });
    expect(exit).toBe(0);
    expect(asked[0]).toContain('add       100 B  workspace/MEMORY.md');
    expect(asked[0]).toContain('state/openclaw.sqlite  (database)');
    expect(asked[0]).toContain('skills/evil\\x1b');
    expect(asked[0]).toContain('warning: careful');
    expect(engine.rollBack).toHaveBeenCalledWith(
      expect.anything(),
      { snapshot: ID, paths: ['workspace/**'], exact: true, partial: false, allowUnauthenticated: false },
      HASH,
      expect.anything(),
    );
    expect(out).toContain(`Rolled back to ${ID}`);
    expect(out).toContain('safety-2026-11-23T12-00-00Z-aaaaaaaa');
  });

  it('changes nothing when the user does not agree', async () => {
    const { exit, engine, err } = await run('restore latest', { answer: false });
    expect(engine.rollBack).not.toHaveBeenCalled();
    expect({ exit, err }).toEqual({ exit: 1, err: 'b2-backup: nothing was changed (B2_CANCELLED)\n' });
  });

  it.each(['restore latest', '--json restore latest'])(
    'wants --yes where nobody can be asked: %s',
    async (line) => {
      const { exit, out, err, engine } = await run(line, line.startsWith('--json') ? { answer: true } : {});
      expect(exit).toBe(2);
      expect(out + err).toContain('this would change 3 paths of the live state');
      expect(engine.rollBack).not.toHaveBeenCalled();
    },
  );

  it('does without asking with --yes, and only looks with --dry-run', async () => {
    expect((await run('restore latest -y')).engine.rollBack).toHaveBeenCalledTimes(1);
    const { engine, out } = await run('restore latest --dry-run --yes');
    expect(engine.rollBack).not.toHaveBeenCalled();
    expect(out).toContain(`Roll back to ${ID}`);
    const { out: json } = await run('--json restore latest --dry-run');
    expect(JSON.parse(json)).toMatchObject({ ok: true, dryRun: true, hash: HASH, needsRestart: true });
  });

  it('does with --plan exactly what was shown with that number, and nothing else', async () => {
    const number = HASH.slice(0, 8);
    const { out } = await run('restore latest --dry-run');
    expect(out).toContain(`${number}; --plan ${number} does exactly this, without asking`);
    for (const plan of [number, number.toUpperCase(), HASH]) {
      const { engine, exit } = await run(`restore latest --plan ${plan}`);
      expect(exit).toBe(0);
      expect(engine.rollBack).toHaveBeenCalledExactlyOnceWith(
        expect.anything(),
        expect.objectContaining({ snapshot: ID }),
        HASH,
        expect.anything(),
      );
    }
    expect((await run(`undo --plan ${number}`)).engine.rollBack).toHaveBeenCalledTimes(1);
    for (const plan of ['12345678', HASH.slice(1)]) {
      const { engine, err, exit } = await run(`restore latest --yes --plan ${plan}`);
      expect(exit).toBe(1);
      expect(err).toContain('(B2_PLAN_CHANGED)');
      expect(engine.rollBack).not.toHaveBeenCalled();
    }
    for (const line of [
      `restore latest --plan ${number.slice(1)}`,
      'restore latest --plan x',
      `restore latest --to /x --plan ${number}`,
    ]) {
      const { engine, exit } = await run(line);
      expect(exit, line).toBe(2);
      expect(engine.rollBack).not.toHaveBeenCalled();
    }
  });

  it('says what has to be done where OpenClaw runs', async () => {
    const { out, exit } = await run('restore latest --yes', { report: { outcome: 'waiting' } });
    expect(exit).toBe(0);
    expect(out).toContain('openclaw gateway restart');
  });

  it.each<[string, Partial<RollbackReport>, number]>([
    ['failed', { outcome: 'rolled-back', problem: 'no space' }, 1],
    ['left something out', { failed: [{ ...PROBLEM, message: 'gone' }] }, 3],
  ])('ends with another status when it %s', async (_what, report, status) => {
    const { exit, err } = await run('restore latest --yes --partial', { report });
    expect(exit).toBe(status);
    expect(err).toMatch(/no space|gone/);
  });

  it('says on a new machine which logins have to be made again', async () => {
    const arrival = {
      byItself: false,
      madeAt: '2026-11-22T00:00:00.000Z',
      from: '/home/ada/.openclaw',
      files: 3,
      withSecrets: false,
      logins: ['channel whatsapp\u001b'],
      notes: [],
      runs: [],
    };
    const { out } = await run('restore latest --yes', { report: { arrival } });
    expect(out).toMatch(/of +\/home\/ada\/\.openclaw/);
    expect(out).toContain('are not in it: log in again (channel whatsapp\\x1b)');
    const { out: with_ } = await run('restore latest --yes', {
      report: { arrival: { ...arrival, withSecrets: true } },
    });
    expect(with_).toContain('came with it');
    const { out: json } = await run('--json restore latest --yes', { report: { arrival } });
    expect(JSON.parse(json)).toMatchObject({ logins: arrival.logins });
  });

  it('finds nothing to do', async () => {
    const { exit, out, engine } = await run('restore latest', { plan: { entries: [] } });
    expect(exit).toBe(0);
    expect(out).toContain(`Everything is as in ${ID} already`);
    expect(engine.rollBack).not.toHaveBeenCalled();
  });

  it('names what stays where nothing else differs', async () => {
    const stays = {
      path: 'memory/notes.sqlite',
      action: 'keep-live',
      bytes: 0,
      database: true,
      reason: 'why',
    };
    const { out } = await run('restore latest', { plan: { entries: [stays] } });
    expect(out).toMatch(/keep +memory\/notes\.sqlite {2}\(database, why\)/);
    expect(out).toContain(`Everything else is as in ${ID} already`);
  });
});

describe('undo and --resume', () => {
  it('undoes the last rollback', async () => {
    const { engine } = await run('undo --yes');
    expect(engine.planRollback).toHaveBeenCalledWith(expect.anything(), { undo: true }, expect.anything());
    expect(engine.rollBack).toHaveBeenCalledWith(expect.anything(), { undo: true }, HASH, expect.anything());
  });

  it('finishes what waits', async () => {
    const { engine, out } = await run('restore --resume');
    expect(engine.recoverRollback).toHaveBeenCalledWith(expect.anything(), false);
    expect(out).toContain(`Rolled back to ${ID}`);
    expect((await run('restore --resume', { report: { outcome: 'nothing' } })).out).toContain(
      'No rollback waits',
    );
    const used = { outcome: 'given-up', problem: 'workspace/MEMORY.md was not there before' };
    const { exit, out: said, err } = await run('restore --resume', { report: used });
    expect([exit, said + err]).toEqual([0, expect.stringMatching(/in use by now.*workspace\/MEMORY.md/s)]);
  });

  it('gives up what waits', async () => {
    const { engine, out } = await run('restore --discard', { report: { outcome: 'waiting' } });
    expect(engine.discardRollback).toHaveBeenCalledTimes(1);
    expect(out).toContain('was discarded');
    expect((await run('restore --discard')).out).toContain('No rollback waits');
    expect((await run('restore --discard --exact')).exit).toBe(2);
    expect((await run('restore --discard --resume')).exit).toBe(2);
  });
});

it('errors of the core keep their code', async () => {
  const engine = { planRollback: () => Promise.reject(new BackupError('x', { code: 'B2_ROLLBACK_OPEN' })) };
  const deps = world(engine as Partial<Engine>);
  expect(await main(['restore', 'latest'], deps)).toBe(1);
  expect(deps.stderr.text).toContain('B2_ROLLBACK_OPEN');
});
