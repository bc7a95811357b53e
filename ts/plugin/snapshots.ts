/** What the list says of a snapshot: why and when it was made. */
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

/** When a snapshot was made, in milliseconds since 1970; NaN where that is not known. */
export function madeAt({ createdAt }: SnapshotInfo): number {
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(createdAt) ? Date.parse(createdAt) : Number.NaN;
}

/** When the snapshot of that id was made, ISO 8601: ids begin with it. The id itself where it does not. */
export function timeIn(id: string): string {
  const [, day, hours, minutes, seconds] =
    /^(?:safety-)?(\d{4}-\d\d-\d\d)T(\d\d)-(\d\d)-(\d\d)Z-/.exec(id) ?? [];
  return day === undefined ? id : `${day}T${hours}:${minutes}:${seconds}Z`;
}

/** Compares by the time of making, oldest first. */
export function byTime(a: SnapshotInfo, b: SnapshotInfo): number {
  return madeAt(a) - madeAt(b) || (a.id < b.id ? -1 : 1);
}

/** Whether it can be rolled back to. Those of the original plugin are only meant by who names them. */
export function isOurs({ format }: SnapshotInfo): boolean {
  return format !== 1;
}

/** Whether a snapshot shows the state as it stayed: after a safety snapshot the state was rolled back. */
export function isRegular({ kind }: SnapshotInfo): boolean {
  return kind !== 'safety';
}
