/** Updates of OpenClaw, as the snapshots of this machine tell them. Pure. */
import type { SnapshotInfo } from '../../index.js';
import { BackupError } from '../errors.js';

/** An update, or a way back, and the last snapshot before it. */
export interface Update {
  readonly from: string;
  readonly to: string;
  /** The id of the last snapshot of the old version. */
  readonly snapshot: string;
  /** When that was made, ISO 8601. */
  readonly createdAt: string;
}

/** What is looked at of a snapshot. */
type Seen = Pick<
  SnapshotInfo,
  'id' | 'kind' | 'thisMachine' | 'createdAt' | 'hostVersion' | 'problem' | 'authenticated'
>;
type Known = Seen & { readonly hostVersion: string };

/**
 * Snapshots of this machine that say which OpenClaw made them. Beside authenticated ones no other is believed: whoever can
 * write to the bucket can have made it.
 */
function knownOf(snapshots: readonly Seen[]): Known[] {
  const sealed = snapshots.some(({ authenticated }) => authenticated);
  return snapshots.filter(
    (one): one is Known =>
      one.thisMachine &&
      one.hostVersion !== undefined &&
      one.problem === undefined &&
      (one.authenticated || !sealed),
  );
}

/**
 * The updates of this machine, oldest first. `installed` is the version that is here now: the last update may have made no
 * snapshot yet.
 */
export function updatesIn(snapshots: readonly Seen[], installed?: string): Update[] {
  const updates: Update[] = [];
  let last: Known | undefined;
  for (const one of knownOf(snapshots)) {
    if (one.kind === 'safety') continue;
    if (last !== undefined && last.hostVersion !== one.hostVersion)
      updates.push(between(last, one.hostVersion));
    last = one;
  }
  if (last !== undefined && installed !== undefined && last.hostVersion !== installed) {
    updates.push(between(last, installed));
  }
  return updates;
}

function between(last: Known, to: string): Update {
  return { from: last.hostVersion, to, snapshot: last.id, createdAt: last.createdAt };
}

/** "before the update 2026.9.5 to 2026.9.6", "before going back from 2026.9.6 to 2026.9.5". */
export function formatUpdate({ from, to }: Pick<Update, 'from' | 'to'>): string {
  return isNewer(from, to) ? `before going back from ${from} to ${to}` : `before the update ${from} to ${to}`;
}

/** The same by the ids of snapshots: those that are the last ones before an update. Oldest first. */
export function beforeUpdates(snapshots: readonly Seen[], installed?: string): ReadonlyMap<string, string> {
  return new Map(updatesIn(snapshots, installed).map((update) => [update.snapshot, formatUpdate(update)]));
}

/** Whether a version of OpenClaw is newer than another, by year, month and number. */
export function isNewer(version: string, than: string): boolean {
  const [a = [], b = []] = [version, than].map((text) => text.split(/[.-]/).slice(0, 3).map(Number));
  const at = a.findIndex((part, index) => part !== b[index]);
  return at !== -1 && (a[at] ?? 0) > (b[at] ?? 0);
}

/** Where an update is undone to. */
export interface Target {
  readonly version: string;
  readonly snapshot: string;
  readonly createdAt: string;
}

/**
 * The snapshot to go back to: the newest of an older version than `installed`, or, with a version, the newest of that one,
 * which may be what was saved when an update was undone.
 *
 * @throws {BackupError} B2_SNAPSHOT_NOT_FOUND, which names what there is
 */
export function targetOf(snapshots: readonly Seen[], installed: string, wanted?: string): Target {
  const known = knownOf(snapshots);
  const found =
    wanted === undefined
      ? known.findLast(({ hostVersion, kind }) => isNewer(installed, hostVersion) && kind !== 'safety')
      : known.findLast(({ hostVersion }) => hostVersion === wanted);
  if (found !== undefined) {
    return { version: found.hostVersion, snapshot: found.id, createdAt: found.createdAt };
  }
  const versions = [...new Set(known.map(({ hostVersion }) => hostVersion))];
  throw new BackupError(
    `there is no snapshot of this machine of ${wanted === undefined ? `an OpenClaw older than ${installed}` : `OpenClaw ${wanted}`}` +
      (versions.length === 0
        ? '; no snapshot says which version made it'
        : `; there are some of ${versions.join(', ')}`),
    { code: 'B2_SNAPSHOT_NOT_FOUND' },
  );
}
