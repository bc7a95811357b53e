/** Plans and outcomes of rollbacks as plain text for chats and models. Pure. */
import type { RollbackEntry, RollbackPlan, RollbackReport } from '../../index.js';
import { tellEffects } from '../effects.js';
import { count, formatBytes, printable } from '../text.js';
import type { PendingRollback } from './record.js';

const ACTIONS = [
  ['add', 'Comes back'],
  ['replace', 'Becomes as it was'],
  ['delete', 'Is removed'],
  ['keep-live', 'Differs, and stays as it is'],
] as const;

/** The way back where the gateway cannot help. */
export const WITHOUT_GATEWAY =
  'If OpenClaw does not start afterwards, run "openclaw b2-backup undo" in a shell.';

/** What a rollback would do; at most `limit` paths of each kind. */
export function tellPlan(plan: RollbackPlan, { limit }: { limit: number }): string {
  const { snapshot, entries, bytes, fetchBytes, needsRestart, warnings } = plan;
  const changes = entries.filter(({ action }) => action !== 'keep-live');
  const notes = warnings.map((warning) => `Note: ${printable(warning)}`);
  if (changes.length === 0) {
    const [[action, meaning]] = ACTIONS.slice(-1) as [(typeof ACTIONS)[number]];
    const stays = tellAction(entries, action, meaning, limit);
    const what = entries.length === 0 ? 'Everything' : 'Everything else';
    return [`${what} is as in ${printable(snapshot)} already.`, ...stays, ...notes].join('\n');
  }
  const touched = [
    [plan.touches.configuration, 'the configuration of OpenClaw'],
    [plan.touches.hooks, 'hooks'],
    [plan.touches.skills, 'skills'],
  ] as const;
  const what = touched.filter(([is]) => is).map(([, name]) => name);
  return [
    ...tellEffects(plan.effects, limit),
    `Rolling back to ${printable(snapshot)}: ${count(changes.length, 'path')}, ${formatBytes(bytes)}, of which ` +
      `${formatBytes(fetchBytes)} are fetched.`,
    ...ACTIONS.flatMap(([action, meaning]) => tellAction(entries, action, meaning, limit)),
    ...(what.length === 0 ? [] : [`This touches ${what.join(', ')}.`]),
    needsRestart ? 'OpenClaw restarts for this.' : 'No restart is needed.',
    'A safety snapshot is made first; undo brings back what is there now.',
    ...(needsRestart ? [WITHOUT_GATEWAY] : []),
    ...notes,
  ].join('\n');
}

function tellAction(
  entries: readonly RollbackEntry[],
  action: string,
  meaning: string,
  limit: number,
): string[] {
  const all = entries.filter((entry) => entry.action === action);
  if (all.length === 0) return [];
  const more = all.length - limit;
  return [
    `${meaning} (${count(all.length, 'path')}):`,
    ...all.slice(0, limit).map(tellEntry),
    ...(more > 0 ? [`  and ${more} more`] : []),
  ];
}

function tellEntry({ path, bytes, database, reason }: RollbackEntry): string {
  const facts = [
    ...(database ? ['database'] : []),
    ...(bytes > 0 ? [formatBytes(bytes)] : []),
    ...(reason === undefined ? [] : [printable(reason)]),
  ];
  return `  ${printable(path)}${facts.length === 0 ? '' : ` (${facts.join(', ')})`}`;
}

/** What a rollback has come to, right after it was asked for. */
export function tellRollback({
  outcome,
  snapshot,
  safety,
  failed,
  warnings,
  ...rest
}: RollbackReport): string {
  const to = printable(snapshot ?? 'the snapshot');
  const first = {
    nothing: `Everything is as in ${to} already; nothing was done.`,
    waiting: `Ready to roll back to ${to}. OpenClaw restarts in a moment, and I will say how it went.`,
    applied: `Rolled back to ${to}.`,
    'rolled-back': `The rollback to ${to} could not be finished; everything is as it was.`,
    'given-up': `${to} was for a new machine, and this one is in use by now: nothing was changed.`,
  }[outcome];
  return [
    first ?? `Rollback to ${to}: ${printable(outcome)}`,
    ...(safety === undefined ? [] : [`What was there is in ${printable(safety)}; undo brings it back.`]),
    ...failed.map(
      ({ path, code, message }) =>
        `${code === 'B2_REFUSED' ? 'Not all as it was' : 'Not restored'}: ${printable(path)}: ${printable(message)}`,
    ),
    ...remarks(rest),
    ...warnings.map((warning) => `Note: ${printable(warning)}`),
  ].join('\n');
}

/** The way out where neither a start nor a stop of the gateway could finish one. */
const RESUME = 'To finish it, run "openclaw b2-backup restore --resume" in a shell.';

/** What became of a rollback over a restart; of one that nobody here asked for, the snapshot is not known. */
export function tellOutcome({
  outcome,
  snapshot,
  undo,
  late = [],
  left = [],
  problem,
}: PendingRollback): string {
  const what = undo ? 'The last rollback was undone' : `OpenClaw was rolled back to ${printable(snapshot)}`;
  if (outcome === 'open') {
    const which = snapshot === '' ? 'A rollback' : `The rollback to ${printable(snapshot)}`;
    return [`${which} was only half finished.`, ...remarks({ late, left, problem }), RESUME].join('\n');
  }
  const first =
    outcome === 'applied'
      ? `${what}.`
      : `The rollback to ${printable(snapshot)} could not be finished; everything is as it was before.`;
  return [first, ...remarks({ late, left, problem })].join('\n');
}

function remarks({
  late,
  left,
  problem,
}: {
  late: readonly string[];
  left: readonly string[];
  problem?: string | undefined;
}): string[] {
  return [
    ...(problem === undefined ? [] : [`The reason: ${printable(problem)}`]),
    ...late.map((path) => `Changed meanwhile, and kept for undo: ${printable(path)}`),
    ...left.map((path) => `Not removed, since it holds something else: ${printable(path)}`),
  ];
}
