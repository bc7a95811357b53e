/** Tells pages that are open in the Control UI what happens, so that nobody has to reload them. */
import type { ProgressEvent } from '../../index.js';
import type { Activity } from '../control-ui/protocol.js';
import type { Clock } from './clock.js';
import { formatProgress } from './format.js';
import type { Running } from './pusher.js';

/** How the host sends an event to clients that may read; it puts `plugin.b2-backup.` before the name. */
export type Emit = (event: 'activity' | 'changed', payload: unknown) => void;

/** Events of one kind come at most so often, in milliseconds. */
const EVERY_MS = 500;

/** Sends events, not too many of them. */
export class Announcer {
  readonly #emit: Emit;
  readonly #clock: Clock;
  /** What is to be sent when the time is over, by event. */
  readonly #resting = new Map<string, (() => unknown) | undefined>();

  constructor(emit: Emit, clock: Clock) {
    this.#emit = emit;
    this.#clock = clock;
  }

  /** What is known about the backups has changed: whoever shows it reads it again. */
  changed(): void {
    this.#send('changed', () => ({}));
  }

  /** Something begins, goes on or ends. */
  activity(now: () => Activity): void {
    this.#send('activity', now);
  }

  #send(event: 'activity' | 'changed', payload: () => unknown): void {
    if (this.#resting.has(event)) {
      this.#resting.set(event, payload);
      return;
    }
    this.#resting.set(event, undefined);
    this.#clock.after(EVERY_MS, () => {
      const last = this.#resting.get(event);
      this.#resting.delete(event);
      if (last !== undefined) this.#send(event, last);
    });
    this.#emit(event, payload());
  }
}

/** How far a push is. */
export function formatRunning({ progress }: Running): NonNullable<Activity['running']> {
  return running('backup', progress ?? { phase: 'open', doneBytes: 0, doneFiles: 0 });
}

/** How far something is. */
export function running(what: 'backup' | 'rollback', event: ProgressEvent): NonNullable<Activity['running']> {
  const { doneBytes, totalBytes = 0 } = event;
  const part = totalBytes > 0 ? { part: Math.min(1, doneBytes / totalBytes) } : {};
  return { what, text: formatProgress(event), ...part };
}
