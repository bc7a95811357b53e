/** Updates of OpenClaw, as the snapshots of this machine tell them. Pure. */
import type { SnapshotInfo } from '../../index.js';
import { BackupError } from '../errors.js';
import { given } from '../given.js';
import { SHARED_DATABASE } from './survey.js';

/** An update, or a way back, and the last snapshot before it. */
export interface Update {
  readonly from: string;
  readonly to: string;
  /** The id of the last snapshot of the old version. */
  readonly snapshot: string;
  /** When that was made, ISO 8601. */
  readonly createdAt: string;
  /** Set where the old version went on after it, and nothing of that was backed up: since when, ISO 8601. */
  readonly unsavedSince?: string;
}

/** What this machine knows of its OpenClaw, beside what is in the bucket. */
export interface Here {
  /** The version that is here now: the last update may have made no snapshot yet. */
  readonly version?: string | undefined;
  /** Where the gateway of the version before it ended without a backup: since when nothing of it was saved, ISO 8601. */
  readonly unsavedSince?: string | undefined;
}

/** What is looked at of a snapshot. */
type Seen = MadeBy &
  Pick<SnapshotInfo, 'id' | 'kind' | 'reason' | 'thisMachine' | 'createdAt' | 'problem' | 'authenticated'>;
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

/** The updates of this machine, oldest first. */
export function updatesIn(snapshots: readonly Seen[], { version, unsavedSince }: Here = {}): Update[] {
  const updates: Update[] = [];
  let last: Known | undefined;
  for (const one of knownOf(snapshots)) {
    if (one.kind === 'safety') continue;
    if (last !== undefined && last.hostVersion !== one.hostVersion)
      updates.push(between(last, one.hostVersion));
    last = one;
  }
  if (last !== undefined && version !== undefined && last.hostVersion !== version) {
    updates.push(between(last, version));
  }
  const newest = updates.at(-1);
  if (newest === undefined || newest.to !== version || unsavedSince === undefined) return updates;
  // What was captured at the stop, and was sent later, has all of it.
  const atStop = snapshots.some(({ id, reason }) => id === newest.snapshot && reason === 'shutdown');
  return atStop
    ? updates
    : [...updates.slice(0, -1), { ...newest, unsavedSince: later(unsavedSince, newest) }];
}

/** Somebody may have made the snapshot by hand, after the gateway's last one. */
function later(time: string, { createdAt }: Pick<Update, 'createdAt'>): string {
  return Date.parse(createdAt) > Date.parse(time) ? createdAt : time;
}

function between(last: Known, to: string): Update {
  return { from: last.hostVersion, to, snapshot: last.id, createdAt: last.createdAt };
}

/** "before the update 2026.9.5 to 2026.9.6", "before going back from 2026.9.6 to 2026.9.5", and whether it lacks something. */
export function formatUpdate({
  from,
  to,
  unsavedSince,
}: Pick<Update, 'from' | 'to' | 'unsavedSince'>): string {
  const update = isNewer(from, to)
    ? `before going back from ${from} to ${to}`
    : `before the update ${from} to ${to}`;
  return unsavedSince === undefined ? update : `${update}, but older than it`;
}

/** Which OpenClaw made a snapshot. */
export type MadeBy = Partial<Pick<SnapshotInfo, 'hostVersion' | 'hostInstall' | 'hostSchemas'>>;

const INSTALLED: Readonly<Record<string, string>> = {
  git: 'from a git checkout',
  container: 'from the image of a container',
  other: 'installed in another way',
};

/** "OpenClaw 2026.9.5, installed by npm, with the schemas 23 (state), 41 (agents)"; undefined where nobody knows. */
export function formatMadeBy({ hostVersion, hostInstall, hostSchemas = [] }: MadeBy): string | undefined {
  if (hostVersion === undefined) return undefined;
  const of = (isWanted: (path: string) => boolean): number[] =>
    hostSchemas.filter(({ path }) => isWanted(path)).map(({ version }) => version);
  const isShared = (path: string): boolean => path === SHARED_DATABASE;
  const schemas = [
    ...range(of(isShared), 'state'),
    ...range(
      of((path) => !isShared(path)),
      'agents',
    ),
  ];
  return [
    `OpenClaw ${hostVersion}`,
    ...(hostInstall === undefined ? [] : [INSTALLED[hostInstall] ?? `installed by ${hostInstall}`]),
    ...(schemas.length === 0 ? [] : [`with the schemas ${schemas.join(', ')}`]),
  ].join(', ');
}

/** After an update that was cut off, agents may differ. */
function range(versions: readonly number[], what: string): string[] {
  if (versions.length === 0) return [];
  const [least, most] = [Math.min(...versions), Math.max(...versions)];
  return [`${least === most ? most : `${least} to ${most}`} (${what})`];
}

/** Those that are the last ones before an update, by their ids, and what they are called for it. Oldest first. */
export function beforeUpdates(snapshots: readonly Seen[], here?: Here): ReadonlyMap<string, string> {
  return new Map(updatesIn(snapshots, here).map((update) => [update.snapshot, formatUpdate(update)]));
}

/** Whether a version of OpenClaw is newer than another: `2026.9.1-beta.1`, `2026.9.1`, `2026.9.1-1`, `2026.9.2`. */
export function isNewer(version: string, than: string): boolean {
  const [a, b] = [partsOf(version), partsOf(than)];
  const at = a.findIndex((part, index) => part !== b[index]);
  return at !== -1 && (a[at] ?? 0) > (b[at] ?? 0);
}

/** Year, month, number, whether it is a release rather than a trial of one, and which trial or correction it is. */
function partsOf(version: string): number[] {
  const [, numbers = '', trial, which = '0'] = /^([\d.]+)(?:-(\D*)(\d*))?/.exec(version) ?? [];
  const [year = 0, month = 0, number = 0] = numbers.split('.').map(Number);
  return [year, month, number, trial ? 0 : 1, Number(which)];
}

/** What a snapshot says of its OpenClaw, for programs. */
export function madeByDocument({
  hostVersion,
  hostInstall,
  hostSchemas,
}: MadeBy): Record<keyof MadeBy, unknown> {
  return {
    hostVersion: hostVersion ?? null,
    hostInstall: hostInstall ?? null,
    hostSchemas: hostSchemas ?? [],
  };
}

function madeByOf({ hostVersion, hostInstall, hostSchemas }: MadeBy): MadeBy {
  return given({ hostVersion, hostInstall, hostSchemas });
}

/** Where an update is undone to. */
export interface Target {
  readonly version: string;
  readonly snapshot: string;
  readonly createdAt: string;
  /** The OpenClaw that made it. */
  readonly madeBy: MadeBy;
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
    return {
      version: found.hostVersion,
      snapshot: found.id,
      createdAt: found.createdAt,
      madeBy: madeByOf(found),
    };
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
