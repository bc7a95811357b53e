/** Which rollbacks the owner has to approve, through the host's own gate. */
import type { RollbackEffect } from '../../index.js';
import { EFFECTS } from '../effects.js';
import { count, printable } from '../text.js';
import type { HookContext, PluginApi, ToolCallDecision } from './api.js';
import { summary } from './format-rollback.js';
import type { CountedPlan } from './plan-count.js';
import type { Asker } from './rollback.js';
import { currentBackup } from './shared.js';
import type { Reader } from './times.js';
import { TOOL } from './tool.js';

/** How long the owner has to answer, in milliseconds. */
const TIMEOUT_MS = 600_000;
/** The host cuts what is longer. */
const MAX_DESCRIPTION = 512;

/** Registers the gate. It sees every call of the tool before it runs. */
export function registerApproval(api: PluginApi): void {
  api.on(
    'before_tool_call',
    ({ toolName, params }, context) => (toolName === TOOL ? decide(params ?? {}, context) : undefined),
    { matcher: [TOOL] },
  );
}

function decide(
  params: Readonly<Record<string, unknown>>,
  { sessionKey }: HookContext,
): ToolCallDecision | undefined {
  const { action, plan: number } = params;
  if (action !== 'restore' && action !== 'undo') return undefined;
  const asker: Asker = { by: 'agent', sessionKey };
  const backup = currentBackup();
  const planned = backup?.rollbacks.planned(number, asker);
  const undo = planned?.options.undo === true;
  if (backup === undefined || planned === undefined || undo !== (action === 'undo')) {
    const preview = action === 'undo' ? 'preview with undo: true' : 'preview';
    return {
      block: true,
      blockReason: `Make a ${preview} in this session first, show what it says, and pass on the number of its plan.`,
    };
  }
  const { rollbacks } = backup;
  if (rollbacks.needsApproval(planned).length === 0) return undefined;
  const { plan } = planned;
  return {
    requireApproval: {
      title: undo ? 'Undo the last rollback' : 'Roll back the state of OpenClaw',
      description: describe(plan, { ...backup.reader, undo }),
      severity: 'critical',
      allowedDecisions: ['allow-once', 'deny'],
      timeoutMs: TIMEOUT_MS,
      onResolution: rollbacks.expectApproval(plan.hash, asker),
    },
  };
}

/** What would run, be allowed or become another secret first; there is room for that as far as the rest leaves some. */
function describe(plan: CountedPlan, how: Reader & { readonly undo: boolean }): string {
  const grave = plan.effects.filter(({ weight }) => EFFECTS.has(weight));
  const rest = summary(plan, { ...how, most: grave.length > 0 ? 1 : 3, room: MAX_DESCRIPTION });
  const told = formatEffects(grave, MAX_DESCRIPTION - rest.length - 1);
  return told === '' ? rest : `${told} ${rest}`;
}

/** As many effects as there is room for, the gravest first, and how many more there are. */
function formatEffects(effects: readonly RollbackEffect[], room: number): string {
  const more = (number: number): string =>
    ` And ${count(number, 'more change')} of that kind: see the preview.`;
  let told = '';
  let heading = '';
  for (const [index, { weight, text }] of effects.entries()) {
    const head = EFFECTS.get(weight) ?? '';
    const next = `${head === heading ? ';' : `${told === '' ? '' : '. '}${head}:`} ${printable(text)}`;
    const left = effects.length - index;
    if (told.length + next.length + 1 + (left > 1 ? more(left - 1).length : 0) > room) {
      return told === ''
        ? `${count(left, 'change')} of what runs or is allowed: see the preview.`
        : `${told}.${more(left)}`;
    }
    told += next;
    heading = head;
  }
  return told === '' ? '' : `${told}.`;
}
