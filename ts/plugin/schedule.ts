/** When the next scheduled push is due. */
import type { Policy } from '../policy.js';
import type { Clock } from './clock.js';
import type { Record } from './record.js';

/**
 * Longest time between two looks at the clock, in milliseconds. Timers stand still while a machine sleeps; a look
 * at the clock soon after it wakes makes up the run that it slept through.
 */
const LOOK_MS = 60_000;

/** How long after failed push number n (from 1) the next try follows, in milliseconds, when one makes sense. */
const RETRIES_MS: readonly number[] = [5 * 60_000, 15 * 60_000, 60 * 60_000];

/** When a push is due, by the schedule, after an update of OpenClaw, or because the last one failed for a reason that may pass. */
export function dueAt(
  { schedule }: Policy,
  { lastRunAt, failures, lastFailure, update }: Record,
  now: Date,
): Date {
  const last = lastRunAt === undefined ? undefined : new Date(lastRunAt);
  // Never run, or run in what is now the future: a clock was set back.
  if (last === undefined || last > now) return now;
  const checkAt = update?.checkAt === undefined ? last : new Date(update.checkAt);
  const regular = schedule.next(last) ?? now;
  const planned = checkAt > last && checkAt < regular ? checkAt : regular;
  if (failures === 0 || lastFailure?.retryable !== true) return planned;
  const wait = RETRIES_MS[Math.min(failures, RETRIES_MS.length) - 1] ?? 0;
  return new Date(Math.min(planned.getTime(), last.getTime() + wait));
}

/**
 * Calls `run` whenever a push is due, and never a second time before the first has ended; `look` at least once a
 * minute, also while one runs. Returns how to call it off.
 */
export function keepTime(
  clock: Clock,
  due: () => Date,
  run: () => Promise<void>,
  look: () => void,
): () => void {
  let stopped = false;
  let busy = false;
  let cancel = (): void => {};
  const tick = (): void => {
    cancel();
    if (stopped) return;
    look();
    if (!busy && due() <= clock.now()) {
      busy = true;
      void run().finally(() => {
        busy = false;
        tick();
      });
    }
    const wait = busy ? LOOK_MS : due().getTime() - clock.now().getTime();
    cancel = clock.after(Math.min(Math.max(wait, 0), LOOK_MS), tick);
  };
  tick();
  return () => {
    stopped = true;
    cancel();
  };
}
