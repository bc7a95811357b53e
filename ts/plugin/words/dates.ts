/**
 * Dates and times in words, as chrono-node reads them. Chrono answers with one moment and with what was said of it for
 * certain; a wrong rollback is worse than a question, so what it chose by itself becomes several meanings here.
 */
import type { Chrono } from 'chrono-node';
import { asOf, before as beforeTime, during, type Present, type Reading } from './readings.js';
import {
  DAY_MINUTES,
  DAY_MS,
  type Day,
  dateOf,
  dayOf,
  formatDay,
  type LocalTime,
  MINUTE_MS,
  monthsBefore,
  weekdayOf,
} from './zone.js';

/** What reads a language. */
export interface Language {
  readonly parse: Chrono['parse'];
  /** English as it is written where the day goes before the month. */
  readonly dayFirst?: Chrono['parse'];
}
type Result = ReturnType<Language['parse']>[number];
type Components = Result['start'];

/** A time that was said. */
export interface Said {
  readonly result: Result;
  readonly language: Language;
  /** Whether its words say more than chrono heard. */
  readonly doubtful: boolean;
}

/** Loaded when one is needed: all together they would slow the gateway's start. */
const OTHERS: Readonly<Record<string, () => Promise<{ casual: Chrono }>>> = {
  ar: () => import('chrono-node/ar'),
  de: () => import('chrono-node/de'),
  es: () => import('chrono-node/es'),
  fi: () => import('chrono-node/fi'),
  fr: () => import('chrono-node/fr'),
  id: () => import('chrono-node/id'),
  it: () => import('chrono-node/it'),
  ja: () => import('chrono-node/ja'),
  nl: () => import('chrono-node/nl'),
  pt: () => import('chrono-node/pt'),
  ru: () => import('chrono-node/ru'),
  sv: () => import('chrono-node/sv'),
  uk: () => import('chrono-node/uk'),
  vi: () => import('chrono-node/vi'),
  zh: () => import('chrono-node/zh'),
};

/** English, and the language of the locale where chrono has it. */
export async function loadLanguages(
  locale = Intl.DateTimeFormat().resolvedOptions().locale,
): Promise<readonly Language[]> {
  const { casual, GB } = await import('chrono-node/en');
  const english: Language = {
    parse: (text, now) => casual.parse(text, now),
    dayFirst: (text, now) => GB.parse(text, now),
  };
  const other = await OTHERS[locale.split(/[-_]/)[0] ?? '']?.();
  return other === undefined ? [english] : [english, { parse: (text, now) => other.casual.parse(text, now) }];
}

/** Chrono copies a part of the present that is this odd only where it was told no time of day. */
const ODD_MS = 7;
const PART_TAGS = ['morning', 'noon', 'afternoon', 'evening', 'tonight'].map(
  (part) => `casualReference/${part}`,
);
/** Hours of parts of the day. Wide, and with blurred beginnings: better to ask than to leave out the one that was meant. */
type Part = readonly [from: number, begun: number, to: number];
const [MORNING, AFTERNOON, EVENING, NIGHT]: readonly [Part, Part, Part, Part] = [
  [0, 6, 12],
  [12, 14, 18],
  [17, 19, 24],
  [18, 22, 30],
];
/** Words that chrono takes for a moment, and that mean none, or one on its other side. */
const VAGUE = new RegExp(
  String.raw`\b(?:after|since|around|dopo|few|couple|several|einigen?|wenigen?|mehreren?|paar|quelques?|algunos?|unos?` +
    String.raw`|qualche|paio|alcuni)\b|несколько|декілька|пар[аиуы]|\b(?:last|past|na) \d|\b(?:before|from)$|\d{4}\.\d` +
    // A time in some places, a date in others.
    String.raw`|(?<![\d.])\d{1,2}\.\d{1,2}(?!\d|\.\d|\s?(?:[ap]\.?m|uhr))`,
  'iu',
);
const CLOCK_SLACK = 10 * MINUTE_MS;
const HOUR_SLACK = 30 * MINUTE_MS;
const ASK = 'please write the date as YYYY-MM-DD';

/** The times that `text` names in a language. */
export function timesIn(text: string, language: Language, { now, zone }: Present): readonly Said[] {
  return language.parse(text, wall(zone.local(now))).map((result) => {
    const doubtful = VAGUE.test(result.text) || (result.end ?? undefined) !== undefined;
    return { result, language, doubtful: doubtful || !isSaid(result.start) || isMixed(result) };
  });
}

/** Whether what was said does not go together as chrono has it. */
function isMixed({ start, text }: Result): boolean {
  const relative = start.tags().has('result/relativeDate');
  // Of "3 days before Sunday" chrono takes the next Sunday.
  if (relative && /\b(?:before|from|prima|dopo)\b/i.test(text)) return true;
  const hour = start.isCertain('hour') ? (start.get('hour') ?? 0) : undefined;
  // "Last night at 3" is this morning.
  const night = /(?<!mid)night/i.test(text) || start.tags().has('casualReference/evening');
  if (hour !== undefined && hour < 17 && night) return true;
  const [weekday, day] = [start.isCertain('weekday'), start.isCertain('day')];
  // "Last week at 14:00" has no day.
  if ((hour !== undefined || isPart(start)) && !weekday) {
    if (relative && day && !start.tags().has('result/relativeDateAndTime')) return true;
    if (!day && (start.isCertain('month') || start.isCertain('year'))) return true;
  }
  // "Wednesday, February 10", which is a Tuesday.
  const on = dayOf(start.get('year') ?? 0, start.get('month') ?? 0, start.get('day') ?? 0);
  return weekday && day && on !== undefined && (weekdayOf(on) + 1) % 7 !== start.get('weekday');
}

/** The wall clock, as a Date that shows it in the time zone of this process: chrono counts in that one. */
function wall({ day, minutes }: LocalTime): Date {
  const { year, month, date } = dateOf(day);
  return new Date(year, month - 1, date, 0, minutes, 0, ODD_MS);
}

/** Chrono loses the date in "the afternoon of May 3", and has then nothing that is certain. */
function isSaid(start: Components): boolean {
  const all = ['weekday', 'day', 'month', 'year', 'hour'] as const;
  return all.some((component) => start.isCertain(component)) || (isPart(start) && start.get('hour') !== 12);
}

function isPart(start: Components): boolean {
  if (start.isCertain('hour')) return false;
  const named = PART_TAGS.some((tag) => start.tags().has(tag));
  return named || (start.get('millisecond') !== ODD_MS && start.get('hour') !== 12);
}

/** All that a time can mean, and what to say when that is not certain. What is still to come is no meaning. */
export function meanings(
  said: Said,
  before: boolean,
  present: Present,
): { readings: readonly Reading[]; hint?: string } {
  const { result } = said;
  if (!isSaid(result.start)) return { readings: [] };
  const [, month] = /^\d{4}[-/](\d{1,2})[-/]\d/.exec(result.text) ?? [];
  // Chrono makes a 13 January of 2026-13-01.
  if (month !== undefined && Number(month) !== result.start.get('month')) {
    return { readings: [], hint: `there is no such date; ${ASK}` };
  }
  const orders = dayMonthOrders(said);
  const readings = orders
    .flatMap((order) => new Meaning(order, before, present).readings())
    .filter(({ from }) => from <= present.now);
  return orders.length < 2 ? { readings } : { readings, hint: `the date can be read in two ways; ${ASK}` };
}

/** "10/02" is in October or in February; with dots the day goes first. */
function dayMonthOrders(said: Said): readonly Said[] {
  const { result, language } = said;
  if (!result.tags().has('parser/SlashDateFormatParser')) return [said];
  const [other] = language.dayFirst?.(result.text, result.refDate) ?? [];
  if (other === undefined || other.start.get('month') === result.start.get('month')) return [said];
  const dayFirst = { ...said, result: other };
  return /\d\.\d/.test(result.text) ? [dayFirst] : [said, dayFirst];
}

/** One way to read a time. */
class Meaning {
  readonly #text: string;
  readonly #start: Components;
  readonly #language: Language;
  readonly #before: boolean;
  readonly #present: Present;
  readonly #today: Day;

  constructor({ result, language }: Said, before: boolean, present: Present) {
    this.#text = result.text;
    this.#start = result.start;
    this.#language = language;
    this.#before = before;
    this.#present = present;
    this.#today = present.zone.local(present.now).day;
  }

  readings(): readonly Reading[] {
    const { now } = this.#present;
    const ago = this.#ago();
    if (ago !== undefined) return [this.#moment(now - ago, Math.min(HOUR_SLACK, Math.abs(ago) / 4), 1)];
    if (this.#start.isCertain('timezoneOffset') && !this.#isRelative('AndTime')) {
      return [this.#moment(this.#start.date().getTime(), CLOCK_SLACK)];
    }
    // Chrono miscounts months on these days.
    if (this.#isRelative('AndTime') && dateOf(this.#today).date > 28) return [];
    if (this.#start.isCertain('hour')) return this.#clock();
    if (/last night/i.test(this.#text)) return this.#part(this.#today - 1, NIGHT);
    if (isPart(this.#start)) return this.#partsOfDays();
    return this.#periods();
  }

  /** A moment of so many milliseconds ago; chrono's clock is no clock of the user's time zone when it is set forward. */
  #ago(): number | undefined {
    if (this.#start.tags().has('casualReference/now')) return 0;
    if (!this.#isRelative('AndTime')) return undefined;
    const [calm, other] = [0, 67].map((minutes) => {
      // No clock is changed in the middle of January.
      const then = new Date(2001, 0, 15, 12, minutes);
      const [result] = this.#language.parse(this.#text, then);
      return then.getTime() - (result?.start.date().getTime() ?? Number.NaN);
    });
    // "2 hours before yesterday noon" is no such moment.
    return calm !== undefined && calm === other && calm < 14 * DAY_MS ? calm : undefined;
  }

  #isRelative(more: '' | 'AndTime' = ''): boolean {
    return this.#start.tags().has(`result/relativeDate${more}`);
  }

  #moment(at: number, slack: number, length?: number): Reading {
    const { zone } = this.#present;
    return this.#before ? beforeTime(at, zone.format(at)) : asOf(at, slack, this.#present, length);
  }

  #clock(): readonly Reading[] {
    const { now, zone } = this.#present;
    const rough = !/\d[:.h時点]\s?\d\d/iu.test(this.#text);
    const moments = this.#days().flatMap((day) => this.#minutes(rough).map((minutes) => ({ day, minutes })));
    return moments.flatMap((time) => {
      // Without a day the most recent one. But "before 20:00", said in the morning, is not yesterday's.
      const recent = this.#isOnlyTime() && !this.#before && zone.instant(time) > now;
      const instants = zone.instants(recent ? { ...time, day: time.day - 1 } : time);
      return instants.map((at) => this.#moment(at, rough ? HOUR_SLACK : CLOCK_SLACK));
    });
  }

  /** In English "at 9" is in the morning or in the evening, and "at 12" at noon or midnight; 09:00 is certain. */
  #minutes(rough: boolean): readonly number[] {
    const hour = this.#start.get('hour') ?? 0;
    const at = hour * 60 + (this.#start.get('minute') ?? 0);
    const tags = this.#start.tags();
    if (tags.has('casualReference/midnight')) return this.#isOnlyTime() ? [0] : [0, DAY_MINUTES];
    const open = this.#language.dayFirst !== undefined && !this.#start.isCertain('meridiem');
    if (tags.has('casualReference/noon') || !open || /(?<!\d)0\d[:h]\d/i.test(this.#text)) return [at];
    if (hour === 12 && rough) return [at, DAY_MINUTES, 0];
    return hour > 0 && hour < 12 ? [at, at + DAY_MINUTES / 2] : [at];
  }

  #isOnlyTime(): boolean {
    const all = ['weekday', 'day', 'month', 'year'] as const;
    return all.every((component) => !this.#start.isCertain(component));
  }

  /** The days that are meant; none where the calendar lacks them. */
  #days(): readonly Day[] {
    const start = this.#start;
    if (this.#isOnlyTime()) return [this.#today];
    const day = this.#dayIn(start.get('year') ?? 0);
    if (day === undefined) return [];
    if (start.isCertain('weekday') && !start.isCertain('day')) return this.#weekdays(day);
    if (!start.isCertain('month') || start.isCertain('year') || day <= this.#today) return [day];
    const lastYear = this.#dayIn((start.get('year') ?? 0) - 1);
    return lastYear === undefined ? [] : [lastYear];
  }

  #dayIn(year: number): Day | undefined {
    return dayOf(year, this.#start.get('month') ?? 0, this.#start.get('day') ?? 0);
  }

  /**
   * Chrono's "Tuesday" is the closest one. Here it is the most recent one; said on a Tuesday, today or a week ago. "Last
   * Tuesday" may be the most recent one or the one of last week, and "next Tuesday" stays where it is.
   */
  #weekdays(day: Day): readonly Day[] {
    const today = this.#today;
    const closest = [day - 1, day + 1].every((reference) => {
      const [result] = this.#language.parse(this.#text, wall({ day: reference, minutes: DAY_MINUTES / 2 }));
      const date = result?.start.get('day');
      return result !== undefined && date === dateOf(day).date;
    });
    if (closest) return day < today ? [day] : day === today ? [day, day - 7] : [day - 7];
    return day <= today && day >= today - weekdayOf(today) ? [day, day - 7] : [day];
  }

  #partsOfDays(): readonly Reading[] {
    const hour = this.#start.get('hour') ?? 0;
    const late = hour >= 22 || hour === 0 || /night/i.test(this.#text);
    const part = late ? NIGHT : hour < 12 ? MORNING : hour < 17 ? AFTERNOON : EVENING;
    // Chrono is not at one about whether the night begins or ends a day.
    return this.#days().flatMap((day) => [
      ...this.#part(day, part),
      ...(hour === 0 ? this.#part(day - 1, part) : []),
    ]);
  }

  #part(day: Day, part: Part): readonly Reading[] {
    const { zone } = this.#present;
    const [from, middle, to] = part.map((hour) => zone.instant({ day, minutes: hour * 60 }));
    if (from === undefined || middle === undefined || to === undefined) return [];
    if (this.#before) return [from, middle].map((at) => beforeTime(at, zone.format(at)));
    return [during(from, to, `between ${zone.format(from)} and ${zone.format(to)}`)];
  }

  /** Whole days, weeks, months and years. "A week ago" is that week, and also that day. */
  #periods(): readonly Reading[] {
    const start = this.#start;
    const relative = this.#isRelative();
    const week = relative && start.isCertain('day') && !start.isCertain('weekday');
    if (!week && (start.isCertain('day') || start.isCertain('weekday'))) {
      return this.#days().map((day) => this.#span(day, day));
    }
    const days = relative && !week ? this.#monthsAgo() : this.#days();
    return days.flatMap((day) => {
      const whole = week ? this.#span(day - weekdayOf(day), day - weekdayOf(day) + 6) : this.#months(day);
      const both = relative && !/\b(?:last|past|this)\b/i.test(this.#text);
      return both ? [whole, this.#span(day, day)] : [whole];
    });
  }

  /** The whole month or year that a day is in. */
  #months(day: Day): Reading {
    const { date, month } = dateOf(day);
    const year = !this.#start.isCertain('month');
    const begin = monthsBefore(day - date + 1, year ? month - 1 : 0);
    return this.#span(begin, monthsBefore(begin, year ? -12 : -1) - 1);
  }

  /** On the 31st chrono takes "a month ago" for this month, where last month has no 31st. */
  #monthsAgo(): readonly Day[] {
    const { year, month, date } = dateOf(this.#today);
    const reference = wall({ day: this.#today - date + 1, minutes: DAY_MINUTES / 2 });
    const [result] = this.#language.parse(this.#text, reference);
    const then = (result?.start.get('year') ?? Number.NaN) * 12 + (result?.start.get('month') ?? 0);
    return Number.isNaN(then) ? [] : [monthsBefore(this.#today, year * 12 + month - then)];
  }

  #span(first: Day, last: Day): Reading {
    const { zone } = this.#present;
    const [from, to] = [zone.start(first), zone.start(last + 1)];
    const name = first === last ? formatDay(first) : `${formatDay(first)} to ${formatDay(last)}`;
    if (this.#before) return beforeTime(from, name);
    return during(from, to, `${first === last ? 'on' : 'from'} ${name}`);
  }
}
