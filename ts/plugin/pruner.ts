/** When old snapshots are deleted. */
import type { PruneReport } from '../../index.js';
import { BackupError } from '../errors.js';
import type { Keep } from '../policy.js';
import { type Chore, type EndedPush, sinceThen } from './chores.js';
import type { Clock } from './clock.js';

/** Once in so many milliseconds in any case. */
const DAILY_MS = 24 * 60 * 60_000;
/** Not more often than this, in milliseconds, however many snapshots there are. */
const HOURLY_MS = 60 * 60_000;

/** What a pruner works with. */
export interface PrunerDeps extends Pick<Chore<PruneReport>, 'work' | 'ended'> {
  readonly clock: Clock;
  readonly keep: Keep;
  /** When it was last done, or tried, ISO 8601. */
  lastAt(): string | undefined;
}

/** Makes the chore that prunes. */
export function pruner({ clock, keep, lastAt, work, ended }: PrunerDeps): Chore<PruneReport> {
  const due = ({ outcome }: EndedPush): boolean => {
    const since = sinceThen(clock, lastAt());
    if (outcome instanceof BackupError) {
      // A full account: that is when space has to be freed.
      return outcome.code === 'B2_CAP_EXCEEDED' && since >= HOURLY_MS;
    }
    const { keepSnapshots, keepDaily, keepWeekly, keepUpdates } = keep;
    const many = outcome.snapshots > keepSnapshots + keepDaily + keepWeekly + keepUpdates;
    return since >= (many ? HOURLY_MS : DAILY_MS);
  };
  return { due, work, ended };
}
