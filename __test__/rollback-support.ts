/** A gateway in which rollbacks are asked for, with an engine that plans and does what the test says. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { onTestFinished, vi } from 'vitest';
import type {
  RollbackEntry,
  RollbackPlan,
  RollbackReport,
  Settings,
  ShownEntry,
  ShowOptions,
  ShowReport,
  SnapshotInfo,
} from '../index.js';
import type { Engine } from '../ts/engine.ts';
import { BackupError } from '../ts/errors.ts';
import type { CommandContext, ToolCallDecision } from '../ts/plugin/api.ts';
import { registerApproval } from '../ts/plugin/approval.ts';
import { registerCommand } from '../ts/plugin/command.ts';
import { registerHooks } from '../ts/plugin/hooks.ts';
import { registerRpc } from '../ts/plugin/rpc.ts';
import { createService } from '../ts/plugin/service.ts';
import { createTool } from '../ts/plugin/tool.ts';
import { CONFIG, FakeHost, HeldEngine, rest, TestClock, temporaryState } from './plugin-support.ts';

export const ID = '2026-11-22T00-00-00Z-aaaaaaaa';
/** How that is called. */
export const BACKUP = 'the backup of yesterday, 00:00';
export const HASH = 'ab'.repeat(32);
/** The number of that plan. */
export const NUMBER = 'abababab';
export const CHAT = 'agent:main:chat';

export const SNAPSHOT = {
  id: ID,
  kind: 'regular',
  reason: 'scheduled',
  machine: 'aaaaaaaa',
  thisMachine: true,
  createdAt: '2026-11-22T00:00:00Z',
  files: 10,
  bytes: 1_000,
  authenticated: true,
  format: 2,
  incomplete: false,
  remarks: [],
  moreRemarks: 0,
} satisfies SnapshotInfo;

export const entry = (path: string, parts: Partial<RollbackEntry> = {}): RollbackEntry => ({
  path,
  action: 'replace',
  bytes: 100,
  database: false,
  ...parts,
});

export const PLAN: RollbackPlan = {
  snapshot: ID,
  createdAt: '2026-11-22T00:00:00Z',
  entries: [entry('workspace/MEMORY.md')],
  leftOut: [],
  bytes: 100,
  fetchBytes: 100,
  touches: { configuration: false, hooks: false, skills: false },
  effects: [],
  needsApproval: [],
  needsRestart: false,
  hash: HASH,
  warnings: [],
};

/** What is in the snapshot. */
const FILES = [
  'openclaw.json',
  'workspace',
  'workspace/MEMORY.md',
  'workspace/notes.md',
  'workspace-work/MEMORY.md',
  'workspace-work/TODO.md',
  'workspace-home/TODO.md',
  'workspace-home/only.md',
  'workspace-work/openclaw.json',
];

const shownEntry = (path: string): ShownEntry => ({
  path,
  kind: path.includes('.') ? 'file' : 'directory',
  bytes: 100,
  mode: 0o644,
  modifiedAt: '2026-11-22T00:00:00Z',
  database: false,
});

/** What the owner has to be asked about. */
export const ASKED = {
  plan: {
    needsApproval: ['workspace/x holds instructions'],
    effects: [
      { weight: 'runs', text: 'hook: evil comes' },
      { weight: 'allows', text: 'exec policy: deny becomes full' },
      { weight: 'secret', text: 'secret changes: channels.x.token' },
      { weight: 'setting', text: 'setting: a becomes b' },
    ],
  },
};

export const REPORT: RollbackReport = {
  outcome: 'applied',
  id: '1',
  snapshot: ID,
  safety: 'safety-2026-11-23T12-00-00Z-aaaaaaaa',
  downloadedBytes: 100,
  requests: 3,
  failed: [],
  late: [],
  left: [],
  warnings: [],
  durationMs: 10,
};
const { id: _id, snapshot: _snapshot, safety: _safety, ...NO_NAMES } = REPORT;
export const NOTHING: RollbackReport = { ...NO_NAMES, outcome: 'nothing' };

export interface Parts {
  plan?: Partial<RollbackPlan>;
  report?: Partial<RollbackReport>;
  recover?: () => Promise<RollbackReport>;
  stateDir?: string;
  /** Whether the host tells of turns. */
  listens?: boolean;
}

export async function gateway({
  plan,
  report,
  recover = async () => NOTHING,
  stateDir,
  listens = false,
  ...rest_
}: Parts & Omit<Partial<Engine>, 'plan'> = {}) {
  const state = stateDir ?? (await temporaryState());
  const host = new FakeHost(state, CONFIG);
  if (listens) host.tellsOfTurns();
  const clock = new TestClock();
  const held = new HeldEngine();
  const restart = vi.fn();
  const engine = {
    list: vi.fn(async () => ({ snapshots: [SNAPSHOT], warnings: [] })),
    planRollback: vi.fn(async () => ({ ...PLAN, ...plan })),
    rollBack: vi.fn(async () => ({ ...REPORT, ...report })),
    recoverRollback: vi.fn(recover),
    diff: vi.fn(async () => ({
      from: ID,
      to: 'live',
      added: 0,
      removed: 0,
      changed: 1,
      bytesBefore: 1,
      bytesAfter: 1,
      skipped: [],
      warnings: [],
      downloadedBytes: 0,
      requests: 0,
      durationMs: 0,
      entries: [
        {
          path: 'workspace/MEMORY.md',
          change: 'changed',
          what: ['content'],
          kind: 'file',
          bytesBefore: 1,
          bytesAfter: 1,
          database: false,
          text: '-then\n+now\n',
        },
      ],
    })),
    show: vi.fn(async (_settings: Settings, { snapshot, path }: ShowOptions) => {
      const name = path?.replace('**/', '') ?? '';
      const entries = FILES.filter((file) => file === name || file.endsWith(`/${name}`)).map(shownEntry);
      const report = { snapshot, createdAt: '', entries, incomplete: false, remarks: [], warnings: [] };
      if (entries.length > 0) return report satisfies ShowReport;
      throw new BackupError(`${snapshot} has nothing at ${path}`, { code: 'B2_CONFIG' });
    }),
    ...rest_,
  };
  registerHooks(host.api);
  registerApproval(host.api);
  registerCommand(host.api, () => clock.now());
  registerRpc(host.api);
  host.service = createService(host.api, {
    engine: held.engine(engine),
    clock,
    restart,
    waits: async () => undefined,
  });
  onTestFinished(() => host.service?.stop(host.context));
  await host.service.start(host.context);
  await rest();
  const runIn = async (sessionKey: string | undefined, parameters: object) => {
    const session = sessionKey === undefined ? {} : { sessionKey };
    const tool = createTool(() => clock.now(), { ...session, agentId: 'main' }, '/ws');
    const { content, details } = await tool.execute('1', parameters);
    return { text: content.map(({ text }) => text).join('\n'), details: details as Record<string, unknown> };
  };
  const run = (parameters: object) => runIn(CHAT, parameters);
  const decideIn = (sessionKey: string, params: object) =>
    host.hooks
      .get('before_tool_call')
      ?.handler({ toolName: 'b2_rollback', params: params as Record<string, unknown> }, { sessionKey }) as
      | ToolCallDecision
      | undefined;
  const decide = (params: object) => decideIn(CHAT, params);
  const typeAs = async (who: Partial<CommandContext>, args: string) =>
    (await host.command?.handler({ args, sessionKey: CHAT, agentId: 'main', ...who }))?.text ?? '';
  const type = (args: string) => typeAs({ senderId: 'ada', senderIsOwner: true }, args);
  return { host, clock, held, restart, engine, run, runIn, decide, decideIn, type, typeAs, state };
}

export const DONE: RollbackReport = { ...REPORT, id: '7' };

export async function fails(): Promise<RollbackReport> {
  throw new BackupError('no space', { code: 'B2_DISK_FULL' });
}

/** As the core leaves it. */
export async function staged(state: string): Promise<void> {
  await mkdir(join(state, 'b2-backup', 'restore', '1'), { recursive: true });
}
