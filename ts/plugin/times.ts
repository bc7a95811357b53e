/** Times as people say them. Pure. */
import { printable } from '../text.js';
import { Words } from './page/when.js';
import { DAY_MS, HOUR_MS, MINUTE_MS, Zone } from './words/zone.js';

/** When and where the text is read. */
export interface Reader {
  readonly now: Date;
  /** IANA name of the time zone; this computer's when not set. */
  readonly timeZone?: string | undefined;
}

/** One unit up to the next, so that what is older never reads younger. From days on, as calendars count. */
const CLOCK_UNITS = [
  ['minute', MINUTE_MS, HOUR_MS],
  ['hour', HOUR_MS, DAY_MS],
] as const;
const CALENDAR_UNITS = [
  ['day', 1, 14],
  ['week', 7, 61],
  ['month', 30.44, 730],
  ['year', 365.25, Number.POSITIVE_INFINITY],
] as const;

/** Tells times to a reader. */
export class Times {
  readonly #now: number;
  readonly #zone: Zone;
  readonly #words: Words;

  constructor({ now, timeZone = Intl.DateTimeFormat().resolvedOptions().timeZone }: Reader) {
    this.#now = now.getTime();
    this.#zone = new Zone(timeZone);
    this.#words = new Words({ now, timeZone });
  }

  /** `2026-11-22 15:00 (2 hours ago)`; what is no time stays as it is. */
  tell(iso: string, at = Date.parse(iso)): string {
    if (Number.isNaN(at)) return printable(iso);
    return `${this.#zone.format(at)} (${this.#relative(at)})`;
  }

  /** `2026-11-22 15:00`; what is no time stays as it is. */
  clock(iso: string, at = Date.parse(iso)): string {
    return Number.isNaN(at) ? printable(iso) : this.#zone.format(at);
  }

  /** `today, 15:00`, `Thursday, 26 November, 00:00`; what is no time stays as it is. */
  day(iso: string): string {
    return this.#words.when(iso);
  }

  #relative(at: number): string {
    const ms = at - this.#now;
    if (Math.abs(ms) < MINUTE_MS / 2) return 'now';
    const inHours = ago(ms, ms, CLOCK_UNITS);
    if (inHours !== undefined) return inHours;
    // "6 days ago" is what a person would say, and what is understood as that day. A day of 25 hours is one, too.
    const days = this.#zone.local(at).day - this.#zone.local(this.#now).day;
    return ago(days === 0 ? Math.sign(ms) : days, ms, CALENDAR_UNITS) ?? '';
  }
}

/** So much in the first unit in which it is less than `most`. */
function ago(
  amount: number,
  sign: number,
  units: readonly (readonly [unit: Intl.RelativeTimeFormatUnit, length: number, most: number])[],
): string | undefined {
  const much = Math.abs(amount);
  const unit = units.find(([, , most]) => much < most);
  if (unit === undefined) return undefined;
  const [name, length] = unit;
  const number = Math.max(1, Math.round(much / length));
  return new Intl.RelativeTimeFormat('en').format(Math.sign(sign) * number, name);
}
