/** The page's verdict over what is remembered: troubles that no test can bring about. */
import { describe, expect, it } from 'vitest';
import { BackupError, ERROR_CODES } from '../ts/errors.ts';
import { incomplete } from '../ts/plugin/format.ts';
import { ADVICE } from '../ts/plugin/page/advice.ts';
import type { Facts } from '../ts/plugin/page/facts.ts';
import { verdictOf } from '../ts/plugin/page/verdict.ts';
import { ago, bucketOf, facts, NOW, remembering, snapshot } from './page-support.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const failed = (code: string, failures = 1, retryable = false): Facts =>
  remembering({ failures, lastFailure: { at: ago(MINUTE), code, message: 'because', retryable } });

describe('the verdict', () => {
  it('is good only where a backup was made, is there, and came back', () => {
    expect(verdictOf(facts())).toEqual({
      standing: 'works',
      title: 'Your backups work',
      text: 'The last good backup: today, 01:00. Everything came back in the last trial restore, Tuesday, 24 November, 12:00.',
    });
    const { bucket: _unasked, ...without } = facts();
    const never = facts({ bucket: bucketOf([]) });
    const { lastSuccessAt: _at, lastSnapshot: _id, ...nothing } = never.gateway;
    const { lastDrillAt: _drill, ...untried } = facts().gateway;
    const worse: Facts[] = [
      without,
      { ...without, asking: true },
      never,
      { ...never, gateway: nothing },
      { ...facts(), gateway: untried },
      remembering({ lastDrillAt: ago(60 * DAY) }),
      remembering({ lastSuccessAt: ago(3 * DAY) }, { bucket: bucketOf([snapshot(3 * DAY)]) }),
      remembering({ lastSuccessAt: ago(-DAY) }),
      remembering({ drillProblem: { code: 'B2_NETWORK', message: 'no answer' } }),
    ];
    for (const one of worse) {
      expect(verdictOf(one).standing).not.toBe('works');
      expect(verdictOf(one).title).not.toMatch(/backups work/);
    }
  });

  it.each(ERROR_CODES.map((code) => [code]))(
    'after a backup that failed with %s says so, and what to do',
    (code) => {
      const verdict = verdictOf(failed(code));
      expect(verdict).toMatchObject({
        standing: 'broken',
        title: ADVICE[code].what,
        problem: { code, message: 'because' },
        text: 'The last backup has failed (today, 11:59). The last good backup: today, 01:00.',
      });
      expect(verdict.title).not.toMatch(/\.$/);
      expect(verdict.todo).toMatch(/[.]$/);
    },
  );

  it('is not alarmed by one failure that passes by itself, and is by the third', () => {
    expect(verdictOf(failed('B2_NETWORK', 1, true)).standing).toBe('attention');
    expect(verdictOf(failed('B2_NETWORK', 3, true)).standing).toBe('broken');
    const first = failed('B2_NETWORK', 1, true);
    const { lastSuccessAt: _never, ...gateway } = first.gateway;
    expect(verdictOf({ ...first, gateway }).standing).toBe('broken');
  });

  it.each([
    ['B2_NETWORK', 'attention'],
    ['B2_STORE', 'attention'],
    ['B2_CREDENTIALS', 'broken'],
    ['B2_BUCKET', 'broken'],
    ['B2_WRONG_KEY', 'broken'],
  ] as const)('looks at what the bucket answers now: %s is %s', (code, standing) => {
    const verdict = verdictOf(facts({ bucketProblem: { code, message: 'now' } }));
    expect(verdict).toMatchObject({ standing, title: ADVICE[code].what, problem: { message: 'now' } });
  });

  it('does not miss in the bucket what was stored after it was asked', () => {
    const stored = snapshot(1_000);
    const gateway = { lastSnapshot: stored.id, lastSuccessAt: ago(500) };
    const before = { ...bucketOf([snapshot(11 * 3_600_000)]), askedAt: ago(2_000) };
    expect(verdictOf(remembering(gateway, { bucket: before })).standing).toBe('works');
    const after = { ...before, askedAt: ago(100) };
    expect(verdictOf(remembering(gateway, { bucket: after }))).toMatchObject({
      standing: 'broken',
      problem: { code: 'B2_SNAPSHOT_NOT_FOUND' },
    });
  });

  it('is the one of health', () => {
    const lost = new BackupError('A trial restore did not bring back 2 files', { code: 'B2_DAMAGED' });
    expect(verdictOf(facts({ standing: lost }))).toMatchObject({
      standing: 'broken',
      title: 'Not everything that was stored can be restored',
      problem: { code: 'B2_DAMAGED', message: lost.message },
    });
    const gone = { path: '/ws', code: 'B2_ROOT_GONE', message: 'is not there', failure: true, missing: true };
    const standing = incomplete([gone]);
    expect(verdictOf({ ...remembering({ remarks: [gone] }), ...(standing && { standing }) })).toMatchObject({
      standing: 'attention',
      title: 'A directory that was backed up is gone',
      problem: { code: 'B2_INCOMPLETE', message: standing?.message },
    });
  });

  it('tells what a new machine could not take', () => {
    const last = (parts: object): Facts => facts({ bucket: bucketOf([snapshot(11 * HOUR, parts)]) });
    expect(verdictOf(last({ doubt: 'it is from next year' }))).toMatchObject({
      standing: 'attention',
      problem: { code: 'B2_CLOCK', message: 'it is from next year' },
    });
    expect(
      verdictOf(last({ problem: 'written by a newer version', problemCode: 'B2_VERSION' })),
    ).toMatchObject({
      standing: 'broken',
      title: ADVICE.B2_VERSION.what,
    });
    expect(verdictOf(facts({ bucket: bucketOf([snapshot(11 * HOUR)], { damagedPacks: 2 }) }))).toMatchObject({
      standing: 'broken',
      title: ADVICE.B2_DAMAGED.what,
    });
  });

  it('misses no snapshot that was made after the bucket was asked', () => {
    const older = bucketOf([snapshot(2 * DAY)]);
    const made = (askedAt: string): Facts => facts({ bucket: { ...older, askedAt } });
    expect(verdictOf(made(ago(11 * HOUR + 1))).standing).toBe('works');
    expect(verdictOf(made(ago(11 * HOUR - 1)))).toMatchObject({
      standing: 'broken',
      problem: { code: 'B2_SNAPSHOT_NOT_FOUND' },
    });
  });

  it('tells what waits', () => {
    expect(verdictOf(facts({ rollbackWaits: true }))).toMatchObject({
      standing: 'attention',
      title: 'A rollback waits for OpenClaw to restart',
    });
    const late = remembering({ lastSuccessAt: ago(3 * DAY) }, { bucket: bucketOf([snapshot(3 * DAY)]) });
    const due = { ...late, gateway: { ...late.gateway, nextAt: NOW.toISOString() } };
    expect(verdictOf(due)).toMatchObject({
      standing: 'broken',
      todo: expect.stringContaining('within some minutes'),
    });
    expect(verdictOf(late)).toMatchObject({
      standing: 'broken',
      todo: expect.stringContaining('Back up now'),
    });
  });

  it('is bad where nothing was ever backed up, and there was time for it', () => {
    const { lastSuccessAt: _at, lastSnapshot: _id, ...gateway } = facts().gateway;
    const fresh = { ...facts({ bucket: bucketOf([]), since: ago(HOUR) }), gateway };
    expect(verdictOf(fresh)).toMatchObject({ standing: 'waiting', title: 'Nothing has been backed up yet' });
    expect(verdictOf({ ...fresh, since: ago(3 * DAY) })).toMatchObject({
      standing: 'broken',
      title: 'Nothing has been backed up yet',
      todo: 'Back up now, and see what happens.',
    });
  });

  it('says why nothing is restored for a trial', () => {
    const { lastDrillAt: _never, ...gateway } = facts().gateway;
    const skipped = { ...facts(), gateway: { ...gateway, drillSkipped: '20 GB are too much for a trial' } };
    expect(verdictOf(skipped)).toMatchObject({ standing: 'made', todo: '20 GB are too much for a trial' });
    expect(verdictOf({ ...facts({ drills: false }), gateway }).todo).toMatch(/turned off/);
  });
});
