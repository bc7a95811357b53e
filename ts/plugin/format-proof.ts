/** What proofs found, in words for logs and for the user. Pure. */
import type { VerifyReport } from '../../index.js';
import type { BootReport, Trial } from '../boot/drill.js';
import { BackupError, type ErrorCode } from '../errors.js';
import { count, formatBytes, lacks, printable } from '../text.js';

/** So many of the things that are wrong are named. */
const MOST = 3;

/** Codes of trial restores which say that the newest snapshot cannot be restored. Others say that nobody knows. */
const HOPELESS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'B2_WRONG_KEY',
  'B2_DAMAGED',
  'B2_OBJECT_MISSING',
  'B2_SNAPSHOT_NOT_FOUND',
  'B2_NOT_AUTHENTICATED',
  'B2_UNSAFE_PATH',
]);

/** What a look found that found nothing wrong. */
export function formatVerify({ readBytes, bytes, snapshots }: VerifyReport): string {
  return (
    `${formatBytes(readBytes)} of the ${formatBytes(bytes)} that this machine stores were read and are as they were ` +
    `written; ${count(snapshots, 'snapshot')} complete`
  );
}

/** What is damaged, and what happens and what to do about it; nothing where all is well. */
export function formatDamage({ problems }: VerifyReport): BackupError | undefined {
  const [first] = problems;
  if (first === undefined) return undefined;
  const snapshots = new Set(problems.flatMap((problem) => problem.snapshots)).size;
  const cost = snapshots === 0 ? '' : ` They harm ${count(snapshots, 'snapshot')}.`;
  return error(
    `${count(problems.length, 'object')} of the backups in the bucket ${problems.length === 1 ? 'is' : 'are'} lost or ` +
      `damaged: ${named(problems.map(({ object }) => object))}.${cost} The next backup stores again what is still on ` +
      'this machine. "openclaw b2-backup verify" tells what older snapshots have lost, ' +
      '"openclaw b2-backup undelete --dry-run" whether it can be brought back.',
    first.code,
  );
}

/** What a trial restore found that found nothing wrong. */
export function formatDrill({
  snapshot,
  files,
  bytes,
  databases,
  remarks,
  boot,
  bootSkipped,
}: Trial): string {
  const missing = lacks(remarks);
  return (
    `A trial restore of ${printable(snapshot)} brought back all of ${count(files, 'file')} (${formatBytes(bytes)}) and ` +
    count(databases, 'database') +
    (missing === undefined ? '' : `; the snapshot is incomplete: it lacks ${missing}`) +
    (boot === undefined
      ? ''
      : `; it was booted with OpenClaw ${printable(boot.version)}: ${formatBoot(boot)}`) +
    (bootSkipped === undefined ? '' : `; it was not booted: ${printable(bootSkipped)}`)
  );
}

/** Why the newest snapshot cannot be restored, as far as that is known; nothing where it can, or nobody knows. */
export function unproven(outcome: Trial | BackupError): BackupError | undefined {
  if (outcome instanceof BackupError) {
    if (!HOPELESS.has(outcome.code)) return undefined;
    return error(
      `A trial restore of the newest backup failed: ${outcome.message} (${outcome.code}). The next backup mends what ` +
        'is damaged; "openclaw b2-backup drill" tries again, "openclaw b2-backup doctor" tells what is wrong.',
      outcome.code,
    );
  }
  const { failed, snapshot, boot } = outcome;
  const [first] = failed;
  if (first === undefined) return boot === undefined ? undefined : unbootable(boot);
  return error(
    `A trial restore of ${printable(snapshot)} did not bring back ${count(failed.length, 'file')}: ` +
      `${named(failed.map(({ path }) => path))}. The next backup stores again what is still on this machine; ` +
      '"openclaw b2-backup drill" tries again.',
    first.code,
  );
}

/** Why there is no trial restore of a snapshot of so many bytes. */
export function formatTooLarge(bytes: number): string {
  return `${formatBytes(bytes)} are too much for a trial restore that nobody asked for; "openclaw b2-backup drill" makes one`;
}

function named(all: readonly string[]): string {
  const shown = all.slice(0, MOST).map(printable).join(', ');
  return all.length > MOST ? `${shown} and ${all.length - MOST} more` : shown;
}

/** A finding is not retryable: it does not pass by itself. */
function error(message: string, code: string): BackupError {
  return new BackupError(message, { code: code as ErrorCode });
}

function formatBoot({ sessions, agents, jobs, memoryFiles }: BootReport): string {
  const seen = [count(agents, 'agent'), count(sessions, 'session'), count(jobs, 'job')];
  return `${seen.join(', ')} and ${count(memoryFiles, 'memory file')} are as the snapshot says`;
}

function unbootable({ problems, snapshot, version }: BootReport): BackupError | undefined {
  if (problems.length === 0) return undefined;
  return error(
    `OpenClaw ${printable(version)} was started on a trial restore of ${printable(snapshot)}, and not all is as it should ` +
      `be: ${problems.slice(0, MOST).map(printable).join('; ')}. All files came back as they were saved, so the state ` +
      'itself may be at fault: check whether OpenClaw shows it here. "openclaw b2-backup drill --boot" tries again.',
    'B2_HOST_REFUSES',
  );
}
