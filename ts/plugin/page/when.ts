/** Days and times as a person reads them on a page. Pure. */
import { printable } from '../../text.js';

/** Days that have no date in words. */
const RELATIVE: ReadonlySet<string> = new Set(['Today', 'Yesterday', 'Tomorrow']);

const DAY_MS = 24 * 60 * 60_000;

/** In the user's time zone, in English, with a clock of 24 hours. */
export class Words {
  readonly #date: Intl.DateTimeFormat;
  readonly #clock: Intl.DateTimeFormat;
  readonly #key: Intl.DateTimeFormat;
  readonly #today: string;
  readonly #yesterday: string;
  readonly #tomorrow: string;
  readonly #year: string;

  constructor({ now, timeZone }: { readonly now: Date; readonly timeZone: string }) {
    this.#date = new Intl.DateTimeFormat('en-GB', {
      timeZone,
      weekday: 'long',
      day: 'numeric',
      month: 'long',
    });
    this.#clock = new Intl.DateTimeFormat('en-GB', { timeZone, hour: '2-digit', minute: '2-digit' });
    this.#key = new Intl.DateTimeFormat('en-CA', {
      timeZone,
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
    });
    this.#today = this.#key.format(now);
    this.#yesterday = this.#key.format(now.getTime() - DAY_MS);
    this.#tomorrow = this.#key.format(now.getTime() + DAY_MS);
    this.#year = this.#today.slice(0, 4);
  }

  /** `2026-11-29`, the day on which clocks stood there. */
  day(at: number): string {
    return this.#key.format(at);
  }

  /** `Today`, `Yesterday`, `Tomorrow`, `Thursday, 26 November`, `Friday, 26 December 2025`. */
  dayInWords(at: number): string {
    const day = this.day(at);
    if (day === this.#today) return 'Today';
    if (day === this.#yesterday) return 'Yesterday';
    if (day === this.#tomorrow) return 'Tomorrow';
    // Versions of ICU put the commas in different places.
    const parts = new Map(this.#date.formatToParts(at).map(({ type, value }) => [type, value]));
    const text = `${parts.get('weekday')}, ${parts.get('day')} ${parts.get('month')}`;
    return day.startsWith(this.#year) ? text : `${text} ${day.slice(0, 4)}`;
  }

  /** The same where there is little room: `Today, 14:05`, `Thu 26 Nov, 14:05`. */
  short(iso: string): string {
    const at = Date.parse(iso);
    if (Number.isNaN(at)) return printable(iso);
    const day = this.dayInWords(at);
    if (RELATIVE.has(day)) return `${day}, ${this.clock(at)}`;
    const [weekday = '', date = '', month = '', year] = day.split(/,? /);
    const short = `${weekday.slice(0, 3)} ${date} ${month.slice(0, 3)}`;
    return `${year === undefined ? short : `${short} ${year}`}, ${this.clock(at)}`;
  }

  /** `14:05` */
  clock(at: number): string {
    return this.#clock.format(at);
  }

  /** `today, 14:05`; what is no time stays as it is. */
  when(iso: string): string {
    const at = Date.parse(iso);
    if (Number.isNaN(at)) return printable(iso);
    const day = this.dayInWords(at);
    const said = RELATIVE.has(day) ? day.toLowerCase() : day;
    return `${said}, ${this.clock(at)}`;
  }
}

/** With a capital letter in front. */
export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
