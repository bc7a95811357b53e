/** What the pages show is what is printed: each example is rendered from a report and looked for in its page. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { RollbackPlan, RollbackReport } from '../index.js';
import type { Engine } from '../ts/engine.ts';
import { DRILLED, PRUNED, PUSHED, RESTORED, run, SNAPSHOT, UNCHANGED, VERIFIED } from './cli-support.ts';

const page = (name: string): string =>
  readFileSync(fileURLToPath(new URL(`../docs/${name}`, import.meta.url)), 'utf8');

const ID = SNAPSHOT.id;
const DAY = '2026-02-19T00:00:00Z';

const PLAN: RollbackPlan = {
  snapshot: '2026-11-22T00-00-00Z-aaaaaaaa',
  createdAt: '2026-11-22T00:00:00Z',
  entries: [
    { path: 'memory/notes.sqlite', action: 'replace', bytes: 8192, database: true },
    { path: 'skills', action: 'delete', bytes: 0, database: false },
    { path: 'skills/evil', action: 'delete', bytes: 0, database: false },
    { path: 'skills/evil/SKILL.md', action: 'delete', bytes: 0, database: false },
    { path: 'workspace/MEMORY.md', action: 'add', bytes: 16, database: false },
  ],
  leftOut: [],
  bytes: 8208,
  fetchBytes: 8208,
  touches: { configuration: false, hooks: false, skills: true },
  effects: [{ weight: 'runs', text: 'skill is not as it was: skills/evil' }],
  needsApproval: [],
  needsRestart: true,
  hash: 'cd'.repeat(32),
  warnings: [],
};
const ROLLED_BACK: RollbackReport = {
  outcome: 'applied',
  id: '1',
  snapshot: PLAN.snapshot,
  safety: 'safety-2026-11-23T12-00-00Z-aaaaaaaa',
  downloadedBytes: 4196,
  requests: 4,
  failed: [],
  late: [],
  left: [],
  warnings: [],
  durationMs: 12,
};
const rollingBack = (outcome = 'applied'): Partial<Engine> => ({
  planRollback: async () => PLAN,
  rollBack: async () => ({ ...ROLLED_BACK, outcome }),
});

const machine = (id: string, parts: object) => ({
  machine: id,
  thisMachine: false,
  snapshots: 3,
  lastSnapshot: ID,
  lastSnapshotAt: DAY,
  storedBytes: 1_000_000,
  silent: false,
  ...parts,
});
const STATUS: Partial<Engine> = {
  status: async () => ({
    stateDir: '/home/me/.openclaw',
    bucket: 'my-bucket',
    prefix: 'openclaw-backup',
    encrypt: true,
    machine: 'aaaaaaaa',
    snapshots: 6,
    lastSnapshot: ID,
    lastSnapshotAt: DAY,
    machines: [machine('aaaaaaaa', { thisMachine: true }), machine('bbbbbbbb', { silent: true })],
    storedBytes: 2_000_000,
    damagedPacks: 0,
    pending: false,
    opensWith: ['application-key', 'recovery-code'],
    incomplete: false,
    remarks: [],
    warnings: [],
  }),
};

const changed = {
  change: 'changed',
  what: ['content'],
  kind: 'file',
  bytesBefore: 0,
  bytesAfter: 0,
  database: false,
};
const DIFF: Partial<Engine> = {
  diff: async () => ({
    from: ID,
    to: 'live',
    added: 1,
    removed: 1,
    changed: 2,
    bytesBefore: 12_345,
    bytesAfter: 23_456,
    entries: [
      { ...changed, path: 'workspace/new', change: 'added', kind: 'directory', what: [] },
      {
        ...changed,
        path: 'workspace/new/a.md',
        change: 'added',
        what: [],
        bytesAfter: 5,
        text: '@@ -0,0 +1 @@\n+a\n',
      },
      { ...changed, path: 'workspace/same', bytesBefore: 7, bytesAfter: 8, text: '@@ -1 +1 @@\n-a\n+b\n' },
      { ...changed, path: 'x.sqlite', database: true, textOmitted: 'database' },
    ],
    skipped: [],
    warnings: [],
    requests: 4,
    downloadedBytes: 500,
    durationMs: 10,
  }),
};

const version = {
  path: 'workspace/MEMORY.md',
  machine: '1f2e3d4c',
  snapshot: ID,
  lastSnapshot: ID,
  what: [],
  kind: 'file',
  modifiedAt: DAY,
  database: false,
};
const HISTORY: Partial<Engine> = {
  history: async () => ({
    snapshots: 7,
    versions: [
      { ...version, change: 'added', createdAt: '2026-02-17T00:00:00Z', bytes: 10, snapshots: 3 },
      { ...version, change: 'changed', createdAt: '2026-02-18T00:00:00Z', bytes: 20, snapshots: 4 },
    ],
    warnings: [],
    requests: 9,
    downloadedBytes: 99,
  }),
};

const shown = { bytes: 0, mode: 0o755, modifiedAt: '2026-02-18T00:00:00Z', database: false };
const SHOW: Partial<Engine> = {
  show: async () => ({
    snapshot: ID,
    createdAt: DAY,
    entries: [
      { ...shown, path: 'workspace', kind: 'directory' },
      { ...shown, path: 'workspace/MEMORY.md', kind: 'file', bytes: 1234, mode: 0o644 },
    ],
    incomplete: false,
    remarks: [],
    warnings: [],
  }),
};

const UNDELETE = {
  snapshots: [
    { snapshot: ID, gone: true, objects: 3, bytes: 1234, lostPacks: 0, changedAt: '2026-02-20T00:00:00Z' },
  ],
  keySlots: 0,
  applied: false,
  objects: 3,
  bytes: 1234,
  removedMarkers: 0,
  writtenAgain: 0,
  problems: [],
  warnings: [],
  requests: 1,
  durationMs: 1,
};

const SLOT = {
  id: '1a2b3c4d5e6f708192a3b4c5d6e7f809',
  kind: 'application-key',
  createdAt: DAY,
  repository: '565d365a',
  thisMachine: true,
  opens: true,
  inUse: true,
  prefix: 'openclaw-backup',
};
const { opens: _, ...CODE_SLOT } = {
  ...SLOT,
  id: 'ffffffff5e6f708192a3b4c5d6e7f809',
  kind: 'recovery-code',
  inUse: false,
};

/** Which page shows what a command prints, and which of its parts between empty lines; all of them where none is named. */
const EXAMPLES: readonly [string, string, Partial<Engine>, number?][] = [
  ['commands.md', 'help', {}],
  [
    'setup.md',
    'setup --yes --bucket my-bucket --endpoint https://s3.example.com',
    {
      load: async () => {},
      keys: async () => ({ slots: [], warnings: [] }),
      doctor: async () => ({ findings: [], problems: 0, requests: 3, durationMs: 1 }),
      push: async () => PUSHED,
      drill: async () => DRILLED,
      newRecoveryCode: async () => ({
        code: '01230-4567M-89AB9-CDEFS-GHJKJ-MNPQ6-RSTVV',
        slots: [SLOT],
        locked: [],
        warnings: [],
      }),
    },
  ],
  ['back-up.md', 'push', { push: async () => PUSHED }],
  ['back-up.md', 'push', { push: async () => UNCHANGED }],
  ['snapshots.md', 'list', { list: async () => ({ snapshots: [SNAPSHOT], warnings: [] }) }],
  ['snapshots.md', 'show latest workspace', SHOW],
  ['snapshots.md', 'diff latest --text', DIFF],
  ['snapshots.md', 'history workspace/MEMORY.md', HISTORY],
  ['restore.md', 'restore latest --exact --dry-run', rollingBack()],
  ['restore.md', 'restore latest --yes', rollingBack()],
  ['restore.md', 'restore latest --yes', rollingBack('waiting')],
  [
    'restore.md',
    'restore latest --to /home/me/restored',
    {
      restore: async () => RESTORED,
    },
  ],
  ['check.md', 'status', STATUS, 0],
  ['several-machines.md', 'status', STATUS, 1],
  ['settings.md', 'status', STATUS, 2],
  [
    'check.md',
    'doctor',
    {
      doctor: async () => ({
        findings: [
          { check: 'state', level: 'ok', message: '/home/me/.openclaw can be read' },
          { check: 'capabilities', level: 'ok', message: 'the key may list, read and write' },
          {
            check: 'lifecycle',
            level: 'note',
            message:
              'no lifecycle rule deletes hidden versions: what a key without deleteFiles hides is paid for for ever',
            advice:
              'Set this lifecycle rule for the bucket: fileNamePrefix "openclaw-backup/", daysFromHidingToDeleting 30, daysFromUploadingToHiding empty. It frees what is hidden, and leaves 30 days to notice and undelete',
          },
        ],
        problems: 0,
        requests: 3,
        durationMs: 5,
      }),
    },
    1,
  ],
  [
    'check.md',
    'verify --read-data',
    {
      verify: async () => VERIFIED,
    },
  ],
  [
    'check.md',
    'drill',
    {
      drill: async () => DRILLED,
    },
  ],
  [
    'retention.md',
    'prune --dry-run',
    {
      prune: async () => PRUNED,
    },
  ],
  [
    'several-machines.md',
    'forget 1f2e3d4c --dry-run',
    {
      forget: async () => ({
        machine: '1f2e3d4c',
        snapshots: [ID],
        deletedPacks: 0,
        freedBytes: 0,
        waitingPacks: 3,
        waitingBytes: 2_000_000,
        requests: 9,
        warnings: [],
      }),
    },
  ],
  [
    'several-machines.md',
    'adopt 1f2e3d4c --yes',
    {
      adopt: async () => ({
        machine: '1f2e3d4c',
        before: 'aaaaaaaa',
        snapshots: 3,
        lastSnapshot: ID,
        lastSnapshotAt: DAY,
        warnings: [],
      }),
    },
  ],
  ['undelete.md', 'undelete --dry-run', { undelete: async () => UNDELETE }],
  [
    'undelete.md',
    'undelete --yes',
    {
      undelete: async (_settings, options) =>
        options?.apply === true
          ? { ...UNDELETE, applied: true, removedMarkers: 2, writtenAgain: 1 }
          : UNDELETE,
    },
  ],
  ['keys.md', 'key list', { keys: async () => ({ slots: [SLOT, CODE_SLOT], warnings: [] }) }],
  [
    'keys.md',
    'key recovery',
    {
      newRecoveryCode: async () => ({
        code: '01230-4567M-89AB9-CDEFS-GHJKJ-MNPQ6-RSTVV',
        slots: [SLOT],
        locked: [],
        warnings: [],
      }),
    },
  ],
];

describe('the examples of the documentation', () => {
  beforeEach(() => vi.stubEnv('TZ', 'UTC'));
  afterEach(() => vi.unstubAllEnvs());

  it.each(EXAMPLES)('%s shows what "%s" prints', async (name, line, engine, part) => {
    const { out } = await run(line, engine);
    const parts = out.trimEnd().split('\n\n');
    const expected = part === undefined ? out : (parts[part] ?? 'no such part');
    expect(page(name)).toContain(`\n${expected}`);
  });
});
