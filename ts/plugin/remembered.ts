/** What the record says of the backups. */
import type { Running } from './pusher.js';
import type { Record } from './record.js';

/** What a status says without asking the bucket. */
export function remembered(record: Record, running: Running | undefined) {
  const { lastSuccessAt, lastSnapshot, failures, lastFailure, lastPruneAt, pruneFailure } = record;
  const { verify = {}, drill = {} } = record;
  return {
    failures,
    ...(running === undefined
      ? {}
      : { running: { reason: running.reason, phase: running.progress?.phase ?? 'start' } }),
    ...(lastSuccessAt === undefined ? {} : { lastSuccessAt }),
    ...(lastSnapshot === undefined ? {} : { lastSnapshot }),
    ...(record.remarks === undefined ? {} : { remarks: record.remarks }),
    ...(record.moreRemarks === undefined ? {} : { moreRemarks: record.moreRemarks }),
    ...(lastFailure === undefined ? {} : { lastFailure }),
    ...(lastPruneAt === undefined ? {} : { lastPruneAt }),
    ...(pruneFailure === undefined ? {} : { pruneProblem: plain(pruneFailure) }),
    ...(verify.doneAt === undefined ? {} : { lastVerifyAt: verify.doneAt }),
    ...(verify.failure === undefined ? {} : { verifyProblem: plain(verify.failure) }),
    ...(drill.doneAt === undefined ? {} : { lastDrillAt: drill.doneAt }),
    ...(drill.failure === undefined ? {} : { drillProblem: plain(drill.failure) }),
    ...(drill.skipped === undefined ? {} : { drillSkipped: drill.skipped }),
  };
}

/** A failure as it is shown to programs. */
export function plain({ code, message }: { code: string; message: string }): {
  code: string;
  message: string;
} {
  return { code, message };
}
