/** Words for days: "yesterday", "last Tuesday", "February 15th", "2026-02-15", "2 weeks ago". */
import { type Part, type Rule, rule, type Span, type Token } from './tokens.js';
import { DAY_MINUTES, type Day, dateOf, dayOf, type LocalTime, monthsBefore, weekdayOf } from './zone.js';

/** Wide, and with blurred beginnings: it is better to ask than to leave out the one that was meant. */
export const PARTS: Readonly<Record<string, Part>> = {
  morning: { from: 0, begun: 6 * 60, to: 12 * 60 },
  afternoon: { from: 12 * 60, begun: 14 * 60, to: 18 * 60 },
  evening: { from: 17 * 60, begun: 19 * 60, to: DAY_MINUTES },
  night: { from: 18 * 60, begun: 22 * 60, to: DAY_MINUTES + 6 * 60 },
};

const NUMBERS = 'one two three four five six seven eight nine ten eleven twelve'.split(' ');
/** A small number, in figures or in words; "a" is 1. */
export const NUMBER = `\\d{1,4}|an?|${NUMBERS.join('|')}`;

/** What {@linkcode NUMBER} matched. */
export function readNumber(text: string): number {
  const word = NUMBERS.indexOf(text);
  if (word >= 0) return word + 1;
  return /^an?$/.test(text) ? 1 : Number(text);
}

type Days = Extract<Token, { is: 'days' }>;

const WEEKDAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];
const WEEKDAY = '(mon|tues?|wed(?:nes)?|thu(?:rs?)?|fri|sat(?:ur)?|sun)(?:day)?\\.?';
const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const MONTH =
  '(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\\.?';
const DATE = '(\\d{1,2})(?:st|nd|rd|th)?';
const YEAR = '(?:,? ?(\\d{4}))?';
/** After a date in figures a time is one of 24 hours. */
const TIME = '(?:(?:t|,? (?:at )?)(\\d{1,2}:\\d{2})(?::\\d{2}(?:\\.\\d+)?)?(?! ?[ap]\\.?m)(z)?)?';
const ASK = 'please write the date as YYYY-MM-DD';
const NO_DATE: Days = { is: 'days', days: [], hint: `there is no such date; ${ASK}` };

/** In the order in which they are tried. */
export const DAY_RULES: readonly Rule[] = [
  rule('day before yesterday', (_, { day }) => [one(day - 2)]),
  rule('last night|yesterday night', (_, { day }) => [one(day - 1), part('night')]),
  rule('tonight', (_, { day }) => [one(day), part('night')]),
  rule('this (morning|afternoon|evening)', ([, name = ''], { day }) => [one(day), part(name)]),
  rule('yesterday', (_, { day }) => [one(day - 1)]),
  rule('(?:earlier )?today', (_, { day }) => [one(day)]),
  rule(`${WEEKDAY}(?: of)? last week|last week(?: on)? ${WEEKDAY}`, ([, a, b], { day }) => [
    one(monday(day) - 7 + weekday(a ?? b)),
  ]),
  rule(`(?:(last|this past|past|this) )?${WEEKDAY}`, ([, which, name], { day }) => [
    { is: 'days', days: recentWeekday(day, weekday(name), which) },
  ]),
  rule('(last|this) (week|month|year)', ([, which, unit = ''], { day }) => [
    { is: 'days', days: [period(day, unit, which === 'this' ? 0 : 1)] },
  ]),
  rule(
    `(?:back )?(${NUMBER}) (day|week|month|year)s? (?:ago|back|earlier)|back (${NUMBER}) (day|week|month|year)s?`,
    ago,
  ),
  rule(`(\\d{4})[-/](\\d{2})[-/](\\d{2})${TIME}`, ([, year, month, date, time, utc]) =>
    withTime(exactly(Number(year), Number(month), Number(date)), time, utc),
  ),
  rule(`(\\d{1,2})\\.(\\d{1,2})\\.(\\d{4}|\\d{2})?${TIME}`, ([, date, month, year, time, utc], now) =>
    withTime(inYear(now, Number(month), Number(date), year), time, utc),
  ),
  rule(`(\\d{1,2})([/-])(\\d{1,2})(?:\\2(\\d{4}))?${TIME}`, ([, a, , b, year, time, utc], now) =>
    withTime(either(now, Number(a), Number(b), year), time, utc),
  ),
  rule('(\\d{4})-(\\d{2})', ([, year, month], now) => [wholeMonth(now, Number(month), year)]),
  // The first day of the month, or the first snapshot in it.
  rule(`first(?: of)? ${MONTH}${YEAR}|${MONTH}(?: the)? first`, ([, a, year, b], now) => [
    { ...inYear(now, month(a ?? b), 1, year), hint: ASK },
  ]),
  rule(`${MONTH} ?${DATE}${YEAR}`, ([, name, date, year], now) => [
    inYear(now, month(name), Number(date), year),
  ]),
  rule(`${DATE}(?: of)? ?${MONTH}${YEAR}`, ([, date, name, year], now) => [
    inYear(now, month(name), Number(date), year),
  ]),
  rule('(?<=\\bon (?:the )?)(\\d{1,2})(?:st|nd|rd|th)', ([, date], { day }) => [inMonth(day, Number(date))]),
  rule(`${MONTH}(?: of)?${YEAR}`, ([, name, year], now) => [wholeMonth(now, month(name), year)]),
];

function one(day: Day, moment?: LocalTime): Days {
  const days = [{ first: day, last: day }];
  return moment === undefined ? { is: 'days', days } : { is: 'days', days, moment };
}

function part(name: string): Token {
  const found = PARTS[name];
  if (found === undefined) throw new TypeError(`no part of the day: ${name}`);
  return { is: 'part', part: found };
}

function weekday(name: string | undefined): number {
  return WEEKDAYS.indexOf(name?.slice(0, 3) ?? '');
}

function month(name: string | undefined): number {
  return MONTHS.indexOf(name?.slice(0, 3) ?? '') + 1;
}

function monday(day: Day): Day {
  return day - weekdayOf(day);
}

/**
 * "Tuesday" is the most recent one; said on a Tuesday, today or a week ago. "Last Tuesday" may be the most recent one
 * or the one of last week.
 */
function recentWeekday(today: Day, weekday: number, which: string | undefined): readonly Span[] {
  const days = (...list: Day[]): Span[] => list.map((day) => ({ first: day, last: day }));
  if (which === 'this') return days(monday(today) + weekday);
  const recent = today - ((weekdayOf(today) - weekday + 7) % 7);
  if (which === undefined) return recent === today ? days(recent, recent - 7) : days(recent);
  if (recent === today) return days(recent - 7);
  if (which !== 'last') return days(recent);
  return recent >= monday(today) ? days(recent, recent - 7) : days(recent);
}

function period(today: Day, unit: string, before: number): Span {
  if (unit === 'week') {
    const first = monday(today) - 7 * before;
    return { first, last: first + 6 };
  }
  const months = unit === 'year' ? 12 : 1;
  const { date, month } = dateOf(today);
  const current = unit === 'year' ? monthsBefore(today - date + 1, month - 1) : today - date + 1;
  const first = monthsBefore(current, months * before);
  return { first, last: monthsBefore(first, -months) - 1 };
}

function ago([, a, b, c, d]: RegExpExecArray, { day, minutes }: LocalTime): readonly Token[] {
  const amount = readNumber(a ?? c ?? '');
  const unit = b ?? d ?? '';
  const days = { day: 1, week: 7 }[unit];
  const months = unit === 'year' ? 12 : 1;
  const then = days === undefined ? monthsBefore(day, amount * months) : day - amount * days;
  return [one(then, { day: then, minutes })];
}

/** A date of the calendar, where it is one. */
function exactly(year: number, month: number, date: number): Days {
  const day = dayOf(year, month, date);
  return day === undefined ? NO_DATE : one(day);
}

/** Without a year the most recent one. */
function inYear({ day: today }: LocalTime, month: number, date: number, year: string | undefined): Days {
  if (year !== undefined) return exactly(Number(year) + (year.length === 2 ? 2000 : 0), month, date);
  const { year: thisYear } = dateOf(today);
  // 29 February can be eight years back.
  for (let back = 0; back <= 8; back += 1) {
    const day = dayOf(thisYear - back, month, date);
    if (day !== undefined && day <= today) return one(day);
  }
  return exactly(thisYear, month, date);
}

/** "The 15th" is the most recent one. */
function inMonth(today: Day, date: number): Days {
  const begin = today - dateOf(today).date + 1;
  for (let back = 0; back <= 2; back += 1) {
    const { year, month } = dateOf(monthsBefore(begin, back));
    const day = dayOf(year, month, date);
    if (day !== undefined && day <= today) return one(day);
  }
  return NO_DATE;
}

/** Day and month in either order, as far as both exist. */
function either(now: LocalTime, a: number, b: number, year: string | undefined): Days {
  const orders = [inYear(now, a, b, year), inYear(now, b, a, year)];
  const days = orders.flatMap(({ days }) => days);
  const [first, second] = days;
  if (second === undefined || first?.first === second.first)
    return first === undefined ? NO_DATE : one(first.first);
  return { is: 'days', days, hint: `the date can be read in two ways; ${ASK}` };
}

function wholeMonth(now: LocalTime, month: number, year: string | undefined): Days {
  const begin = inYear(now, month, 1, year);
  return { is: 'days', days: begin.days.map(({ first }) => ({ first, last: monthsBefore(first, -1) - 1 })) };
}

function withTime(days: Days, time: string | undefined, utc: string | undefined): readonly Token[] {
  if (time === undefined) return [days];
  const [hours = 0, minutes = 0] = time.split(':').map(Number);
  if (hours > 24 || minutes > 59) return [{ is: 'days', days: [], hint: `there is no time ${time}` }];
  const since = hours * 60 + minutes;
  const [day] = days.days;
  if (utc === undefined || day === undefined || days.days.length > 1) {
    return [days, { is: 'clock', minutes: [since], rough: false }];
  }
  return [{ is: 'instant', ms: (day.first * DAY_MINUTES + since) * 60_000 }];
}
