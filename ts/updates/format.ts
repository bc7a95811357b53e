/** What a check after an update found, in words. Pure. */
import { BackupError } from '../errors.js';
import { count, formatCount, formatTime, printable } from '../text.js';
import type { UpdateCheck } from './check.js';
import type { CheckedUpdate, UpdateRecord } from './checked.js';

/** So many things that are missing are named in a sentence. */
const MOST = 5;

/** That all is there, for the log. */
export function formatAllThere({ from, to, counted, unsavedSince }: UpdateCheck): string {
  const { agents, sessions, messages, jobs, memoryFiles } = counted;
  const all = [
    count(agents, 'agent'),
    `${count(sessions, 'session')} with ${count(messages, 'message')}`,
    count(jobs, 'job'),
    count(memoryFiles, 'memory file'),
  ];
  return `after the update of OpenClaw ${from} to ${to} nothing is missing${unsavedSince === undefined ? '' : ' of what was backed up'}: ${all.join(', ')}`;
}

/** What the snapshot from before an update lacks. */
function formatOlder({ from, unsavedSince }: Pick<CheckedUpdate, 'from' | 'unsavedSince'>): string {
  return unsavedSince === undefined
    ? ''
    : ` It is older than the update: OpenClaw ${printable(from)} ended without a backup, and what was said and done after ${formatTime(unsavedSince)} is not in it.`;
}

/** How the last check went, and which snapshot is from before the update; sentences. */
export function formatChecked({ from, to, snapshot, missing, more, unsavedSince }: CheckedUpdate): string {
  const update = `the update of OpenClaw ${printable(from)} to ${printable(to)}`;
  const named = missing.slice(0, MOST).map(({ text }) => printable(text));
  const rest = more + missing.length - named.length;
  if (rest > 0) named.push(`and ${formatCount(rest)} more`);
  const older = formatOlder({ from, ...(unsavedSince === undefined ? {} : { unsavedSince }) });
  return named.length === 0
    ? `Nothing is missing since ${update}. The snapshot from before it: ${printable(snapshot)}.${older}`
    : `Since ${update} this is missing: ${named.join('; ')}. It is in the snapshot from before it: ${printable(snapshot)}.${older}`;
}

/** That an update was seen, and will be looked at. */
export function formatUnchecked({ version, from }: UpdateRecord): string | undefined {
  return from === undefined
    ? undefined
    : `OpenClaw is ${printable(version)} now, and was ${printable(from)}. Whether all is still there is checked some minutes after the start.`;
}

/** What is missing, and what to do about it; undefined where nothing is. */
export function lostInUpdate(checked: CheckedUpdate): BackupError | undefined {
  if (checked.missing.length === 0) return undefined;
  return new BackupError(
    `${formatChecked(checked)} If nobody removed it on purpose, undo the update in a shell: "b2-backup undo-update --dry-run" ` +
      'shows what that would do, "b2-backup undo-update" does it.',
    { code: 'B2_UPDATE_LOST' },
  );
}
