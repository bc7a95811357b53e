/** Time, so that tests own it. */

/** Tells and waits. */
export interface Clock {
  now(): Date;
  /** Calls `run` after `ms` milliseconds, without keeping the process alive; returns how to call that off. */
  after(ms: number, run: () => void): () => void;
}

/** The system's. */
export const systemClock: Clock = {
  now: () => new Date(),
  after: (ms, run) => {
    const timer = setTimeout(run, ms).unref();
    return () => clearTimeout(timer);
  },
};

/** Resolves to what `promise` does, or to undefined when `ms` milliseconds pass first. */
export async function within<T>(clock: Clock, ms: number, promise: Promise<T>): Promise<T | undefined> {
  let cancel = (): void => {};
  const late = new Promise<undefined>((resolve) => {
    cancel = clock.after(ms, () => resolve(undefined));
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    cancel();
  }
}
