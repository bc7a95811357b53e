/** Which snapshot a person means. */
import { describe, expect, it } from 'vitest';
import { MAX_CANDIDATES } from '../ts/plugin/words.ts';
import { finder, made, short } from './words-support.ts';

const SNAPSHOTS = [
  made('2025-12-24 18:00', 'manual'),
  made('2026-01-15 03:00'),
  made('2026-02-10 03:00'),
  made('2026-02-15 03:00:03'),
  made('2026-02-15 14:30:10', 'manual'),
  made('2026-02-16 03:00'),
  made('2026-02-17 03:00'),
  made('2026-02-17 12:10', 'compaction'),
  made('2026-02-18 03:00'),
  made('2026-02-18 20:15', 'compaction'),
  made('2026-02-18 22:30', 'shutdown'),
  made('2026-02-19 03:00'),
  made('2026-02-19 08:00', 'manual', { machine: 'aaaa1111' }),
  made('2026-02-19 09:05', 'reset'),
  made('2026-02-19 13:58', 'manual'),
];
/** A Thursday. */
const NOW = '2026-02-19T15:00:00Z';
const find = finder(SNAPSHOTS, NOW);

/** Words, and what they find in {@linkcode SNAPSHOTS}. */
const TABLE: readonly (readonly [words: string, found: string])[] = [
  // ids
  ['2026-02-18T22-30-00Z-d0e8c2c9', '= 2026-02-18 22:30'],
  ['2026-02-18t22-30-00z-D0E8C2C9', '= 2026-02-18 22:30'],
  ['the snapshot 2026-02-18T22-30-00Z-d0e8c2c9, please.', '= 2026-02-18 22:30'],
  ['2026-02-18T22', '= 2026-02-18 22:30'],
  ['2026-02-15T', '? 2026-02-15 14:30, 2026-02-15 03:00'],
  ['2026-02-19T08-00-00Z-aaaa1111', '= 2026-02-19 08:00'],
  ['the one before 2026-02-18T22-30-00Z-d0e8c2c9', '= 2026-02-18 20:15'],
  ['2026-02-18T22-30-00Z-d0e8c2c9 or so', '- nearest 2026-02-18 22:30'],
  ['2026-02-18T22-30-00Z-d0e8c2c9 yesterday', '- nearest 2026-02-18 22:30'],

  // order
  ['latest', '= 2026-02-19 13:58'],
  ['the newest snapshot', '= 2026-02-19 13:58'],
  ['last one', '= 2026-02-19 13:58'],
  ['LAST BACKUP, PLEASE!', '= 2026-02-19 13:58'],
  ['most recent', '= 2026-02-19 13:58'],
  ['first', '= 2025-12-24 18:00'],
  ['the oldest one', '= 2025-12-24 18:00'],
  ['previous', '= 2026-02-19 09:05'],
  ['second to last', '= 2026-02-19 09:05'],
  ['the one before the last one', '= 2026-02-19 09:05'],
  ['before this one, please', '? 2026-02-19 09:05, 2026-02-19 13:58'],
  ['the one before that', '? 2026-02-19 09:05, 2026-02-19 13:58'],
  ['the latest manual one', '= 2026-02-19 13:58'],
  ['the first manual one', '= 2025-12-24 18:00'],
  ['first today', '= 2026-02-19 03:00'],
  ['latest from yesterday', '= 2026-02-18 22:30'],
  ['the last one on February 15th', '= 2026-02-15 14:30'],
  ['previous manual', '? 2026-02-15 14:30, 2026-02-19 13:58'],

  // days
  ['today', '? 2026-02-19 13:58, 2026-02-19 09:05, 2026-02-19 03:00'],
  ['yesterday', '? 2026-02-18 22:30, 2026-02-18 20:15, 2026-02-18 03:00'],
  ['day before yesterday', '? 2026-02-17 12:10, 2026-02-17 03:00'],
  ['Monday', '= 2026-02-16 03:00'],
  ['the snapshot from Monday', '= 2026-02-16 03:00'],
  // It can be the one that comes.
  ['this Monday', '-'],
  ['Tuesday', '? 2026-02-17 12:10, 2026-02-17 03:00'],
  // This week's or last week's.
  ['last Tuesday', '? 2026-02-17 12:10, 2026-02-17 03:00, 2026-02-10 03:00'],
  ['Tuesday last week', '? 2026-02-17 12:10, 2026-02-17 03:00, 2026-02-10 03:00'],
  [
    "last week's Tuesday",
    '? 2026-02-15 14:30, 2026-02-15 03:00, 2026-02-10 03:00, 2026-02-17 12:10, 2026-02-17 03:00',
  ],
  ['last Sunday', '? 2026-02-15 14:30, 2026-02-15 03:00'],
  // It is Thursday: today or a week ago.
  ['Thursday', '? 2026-02-19 13:58, 2026-02-19 09:05, 2026-02-19 03:00'],
  ['last Thursday', '- nearest 2026-02-10 03:00'],
  ['this Friday', '-'],
  ['last week', '? 2026-02-15 14:30, 2026-02-15 03:00, 2026-02-10 03:00'],
  ['last month', '= 2026-01-15 03:00'],
  ['last year', '= 2025-12-24 18:00'],

  // parts of days
  ['this morning', '? 2026-02-19 09:05, 2026-02-19 03:00'],
  ['last night', '? 2026-02-19 03:00, 2026-02-18 22:30, 2026-02-18 20:15'],
  ['yesterday morning', '= 2026-02-18 03:00'],
  ['yesterday evening', '? 2026-02-18 22:30, 2026-02-18 20:15'],
  ['Sunday afternoon', '= 2026-02-15 14:30'],
  // Chrono loses the date.
  ['the afternoon of February 15', '-'],
  ['tonight', '-'],

  // dates
  ['February 15th', '? 2026-02-15 14:30, 2026-02-15 03:00'],
  ['February 16th', '= 2026-02-16 03:00'],
  ['16 February 2026', '= 2026-02-16 03:00'],
  ['the 16th of February', '= 2026-02-16 03:00'],
  ['Feb 16', '= 2026-02-16 03:00'],
  ['Feb. 16, 2026', '= 2026-02-16 03:00'],
  // Of which month? Chrono has no answer.
  ['on the 16th', '-'],
  ['2026-02-16', '= 2026-02-16 03:00'],
  ['2026/02/16', '= 2026-02-16 03:00'],
  ['16.2.2026', '= 2026-02-16 03:00'],
  ['02/16/2026', '= 2026-02-16 03:00'],
  ['16/02/2026', '= 2026-02-16 03:00'],
  ['2/16', '= 2026-02-16 03:00'],
  ['December 24', '= 2025-12-24 18:00'],
  ['24.12.', '-'],
  ['December', '= 2025-12-24 18:00'],
  ['January 2026', '= 2026-01-15 03:00'],
  ['February 14', '- nearest 2026-02-10 03:00'],
  ['February 30', '-'],
  ['2026-02-30', '-'],
  ['2026-13-01', '-'],
  ['2026-12-01', '-'],
  // Day and month, or month and day.
  ['03/04/2026', '-'],
  ['10/02/2026', '- nearest 2026-02-10 03:00'],
  ['12/11', '- nearest 2025-12-24 18:00'],

  // February 1st, or the first one made in February.
  ['the first of February', '- nearest 2026-01-15 03:00'],
  ['the first one in February', '= 2026-02-10 03:00'],
  [
    'February the first',
    '? 2026-02-19 13:58, 2026-02-19 09:05, 2026-02-19 03:00, 2026-02-18 22:30, 2026-02-18 20:15, 2026-02-18 03:00, 2026-02-17 12:10, 2026-02-17 03:00',
  ],
  ['2026-01', '= 2026-01-15 03:00'],
  // A version of OpenClaw.
  ['before 2026.10.12', '-'],

  // clocks
  ['2026-02-15 14:30', '= 2026-02-15 14:30'],
  ['2026-02-15T14:30', '= 2026-02-15 14:30'],
  ['2026-02-15T14:30:10Z', '= 2026-02-15 14:30'],
  ['2026-02-15, 14:31', '= 2026-02-15 14:30'],
  ['Feb 15 at 14:00', '= 2026-02-15 03:00'],
  // The next one is nearly as good.
  ['Feb 15 at 14:25', '? 2026-02-15 03:00, 2026-02-15 14:30'],
  ['15 Feb at 2:30pm', '= 2026-02-15 14:30'],
  ['yesterday at 9 p.m.', '= 2026-02-18 20:15'],
  ['at 9 yesterday evening', '? 2026-02-18 03:00, 2026-02-18 20:15, 2026-02-18 22:30'],
  // 03:00 or 15:00, which had the same.
  ['yesterday at 3', '= 2026-02-18 03:00'],
  // 09:00 or 21:00.
  ['yesterday at 9', '? 2026-02-18 03:00, 2026-02-18 20:15'],
  ['at noon', '= 2026-02-19 09:05'],
  // Noon or midnight.
  ['Sunday at 12', '? 2026-02-15 03:00, 2026-02-15 14:30, 2026-02-10 03:00'],
  ['14:00', '= 2026-02-19 13:58'],
  // Still to come today, so yesterday's.
  ['at 20:20', '= 2026-02-18 20:15'],
  ['before 20:20', '-'],
  ['before the evening', '-'],
  ['at 25:00', '-'],
  // More than a day older is not how things were then.
  ['2026-02-14 12:00', '- nearest 2026-02-10 03:00'],
  ['midnight', '= 2026-02-18 22:30'],

  // ago
  ['an hour ago', '= 2026-02-19 13:58'],
  ['half an hour ago', '= 2026-02-19 13:58'],
  ['10 minutes ago', '= 2026-02-19 13:58'],
  ['2 hours ago', '= 2026-02-19 09:05'],
  ['three days ago', '= 2026-02-16 03:00'],
  ['go back 3 days', '-'],
  ['1 day ago', '? 2026-02-18 22:30, 2026-02-18 20:15, 2026-02-18 03:00'],
  ['4 days ago', '? 2026-02-15 14:30, 2026-02-15 03:00'],
  // That day or that week.
  ['a week ago', '? 2026-02-15 14:30, 2026-02-15 03:00, 2026-02-10 03:00'],
  ['a month ago', '- nearest 2026-01-15 03:00'],
  ['1000 years ago', '- nearest 2025-12-24 18:00'],
  // 12:00, and the next one is nearly as good.
  ['2 days and 3 hours ago', '? 2026-02-17 03:00, 2026-02-17 12:10'],

  ['2 hours ago at 14:00', '? 2026-02-19 09:05, 2026-02-19 13:58'],
  ['an hour ago yesterday', '? 2026-02-19 13:58, 2026-02-18 22:30, 2026-02-18 20:15, 2026-02-18 03:00'],
  ['2026-02-15T14:30Z in the evening', '- nearest 2026-02-15 14:30'],

  // before, after, around
  ['before 14:00', '= 2026-02-19 13:58'],
  ['before noon', '= 2026-02-19 09:05'],
  ['before yesterday', '= 2026-02-17 12:10'],
  ['yesterday before 20:00', '= 2026-02-18 03:00'],
  ['before 20:00 yesterday', '= 2026-02-18 03:00'],
  ['the last one before yesterday at noon', '= 2026-02-18 03:00'],
  ['before February 15', '= 2026-02-10 03:00'],
  ['before this morning', '? 2026-02-18 22:30, 2026-02-19 03:00'],
  ['before this week', '-'],
  ['before last night', '? 2026-02-18 03:00, 2026-02-18 20:15'],
  ['before 2 hours ago', '= 2026-02-19 09:05'],
  ['before 2025', '-'],
  // Chrono knows a moment, and neither "after" nor "around".
  ['after 2026-02-19 13:00', '? 2026-02-19 09:05, 2026-02-19 13:58'],
  ['yesterday after 21:00', '? 2026-02-18 20:15, 2026-02-18 22:30'],
  ['the first one after yesterday noon', '? 2026-02-18 03:00, 2026-02-18 20:15'],
  ['around noon', '? 2026-02-19 09:05, 2026-02-19 13:58'],
  ['around 13:30', '? 2026-02-19 09:05, 2026-02-19 13:58'],
  ['yesterday around 21:30', '? 2026-02-18 22:30, 2026-02-18 20:15, 2026-02-18 03:00'],
  ['about an hour ago', '= 2026-02-19 13:58'],
  ['around January 16', '- nearest 2026-01-15 03:00'],

  // reasons
  ['before compaction', '? 2026-02-18 20:15, 2026-02-17 12:10'],
  ['from before the last compaction', '= 2026-02-18 20:15'],
  ['before the first compaction', '= 2026-02-17 12:10'],
  ["before yesterday's compaction", '= 2026-02-18 20:15'],
  ['before yesterday’s compaction', '= 2026-02-18 20:15'],
  ['before compaction yesterday', '= 2026-02-18 20:15'],
  ["from right before last Tuesday's compaction", '- nearest 2026-02-17 12:10'],
  ['the compaction on Tuesday', '= 2026-02-17 12:10'],
  ['compaction before yesterday', '= 2026-02-17 12:10'],
  ['pre-compaction, yesterday', '= 2026-02-18 20:15'],
  ['before the compaction today', '- nearest 2026-02-18 20:15'],
  ['after the compaction yesterday', '- nearest 2026-02-18 20:15'],
  ["after yesterday's compaction", '- nearest 2026-02-18 20:15'],
  ['compaction 2 days ago', '= 2026-02-17 12:10'],
  ['the latest from 2 days ago', '= 2026-02-17 12:10'],
  ['the manual one on Sunday at 14:30', '= 2026-02-15 14:30'],
  ['the manual one on Sunday at 15:00', '- nearest 2026-02-15 14:30'],
  ['when the gateway stopped', '= 2026-02-18 22:30'],
  ['made by the schedule on Monday', '= 2026-02-16 03:00'],
  ['before the reset', '= 2026-02-19 09:05'],
  ['from shutdown', '= 2026-02-18 22:30'],
  ['before the restart', '= 2026-02-18 22:30'],
  ['before yesterday, from shutdown', '- nearest 2026-02-18 22:30'],
  ['manual', '? 2026-02-19 13:58, 2026-02-15 14:30, 2025-12-24 18:00'],
  ['the manual one from December', '= 2025-12-24 18:00'],
  ['made by hand on Sunday', '= 2026-02-15 14:30'],
  ['the last scheduled one', '= 2026-02-19 03:00'],
  ["before yesterday's scheduled one", '- nearest 2026-02-18 03:00'],
  ['before the last manual one', '? 2026-02-19 13:58, 2026-02-15 14:30, 2025-12-24 18:00'],
  ['safety', '-'],
  ['before the rollback', '-'],

  // machines
  ['from machine aaaa1111', '= 2026-02-19 08:00'],
  ['aaaa1111', '= 2026-02-19 08:00'],
  ['machine aaaa', '= 2026-02-19 08:00'],
  ['the other machine', '= 2026-02-19 08:00'],
  ['latest from another machine', '= 2026-02-19 08:00'],
  ['latest on this machine', '= 2026-02-19 13:58'],
  ['yesterday on the other machine', '- nearest 2026-02-19 08:00'],
  ['today on any machine before 9:00 am', '? 2026-02-18 22:30, 2026-02-19 08:00'],
  ['machine ffff', '-'],

  // what says nothing, or nothing that is known
  [
    '',
    '? 2026-02-19 13:58, 2026-02-19 09:05, 2026-02-19 03:00, 2026-02-18 22:30, 2026-02-18 20:15, 2026-02-18 03:00, 2026-02-17 12:10, 2026-02-17 03:00',
  ],
  ['tomorrow', '-'],
  ['before the update', '-'],
  // 16:02 in England.
  ['from 16.02.', '-'],
  ['at 16.02', '? 2026-02-18 03:00, 2026-02-18 20:15'],
  ['on 2026.2.16', '- nearest 2026-02-16 03:00'],
  ['last quarter', '-'],
  ['a few days ago', '- nearest 2026-02-16 03:00'],
  ['the last 3 days', '- nearest 2026-02-16 03:00'],
  ['since Monday', '- nearest 2026-02-16 03:00'],
  ['from Monday to Tuesday', '- nearest 2026-02-16 03:00'],
  ['before Monday and then some', '- nearest 2026-02-15 14:30'],
  ['2 days before the compaction', '- nearest 2026-02-17 12:10'],
  // What chrono puts together, and nobody said.
  ['3 days before Sunday', '? 2026-02-19 13:58, 2026-02-19 09:05, 2026-02-19 03:00'],
  ['2 hours before 2026-02-18', '? 2026-02-18 03:00, 2026-02-18 20:15'],
  ['last night at 3 am', '- nearest 2026-02-18 03:00'],
  ['tonight at 3 am', '- nearest 2026-02-19 03:00'],
  ['last week at 14:00', '- nearest 2026-02-10 03:00'],
  ['last month at noon', '- nearest 2026-01-15 03:00'],
  ['Wednesday, February 10', '- nearest 2026-02-10 03:00'],
  ['Monday today', '? 2026-02-19 13:58, 2026-02-19 09:05, 2026-02-19 03:00'],
  ['around 2 days ago', '? 2026-02-17 12:10, 2026-02-17 03:00'],
  ['February 15 in the evening', '? 2026-02-15 14:30, 2026-02-15 03:00'],
  ['before last week the last compaction', '- nearest 2026-02-17 12:10'],
  ['next Friday', '-'],
  ['in 3 days', '-'],
  ['July 2027', '-'],
  ['when it still worked', '-'],
  ['Monday when it still worked', '- nearest 2026-02-16 03:00'],
  ['not the latest', '- nearest 2026-02-19 13:58'],
  // Before which?
  ['the day before', '? 2026-02-18 22:30, 2026-02-18 20:15, 2026-02-18 03:00'],
  ['Monday or Sunday', '? 2026-02-16 03:00, 2026-02-15 14:30, 2026-02-15 03:00'],
];

describe('words', () => {
  it.each(TABLE)('%j: %s', (words, expected) => expect(short(find(words))).toBe(expected));

  it('say why they are not certain', () => {
    const why = (words: string): string => {
      const found = find(words);
      return found.kind === 'one' ? '' : found.why;
    };
    expect(why('today')).toBe('3 snapshots fit (on 2026-02-19)');
    // The other reading is still to come. Still, whoever writes dates so may have erred about the year.
    expect(why('10/02/2026')).toBe(
      'no snapshot fits for certain (on 2026-02-10); the date can be read in two ways; please write the date as YYYY-MM-DD',
    );
    expect(why('12/11/2025')).toContain('please write the date as YYYY-MM-DD');
    expect(why('February 30')).toContain('not understood: "february", "30"');
    expect(why('2026-13-01')).toContain('there is no such date');
    expect(why('2026-12-01')).toContain('still to come');
    expect(why('Monday when it worked')).toContain('not understood: "worked"');
    expect(why('before the update')).toMatch(/^not understood: "before", "update".*name an id/);
    expect(why('the compaction today')).toContain(
      'no snapshot fits (made before a compaction; on 2026-02-19)',
    );
    expect(why('machine ffff')).toContain('of machine ffff');
  });

  it('show no more candidates than can be read', () => {
    const many = Array.from({ length: 20 }, (_, hour) =>
      made(`2026-02-18 ${String(hour).padStart(2, '0')}:00`),
    );
    const found = finder(many, NOW)('yesterday');
    expect(found).toMatchObject({ kind: 'several', why: '20 snapshots fit (on 2026-02-18)' });
    expect(found.kind === 'several' && found.candidates).toHaveLength(MAX_CANDIDATES);
  });

  it('find nothing where there is nothing', () => {
    expect(finder([], NOW)('latest')).toEqual({ kind: 'none', why: 'there are no snapshots yet' });
  });

  it('are refused when they are too long', () => {
    expect(find(`yesterday ${'please '.repeat(40)}`)).toMatchObject({ kind: 'none' });
  });

  it('relate to the snapshot that was spoken of', () => {
    const that = finder(SNAPSHOTS, NOW, 'UTC', '2026-02-17T12-10-00Z-d0e8c2c9');
    expect(short(that('the one before that'))).toBe('= 2026-02-17 03:00');
    expect(short(that('the one before that on Monday'))).toBe('- nearest 2026-02-17 03:00');
    expect(short(that('latest'))).toBe('= 2026-02-19 13:58');
    expect(short(finder(SNAPSHOTS, NOW, 'UTC', 'gone')('before that'))).toBe(
      '? 2026-02-19 09:05, 2026-02-19 13:58',
    );
  });
});

describe('safety snapshots', () => {
  // A rollback at 22:40: what came after it is not what the safety snapshot shows.
  const found = finder([...SNAPSHOTS, made('2026-02-18 22:40', 'safety')], NOW);

  it.each([
    ['before the rollback', '= 2026-02-18 22:40'],
    ['before I rolled back', '= 2026-02-18 22:40'],
    ["before yesterday's rollback", '= 2026-02-18 22:40'],
    ['the safety snapshot', '= 2026-02-18 22:40'],
    ['safety-2026-02', '= 2026-02-18 22:40'],
    ['rollback to Monday', '= 2026-02-16 03:00'],
    ['yesterday', '? 2026-02-18 22:40, 2026-02-18 22:30, 2026-02-18 20:15, 2026-02-18 03:00'],
    ['the latest from yesterday', '= 2026-02-18 22:30'],
    ['yesterday at 23:00', '? 2026-02-18 22:30, 2026-02-18 22:40'],
    ['before midnight', '? 2026-02-18 22:30, 2026-02-18 22:40'],
    ['yesterday at 22:40', '= 2026-02-18 22:40'],
  ])('%j: %s', (words, expected) => expect(short(found(words))).toBe(expected));

  it('are not the latest', () => {
    const later = finder([...SNAPSHOTS, made('2026-02-19 14:10', 'safety')], NOW);
    expect(short(later('latest'))).toBe('= 2026-02-19 13:58');
    expect(short(later('previous'))).toBe('= 2026-02-19 09:05');
  });
});

describe('machines with names', () => {
  const of = (at: string, machine: string, machineName: string) =>
    made(at, 'scheduled', { machine, machineName });
  const snapshots = [
    of('2026-02-18 03:00', 'bbbb2222', 'anna-laptop'),
    of('2026-02-18 04:00', 'cccc3333', 'raspberrypi'),
    of('2026-02-18 05:00', 'dddd4444', 'raspberrypi'),
    made('2026-02-18 06:00'),
  ];
  const found = finder(snapshots, '2026-02-19T12:00:00Z');

  it('are found by them', () => {
    expect(short(found('latest from Anna-Laptop'))).toBe('= 2026-02-18 03:00');
    expect(short(found('latest from machine anna-laptop'))).toBe('= 2026-02-18 03:00');
  });

  it('are asked about where two have the same', () => {
    expect(found('latest from raspberrypi').kind).not.toBe('one');
    expect(short(found('latest from machine dddd4444'))).toBe('= 2026-02-18 05:00');
  });
});

describe('snapshots of a new machine', () => {
  const other = (at: string, machine: string) => made(at, 'scheduled', { machine });

  it('are those of the only other one', () => {
    const found = finder([other('2026-02-17 03:00', 'aaaa1111'), other('2026-02-18 03:00', 'aaaa1111')], NOW);
    expect(short(found('latest'))).toBe('= 2026-02-18 03:00');
    expect(short(found('Tuesday'))).toBe('= 2026-02-17 03:00');
    expect(short(found('latest on this machine'))).toBe('-');
  });

  it('are to be chosen from when there are several others', () => {
    const found = finder([other('2026-02-18 04:00', 'aaaa1111'), other('2026-02-18 03:00', 'bbbb2222')], NOW);
    expect(short(found('latest'))).toBe('? 2026-02-18 03:00, 2026-02-18 04:00');
    expect(short(found('latest from any machine'))).toBe('= 2026-02-18 04:00');
    expect(short(found('latest from machine bbbb2222'))).toBe('= 2026-02-18 03:00');
  });
});

describe('snapshots that cannot be used', () => {
  it('are not the latest without a word about it', () => {
    const damaged = made('2026-02-19 14:30', 'manual', { problem: 'a pack is damaged (B2_DAMAGED)' });
    const found = finder([...SNAPSHOTS, damaged], NOW);
    expect(found('latest')).toMatchObject({
      kind: 'none',
      why: `${damaged.id} fits and cannot be used: a pack is damaged (B2_DAMAGED)`,
      nearest: { id: '2026-02-19T13-58-00Z-d0e8c2c9' },
    });
    expect(short(found(damaged.id))).toBe('= 2026-02-19 14:30');
  });

  it('are those that anybody can have made among others with a seal', () => {
    const planted = made('2026-02-19 14:30', 'manual', { authenticated: false });
    expect(short(finder([...SNAPSHOTS, planted], NOW)('latest'))).toBe('- nearest 2026-02-19 13:58');
    const plain = SNAPSHOTS.map((snapshot) => ({ ...snapshot, authenticated: false }));
    expect(short(finder([...plain, planted], NOW)('latest'))).toBe('= 2026-02-19 14:30');
  });

  it('are never those of the original plugin, but by name', () => {
    const original = made('2026-02-19 14:30', '', {
      id: '2026-02-19T14-30-00-123Z-ab12cd34',
      machine: '',
      thisMachine: false,
      authenticated: false,
      format: 1,
    });
    const found = finder([...SNAPSHOTS, original], NOW);
    expect(short(found('latest'))).toBe(short(finder(SNAPSHOTS, NOW)('latest')));
    expect(found(original.id)).toEqual({ kind: 'one', snapshot: original });
    const alone = finder([original], NOW);
    expect(alone('latest').kind).toBe('none');
    expect(alone('any machine latest').kind).toBe('none');
  });

  it('may say nothing of when they were made', () => {
    const odd = made('2026-02-19 14:30', 'manual', { createdAt: 'soon', id: 'odd-1' });
    const found = finder([...SNAPSHOTS, odd], NOW);
    expect(short(found('Monday'))).toBe('= 2026-02-16 03:00');
    expect(found('odd-1')).toEqual({ kind: 'one', snapshot: odd });
  });
});

describe('other languages', () => {
  const [MONDAY, TUESDAY, YESTERDAY] = [
    '= 2026-02-16 03:00',
    '? 2026-02-17 12:10, 2026-02-17 03:00',
    '? 2026-02-18 22:30, 2026-02-18 20:15, 2026-02-18 03:00',
  ];

  it.each([
    ['de-AT', 'gestern', YESTERDAY],
    ['de', 'vorgestern', TUESDAY],
    ['de', 'Sicherung vom Montag, bitte', MONDAY],
    ['de', 'am Dienstag um 12:10', '= 2026-02-17 12:10'],
    ['de', 'am 16. Februar', MONDAY],
    ['de', '16.02.2026', MONDAY],
    ['de', '10.02.2026', '= 2026-02-10 03:00'],
    ['de', 'vor 2 Stunden', '= 2026-02-19 09:05'],
    ['de', 'vor drei Tagen', MONDAY],
    ['de', 'gestern Abend', '? 2026-02-18 22:30, 2026-02-18 20:15'],
    ['de', 'gestern um 21 Uhr', '= 2026-02-18 20:15'],
    ['fr-FR', 'hier', YESTERDAY],
    ['fr', 'lundi', MONDAY],
    ['fr', 'le 16 février', MONDAY],
    ['fr', 'il y a 3 jours', MONDAY],
    ['fr', 'hier à 21h', '= 2026-02-18 20:15'],
    ['es-MX', 'ayer', YESTERDAY],
    ['es', 'el lunes', MONDAY],
    ['es', 'el 16 de febrero', MONDAY],
    ['es', 'ayer a las 21:00', '= 2026-02-18 20:15'],
    ['ja-JP', '昨日', YESTERDAY],
    ['ja', '月曜日', MONDAY],
    ['ja', '2月16日', MONDAY],
    ['ja', '昨日の21時', '= 2026-02-18 20:15'],
    ['it', 'ieri alle 21:00', '= 2026-02-18 20:15'],
    ['it', 'tre giorni fa', MONDAY],
    ['nl', '3 dagen geleden', MONDAY],
    ['pt-BR', 'segunda-feira', MONDAY],
    ['ru', '3 дня назад', MONDAY],
    ['uk', '16 лютого', MONDAY],
    ['zh', '星期一', MONDAY],
    ['sv', 'måndag', MONDAY],
    ['fi', '3 päivää sitten', MONDAY],
    ['vi', '3 ngày trước', MONDAY],
    ['id', 'kemarin', YESTERDAY],
    ['ar', '16 فبراير', MONDAY],
    // English is understood everywhere, and so are ids and reasons.
    ['ja', 'yesterday at 21:00', '= 2026-02-18 20:15'],
    ['de', 'the Monday one', MONDAY],
    ['fr', 'before the last compaction', '= 2026-02-18 20:15'],
    ['no-such', 'Monday', MONDAY],
    // Still to come.
    ['de', 'morgen', '-'],
    ['de', 'nächsten Freitag', '-'],
    ['de', 'nächsten Montag', '-'],
    ['fr', 'vendredi prochain', '-'],
    ['fr', 'demain', '-'],
    ['es', 'mañana', '-'],
    ['ja', '明日', '-'],
    // Read in part.
    ['fr', 'avant-hier', '? 2026-02-18 22:30, 2026-02-18 20:15, 2026-02-18 03:00'],
    ['ja', '一昨日', '? 2026-02-18 22:30, 2026-02-18 20:15, 2026-02-18 03:00'],
    ['de', 'nicht am Montag', '- nearest 2026-02-16 03:00'],
    ['de', 'vor Montag', '- nearest 2026-02-16 03:00'],
    ['de', 'vor einigen Tagen', '- nearest 2026-02-16 03:00'],
    ['de', 'vom 16.02.', '-'],
    ['it', 'ieri dopo le 21:00', '? 2026-02-18 20:15, 2026-02-18 22:30'],
    ['nl', 'gisteren na 21:00', '? 2026-02-18 20:15, 2026-02-18 22:30'],
    // October in English, February in German.
    ['de', '10/02/2026', '- nearest 2026-02-10 03:00'],
    // Not of the locale.
    ['en', 'gestern', '-'],
    ['fr', 'gestern', '-'],
  ])('%s, %j: %s', (locale, words, expected) => {
    expect(short(finder(SNAPSHOTS, NOW, 'UTC', undefined, locale)(words))).toBe(expected);
  });

  it('take what is read in part for certain in no language', () => {
    const one = finder([made('2026-02-18 03:00')], NOW, 'UTC', undefined, 'fr');
    expect(short(one('hier'))).toBe('= 2026-02-18 03:00');
    expect(short(one('avant-hier'))).toBe('- nearest 2026-02-18 03:00');
  });
});

describe('whatever is said', () => {
  it.each(['en', 'de', 'fr', 'ja'])('what repeats itself names no snapshot (%s)', (locale) => {
    const found = finder(SNAPSHOTS, NOW, 'UTC', undefined, locale);
    const fill = (piece: string): string => piece.repeat(200).slice(0, 200);
    for (const piece of [
      '1 ',
      '1',
      'second ',
      'a ',
      ' ',
      '12/',
      '1.',
      'yesterday ',
      'Monday at 9 ',
      'vor ',
      '日',
    ]) {
      expect(found(fill(piece)).kind, piece).not.toBe('one');
    }
  });

  /** Mulberry32: the same numbers every time. */
  function random(seed: number): () => number {
    let state = seed;
    return () => {
      state = (state + 0x6d2b79f5) | 0;
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    };
  }
  const vocabulary = [...new Set(TABLE.flatMap(([words]) => words.split(' ')))];
  const characters = [...'0123456789:./-, \'"aAzZäßıİ’\u0000\u001b\u202e\ud800😀٣\n\t()[]{}+*?\\^$|'];

  function text(next: () => number): string {
    const pick = (from: readonly string[]): string => from[Math.floor(next() * from.length)] ?? '';
    const words = Array.from({ length: Math.floor(next() * 7) }, () =>
      next() < 0.75
        ? pick(vocabulary)
        : Array.from({ length: Math.floor(next() * 9) }, () => pick(characters)).join(''),
    );
    return words.join(pick([' ', ' ', ' ', '', ', ', '  ']));
  }

  it.each([1, 2, 3, 4])('nothing throws, and answers are of the list (%d)', (seed) => {
    const next = random(seed);
    const zones = ['UTC', 'Europe/Berlin', 'Australia/Lord_Howe', 'Pacific/Apia', 'America/St_Johns'];
    for (let round = 0; round < 400; round += 1) {
      const words = text(next);
      const found = finder(SNAPSHOTS, NOW, zones[round % zones.length] ?? 'UTC')(words);
      const named =
        found.kind === 'one'
          ? [found.snapshot]
          : found.kind === 'several'
            ? found.candidates
            : [found.nearest];
      for (const snapshot of named) {
        if (snapshot !== undefined) expect(SNAPSHOTS, words).toContain(snapshot);
      }
      if (found.kind !== 'one') expect(found.why, words).not.toBe('');
      if (found.kind === 'several') {
        expect(new Set(named).size, words).toBe(named.length);
        expect(named.length, words).toBeGreaterThan(1);
        expect(named.length, words).toBeLessThanOrEqual(MAX_CANDIDATES);
      }
    }
  });

  it('politeness changes nothing', () => {
    for (const [words, expected] of TABLE) {
      expect(short(find(`Please restore the snapshot from ${words} to me, please`)), words).toBe(expected);
    }
  });

  it('a word that is not understood is never passed over', () => {
    for (const [words] of TABLE) {
      expect(find(`${words} frobnicated`).kind, words).not.toBe('one');
      expect(find(`except ${words}`).kind, words).not.toBe('one');
    }
  });
});
