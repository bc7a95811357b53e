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
import { BackupError, type ErrorCode } from '../errors.js';
import { onlyApplicationKey, sortRemarks } from '../secrets.js';
import { count, formatBytes, formatCount, formatDuration, lacks, printable } from '../text.js';
import type { Record } from './record.js';
import { byTime, isOurs, madeAt, reasonInWords, reasonOf } from './snapshots.js';
import type { GatewayStatus } from './status.js';
import { type Reader, Times } from './times.js';

/** Files named of each snapshot. */
const MOST = 3;

const ORIGINAL =
  'of the original plugin, not authenticated: only a command in a shell restores it, into a directory';

const NOT_SEALED = 'not encrypted: whoever can write to the bucket can have made it';

/** The snapshots, newest first, at most `limit` of them. */
export function tellList(
  { snapshots, warnings }: Pick<ListReport, 'snapshots' | 'warnings'>,
  { limit, ...reader }: Reader & { readonly limit: number },
): string {
  if (snapshots.length === 0) return lines('There are no snapshots yet.', ...notes(warnings));
  const times = new Times(reader);
  const newestFirst = snapshots.toSorted((a, b) => byTime(b, a));
  const older = snapshots.length - limit;
  // Where nothing is encrypted, one word about it is enough.
  const sealed = snapshots.some(({ authenticated }) => authenticated);
  return lines(
    `${count(snapshots.length, 'snapshot')}, newest first:`,
    ...newestFirst
      .slice(0, limit)
      .flatMap((snapshot) => tellSnapshot(snapshot, times, sealed && isDoubtful(snapshot))),
    ...(older > 0 ? [`and ${formatCount(older)} older`] : []),
    ...(sealed || !snapshots.some(isDoubtful) ? [] : [`Note: ${NOT_SEALED}`]),
    ...notes(warnings),
  );
}

/** What a push did, in one line. */
export function tellPush(report: PushReport): string {
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
    ...(leftOut.length === 0
      ? []
      : [`${count(leftOut.length, 'file')} with secrets left out, because nothing is encrypted`]),
    ...(saved.length === 0 ? [] : [`${count(saved.length, 'file')} saved with a remark`]),
  ].join('; ');
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

/** The gravest failure that holds: a push that failed, damage, a trial that lost something, then what backups lack. */
export function standingFailure(record: Record): BackupError | undefined {
  const { failures, lastFailure, remarks = [], verify, drill, told } = record;
  const failed = failures > 0 ? lastFailure : undefined;
  const damaged = (verify?.found ?? []).length > 0 ? verify?.failure : undefined;
  const lost = told.includes('unproven') ? drill?.failure : undefined;
  const remembered = failed ?? damaged ?? lost;
  if (remembered === undefined) return incomplete(remarks);
  const { message, code, retryable } = remembered;
  return new BackupError(message, { code: code as ErrorCode, retryable });
}

/** What was pruned, in one line; nothing where nothing was. */
export function tellPrune({ deletedSnapshots, freedBytes, waitingBytes }: PruneReport): string | undefined {
  if (deletedSnapshots === 0 && freedBytes === 0) return undefined;
  const later = waitingBytes === 0 ? '' : `, ${formatBytes(waitingBytes)} more within a day`;
  return `${count(deletedSnapshots, 'old snapshot')} deleted; ${formatBytes(freedBytes)} freed${later}`;
}

/** Something that went wrong. */
interface Trouble {
  readonly code: string;
  readonly message: string;
}

/** Whether the state is backed up, since when, and where. */
export function tellStatus(standing: GatewayStatus, now: Date, timeZone?: string): string {
  const { problem, running, schedule, nextAt, bucket, bucketProblem, pruneProblem } = standing;
  const { verifyProblem, drillProblem, drillSkipped } = standing;
  const times = new Times({ now, timeZone });
  return lines(
    ...(problem === undefined ? [] : [`Nothing can be backed up: ${trouble(problem)}`]),
    ...(running === undefined ? [] : [`A backup is running (${printable(running.phase)}).`]),
    ...failuresOf(standing, times),
    lastOf(standing, times),
    ...remarksOf(standing),
    ...(nextAt === undefined
      ? []
      : [
          `Next backup: ${times.tell(nextAt)}${schedule === undefined ? '' : `, schedule "${printable(schedule)}"`}`,
        ]),
    ...(bucket === undefined ? [] : bucketOf(bucket, times)),
    ...(verifyProblem === undefined ? [] : [`The last look at what is stored: ${trouble(verifyProblem)}`]),
    ...(drillProblem === undefined ? [] : [`The last trial restore: ${trouble(drillProblem)}`]),
    ...(drillSkipped === undefined ? [] : [`Note: ${printable(drillSkipped)}`]),
    ...(pruneProblem === undefined ? [] : [`Old snapshots stay: ${trouble(pruneProblem)}`]),
    ...(bucketProblem === undefined ? [] : [`The bucket cannot be asked: ${trouble(bucketProblem)}`]),
  );
}

/** How far a push is. */
export function tellProgress(event: ProgressEvent): string {
  return progressInWords(event);
}

function tellSnapshot(snapshot: SnapshotInfo, times: Times, doubtful: boolean): string[] {
  const { id, machine, thisMachine, createdAt, files, bytes, problem, changes } = snapshot;
  const reason = reasonOf(snapshot);
  const missing = lacks(snapshot.remarks, snapshot.moreRemarks);
  const facts = [
    times.tell(createdAt, madeAt(snapshot)),
    ...(reason === undefined ? [] : [`made ${reasonInWords(reason)}`]),
    ...(problem === undefined ? [count(files, 'file'), formatBytes(bytes)] : []),
    ...(thisMachine || machine === '' ? [] : [`of machine ${printable(machine)}`]),
  ];
  return [
    `- ${facts.join(', ')}`,
    `  ${printable(id)}`,
    ...(changes === undefined ? [] : [`  ${tellChanges(changes)}`]),
    ...(missing === undefined ? [] : [`  incomplete: it lacks ${missing}`]),
    ...(problem === undefined ? [] : [`  cannot be used: ${printable(problem)}`]),
    ...(doubtful ? [`  ${NOT_SEALED}`] : []),
    ...(isOurs(snapshot) ? [] : [`  ${ORIGINAL}`]),
  ];
}

/** Whether others can have made it. What cannot be read is another matter. */
function isDoubtful(snapshot: SnapshotInfo): boolean {
  return isOurs(snapshot) && !snapshot.authenticated && snapshot.problem === undefined;
}

function tellChanges(changes: SnapshotChanges): string {
  const most = changes.most
    .slice(0, MOST)
    .map(({ path, bytes }) => `${printable(path)} (${formatBytes(bytes)})`);
  const stored = `${changedFiles(changes)}, ${formatBytes(changes.storedBytes)} stored`;
  return most.length === 0 ? stored : `${stored}; most in ${most.join(', ')}`;
}

function changedFiles({ added, changed, removed }: SnapshotChanges): string {
  const parts = [
    [added, 'new'],
    [changed, 'changed'],
    [removed, 'gone'],
  ] as const;
  const told = parts.filter(([number]) => number > 0);
  if (told.length === 0) return 'no file changed';
  return told
    .map(([number, what], at) => `${at === 0 ? count(number, 'file') : formatCount(number)} ${what}`)
    .join(', ');
}

function failuresOf({ failures, lastFailure }: GatewayStatus, times: Times): string[] {
  if (failures === 0) return [];
  const [which, have] =
    failures === 1 ? ['The last backup', 'has'] : [`The last ${failures} backups`, 'have'];
  const because =
    lastFailure === undefined ? '' : ` (${times.tell(lastFailure.at)}): ${trouble(lastFailure)}`;
  return [`${which} ${have} failed${because}`];
}

function lastOf({ lastSuccessAt, lastSnapshot, bucket }: GatewayStatus, times: Times): string {
  const at = lastSuccessAt ?? bucket?.lastSnapshotAt;
  const snapshot = lastSnapshot ?? bucket?.lastSnapshot;
  if (at === undefined) return 'Nothing has been backed up yet.';
  return `Last backup: ${times.tell(at)}${snapshot === undefined ? '' : `, snapshot ${printable(snapshot)}`}`;
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
      : [`Last proven: ${times.tell(provenAt)}, by a trial restore of ${printable(provenSnapshot)}`]),
    ...(pending ? ['An upload was cut off; the next backup finishes it.'] : []),
    ...notes([...warnings, ...onlyApplicationKey({ opensWith }, 'openclaw b2-backup')]),
  ];
}

function notes(warnings: readonly string[]): string[] {
  return warnings.map((warning) => `Note: ${printable(warning)}`);
}

function trouble({ message, code }: Trouble): string {
  return `${printable(message)} (${printable(code)})`;
}

function lines(...all: readonly string[]): string {
  return all.join('\n');
}
