/** Plans and outcomes of rollbacks as plain text for chats and models. Pure. */
import type { RollbackEntry, RollbackReport } from '../../index.js';
import { formatEffects } from '../effects.js';
import { count, formatBytes, printable } from '../text.js';
import type { MessageCount, PlanCount } from '../updates/difference.js';
import { SHARED_DATABASE } from '../updates/survey.js';
import { thingAt } from './page/things.js';
import type { CountedPlan } from './plan-count.js';
import type { PendingRollback } from './record.js';
import { timeIn } from './snapshots.js';
import { type Reader, Times } from './times.js';

const ACTIONS = [
  ['add', 'Comes back'],
  ['replace', 'Becomes as it was'],
  ['delete', 'Is removed'],
  ['keep-live', 'Differs, and stays as it is'],
] as const;

/** Things that a sentence names. */
const NAMED = 5;
/** So many characters of a name stand in a sentence: there is little room in an approval. */
const LONGEST = 40;

/** The way back where the gateway cannot help. */
const WITHOUT_GATEWAY = 'If OpenClaw does not start afterwards, run "openclaw b2-backup undo" in a shell.';

/** How a plan is summed up. */
interface Brevity {
  readonly undo: boolean;
  /** So many things of a kind are named. */
  readonly most?: number;
  /** In so many characters, if that can be; fewer things are named then. */
  readonly room?: number;
}

/** What a person gets, loses and can do about it, in a few sentences; what would run and be allowed stands elsewhere. */
export function summary(plan: CountedPlan, { most = NAMED, ...how }: Reader & Brevity): string {
  const told = summaryOf(plan, { ...how, most });
  const { room = Number.POSITIVE_INFINITY } = how;
  return told.length <= room || most === 1 ? told : summary(plan, { ...how, most: most - 1 });
}

function summaryOf(
  plan: CountedPlan,
  { undo, most, ...reader }: Reader & Brevity & { readonly most: number },
): string {
  const { entries, createdAt, needsRestart, counted } = plan;
  const named = (...actions: readonly string[]): string =>
    things(
      entries.filter(({ action }) => actions.includes(action)).map((entry) => thingOf(entry, counted)),
      most,
    );
  const [back, gone] = [named('add', 'replace'), named('delete')];
  const to = new Times(reader).day(createdAt);
  return [
    `${undo ? 'Undoes the last rollback: goes' : 'Goes'} back to ${to}${back === '' ? '.' : `: ${back}.`}`,
    ...(gone === '' ? [] : [`Removed: ${gone}.`]),
    needsRestart ? 'OpenClaw restarts, about 30 seconds.' : 'No restart is needed.',
    'You can undo it.',
    ...(needsRestart ? [WITHOUT_GATEWAY] : []),
  ].join(' ');
}

/** `conversations of main since then (38 messages)`, `MEMORY.md`, `2 jobs` */
function thingOf({ path, action }: RollbackEntry, counted: PlanCount | undefined): string {
  const { part, name, agent = '' } = thingAt(path);
  if (path === SHARED_DATABASE && counted?.jobs !== undefined)
    return counted.jobs === 0 ? 'what OpenClaw remembers' : count(counted.jobs, 'job');
  const short = name.length > LONGEST ? `${name.slice(0, LONGEST - 1)}…` : name;
  if (part !== 'conversations') return short;
  const messages = counted?.agents[agent];
  if (action === 'delete')
    return messages === undefined ? short : `${short} (${count(messages.gone, 'message')})`;
  return messages === undefined ? `${short} since then` : `${short} ${since(messages)}`;
}

/** What is said of conversations that go back: `since then (38 messages; 2 come back)` */
function since({ gone, back }: MessageCount): string {
  const comes = back === 1 ? 'comes' : 'come';
  if (gone > 0) return `since then (${count(gone, 'message')}${back > 0 ? `; ${back} ${comes} back` : ''})`;
  return back > 0 ? `(${count(back, 'message')} ${comes} back)` : '(no message since then)';
}

/** `conversations of main since then, MEMORY.md and 4 more files` */
function things(all: readonly string[], most: number): string {
  const shown = [...new Set(all)].slice(0, most);
  const more = all.filter((name) => !shown.includes(name)).length;
  const parts = more === 0 ? shown : [...shown, count(more, 'more file')];
  return parts.length < 2 ? parts.join('') : `${parts.slice(0, -1).join(', ')} and ${parts.at(-1)}`;
}

/** What a rollback would do; at most `limit` paths of each kind. */
export function formatPlan(
  plan: CountedPlan,
  { limit, ...how }: Reader & { readonly limit: number; readonly undo: boolean },
): string {
  const { createdAt, entries, leftOut, warnings } = plan;
  const changes = entries.filter(({ action }) => action !== 'keep-live');
  const left = leftOut.map(({ path, message }) => `Not restored: ${printable(path)}: ${printable(message)}`);
  const notes = [...left, ...warnings.map((warning) => `Note: ${printable(warning)}`)];
  if (changes.length === 0) {
    const [[action, meaning]] = ACTIONS.slice(-1) as [(typeof ACTIONS)[number]];
    const stays = formatAction(entries, action, meaning, limit);
    const what = entries.length === 0 ? 'everything' : 'everything else';
    const backup = `the backup of ${new Times(how).day(createdAt)}`;
    const first =
      leftOut.length > 0
        ? `Nothing would change, but not everything is as in ${backup}.`
        : `Nothing would change: ${what} is as in ${backup}.`;
    return [first, ...stays, ...notes].join('\n');
  }
  const touched = [
    [plan.touches.configuration, 'the configuration of OpenClaw'],
    [plan.touches.hooks, 'hooks'],
    [plan.touches.skills, 'skills'],
  ] as const;
  const what = touched.filter(([is]) => is).map(([, name]) => name);
  return [
    ...formatEffects(plan.effects, limit),
    summary(plan, how),
    ...ACTIONS.flatMap(([action, meaning]) => formatAction(entries, action, meaning, limit)),
    ...(what.length === 0 ? [] : [`This touches ${what.join(', ')}.`]),
    ...notes,
  ].join('\n');
}

function formatAction(
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
    ...all.slice(0, limit).map(formatEntry),
    ...(more > 0 ? [`  and ${more} more`] : []),
  ];
}

function formatEntry({ path, bytes, database, reason }: RollbackEntry): string {
  const facts = [
    ...(bytes > 0 ? [formatBytes(bytes)] : []),
    ...(reason === undefined ? [] : [printable(reason)]),
  ];
  const name = database && changesAlways(path) ? thingAt(path).name : printable(path);
  return `  ${name}${facts.length === 0 ? '' : ` (${facts.join(', ')})`}`;
}

/** What a rollback has come to, right after it was asked for. */
export function formatRollback(
  { outcome, snapshot, safety, failed, warnings, ...rest }: RollbackReport,
  reader: Reader,
): string {
  const to = backupOf(snapshot, reader);
  const first = {
    nothing: `Everything is as in ${to} already; nothing was done.`,
    waiting: `Ready to roll back to ${to}. OpenClaw restarts in a moment, and I will say how it went.`,
    applied: `Rolled back to ${to}.`,
    'rolled-back': `The rollback to ${to} could not be finished; everything is as it was.`,
    'given-up': `${to} was for a new machine, and this one is in use by now: nothing was changed.`,
  }[outcome];
  return [
    first ?? `Rollback to ${to}: ${printable(outcome)}`,
    ...(safety === undefined ? [] : ['What was there before is kept; undo brings it back.']),
    ...failed.map(
      ({ path, code, message }) =>
        `${code === 'B2_REFUSED' ? 'Not all as it was' : 'Not restored'}: ${printable(path)}: ${printable(message)}`,
    ),
    ...remarks(rest),
    ...warnings.map((warning) => `Note: ${printable(warning)}`),
  ].join('\n');
}

/** `the backup of Thursday, 26 November, 00:00` */
function backupOf(snapshot: string | undefined, reader: Reader): string {
  if (snapshot === undefined || snapshot === '') return 'the backup';
  return `the backup of ${new Times(reader).day(timeIn(snapshot))}`;
}

/** The way out where neither a start nor a stop of the gateway could finish one. */
const RESUME = 'To finish it, run "openclaw b2-backup restore --resume" in a shell.';

/** What became of a rollback over a restart; of one that nobody here asked for, the snapshot is not known. */
export function formatOutcome(
  { outcome, snapshot, undo, late = [], left = [], problem }: PendingRollback,
  reader: Reader,
): string {
  const to = backupOf(snapshot, reader);
  if (outcome === 'open') {
    const which = snapshot === '' ? 'A rollback' : `The rollback to ${to}`;
    return [`${which} was only half finished.`, ...remarks({ late, left, problem }), RESUME].join('\n');
  }
  const done = undo
    ? 'The last rollback was undone.'
    : `OpenClaw was rolled back to ${to}. "/b2 undo" takes it back.`;
  const first =
    outcome === 'applied'
      ? done
      : `The rollback to ${to} could not be finished; everything is as it was before.`;
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
    ...late
      .filter((path) => !changesAlways(path))
      .map((path) => `Changed meanwhile, and kept for undo: ${printable(path)}`),
    ...left.map((path) => `Not removed, since it holds something else: ${printable(path)}`),
  ];
}

/** Databases of the host, to which it writes in every turn: that they have changed meanwhile says nothing. */
function changesAlways(path: string): boolean {
  return /^(?:state\/openclaw(?:-quarantine)?|agents\/[^/]+\/agent\/openclaw-agent)\.sqlite$/.test(path);
}
