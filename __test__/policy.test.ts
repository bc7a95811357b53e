import { describe, expect, it } from 'vitest';
import { checkPolicy, Schedule } from '../ts/policy.ts';

const at = (time: string): Date => new Date(time);

describe('the schedule', () => {
  it.each([
    ['daily', undefined, '2026-11-24T00:00:00.000Z'],
    ['weekly', undefined, '2026-11-29T00:00:00.000Z'],
    ['0 3 * * *', undefined, '2026-11-24T03:00:00.000Z'],
    ['daily', 'Europe/Vienna', '2026-11-23T23:00:00.000Z'],
    ['*/5 * * * * *', undefined, '2026-11-23T12:00:05.000Z'],
  ])('%s in %s comes next at %s', (text, zone, expected) => {
    expect(new Schedule(text, zone).next(at('2026-11-23T12:00:00Z'))?.toISOString()).toBe(expected);
  });

  it('knows its longest gap', () => {
    const day = 24 * 3_600_000;
    const from = at('2026-11-23T12:00:00Z');
    expect(new Schedule('daily').period(from)).toBe(day);
    expect(new Schedule('weekly').period(from)).toBe(7 * day);
    // Working days: the weekend is the longest.
    expect(new Schedule('0 9 * * 1-5').period(from)).toBe(3 * day);
  });
});

describe('what the gateway alone uses', () => {
  it('has defaults', () => {
    const { schedule, ...rest } = checkPolicy(undefined);
    expect(schedule.text).toBe('daily');
    expect(rest).toEqual({
      keepSnapshots: 10,
      keepDaily: 7,
      keepWeekly: 4,
      keepUpdates: 5,
      autoRestore: true,
      verifyWeeks: 20,
      drill: true,
    });
  });

  it.each([
    ['schedule', { schedule: 'sometimes' }],
    ['schedule', { schedule: '61 * * * *' }],
    ['schedule', { schedule: '0 0 31 2 *' }],
    ['schedule', { schedule: 5 }],
    ['timezone', { timezone: 'Mars/Olympus' }],
    ['timezone', { timezone: 2 }],
    ['keepSnapshots', { keepSnapshots: 0 }],
    ['keepSnapshots', { keepSnapshots: -1 }],
    ['keepSnapshots', { keepSnapshots: 1.5 }],
    ['keepSnapshots', { keepSnapshots: 'ten' }],
    ['keepDaily', { keepDaily: -1 }],
    ['keepWeekly', { keepWeekly: Number.NaN }],
    ['autoRestore', { autoRestore: 'yes' }],
    ['verifyWeeks', { verifyWeeks: -1 }],
    ['verifyWeeks', { verifyWeeks: '20' }],
    ['drill', { drill: 30 }],
    ['drill', { drill: 'Boot' }],
  ])('names %s in the error about %j', (field, config) => {
    expect(() => checkPolicy(config)).toThrow(
      expect.objectContaining({
        code: 'B2_CONFIG',
        message: expect.stringMatching(new RegExp(`^configuration: ${field}: `)),
      }),
    );
  });
});
