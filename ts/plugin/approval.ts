/** Which rollbacks the owner has to approve, through the host's own gate. */
import type { RollbackPlan } from '../../index.js';
import { printable } from '../text.js';
import type { ApprovalRequest, PluginApi, ToolCallDecision } from './api.js';
import { currentBackup } from './shared.js';
import { WITHOUT_GATEWAY } from './tell-rollback.js';
import { TOOL } from './tool.js';

/** How long the owner has to answer, in milliseconds. */
const TIMEOUT_MS = 120_000;
/** So many files of a workspace may come back without being asked about. */
const FEW = 5;
/** The host cuts what is longer. */
const MAX_DESCRIPTION = 512;

/** Registers the gate. It sees every call of the tool before it runs. */
export function registerApproval(api: PluginApi): void {
  api.on(
    'before_tool_call',
    ({ toolName, params }) => (toolName === TOOL ? decide(params ?? {}) : undefined),
    { matcher: [TOOL] },
  );
}

function decide(params: Readonly<Record<string, unknown>>): ToolCallDecision | undefined {
  const { action, plan: hash } = params;
  if (action !== 'restore' && action !== 'undo') return undefined;
  const planned = typeof hash === 'string' ? currentBackup()?.rollbacks.planned(hash) : undefined;
  if (planned === undefined) {
    const preview = action === 'undo' ? 'preview with undo: true' : 'preview';
    return {
      block: true,
      blockReason: `Make a ${preview} first, show it to the user, and pass on its plan.`,
    };
  }
  return isSmall(planned.plan, planned.options.exact === true)
    ? undefined
    : { requireApproval: request(planned.plan, planned.options.undo === true) };
}

/** A few plain files of a workspace, put back beside what is there. */
function isSmall(plan: RollbackPlan, exact: boolean): boolean {
  const changes = plan.entries.filter(({ action }) => action !== 'keep-live');
  return (
    !exact &&
    changes.length <= FEW &&
    !(plan.needsRestart || plan.touches.configuration || plan.touches.hooks || plan.touches.skills) &&
    changes.every(
      ({ path, action, database }) =>
        !database && action !== 'delete' && /^workspace(-[^/]+)?\/[^/]/.test(path),
    )
  );
}

function request(plan: RollbackPlan, undo: boolean): ApprovalRequest {
  const of = (action: string): number => plan.entries.filter((entry) => entry.action === action).length;
  const touched = [
    ...(plan.touches.configuration ? ['the configuration'] : []),
    ...(plan.touches.hooks ? ['hooks'] : []),
    ...(plan.touches.skills ? ['skills'] : []),
  ];
  const sentences = [
    `${undo ? 'Undo the last rollback, from' : 'Roll back to'} ${printable(plan.snapshot)} of ${printable(plan.createdAt)}:`,
    `coming back: ${of('add')}, becoming as they were: ${of('replace')}, removed: ${of('delete')}.`,
    ...(touched.length === 0 ? [] : [`Touches ${touched.join(', ')}.`]),
    'A safety snapshot is made first.',
    ...(plan.needsRestart ? ['OpenClaw restarts.', WITHOUT_GATEWAY] : []),
  ];
  return {
    title: undo ? 'Undo the last rollback' : 'Roll back the state of OpenClaw',
    description: sentences.join(' ').slice(0, MAX_DESCRIPTION),
    severity: 'critical',
    allowedDecisions: ['allow-once', 'deny'],
    timeoutMs: TIMEOUT_MS,
  };
}
