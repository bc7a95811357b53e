/** Running command lines in a made-up world. */
import { expect } from 'vitest';
import type { PruneReport } from '../index.js';
import { main } from '../ts/cli/main.ts';
import type { Engine } from '../ts/engine.ts';
import { type World, world } from './support.ts';

export const PUSHED = {
  snapshot: '2026-02-19T00-00-00Z-1f2e3d4c',
  changed: true,
  snapshots: 3,
  files: 1234,
  bytes: 30_100_000,
  uploadedBytes: 2_345_678,
  requests: 4,
  incomplete: false,
  skipped: [],
  warnings: [],
  durationMs: 1234,
};
export const { snapshot: _, ...UNCHANGED } = { ...PUSHED, changed: false, uploadedBytes: 0, requests: 2 };
export const PROBLEM = {
  path: 'workspace/a\nb',
  code: 'B2_PERMISSION',
  message: 'no permission to read it',
  failure: false,
  missing: true,
};
export const SNAPSHOT = {
  id: '2026-02-19T00-00-00Z-1f2e3d4c',
  kind: 'regular',
  reason: 'manual',
  machine: '1f2e3d4c',
  thisMachine: true,
  createdAt: '2026-02-19T00:00:00Z',
  files: 1234,
  bytes: 30_100_000,
  authenticated: true,
  format: 2,
  incomplete: false,
  remarks: [],
  moreRemarks: 0,
};
export const RESTORED = {
  snapshot: SNAPSHOT.id,
  files: 10,
  bytes: 1000,
  downloadedBytes: 500,
  requests: 3,
  failed: [],
  incomplete: false,
  remarks: [],
  roots: [],
  warnings: [],
  durationMs: 100,
};
export const VERIFIED = {
  snapshots: 2,
  packs: 3,
  readBytes: 1_000_000,
  bytes: 1000,
  problems: [],
  requests: 4,
  downloadedBytes: 1000,
  durationMs: 10,
};
export const DRILLED = {
  snapshot: SNAPSHOT.id,
  snapshotAt: '2026-02-19T00:00:00Z',
  files: 10,
  bytes: 1000,
  databases: 2,
  failed: [],
  incomplete: false,
  remarks: [],
  warnings: [],
  requests: 3,
  downloadedBytes: 500,
  durationMs: 10,
};
export const PRUNED: PruneReport = {
  snapshots: [
    { id: '2026-02-17T00-00-00Z-1f2e3d4c', createdAt: '2026-02-17T00:00:00.000Z', reasons: [] },
    {
      id: '2026-02-18T00-00-00Z-1f2e3d4c',
      createdAt: '2026-02-18T00:00:00.000Z',
      reasons: ['daily 1', 'weekly 1'],
    },
    { id: '2026-02-19T00-00-00Z-1f2e3d4c', createdAt: '2026-02-19T00:00:00.000Z', reasons: ['newest 1'] },
  ],
  deletedSnapshots: 1,
  deletedPacks: 2,
  freedBytes: 3_000_000,
  waitingPacks: 1,
  waitingBytes: 1_500_000,
  hidden: 0,
  others: 4,
  requests: 7,
  warnings: [],
  durationMs: 900,
};
export async function run(
  line: string,
  engine: Partial<Engine> = {},
  adapt: (deps: World) => World = (deps) => deps,
) {
  const deps = adapt(world(engine));
  const exit = await main(line.split(' ').filter(Boolean), deps);
  return { exit, out: deps.stdout.text, err: deps.stderr.text, deps };
}

/** `--json`: one document on stdout, nothing on stderr. */
export async function json(line: string, engine: Partial<Engine> = {}) {
  const { exit, out, err } = await run(`--json ${line}`, engine);
  expect(err).toBe('');
  expect(out.endsWith('\n')).toBe(true);
  expect(out.trimEnd()).not.toContain('\n');
  return { exit, document: JSON.parse(out) as Record<string, unknown> };
}
