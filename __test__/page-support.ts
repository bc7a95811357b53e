/** Facts about backups, for the page. Everything is well in them, unless a test says otherwise. */
import type { ListReport, SnapshotInfo, StatusReport } from '../index.js';
import type { Facts } from '../ts/plugin/page/facts.ts';

/** A Thursday at noon in Vienna. */
export const NOW = new Date('2026-11-26T11:00:00Z');
const HOUR = 60 * 60_000;
const DAY = 24 * HOUR;

/** ISO 8601, so long before now. */
export function ago(ms: number): string {
  return new Date(NOW.getTime() - ms).toISOString();
}

/** A snapshot of this machine, `ms` before now. */
export function snapshot(ms: number, parts: Partial<SnapshotInfo> = {}): SnapshotInfo {
  const createdAt = new Date(Math.floor((NOW.getTime() - ms) / 1000) * 1000)
    .toISOString()
    .replace('.000Z', 'Z');
  return {
    id: `${createdAt.replaceAll(':', '-')}-83bc2bf3`,
    kind: 'regular',
    reason: 'scheduled',
    machine: '83bc2bf3',
    thisMachine: true,
    createdAt,
    files: 214,
    bytes: 52_400_000,
    authenticated: true,
    format: 3,
    changes: {
      added: 0,
      changed: 2,
      removed: 0,
      storedBytes: 241_000,
      most: [
        { path: 'agents/main/agent/openclaw-agent.sqlite', bytes: 200_000 },
        { path: 'workspace/MEMORY.md', bytes: 1_200 },
      ],
    },
    incomplete: false,
    remarks: [],
    moreRemarks: 0,
    ...parts,
  };
}

/** What the bucket says, with these snapshots in it. */
export function bucketOf(
  snapshots: readonly SnapshotInfo[],
  status: Partial<StatusReport> = {},
  list: Partial<ListReport> = {},
): NonNullable<Facts['bucket']> {
  const newest = snapshots.filter(({ thisMachine }) => thisMachine).at(-1);
  return {
    askedAt: ago(5_000),
    list: { snapshots: [...snapshots], warnings: [], ...list },
    status: {
      stateDir: '/home/me/.openclaw',
      bucket: 'my-backups',
      prefix: 'openclaw-backup',
      encrypt: true,
      machine: '83bc2bf3',
      ...(newest === undefined ? {} : { lastSnapshot: newest.id, lastSnapshotAt: newest.createdAt }),
      incomplete: false,
      remarks: [],
      snapshots: snapshots.length,
      machines: [],
      storedBytes: 127_000_000,
      damagedPacks: 0,
      pending: false,
      opensWith: ['application-key', 'recovery-code'],
      warnings: [],
      ...status,
    },
  };
}

/** Backed up this midnight and proven two days ago. */
export function facts(parts: Partial<Facts> = {}): Facts {
  const last = snapshot(11 * HOUR);
  return {
    now: NOW,
    timeZone: 'Europe/Vienna',
    gateway: {
      failures: 0,
      schedule: 'daily',
      nextAt: '2026-11-26T23:00:00.000Z',
      lastSuccessAt: ago(11 * HOUR),
      lastSnapshot: last.id,
      lastDrillAt: ago(2 * DAY),
      lastVerifyAt: ago(3 * DAY),
    },
    periodMs: DAY,
    since: ago(40 * DAY),
    drills: true,
    encrypt: true,
    rollbackWaits: false,
    bucket: bucketOf([snapshot(2 * DAY + 11 * HOUR), snapshot(DAY + 11 * HOUR), last]),
    asking: false,
    ...parts,
  };
}

/** The same with something else in what the gateway remembers. */
export function remembering(parts: Partial<Facts['gateway']>, more: Partial<Facts> = {}): Facts {
  const all = facts(more);
  return { ...all, gateway: { ...all.gateway, ...parts } };
}
