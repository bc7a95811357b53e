/** The actions of `b2_rollback` that look into snapshots: diff, history, preview, restore, undo. */
import type { DiffReport, RollbackOptions, RollbackPlan, SnapshotInfo } from '../../index.js';
import { BackupError } from '../errors.js';
import type { Operation } from '../operation.js';
import type { ToolResult } from './api.js';
import type { Backup } from './backup.js';
import { hideKeys } from './hide.js';
import type { Asker } from './rollback.js';
import { tellList } from './tell.js';
import { tellDiff } from './tell-diff.js';
import { tellHistory } from './tell-history.js';
import { tellPlan, tellRollback } from './tell-rollback.js';
import { type Parameters, result } from './tool-shape.js';
import { loadLanguages } from './words/dates.js';
import { findSnapshots } from './words.js';

/** One call of the tool. */
export interface Call {
  readonly backup: Backup;
  readonly parameters: Parameters;
  readonly now: Date;
  readonly operation: Operation;
  readonly asker: Asker;
}

/** Lines that diff and preview show unless told otherwise. */
const SHOWN = 60;
/** Versions that history shows unless told otherwise. */
const VERSIONS = 20;

/** Compares two snapshots, or one with the present. */
export async function diff(call: Call): Promise<ToolResult> {
  const { backup, parameters, operation } = call;
  const { snapshot = 'latest', with: other, paths, limit = SHOWN } = parameters;
  const { snapshots } = await backup.list(operation);
  const from = await choose(call, snapshot, snapshots);
  if (typeof from === 'object') return from;
  const to = other === undefined || other === 'live' ? 'live' : await choose(call, other, snapshots);
  if (typeof to === 'object') return to;
  const report = withoutKeys(
    await backup.diff({ from, to, ...lines(call.asker), ...only(paths) }, operation),
  );
  const entries = report.entries.slice(0, limit);
  const details = { ...report, entries, omittedEntries: report.entries.length - entries.length };
  return result(tellDiff(report, { limit }), details);
}

/** Tells the versions of one file. */
export async function history({ backup, parameters, now, operation, asker }: Call): Promise<ToolResult> {
  const { paths = [], limit = VERSIONS } = parameters;
  const [path] = paths;
  if (path === undefined || paths.length > 1) {
    throw new BackupError('history needs exactly one file in paths, such as workspace/MEMORY.md', {
      code: 'B2_USAGE',
    });
  }
  const found = await backup.history({ path, ...lines(asker) }, operation);
  const report = { ...found, versions: found.versions.map(withoutKey) };
  const versions = report.versions.toReversed().slice(0, limit);
  const details = { ...report, versions, totalVersions: report.versions.length };
  return result(tellHistory(report, { now, timeZone: backup.timeZone, limit }), details);
}

/** A plan that was made for a call, or an answer that asks which snapshot is meant. */
export type Made =
  | { readonly call: Call; readonly options: RollbackOptions; readonly plan: RollbackPlan }
  | { readonly asks: ToolResult };

/** Makes the plan that the parameters describe. */
export async function makePlan(call: Call): Promise<Made> {
  const { backup, parameters, operation } = call;
  const { snapshot = 'latest', paths, exact, undo } = parameters;
  let options: RollbackOptions = { undo: true };
  if (undo !== true) {
    const { snapshots } = await backup.list(operation);
    const id = await choose(call, snapshot, snapshots);
    if (typeof id === 'object') return { asks: id };
    options = { snapshot: id, ...only(paths), ...(exact === undefined ? {} : { exact }) };
  }
  return { call, options, plan: await backup.rollbacks.plan(options, call.asker, operation) };
}

/** What a plan would do, with the lines that change in small files, and whether it would change anything. */
export async function planText({
  call,
  options,
  plan,
}: Extract<Made, { plan: RollbackPlan }>): Promise<{ text: string; changes: boolean }> {
  const { parameters } = call;
  const changes = plan.entries.some(({ action }) => action !== 'keep-live');
  const texts = changes ? await changedText(call, plan.snapshot, options) : [];
  const { limit = SHOWN } = parameters;
  return { text: [tellPlan(plan, { limit }), ...texts].join('\n'), changes };
}

/** Tells what a rollback would do, and gives its plan. */
export async function preview(call: Call): Promise<ToolResult> {
  const made = await makePlan(call);
  if ('asks' in made) return made.asks;
  const { plan } = made;
  const { text, changes } = await planText(made);
  const { undo, limit = SHOWN } = call.parameters;
  const next = `To do it, when the user agrees: ${undo === true ? 'undo' : 'restore'} with plan ${plan.hash}`;
  const details = {
    ...plan,
    entries: plan.entries.slice(0, limit),
    totalEntries: plan.entries.length,
    effects: plan.effects.slice(0, limit),
    totalEffects: plan.effects.length,
  };
  return result(changes ? `${text}\n${next}` : text, details);
}

/** Carries out a plan that was shown, if the owner has approved it where that is needed. */
export async function rollBack({ backup, parameters, operation, asker }: Call): Promise<ToolResult> {
  const { plan, action } = parameters;
  const planned = plan === undefined ? undefined : backup.rollbacks.planned(plan, asker);
  const other = planned !== undefined && (planned.options.undo === true) !== (action === 'undo');
  if (plan === undefined || other) {
    throw new BackupError('make a preview first, show it to the user, and pass on its plan', {
      code: 'B2_USAGE',
    });
  }
  const report = await backup.rollbacks.carryOut(plan, asker, operation);
  return result(tellRollback(report), report);
}

/** From the present to the snapshot, as far as it is text. */
async function changedText(
  { backup, asker, operation }: Call,
  snapshot: string,
  { paths }: RollbackOptions,
): Promise<string[]> {
  // Of everything it would be too much to read; who wants to see it names paths.
  if (paths === undefined || asker.workspace === undefined) return [];
  const report = withoutKeys(
    await backup.diff({ from: snapshot, to: 'live', ...lines(asker), paths }, operation),
  );
  const text = report.entries.filter((entry) => entry.text !== undefined);
  return text.length === 0
    ? []
    : [
        'What changed since the snapshot, and goes back:',
        tellDiff({ ...report, entries: text }, { limit: SHOWN }),
      ];
}

/** The id that the words mean, or an answer that asks. */
async function choose(
  { now, backup: { timeZone } }: Call,
  words: string,
  snapshots: readonly SnapshotInfo[],
): Promise<string | ToolResult> {
  const found = findSnapshots(words, snapshots, { now, timeZone, languages: await loadLanguages() });
  if (found.kind === 'one') return found.snapshot.id;
  const nearest = found.kind === 'none' && found.nearest !== undefined ? [found.nearest] : [];
  const candidates = found.kind === 'several' ? found.candidates : nearest;
  const lines = [`It is not certain which snapshot "${words}" means: ${found.why}`];
  if (candidates.length > 0) {
    const limit = candidates.length;
    lines.push(
      'Ask the user, then call again with the id:',
      tellList({ snapshots: [...candidates], warnings: [] }, { now, timeZone, limit }),
    );
  }
  return result(lines.join('\n'), { uncertain: words, why: found.why, candidates });
}

/** Lines are told of the own files of an agent alone, and of none where it is not known which these are. */
function lines({ workspace }: Asker): { text?: boolean; agentWorkspace?: string } {
  return workspace === undefined ? {} : { text: true, agentWorkspace: workspace };
}

function withoutKeys(report: DiffReport): DiffReport {
  return { ...report, entries: report.entries.map(withoutKey) };
}

/** Details are read by the model, too. */
function withoutKey<T extends { text?: string }>(part: T): T {
  return part.text === undefined ? part : { ...part, text: hideKeys(part.text) };
}

function only(paths: readonly string[] | undefined): { paths?: string[] } {
  return paths === undefined ? {} : { paths: [...paths] };
}
