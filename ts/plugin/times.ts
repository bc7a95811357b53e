/** Times as people say them. Pure. */
import { printable } from '../text.js';
import { HOUR_MS, MINUTE_MS, Zone } from './words/zone.js';

/** When and where the text is read. */
export interface Reader {
  readonly now: Date;
  /** IANA name of the time zone; this computer's when not set. */
  readonly timeZone?: string | undefined;
}

/** Of each unit so many, until the next is used: 90 minutes, then 2 hours. From days on, as calendars count. */
const CLOCK_UNITS = [
  ['minute', MINUTE_MS, 90],
  ['hour', HOUR_MS, 36],
] as const;
const CALENDAR_UNITS = [
  ['day', 1, 14],
  ['week', 7, 9],
  ['month', 30.44, 24],
  ['year', 365.25, Number.POSITIVE_INFINITY],
] as const;

/** Tells times to a reader. */
export class Times {
  readonly #now: number;
  readonly #zone: Zone;

  constructor({ now, timeZone = Intl.DateTimeFormat().resolvedOptions().timeZone }: Reader) {
    this.#now = now.getTime();
    this.#zone = new Zone(timeZone);
  }

  /** `2026-11-22 15:00 (2 hours ago)`; what is no time stays as it is. */
  tell(iso: string, at = Date.parse(iso)): string {
    if (Number.isNaN(at)) return printable(iso);
    return `${this.#zone.format(at)} (${this.#relative(at)})`;
  }

  #relative(at: number): string {
    const ms = at - this.#now;
    if (Math.abs(ms) < MINUTE_MS / 2) return 'now';
    // "6 days ago" is what a person would say, and what is understood as that day.
    const days = this.#zone.local(at).day - this.#zone.local(this.#now).day;
    return ago(ms, CLOCK_UNITS) ?? ago(days, CALENDAR_UNITS) ?? '';
  }
}

function ago(
  amount: number,
  units: readonly (readonly [unit: Intl.RelativeTimeFormatUnit, length: number, most: number])[],
): string | undefined {
  for (const [unit, length, most] of units) {
    const number = Math.round(Math.abs(amount) / length);
    if (number < most) return new Intl.RelativeTimeFormat('en').format(Math.sign(amount) * number, unit);
  }
  return undefined;
}
