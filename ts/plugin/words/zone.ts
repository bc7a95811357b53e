/** The calendar, and local time in a time zone. Pure; the rules of the zones are those of `Intl`. */

/** A day of the Gregorian calendar, in no time zone: days since 1970-01-01. */
export type Day = number;

/** A wall clock: a day and minutes since its midnight. Minutes may lie beyond the day, 1500 is 01:00 of the next. */
export interface LocalTime {
  readonly day: Day;
  readonly minutes: number;
}

export const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;
export const DAY_MINUTES = 24 * 60;

/** The day of a date (month 1 is January), or undefined where the calendar has none. */
export function dayOf(year: number, month: number, date: number): Day | undefined {
  const utc = new Date(0);
  utc.setUTCFullYear(year, month - 1, date);
  const exists =
    utc.getUTCFullYear() === year && utc.getUTCMonth() === month - 1 && utc.getUTCDate() === date;
  return exists ? utc.getTime() / DAY_MS : undefined;
}

/** The date of a day. */
export function dateOf(day: Day): { readonly year: number; readonly month: number; readonly date: number } {
  const utc = new Date(day * DAY_MS);
  return { year: utc.getUTCFullYear(), month: utc.getUTCMonth() + 1, date: utc.getUTCDate() };
}

/** Monday is 0, Sunday 6. */
export function weekdayOf(day: Day): number {
  return (((day + 3) % 7) + 7) % 7;
}

/** The same date so many months earlier; the month's last day where it is shorter. */
export function monthsBefore(day: Day, months: number): Day {
  const { year, month, date } = dateOf(day);
  const from = year * 12 + month - 1 - months;
  const [toYear, toMonth] = [Math.floor(from / 12), (((from % 12) + 12) % 12) + 1];
  for (let last = date; last > 28; last -= 1) {
    const found = dayOf(toYear, toMonth, last);
    if (found !== undefined) return found;
  }
  return dayOf(toYear, toMonth, Math.min(date, 28)) ?? day;
}

/** `2026-02-17` */
export function formatDay(day: Day): string {
  const { year, month, date } = dateOf(day);
  return `${String(year).padStart(4, '0')}-${two(month)}-${two(date)}`;
}

/** Local time somewhere. @throws {RangeError} when `Intl` does not know the time zone */
export class Zone {
  readonly #format: Intl.DateTimeFormat;

  constructor(timeZone: string) {
    this.#format = new Intl.DateTimeFormat('en-US', {
      timeZone,
      calendar: 'gregory',
      numberingSystem: 'latn',
      hourCycle: 'h23',
      era: 'short',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
  }

  /** What clocks show at an instant, in milliseconds since 1970. */
  local(instant: number): LocalTime {
    const wall = this.#wall(instant);
    const day = Math.floor(wall / DAY_MS);
    return { day, minutes: Math.floor((wall - day * DAY_MS) / MINUTE_MS) };
  }

  /**
   * When clocks show a time: twice when they are set back over it. A time that they skip, as they are set forward,
   * is read with the offset before the change.
   */
  instants({ day, minutes }: LocalTime): readonly number[] {
    const wall = day * DAY_MS + minutes * MINUTE_MS;
    // Zones change their offset less often than every other day.
    const before = this.#offset(wall - DAY_MS);
    const after = this.#offset(wall + DAY_MS);
    const found = [...new Set([wall - before, wall - after])].filter(
      (instant) => this.#wall(instant) === wall,
    );
    return found.length > 0 ? found.sort((a, b) => a - b) : [wall - before];
  }

  /** The first of {@linkcode instants}. */
  instant(time: LocalTime): number {
    return this.instants(time)[0] ?? Number.NaN;
  }

  /** When a day begins: not at 00:00 where clocks skip that. */
  start(day: Day): number {
    return this.instant({ day, minutes: 0 });
  }

  /** `2026-02-17 14:05` */
  format(instant: number): string {
    const { day, minutes } = this.local(instant);
    return `${formatDay(day)} ${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
  }

  #offset(instant: number): number {
    return this.#wall(instant) - Math.floor(instant / 1000) * 1000;
  }

  /** The wall clock, whole seconds, as if it showed UTC. */
  #wall(instant: number): number {
    const part: Partial<Record<Intl.DateTimeFormatPartTypes, string>> = {};
    for (const { type, value } of this.#format.formatToParts(instant)) part[type] = value;
    const year = part.era === 'BC' ? 1 - Number(part.year) : Number(part.year);
    const utc = new Date(0);
    utc.setUTCFullYear(year, Number(part.month) - 1, Number(part.day));
    utc.setUTCHours(Number(part.hour), Number(part.minute), Number(part.second));
    return utc.getTime();
  }
}

function two(number: number): string {
  return String(number).padStart(2, '0');
}
