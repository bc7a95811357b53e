/**
 * What the page in the Control UI lets people do. Who may read may look; who may write may start work that changes nothing
 * of theirs (a push, a plan); who may administer may roll back, and only by the hash of a plan that this connection was
 * shown.
 */
import type { RollbackOptions } from '../../index.js';
import type { Confirmed, Pushed, ShownPlan, ShownView } from '../control-ui/protocol.js';
import { formatEffects } from '../effects.js';
import { BackupError } from '../errors.js';
import { printableText } from '../text.js';
import { running } from './announce.js';
import type { GatewayClient, PluginApi } from './api.js';
import type { Backup } from './backup.js';
import { formatBackup } from './format.js';
import { formatPlan, formatRollback } from './format-rollback.js';
import { viewAt } from './page/route.js';
import type { CountedPlan } from './plan-count.js';
import type { Asker } from './rollback.js';
import type { Reader } from './times.js';

/** Paths of each kind that a plan shows. */
const PATHS = 100;

/** What an action is given. */
export interface Request {
  readonly backup: Backup;
  readonly params: Readonly<Record<string, unknown>>;
  readonly client: GatewayClient | null | undefined;
}

/** What the page shows at an address: the same as the frame. */
export async function shownView({ backup, params }: Request, api: PluginApi): Promise<ShownView> {
  const { search } = params;
  const { body, againMs } = await viewAt(api, typeof search === 'string' ? search : '');
  const { bucket } = await backup.view.facts();
  const undo =
    bucket?.list.snapshots.some(({ kind, thisMachine }) => kind === 'safety' && thisMachine) ?? false;
  return { markup: body.text, undo, ...(againMs === undefined ? {} : { againMs }) };
}

/** Backs up, or joins what runs, and answers at the end. */
export async function pushNow({ backup }: Request): Promise<Pushed> {
  const { report, inside } = await backup.push();
  const text = printableText(
    [formatBackup(report, backup.reader), ...(inside === undefined ? [] : [inside])].join('\n'),
  );
  return { text, ...(report.snapshot === undefined ? {} : { snapshot: report.snapshot }) };
}

/** Stops the push that runs. */
export async function cancelPush({ backup }: Request): Promise<{ cancelled: boolean }> {
  return { cancelled: await backup.cancelPush() };
}

/** Makes the plan of a rollback, or of undoing the last one. Nothing is changed. */
export async function preview({ backup, params, client }: Request): Promise<ShownPlan> {
  const options = optionsOf(params);
  const plan = await backup.rollbacks.plan(options, askerOf(client), {
    onProgress: (event) => backup.announce({ running: running('rollback', event) }),
  });
  backup.announce();
  return shown(plan, { ...backup.reader, undo: options.undo === true });
}

/** Carries out a plan that this connection was shown. */
export async function confirm({ backup, params, client }: Request): Promise<Confirmed> {
  const { plan } = params;
  const asker = askerOf(client);
  const planned = backup.rollbacks.planned(plan, asker);
  if (planned === undefined) {
    throw new BackupError(
      'this plan was not shown here, or not lately; look at it again and confirm that one',
      { code: 'B2_PLAN_CHANGED' },
    );
  }
  try {
    const report = await backup.rollbacks.carryOut(planned.plan.hash, asker, {
      onProgress: (event) => backup.announce({ running: running('rollback', event) }),
    });
    const { outcome } = report;
    return {
      text: printableText(formatRollback(report, backup.reader)),
      outcome,
      restarts: outcome === 'waiting',
    };
  } finally {
    backup.announce();
  }
}

function shown(plan: CountedPlan, how: Reader & { readonly undo: boolean }): ShownPlan {
  const { hash, snapshot, entries, effects, needsRestart } = plan;
  return {
    plan: hash,
    snapshot,
    changes: entries.some(({ action }) => action !== 'keep-live'),
    security: printableText(formatEffects(effects, PATHS).join('\n')),
    text: printableText(formatPlan({ ...plan, effects: [] }, { ...how, limit: PATHS })),
    restarts: needsRestart,
  };
}

/** A person at one connection: a plan that one connection was shown is none for another. @throws {BackupError} */
function askerOf(client: GatewayClient | null | undefined): Asker {
  const { connId, internal } = client ?? {};
  const byAgent =
    internal?.agentToolCaller !== undefined ||
    internal?.agentRuntimeIdentity !== undefined ||
    internal?.syntheticClient !== undefined;
  if (connId === undefined || byAgent) {
    throw new BackupError(
      'only a person in the Control UI can ask for a rollback here; an agent has its tool, which asks the owner',
      { code: 'B2_NOT_APPROVED' },
    );
  }
  return { by: 'person', sender: JSON.stringify(['connection', connId]) };
}

function optionsOf({ snapshot, paths, exact, undo }: Request['params']): RollbackOptions {
  if (undo === true) return { undo: true };
  if (typeof snapshot !== 'string' || snapshot === '') throw wrong('snapshot: the id of one is needed');
  if (paths !== undefined && !isPaths(paths))
    throw wrong('paths: a list of paths is needed, and not an empty one');
  return {
    snapshot,
    ...(paths === undefined ? {} : { paths: [...paths] }),
    ...(exact === true ? { exact } : {}),
  };
}

/** An empty list would mean everything. */
function isPaths(value: unknown): value is readonly string[] {
  return (
    Array.isArray(value) && value.length > 0 && value.every((path) => typeof path === 'string' && path !== '')
  );
}

function wrong(message: string): BackupError {
  return new BackupError(message, { code: 'B2_USAGE' });
}
