/** Why snapshots are made, in words. */
import type { SnapshotInfo } from '../../index.js';

/** Completes "this snapshot was made ...". */
const REASONS = {
  manual: 'by hand',
  scheduled: 'by the schedule',
  compaction: 'before a compaction',
  shutdown: 'when the gateway stopped',
  safety: 'before a rollback',
  reset: 'before a reset',
} as const;

/** Why a snapshot is made. */
export type Reason = keyof typeof REASONS;

/** What completes "this snapshot was made ...". */
export function reasonInWords(reason: Reason): string {
  return REASONS[reason];
}

/** Why a snapshot was made, as far as that can be read. */
export function reasonOf({ kind, reason }: SnapshotInfo): Reason | undefined {
  if (kind === 'safety') return 'safety';
  return reason !== undefined && Object.hasOwn(REASONS, reason) ? (reason as Reason) : undefined;
}
