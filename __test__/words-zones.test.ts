/** Words for days and clocks in time zones, across changes of the clock. */
import { describe, expect, it } from 'vitest';
import { finder, made, short } from './words-support.ts';

describe('local time', () => {
  it.each([
    // 23:30 UTC is the next day in Berlin and the same in New York.
    ['Europe/Berlin', '2026-02-20T10:00:00Z', ['2026-02-18 23:30'], 'yesterday', '= 2026-02-18 23:30'],
    [
      'America/New_York',
      '2026-02-20T10:00:00Z',
      ['2026-02-18 23:30'],
      'yesterday',
      '- nearest 2026-02-18 23:30',
    ],
    [
      'America/New_York',
      '2026-02-20T10:00:00Z',
      ['2026-02-18 23:30'],
      'Wednesday at 18:30',
      '= 2026-02-18 23:30',
    ],
    // In Tonga (UTC+13) it is Friday already.
    ['Pacific/Tongatapu', '2026-02-19T15:00:00Z', ['2026-02-19 12:00'], 'today', '= 2026-02-19 12:00'],
    ['Pacific/Tongatapu', '2026-02-19T15:00:00Z', ['2026-02-19 10:00'], 'yesterday', '= 2026-02-19 10:00'],
    [
      'Pacific/Tongatapu',
      '2026-02-19T15:00:00Z',
      ['2026-02-18 11:00', '2026-02-18 10:59'],
      '19.2.2026',
      '= 2026-02-18 11:00',
    ],
    [
      'Pacific/Tongatapu',
      '2026-02-19T15:00:00Z',
      ['2026-02-19 10:30'],
      'Thursday at 23:30',
      '= 2026-02-19 10:30',
    ],
    // Berlin, 29 March 2026, has 23 hours; 25 October has 25.
    [
      'Europe/Berlin',
      '2026-03-30T08:00:00Z',
      ['2026-03-28 22:59', '2026-03-28 23:00'],
      'yesterday',
      '= 2026-03-28 23:00',
    ],
    [
      'Europe/Berlin',
      '2026-03-30T08:00:00Z',
      ['2026-03-29 21:59', '2026-03-29 22:00'],
      'yesterday',
      '= 2026-03-29 21:59',
    ],
    [
      'Europe/Berlin',
      '2026-03-30T08:00:00Z',
      ['2026-03-29 21:59', '2026-03-29 22:00'],
      'today',
      '= 2026-03-29 22:00',
    ],
    [
      'Europe/Berlin',
      '2026-03-30T08:00:00Z',
      ['2026-03-29 00:40', '2026-03-29 01:20'],
      '2026-03-29 03:20',
      '= 2026-03-29 01:20',
    ],
    [
      'Europe/Berlin',
      '2026-03-30T08:00:00Z',
      ['2026-03-29 08:00', '2026-03-29 09:00'],
      '1 day ago',
      '? 2026-03-29 09:00, 2026-03-29 08:00',
    ],
    [
      'Europe/Berlin',
      '2026-10-26T08:00:00Z',
      ['2026-10-24 21:59', '2026-10-24 22:00'],
      'yesterday',
      '= 2026-10-24 22:00',
    ],
    [
      'Europe/Berlin',
      '2026-10-26T08:00:00Z',
      ['2026-10-25 22:59', '2026-10-25 23:00'],
      'yesterday',
      '= 2026-10-25 22:59',
    ],
    // 02:30 is there twice.
    [
      'Europe/Berlin',
      '2026-10-26T08:00:00Z',
      ['2026-10-25 00:30', '2026-10-25 01:30'],
      '2026-10-25 02:30',
      '? 2026-10-25 00:30, 2026-10-25 01:30',
    ],
    // In Sydney summer ends on 5 April 2026: UTC+11 becomes UTC+10.
    [
      'Australia/Sydney',
      '2026-04-06T02:00:00Z',
      ['2026-04-04 12:59', '2026-04-04 13:00'],
      'yesterday',
      '= 2026-04-04 13:00',
    ],
    [
      'Australia/Sydney',
      '2026-04-06T02:00:00Z',
      ['2026-04-05 13:59', '2026-04-05 14:00'],
      'yesterday',
      '= 2026-04-05 13:59',
    ],
    [
      'Australia/Sydney',
      '2026-04-06T02:00:00Z',
      ['2026-04-05 02:00'],
      'yesterday at noon',
      '= 2026-04-05 02:00',
    ],
    // In Santiago 6 September 2026 begins at 01:00, which is 04:00 UTC.
    [
      'America/Santiago',
      '2026-09-07T12:00:00Z',
      ['2026-09-06 03:59', '2026-09-06 04:00'],
      'yesterday',
      '= 2026-09-06 04:00',
    ],
    [
      'America/Santiago',
      '2026-09-07T12:00:00Z',
      ['2026-09-06 03:59', '2026-09-06 04:00'],
      'before yesterday',
      '= 2026-09-06 03:59',
    ],
    // Samoa had no 30 December 2011.
    [
      'Pacific/Apia',
      '2011-12-31T12:00:00Z',
      ['2011-12-30 09:59', '2011-12-30 10:00'],
      '2011-12-30',
      '- nearest 2011-12-30 10:00',
    ],
    [
      'Pacific/Apia',
      '2011-12-31T12:00:00Z',
      ['2011-12-30 09:59', '2011-12-30 10:00'],
      '2011-12-31',
      '= 2011-12-30 10:00',
    ],
    // An hour ago it was not 02:30, which clocks skip, but 01:30.
    ['Europe/Berlin', '2026-03-29T01:30:00Z', ['2026-03-29 00:29'], 'an hour ago', '= 2026-03-29 00:29'],
    [
      'Europe/Berlin',
      '2026-03-29T01:30:00Z',
      ['2026-03-29 00:29', '2026-03-29 00:31'],
      '1 hour ago',
      '? 2026-03-29 00:29, 2026-03-29 00:31',
    ],
    [
      'America/New_York',
      '2026-11-01T08:00:00Z',
      ['2026-11-01 03:00', '2026-11-01 05:00'],
      '4 hours ago',
      '= 2026-11-01 03:00',
    ],
    // Leap days and ends of months.
    ['UTC', '2026-02-19T15:00:00Z', ['2024-02-29 12:00'], '2024-02-29', '= 2024-02-29 12:00'],
    ['UTC', '2026-02-19T15:00:00Z', ['2024-02-29 12:00'], '29 February 2024', '= 2024-02-29 12:00'],
    [
      'UTC',
      '2026-03-31T15:00:00Z',
      ['2026-02-28 12:00', '2026-03-03 12:00'],
      'last month',
      '= 2026-02-28 12:00',
    ],
    [
      'UTC',
      '2024-02-29T15:00:00Z',
      ['2023-02-28 12:00', '2024-02-01 12:00'],
      'a year ago',
      '= 2023-02-28 12:00',
    ],
    ['UTC', '2026-03-31T15:00:00Z', ['2026-01-31 12:00'], '2 months and 1 hour ago', '-'],
    ['UTC', '2026-03-31T15:00:00Z', ['2026-02-28 12:00'], 'a month ago', '= 2026-02-28 12:00'],
    ['UTC', '2026-01-01T00:30:00Z', ['2025-12-31 23:50'], 'yesterday', '= 2025-12-31 23:50'],
    ['UTC', '2026-01-01T00:30:00Z', ['2025-12-31 23:50'], 'last night', '= 2025-12-31 23:50'],
  ])('%s, %s, %j: %j is %s', (timeZone, now, times, words, expected) => {
    const snapshots = times.map((time) => made(time));
    expect(short(finder(snapshots, now, timeZone)(words))).toBe(expected);
  });

  it('needs a time zone that exists', () => {
    expect(() =>
      finder([made('2026-02-19 12:00')], '2026-02-19T15:00:00Z', 'Middle-earth/Shire')('latest'),
    ).toThrow(RangeError);
  });
});
