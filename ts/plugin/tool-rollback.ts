/** The actions of `b2_rollback` that look into snapshots: diff, history, preview, restore, undo. */
import type { DiffReport, RollbackOptions, SnapshotInfo } from '../../index.js';
import { BackupError } from '../errors.js';
import type { Operation } from '../operation.js';
import { planNumber } from '../plan-number.js';
import type { ToolResult } from './api.js';
import type { Backup } from './backup.js';
import { findFiles } from './files.js';
import { briefs, formatList, formatStatus } from './format.js';
import { formatDiff } from './format-diff.js';
import { formatHistory } from './format-history.js';
import { formatPlan, formatRollback } from './format-rollback.js';
import { hideKeys } from './hide.js';
import { verdictOf } from './page/verdict.js';
import type { CountedPlan } from './plan-count.js';
import type { Asker } from './rollback.js';
import type { Reader } from './times.js';
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

/** When and where the answer is read. */
export function readerOf({ now, backup: { timeZone } }: Call): Reader {
  return { now, timeZone };
}

/** Tells how the backups stand. */
export async function status(call: Call): Promise<ToolResult> {
  const { backup, operation } = call;
  const standing = await backup.status({ bucket: true }, operation);
  const verdict = verdictOf(await backup.view.facts());
  return result(formatStatus(standing, { ...readerOf(call), verdict }), { backups: standing });
}

/** Compares two snapshots, or one with the present. */
export async function diff(call: Call): Promise<ToolResult> {
  const { backup, parameters, operation } = call;
  const { snapshot = 'latest', with: other, limit = SHOWN } = parameters;
  const { snapshots } = await backup.list(operation);
  const from = await choose(call, snapshot, snapshots);
  if (typeof from === 'object') return from;
  const to = other === undefined || other === 'live' ? 'live' : await choose(call, other, snapshots);
  if (typeof to === 'object') return to;
  const files = await filesOf(call, from);
  if ('unclear' in files) return result(files.unclear, { unclear: true });
  const report = withoutKeys(
    await backup.diff({ from, to, ...lines(call.asker), ...only(files.paths) }, operation),
  );
  const { added, removed, changed, entries } = report;
  const shown = entries.slice(0, limit).map(({ path, change }) => ({ path, change }));
  const details = { added, removed, changed, entries: shown, omittedEntries: entries.length - shown.length };
  return result(formatDiff(report, { ...readerOf(call), limit }), details);
}

/** Tells the versions of one file. */
export async function history(call: Call): Promise<ToolResult> {
  const { backup, parameters, operation, asker } = call;
  const { paths: [name, second] = [], limit = VERSIONS } = parameters;
  if (name === undefined || second !== undefined) {
    throw new BackupError('history needs exactly one file, such as MEMORY.md', { code: 'B2_USAGE' });
  }
  const files = await filesOf(call, 'latest');
  if ('unclear' in files) return result(files.unclear, { unclear: true });
  const [path = name] = files.paths ?? [];
  const found = await backup.history({ path, ...lines(asker) }, operation);
  const report = { ...found, versions: found.versions.map(withoutKey) };
  const versions = report.versions
    .toReversed()
    .slice(0, limit)
    .map(({ createdAt, change, bytes }) => ({ createdAt, change, bytes }));
  const details = { path, versions, totalVersions: report.versions.length };
  return result(formatHistory(report, { ...readerOf(call), limit }), details);
}

/** A plan that was made for a call, or an answer that asks which snapshot or file is meant. */
export type Made =
  | { readonly call: Call; readonly options: RollbackOptions; readonly plan: CountedPlan }
  | { readonly asks: ToolResult };

/** Makes the plan that the parameters describe. */
export async function makePlan(call: Call): Promise<Made> {
  const { backup, parameters, operation } = call;
  const { snapshot = 'latest', exact, undo } = parameters;
  let options: RollbackOptions = { undo: true };
  if (undo !== true) {
    const { snapshots } = await backup.list(operation);
    const id = await choose(call, snapshot, snapshots);
    if (typeof id === 'object') return { asks: id };
    const files = await filesOf(call, id);
    if ('unclear' in files) return { asks: result(files.unclear, { unclear: true }) };
    options = { snapshot: id, ...only(files.paths), ...(exact === undefined ? {} : { exact }) };
  }
  return { call, options, plan: await backup.rollbacks.plan(options, call.asker, operation) };
}

/** What a plan would do, with the lines that change in small files, and whether it would change anything. */
export async function planText({
  call,
  options,
  plan,
}: Extract<Made, { plan: CountedPlan }>): Promise<{ text: string; changes: boolean }> {
  const { parameters } = call;
  const changes = plan.entries.some(({ action }) => action !== 'keep-live');
  const texts = changes ? await changedText(call, plan.snapshot, options) : [];
  const { limit = SHOWN, undo = false } = parameters;
  return { text: [formatPlan(plan, { ...readerOf(call), limit, undo }), ...texts].join('\n'), changes };
}

/** Tells what a rollback would do, and gives its plan. */
export async function preview(call: Call): Promise<ToolResult> {
  const made = await makePlan(call);
  if ('asks' in made) return made.asks;
  const { plan } = made;
  const { text, changes } = await planText(made);
  const { undo, limit = SHOWN } = call.parameters;
  const number = planNumber(plan.hash);
  const next = `To do it, when the user agrees: ${undo === true ? 'undo' : 'restore'} with plan ${number}`;
  const details = {
    plan: number,
    entries: plan.entries.slice(0, limit).map(({ path, action }) => ({ path, action })),
    totalEntries: plan.entries.length,
    totalEffects: plan.effects.length,
    needsApproval: plan.needsApproval.slice(0, limit),
    needsRestart: plan.needsRestart,
  };
  return result(changes ? `${text}\n${next}` : text, details);
}

/** Carries out a plan that was shown, if the owner has approved it where that is needed. */
export async function rollBack(call: Call): Promise<ToolResult> {
  const { backup, parameters, operation, asker } = call;
  const { plan, action } = parameters;
  const planned = plan === undefined ? undefined : backup.rollbacks.planned(plan, asker);
  const other = planned !== undefined && (planned.options.undo === true) !== (action === 'undo');
  if (plan === undefined || other) {
    throw new BackupError('make a preview first, show it to the user, and pass on the number of its plan', {
      code: 'B2_USAGE',
    });
  }
  const report = await backup.rollbacks.carryOut(planned?.plan.hash ?? plan, asker, operation);
  const { outcome, failed, late, left } = report;
  return result(formatRollback(report, readerOf(call)), {
    outcome,
    failed: failed.slice(0, SHOWN),
    late: late.slice(0, SHOWN),
    left: left.slice(0, SHOWN),
  });
}

/** From the present to the snapshot, as far as it is text. */
async function changedText(call: Call, snapshot: string, { paths }: RollbackOptions): Promise<string[]> {
  const { backup, asker, operation } = call;
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
        formatDiff({ ...report, entries: text }, { ...readerOf(call), limit: SHOWN }),
      ];
}

/** The id that the words mean, or an answer that asks. */
async function choose(
  call: Call,
  words: string,
  snapshots: readonly SnapshotInfo[],
): Promise<string | ToolResult> {
  const { asker, now, backup } = call;
  const { timeZone, here } = backup;
  const how = { now, timeZone, here, among: snapshots };
  const found = findSnapshots(words, snapshots, { now, timeZone, languages: await loadLanguages() });
  if (found.kind === 'one') return found.snapshot.id;
  const nearest = found.kind === 'none' && found.nearest !== undefined ? [found.nearest] : [];
  const candidates = found.kind === 'several' ? found.candidates : nearest;
  const lines = [`It is not certain which snapshot "${words}" means: ${found.why}`];
  if (candidates.length > 0) {
    const next = 'with the time that stands there, or with the id where there is one:';
    lines.push(
      asker.by === 'agent' ? `Ask the user, then call again ${next}` : `Say it ${next}`,
      formatList({ snapshots: [...candidates], warnings: [] }, { ...how, limit: candidates.length }),
    );
  }
  const briefly = briefs(candidates, { ...how, limit: candidates.length });
  return result(lines.join('\n'), { uncertain: words, why: found.why, candidates: briefly });
}

/** The paths that the names of a call mean; none where it is about everything. */
async function filesOf(
  { backup, parameters: { paths }, asker: { workspace }, operation }: Call,
  snapshot: string,
): Promise<{ readonly paths?: readonly string[] } | { readonly unclear: string }> {
  return paths === undefined ? {} : findFiles(paths, { backup, snapshot, workspace, operation });
}

/** Lines are told of the own files of an agent alone, and of none where it is not known which these are. */
function lines({ workspace }: Asker): { text?: boolean; agentWorkspace?: string } {
  return workspace === undefined ? {} : { text: true, agentWorkspace: workspace };
}

function withoutKeys(report: DiffReport): DiffReport {
  return { ...report, entries: report.entries.map(withoutKey) };
}

/** What is told, a model reads. */
function withoutKey<T extends { text?: string }>(part: T): T {
  return part.text === undefined ? part : { ...part, text: hideKeys(part.text) };
}

function only(paths: readonly string[] | undefined): { paths?: string[] } {
  return paths === undefined ? {} : { paths: [...paths] };
}
