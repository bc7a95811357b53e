/** Commands that look after the bucket: `doctor`, `undelete`, and reading it as it was. */
import { describe, expect, it, vi } from 'vitest';
import type { DoctorReport, UndeleteReport } from '../index.js';
import { instant } from '../ts/cli/instant.ts';
import type { Engine } from '../ts/engine.ts';
import { BackupError } from '../ts/errors.ts';
import { json, run, SNAPSHOT } from './cli-support.ts';

const HEALTHY: DoctorReport = {
  findings: [
    { check: 'state', level: 'ok', message: '/s can be read' },
    { check: 'lifecycle', level: 'note', message: 'no rule\u001b', advice: 'set one' },
  ],
  problems: 0,
  requests: 3,
  durationMs: 5,
};
const ILL: DoctorReport = {
  ...HEALTHY,
  findings: [
    ...HEALTHY.findings,
    { check: 'key', level: 'problem', code: 'B2_CREDENTIALS', message: 'refused', advice: 'make one' },
  ],
  problems: 1,
};

describe('doctor', () => {
  it('says what is so and what to do', async () => {
    const doctor = vi.fn<Engine['doctor']>(async () => HEALTHY);
    const { exit, out, err } = await run('doctor --write', { doctor });
    expect(doctor.mock.calls[0]?.[1]).toEqual({ write: true });
    expect({ exit, err }).toEqual({ exit: 0, err: '' });
    const lines = out.split('\n');
    expect(lines[0]).toBe('Settings');
    expect(lines.slice(lines.indexOf('') + 1)).toEqual([
      'ok       state: /s can be read',
      'note     lifecycle: no rule\\x1b',
      '         -> set one',
      '',
      'No problems found',
      '',
    ]);
    expect((await run('doctor --quiet', { doctor })).out).toBe('');
  });

  it('fails when there is a problem', async () => {
    const ill: Partial<Engine> = { doctor: async () => ILL };
    const { exit, out } = await run('doctor --quiet', ill);
    expect(exit).toBe(1);
    expect(out).toContain(
      'problem  key: refused (B2_CREDENTIALS)\n         -> make one\n\n1 problem found\n',
    );
    const answer = await json('doctor', ill);
    expect(answer.exit).toBe(1);
    expect(answer.document).toMatchObject({ ok: false, code: 'B2_CREDENTIALS', message: '1 problem found' });
    expect(answer.document['findings']).toContainEqual({
      check: 'state',
      level: 'ok',
      code: null,
      message: '/s can be read',
      advice: null,
    });
    expect((await json('doctor', { doctor: async () => HEALTHY })).document).toMatchObject({ ok: true });
  });
});

const NOTHING: UndeleteReport = {
  snapshots: [],
  keySlots: 0,
  applied: false,
  objects: 0,
  bytes: 0,
  removedMarkers: 0,
  writtenAgain: 0,
  problems: [],
  warnings: [],
  requests: 1,
  durationMs: 1,
};
const PLAN: UndeleteReport = {
  ...NOTHING,
  snapshots: [
    { snapshot: SNAPSHOT.id, gone: true, objects: 3, bytes: 1234, lostPacks: 0, changedAt: 'then' },
    { snapshot: 'b', gone: false, objects: 1, bytes: 9, lostPacks: 2 },
  ],
  keySlots: 1,
  objects: 3,
  bytes: 1234,
};
const DONE: UndeleteReport = { ...PLAN, applied: true, removedMarkers: 2, writtenAgain: 1 };

function engine() {
  return vi.fn<Engine['undelete']>(async (_, options) => (options?.apply === true ? DONE : PLAN));
}

describe('undelete', () => {
  it('shows by snapshot what can be brought back, and does nothing without a yes', async () => {
    const undelete = engine();
    const { exit, out } = await run('undelete --dry-run', { undelete });
    expect(exit).toBe(0);
    expect(undelete.mock.calls.map((call) => call[1])).toEqual([{ keys: false }]);
    expect(out.split('\n')).toEqual([
      'SNAPSHOT                       SINCE  OBJECTS    SIZE',
      `${SNAPSHOT.id}  then         3  1.2 kB  not visible now`,
      'b                              -            1     9 B  files in it cannot be read now; 2 packs deleted for good: comes back only when it is named',
      '',
      'To bring back: 3 objects, 1.2 kB',
      '1 key slot hidden or overwritten; they come back with --keys only',
      '',
    ]);
    const refused = await run('undelete', { undelete });
    expect({ exit: refused.exit, out: refused.out }).toEqual({ exit: 2, out: '' });
    expect(refused.err).toContain('this would bring back 3 objects');
    const confirm = vi.fn(async () => false);
    const declined = await run('undelete', { undelete }, (deps) => ({ ...deps, confirm }));
    expect(declined.exit).toBe(1);
    expect(confirm).toHaveBeenCalledOnce();
    expect(undelete.mock.calls.some((call) => call[1]?.apply === true)).toBe(false);
  });

  it('brings back what was agreed to', async () => {
    const undelete = engine();
    const line = 'undelete a b --keys --since 2026-11-23T14:00Z';
    const agree = { confirm: async () => true };
    const { exit, out } = await run(line, { undelete }, (deps) => ({ ...deps, ...agree }));
    expect(exit).toBe(0);
    const options = { snapshots: ['a', 'b'], keys: true, since: '2026-11-23T14:00:00.000Z' };
    expect(undelete.mock.calls.map((call) => call[1])).toEqual([options, { ...options, apply: true }]);
    expect(out).toContain('Brought back 3 objects, 1.2 kB');
    expect((await json('undelete --yes', { undelete })).document).toMatchObject({
      ok: true,
      applied: true,
      removedMarkers: 2,
      snapshots: [{ changedAt: 'then' }, { changedAt: null }],
    });
  });

  it('says so when there is nothing, and when something could not be looked into', async () => {
    const nothing = await run('undelete', { undelete: async () => NOTHING });
    expect(nothing).toMatchObject({ exit: 0, out: 'No snapshot is hidden or overwritten\n' });
    const problems = [{ path: 'x', code: 'B2_WRONG_KEY', message: 'sealed', failure: false, missing: true }];
    const partly = await run('undelete', { undelete: async () => ({ ...NOTHING, problems }) });
    expect(partly.exit).toBe(3);
    expect(partly.err).toBe('1 snapshot could not be read:\n  x: sealed (B2_WRONG_KEY)\n');
  });
});

describe('--as-of', () => {
  it('goes with everything that only reads', async () => {
    const asOf: (string | undefined)[] = [];
    const stop = (settings: { asOf?: string }): never => {
      asOf.push(settings.asOf);
      throw new BackupError('enough', { code: 'B2_NETWORK' });
    };
    const all = { list: stop, show: stop, diff: stop, history: stop, restore: stop, verify: stop } as object;
    const lines = ['list', 'show latest', 'diff latest', 'history a', 'restore latest --to x', 'verify'];
    for (const line of lines) await run(`${line} --as-of 2026-11-23T14:05:06+01:00`, all);
    await run('list', all);
    expect(asOf).toEqual([...lines.map(() => '2026-11-23T13:05:06.000Z'), undefined]);
  });

  it('does not go with what writes, or with what is no time', async () => {
    for (const [line, message] of [
      ['restore latest --as-of 2026-11-23', '--as-of goes with --to'],
      ['push --as-of 2026-11-23', 'push has no option --as-of'],
      ['list --as-of yesterday', 'It needs a time such as 2026-11-23'],
      ['undelete --since 2026-02-30', "option '--since <time>' argument '2026-02-30' is invalid"],
    ] as const) {
      const { exit, err } = await run(line);
      expect(exit).toBe(2);
      expect(err).toContain(message);
    }
  });

  it('is hinted at where objects are missing or damaged', async () => {
    for (const [code, hint] of [
      ['B2_OBJECT_MISSING', true],
      ['B2_DAMAGED', true],
      ['B2_SNAPSHOT_NOT_FOUND', true],
      ['B2_NETWORK', false],
    ] as const) {
      const fail = async () => {
        throw new BackupError('no', { code });
      };
      const { err } = await run('list', { list: fail });
      expect(err.includes('b2-backup undelete --dry-run')).toBe(hint);
    }
  });
});

describe('an instant', () => {
  it('is what people write', () => {
    const local = (...parts: [number, number, number, number?, number?, number?, number?]) =>
      new Date(...(parts as [number, number, number])).toISOString();
    for (const [text, iso] of [
      ['2026-11-23', local(2026, 10, 23)],
      ['2026-11-23 14:05', local(2026, 10, 23, 14, 5)],
      ['2026-11-23T14:05:06.5', local(2026, 10, 23, 14, 5, 6, 500)],
      ['2026-11-23T14:05Z', '2026-11-23T14:05:00.000Z'],
      ['2026-11-23T14-05-06Z', '2026-11-23T14:05:06.000Z'],
      ['2026-11-23T14:05-0330', '2026-11-23T17:35:00.000Z'],
    ] as const) {
      expect(instant(text)?.toISOString(), text).toBe(iso);
    }
    for (const text of [
      '',
      'now',
      '2026-11',
      '2026-02-30',
      '2026-11-23T25:00',
      '2026-11-23Z',
      '23.11.2026',
    ]) {
      expect(instant(text), text).toBeUndefined();
    }
  });
});
