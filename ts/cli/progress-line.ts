/** One line on a terminal that tells how far long work is, redrawn in place and gone at the end. */
import type { ProgressEvent } from '../../index.js';
import type { Output } from './deps.js';
import { count, formatBytes, formatDuration } from './render.js';

/** At most ten times a second. */
const REDRAW_MS = 100;
/** How often the line is redrawn when nothing is heard, so that a stalled rate falls. */
const TICK_MS = 500;
/** The rate is that of the last seconds, not of the whole. */
const WINDOW_MS = 5_000;
/** A rate from less than this says nothing. */
const SETTLE_MS = 500;

const CLEAR = '\r\u001b[2K';

/** Said while another process works on the same state. */
export const WAITING = 'Another backup is running; waiting for it';

const LABELS: Readonly<Record<string, string>> = {
  wait: WAITING,
  open: 'Opening the repository',
  scan: 'Looking for changes',
  capture: 'Reading',
  captured: 'Read',
  upload: 'Uploading',
  restore: 'Restoring',
  compare: 'Comparing',
  verify: 'Verifying',
};

interface Sample {
  readonly at: number;
  readonly bytes: number;
}

/** Draws on a terminal. Nothing is drawn before the first event. */
export class ProgressLine {
  readonly #out: Output;
  readonly #now: () => number;
  readonly #timer: NodeJS.Timeout;
  #event: ProgressEvent | undefined;
  #samples: Sample[] = [];
  #drawnAt = Number.NEGATIVE_INFINITY;

  constructor(out: Output, now: () => number) {
    this.#out = out;
    this.#now = now;
    this.#timer = setInterval(() => this.tick(), TICK_MS);
    this.#timer.unref();
  }

  /** Takes news, and shows it unless something was shown just now. */
  update(event: ProgressEvent): void {
    if (event.phase !== this.#event?.phase) this.#samples = [];
    this.#event = event;
    const at = this.#now();
    this.#samples.push({ at, bytes: event.doneBytes });
    this.#forget(at);
    if (at - this.#drawnAt >= REDRAW_MS) this.#draw(at);
  }

  /** Shows the same news at a later time. */
  tick(): void {
    if (this.#event === undefined) return;
    const at = this.#now();
    this.#forget(at);
    if (at - this.#drawnAt >= REDRAW_MS) this.#draw(at);
  }

  /** Takes the line away until there is news: something else is to be written. */
  pause(): void {
    if (this.#drawnAt > Number.NEGATIVE_INFINITY) this.#out.write(CLEAR);
    this.#drawnAt = Number.NEGATIVE_INFINITY;
    this.#event = undefined;
  }

  /** Takes the line away. */
  close(): void {
    clearInterval(this.#timer);
    this.pause();
  }

  #draw(at: number): void {
    if (this.#event === undefined) return;
    this.#drawnAt = at;
    // The last column stays free: some terminals wrap when it is written. A width of 0 means "unknown".
    const width = Math.max(10, (this.#out.columns || 80) - 1);
    this.#out.write(CLEAR + progressInWords(this.#event, this.#rate(at)).slice(0, width));
  }

  /** Bytes per second, or undefined when it is too early to say. */
  #rate(at: number): number | undefined {
    const [first] = this.#samples;
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined || at - first.at < SETTLE_MS) return undefined;
    return ((last.bytes - first.bytes) * 1000) / (at - first.at);
  }

  #forget(at: number): void {
    while (this.#samples.length > 2 && at - (this.#samples[1]?.at ?? at) > WINDOW_MS) this.#samples.shift();
  }
}

/** `Uploading: 25 %, 2.5 MB of 10.0 MB, 7 files`; with `rate`, in bytes per second, also how long it takes. */
export function progressInWords(
  { phase, doneBytes, totalBytes, doneFiles }: ProgressEvent,
  rate?: number,
): string {
  const parts: string[] = [];
  if (totalBytes !== undefined && totalBytes > 0) {
    const percent = Math.min(100, Math.floor((doneBytes * 100) / totalBytes));
    parts.push(`${percent} %`, `${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}`);
  } else if (doneBytes > 0) {
    parts.push(formatBytes(doneBytes));
  }
  if (doneFiles > 0) parts.push(count(doneFiles, 'file'));
  if (rate !== undefined && doneBytes > 0) {
    parts.push(`${formatBytes(rate)}/s`);
    const left = (totalBytes ?? 0) - doneBytes;
    if (left > 0 && rate > 0) parts.push(`${formatDuration((left * 1000) / rate)} left`);
  }
  const label = LABELS[phase] ?? phase;
  return parts.length === 0 ? `${label} ...` : `${label}: ${parts.join(', ')}`;
}
