/** Waiting for something to become so, with a deadline and a message that helps. */
import { setTimeout as pause } from 'node:timers/promises';

export interface Patience {
  /** Default 60. */
  readonly seconds?: number;
  /** What to show when it does not happen. */
  readonly evidence?: () => string | Promise<string>;
}

/** How often a condition is looked at that nothing announces, in milliseconds. */
const LOOK_EVERY_MS = 100;

/**
 * Waits until `probe` gives something that is neither `undefined` nor `false`. A probe that throws is tried
 * again; its last error is part of the failure.
 */
export async function until<T>(
  what: string,
  probe: () => T | Promise<T>,
  { seconds = 60, evidence }: Patience = {},
): Promise<Exclude<T, undefined | false>> {
  const deadline = performance.now() + seconds * 1_000;
  let thrown: unknown;
  for (;;) {
    try {
      thrown = undefined;
      const found = await probe();
      if (found !== undefined && found !== false) return found as Exclude<T, undefined | false>;
    } catch (error) {
      thrown = error;
    }
    if (performance.now() >= deadline) break;
    await pause(LOOK_EVERY_MS);
  }
  const because = thrown instanceof Error ? `\nlast error: ${thrown.message}` : '';
  const shown = evidence === undefined ? '' : `\n${await evidence()}`;
  throw new Error(`waited ${seconds} s in vain for ${what}${because}${shown}`, { cause: thrown });
}

/** `promise`, or a failure that says what did not come. */
export async function within<T>(what: string, promise: Promise<T>, patience: Patience = {}): Promise<T> {
  const { seconds = 60, evidence } = patience;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), seconds * 1_000);
  });
  try {
    const first = await Promise.race([promise.then((value) => ({ value })), late]);
    if (first !== 'late') return first.value;
  } finally {
    clearTimeout(timer);
  }
  const shown = evidence === undefined ? '' : `\n${await evidence()}`;
  throw new Error(`waited ${seconds} s in vain for ${what}${shown}`);
}
