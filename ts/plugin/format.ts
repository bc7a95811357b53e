/** Reports as plain text for chats and models: short, without tables. Pure. */

import type {
  FileProblem,
  ListReport,
  ProgressEvent,
  PruneReport,
  PushReport,
  SnapshotChanges,
  SnapshotInfo,
} from '../../index.js';
import { progressInWords } from '../cli/progress-line.js';
import { BackupError, type ErrorCode, isErrorCode } from '../errors.js';
import { given } from '../given.js';
import { machineOf } from '../machine-name.js';
import { onlyApplicationKey, sortRemarks } from '../secrets.js';
import { count, formatBytes, formatCount, formatDuration, lacks, printable } from '../text.js';
import { formatChecked, lostInUpdate } from '../updates/format.js';
import { beforeUpdates, type Here } from '../updates/history.js';
import { ADVICE } from './page/advice.js';
import { inWords } from './page/things.js';
import type { Verdict } from './page/verdict.js';
import type { Record } from './record.js';
import { byTime, isOurs, madeAt, reasonInWords, reasonOf, timeIn } from './snapshots.js';
import type { GatewayStatus } from './status.js';
import { type Reader, Times } from './times.js';

/** Files named of each snapshot. */
const MOST = 3;
/** So many characters of a sentence stand in what a model reads besides the text: 20 snapshots are 1,500 tokens at most. */
const LONGEST = 80;

const ORIGINAL =
  'of the original plugin, not authenticated: only a command in a shell restores it, into a directory';

const NOT_SEALED = 'not encrypted: whoever can write to the bucket can have made it';

/** How snapshots are listed. */
export interface Listing extends Reader {
  /** So many at most. */
  readonly limit: number;
  /** All that there are, where only some are listed: their times have to tell them from these. */
  readonly among?: readonly SnapshotInfo[];
  /** What this machine knows of its OpenClaw. */
  readonly here?: Here;
}

/** The snapshots, newest first, at most `limit` of them. Each is named by its time, and by its id where that would not do. */
export function formatList(
  { snapshots, warnings }: Pick<ListReport, 'snapshots' | 'warnings'>,
  { limit, among = snapshots, here, ...reader }: Listing,
): string {
  if (snapshots.length === 0) return lines('There are no snapshots yet.', ...notes(warnings));
  const newestFirst = snapshots.toSorted((a, b) => byTime(b, a));
  const older = snapshots.length - limit;
  // Where nothing is encrypted, one word about it is enough.
  const sealed = snapshots.some(({ authenticated }) => authenticated);
  const telling = new Telling(among, reader, here);
  return lines(
    `${count(snapshots.length, 'snapshot')}, newest first:`,
    ...newestFirst
      .slice(0, limit)
      .flatMap((snapshot) => formatSnapshot(snapshot, telling, sealed && isDoubtful(snapshot))),
    ...(older > 0 ? [`and ${formatCount(older)} older`] : []),
    ...(sealed || !snapshots.some(isDoubtful) ? [] : [`Note: ${NOT_SEALED}`]),
    ...notes(warnings),
  );
}

/** A snapshot in a few words, for programs that show it, and models that read it. */
export interface Brief {
  /** Local time; what the tool takes for it. */
  readonly time: string;
  /** Only where the time would not do. */
  readonly id?: string;
  readonly made?: string;
  readonly machine?: string;
  readonly size?: string;
  readonly changed?: string;
  readonly lacks?: string;
  readonly problem?: string;
}

/** The snapshots in a few words, newest first, at most `limit` of them. */
export function briefs(
  snapshots: readonly SnapshotInfo[],
  { limit, among = snapshots, here, ...reader }: Listing,
): readonly Brief[] {
  const telling = new Telling(among, reader, here);
  return snapshots
    .toSorted((a, b) => byTime(b, a))
    .slice(0, limit)
    .map((snapshot) => telling.brief(snapshot));
}

/** What `/b2` and the tool take for each of these snapshots: its time, or its id where that would not do. */
export function wordsFor(
  snapshots: readonly SnapshotInfo[],
  reader: Reader,
): (snapshot: SnapshotInfo) => string {
  const telling = new Telling(snapshots, reader, undefined);
  return (snapshot) => telling.idOf(snapshot) ?? telling.time(snapshot);
}

/** What tells the snapshots of a list from each other. */
class Telling {
  readonly times: Times;
  readonly #updates: ReadonlyMap<string, string>;
  readonly #seen = new Map<string, number>();
  readonly #hasOwn: boolean;

  constructor(snapshots: readonly SnapshotInfo[], reader: Reader, here: Here | undefined) {
    this.times = new Times(reader);
    this.#updates = beforeUpdates(snapshots.toSorted(byTime), here);
    this.#hasOwn = snapshots.some(({ thisMachine }) => thisMachine);
    for (const snapshot of snapshots) {
      const time = this.time(snapshot);
      this.#seen.set(time, (this.#seen.get(time) ?? 0) + 1);
    }
  }

  time(snapshot: SnapshotInfo): string {
    return this.times.clock(snapshot.createdAt, madeAt(snapshot));
  }

  /** Set where the time alone means another one, or several: words are about this machine's own. */
  idOf(snapshot: SnapshotInfo): string | undefined {
    const isOwn = snapshot.thisMachine || !this.#hasOwn;
    const alone = this.#seen.get(this.time(snapshot)) === 1 && !Number.isNaN(madeAt(snapshot));
    return isOwn && alone && isOurs(snapshot) ? undefined : printable(snapshot.id);
  }

  /** Why it was made, and before which update, in words. */
  made(snapshot: SnapshotInfo): string | undefined {
    const reason = reasonOf(snapshot);
    const all = [reason && reasonInWords(reason), this.#updates.get(snapshot.id)];
    const told = all.filter((text) => text !== undefined);
    return told.length === 0 ? undefined : told.join(', ');
  }

  brief(snapshot: SnapshotInfo): Brief {
    const { machine, thisMachine, bytes, problem, changes, remarks, moreRemarks } = snapshot;
    return given({
      time: this.time(snapshot),
      id: this.idOf(snapshot),
      made: this.made(snapshot),
      machine: thisMachine || machine === '' ? undefined : machineOf(snapshot),
      size: problem === undefined ? formatBytes(bytes) : undefined,
      problem: problem && printable(problem).slice(0, LONGEST),
      changed: changes && formatChanges(changes).slice(0, LONGEST),
      lacks: lacks(remarks, moreRemarks)?.slice(0, LONGEST),
    });
  }
}

/** What a push did, in one line. */
export function formatPush(report: PushReport): string {
  const { snapshot, files, bytes, uploadedBytes, durationMs, resumed, skipped } = report;
  const what = `${count(files, 'file')}, ${formatBytes(bytes)}`;
  const took = formatDuration(durationMs);
  const missing = lacks(skipped);
  const { leftOut, saved } = sortRemarks(skipped);
  const text =
    snapshot === undefined
      ? `Nothing has changed since the last snapshot (${took})`
      : `Snapshot ${printable(snapshot)}: ${what}; ${formatBytes(uploadedBytes)} sent, ${took}`;
  return [
    text,
    ...(resumed === undefined ? [] : [`finished ${printable(resumed)}, which had been cut off`]),
    ...(missing === undefined ? [] : [`incomplete: it lacks ${missing}`]),
    ...(leftOut.length === 0 ? [] : [`${count(leftOut.length, 'file')} with secrets left out on purpose`]),
    ...(saved.length === 0 ? [] : [`${count(saved.length, 'file')} saved with a remark`]),
  ].join('; ');
}

/** The same for a person who asked for it: the snapshot is named by its time. */
export function formatBackup(report: PushReport, reader: Reader): string {
  const { snapshot, resumed } = report;
  const times = new Times(reader);
  const named = (id: string) => times.clock(timeIn(id));
  const text = formatPush(
    given({
      ...report,
      snapshot: snapshot && `of ${named(snapshot)}`,
      resumed: resumed && `the one of ${named(resumed)}`,
    }),
  );
  const { bytes, files } = report;
  return snapshot === undefined
    ? `${text}; it has ${count(files, 'file')}, ${formatBytes(bytes)}`
    : `Backed up. ${text}`;
}

/** Why backups that succeed are a failure all the same; nothing where they are not. */
export function incomplete(skipped: readonly FileProblem[]): BackupError | undefined {
  const failures = skipped.filter(({ failure }) => failure);
  if (failures.length === 0) return undefined;
  const more = failures.length - MOST;
  const named = failures.slice(0, MOST).map((one) => `${printable(one.path)}: ${trouble(one)}`);
  return new BackupError(
    `The backups to B2 are incomplete. ${named.join('; ')}${more > 0 ? `; and ${formatCount(more)} more` : ''}. All else is backed up.`,
    { code: 'B2_INCOMPLETE' },
  );
}

/** The gravest failure that holds: a push, damage, a trial or an update that lost something, then what backups lack. */
export function standingFailure(record: Record): BackupError | undefined {
  const { failures, lastFailure, remarks = [], verify, drill, told, update } = record;
  const failed = failures > 0 ? lastFailure : undefined;
  const damaged = (verify?.found ?? []).length > 0 ? verify?.failure : undefined;
  const lost = told.includes('unproven') ? drill?.failure : undefined;
  const remembered = failed ?? damaged ?? lost;
  if (remembered === undefined)
    return (update?.checked && lostInUpdate(update.checked)) ?? incomplete(remarks);
  const { message, code, retryable } = remembered;
  return new BackupError(message, { code: code as ErrorCode, retryable });
}

/** What was pruned, in one line; nothing where nothing was. */
export function formatPrune({ deletedSnapshots, freedBytes, waitingBytes }: PruneReport): string | undefined {
  if (deletedSnapshots === 0 && freedBytes === 0) return undefined;
  const later = waitingBytes === 0 ? '' : `, ${formatBytes(waitingBytes)} more within a day`;
  return `${count(deletedSnapshots, 'old snapshot')} deleted; ${formatBytes(freedBytes)} freed${later}`;
}

/** Something that went wrong. */
interface Trouble {
  readonly code: string;
  readonly message: string;
}

/** Whether the state is backed up, since when, and where; the verdict that the page shows, too, first. */
export function formatStatus(
  standing: GatewayStatus,
  { verdict, ...reader }: Reader & { readonly verdict?: Verdict },
): string {
  const { problem, running, schedule, nextAt, bucket, bucketProblem, pruneProblem } = standing;
  const { verifyProblem, drillProblem, drillSkipped, booted, update, updateProblem, updateUnchecked } =
    standing;
  const times = new Times(reader);
  return lines(
    verdict && formatVerdict(verdict),
    problem && `Nothing can be backed up: ${trouble(problem)}`,
    running && `A backup is running (${printable(running.phase)}).`,
    failuresOf(standing, times),
    lastOf(standing, times),
    ...remarksOf(standing),
    nextAt &&
      `Next backup: ${times.tell(nextAt)}${schedule === undefined ? '' : `, schedule "${printable(schedule)}"`}`,
    ...(bucket === undefined ? [] : bucketOf(bucket, times)),
    verifyProblem && `The last look at what is stored: ${trouble(verifyProblem)}`,
    booted &&
      `Booted on the backup of ${times.clock(timeIn(booted.snapshot))} with OpenClaw ${printable(booted.version)}: ${times.tell(booted.at)}`,
    updateUnchecked ?? (update && formatChecked(update)),
    updateProblem && `It is not known whether the last update lost something: ${printable(updateProblem)}`,
    drillProblem && `The last trial restore: ${trouble(drillProblem)}`,
    drillSkipped && `Note: ${printable(drillSkipped)}`,
    pruneProblem && `Old snapshots stay: ${trouble(pruneProblem)}`,
    bucketProblem && `The bucket cannot be asked: ${unasked(bucketProblem, standing)}`,
  );
}

/** What the last failure has said already is not said again. */
function unasked(problem: Trouble, { failures, lastFailure }: GatewayStatus): string {
  const again = failures > 0 && lastFailure?.code === problem.code && lastFailure.message === problem.message;
  return again ? `it is the same (${printable(problem.code)})` : trouble(problem);
}

function formatVerdict({ title, todo }: Verdict): string {
  return `${printable(title)}.${todo === undefined ? '' : ` ${printable(todo)}`}`;
}

/** How far a push is. */
export function formatProgress(event: ProgressEvent): string {
  return progressInWords(event);
}

function formatSnapshot(snapshot: SnapshotInfo, telling: Telling, doubtful: boolean): string[] {
  const { machine, thisMachine, createdAt, files, bytes, problem, changes, doubt } = snapshot;
  const made = telling.made(snapshot);
  const missing = lacks(snapshot.remarks, snapshot.moreRemarks);
  const facts = [
    telling.times.tell(createdAt, madeAt(snapshot)),
    ...(made === undefined ? [] : [`made ${made}`]),
    ...(problem === undefined ? [count(files, 'file'), formatBytes(bytes)] : []),
    ...(thisMachine || machine === '' ? [] : [`of machine ${machineOf(snapshot)}`]),
  ];
  const id = telling.idOf(snapshot);
  return [
    `- ${facts.join(', ')}`,
    ...(id === undefined ? [] : [`  its id: ${id}`]),
    ...(changes === undefined ? [] : [`  ${formatChanges(changes)}`]),
    ...(missing === undefined ? [] : [`  incomplete: it lacks ${missing}`]),
    ...(problem === undefined ? [] : [`  cannot be used: ${printable(problem)}`]),
    ...(doubt === undefined ? [] : [`  its time cannot be right: ${printable(doubt)}`]),
    ...(doubtful ? [`  ${NOT_SEALED}`] : []),
    ...(isOurs(snapshot) ? [] : [`  ${ORIGINAL}`]),
  ];
}

/** Whether others can have made it. What cannot be read is another matter. */
function isDoubtful(snapshot: SnapshotInfo): boolean {
  return isOurs(snapshot) && !snapshot.authenticated && snapshot.problem === undefined;
}

/** `conversations of main, MEMORY.md and 11 more files; 3.1 MB stored` */
function formatChanges({ added, changed, removed, storedBytes, most }: SnapshotChanges): string {
  const files = added + changed + removed;
  if (files === 0) return 'no file changed';
  const what = inWords(
    most.map(({ path }) => path),
    files,
    MOST,
  );
  return `changed: ${what}; ${formatBytes(storedBytes)} stored`;
}

function failuresOf({ failures, lastFailure }: GatewayStatus, times: Times): string | undefined {
  if (failures === 0) return undefined;
  const [which, have] =
    failures === 1 ? ['The last backup', 'has'] : [`The last ${failures} backups`, 'have'];
  const because =
    lastFailure === undefined ? '' : ` (${times.tell(lastFailure.at)}): ${trouble(lastFailure)}`;
  return `${which} ${have} failed${because}`;
}

function lastOf({ lastSuccessAt, bucket }: GatewayStatus, times: Times): string {
  const at = lastSuccessAt ?? bucket?.lastSnapshotAt;
  return at === undefined
    ? 'Nothing has been backed up with these settings yet.'
    : `Last backup: ${times.tell(at)}`;
}

/** What the newest snapshot lacks. */
function remarksOf({ remarks = [], moreRemarks }: GatewayStatus): string[] {
  const missing = lacks(remarks, moreRemarks);
  if (missing === undefined) return [];
  const worst = remarks.filter((remark) => remark.failure).slice(0, MOST);
  return [
    `The newest snapshot is incomplete: it lacks ${missing}`,
    ...worst.map((problem) => `  ${printable(problem.path)}: ${trouble(problem)}`),
  ];
}

function bucketOf(report: NonNullable<GatewayStatus['bucket']>, times: Times): string[] {
  const { bucket, prefix, encrypt, snapshots, storedBytes, pending, warnings, opensWith } = report;
  const { provenSnapshot, provenAt } = report;
  const where = `${printable(bucket)}, prefix ${printable(prefix)}, ${encrypt ? 'encrypted' : 'not encrypted'}`;
  return [
    `Bucket: ${where}; ${count(snapshots, 'snapshot')}, ${formatBytes(storedBytes)}`,
    ...(provenSnapshot === undefined || provenAt === undefined
      ? []
      : [
          `Last proven: ${times.tell(provenAt)}, by a trial restore of what was made ${times.tell(timeIn(provenSnapshot))}`,
        ]),
    ...(pending ? ['An upload was cut off; the next backup finishes it.'] : []),
    ...notes([...warnings, ...onlyApplicationKey({ opensWith }, 'openclaw b2-backup')]),
  ];
}

function notes(warnings: readonly string[]): string[] {
  return warnings.map((warning) => `Note: ${printable(warning)}`);
}

/** Errors of which the message says all: what was asked for, or who asked. */
const PLAIN: ReadonlySet<string> = new Set([
  'B2_USAGE',
  'B2_NOT_APPROVED',
  'B2_PLAN_CHANGED',
  'B2_NEEDS_CHOICE',
]);

/** A failure with its code, and what to do about it. */
export function formatTrouble(error: Trouble): string {
  const { code } = error;
  const advice = PLAIN.has(code) || !isErrorCode(code) ? undefined : ADVICE[code];
  return advice === undefined ? trouble(error) : `${advice.what}: ${trouble(error)}\n${advice.todo}`;
}

function trouble({ message, code }: Trouble): string {
  return `${printable(message)} (${printable(code)})`;
}

function lines(...all: readonly (string | undefined)[]): string {
  return all.filter((line) => line !== undefined).join('\n');
}
