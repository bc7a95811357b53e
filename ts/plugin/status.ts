/** What a gateway knows about its backups. */

import type { FileProblem, StatusReport } from '../../index.js';
import type { Booted } from '../boot/record.js';
import { given } from '../given.js';
import type { CheckedUpdate } from '../updates/checked.js';
import { formatUnchecked } from '../updates/format.js';
import type { Running } from './pusher.js';
import type { Failure, Record } from './record.js';

/** All that can be said without a guess. Times are ISO 8601. */
export interface GatewayStatus {
  /** Why nothing can be backed up. */
  readonly problem?: { readonly code: string; readonly message: string };
  readonly schedule?: string;
  /** When the next scheduled push is due, ISO 8601. */
  readonly nextAt?: string;
  readonly running?: { readonly reason: string; readonly phase: string };
  readonly lastSuccessAt?: string;
  readonly lastSnapshot?: string;
  /** What that lacks, or has not as it should be: some, the worst first. */
  readonly remarks?: readonly FileProblem[];
  /** How many more there are. */
  readonly moreRemarks?: number;
  /** When old snapshots were last deleted, or that was tried. */
  readonly lastPruneAt?: string;
  /** Why that failed. */
  readonly pruneProblem?: { readonly code: string; readonly message: string };
  /** When what is stored was last verified. */
  readonly lastVerifyAt?: string;
  /** What was found, or why nothing could be. */
  readonly verifyProblem?: { readonly code: string; readonly message: string };
  /** When a trial restore of the gateway last brought everything back. */
  readonly lastDrillAt?: string;
  /** When OpenClaw last started on a restored snapshot, and had all that is in it. */
  readonly booted?: Booted;
  /** The last update of OpenClaw that was looked at, and what is missing since then. */
  readonly update?: CheckedUpdate;
  /** That there was one that will be looked at, in words. */
  readonly updateUnchecked?: string;
  /** Why the last one could not be looked at. */
  readonly updateProblem?: string;
  /** Why it did not, or why that could not be tried. */
  readonly drillProblem?: { readonly code: string; readonly message: string };
  /** Why that is not tried. */
  readonly drillSkipped?: string;
  /** Failures in a row. */
  readonly failures: number;
  readonly lastFailure?: Failure;
  /** What the bucket says. */
  readonly bucket?: Omit<StatusReport, 'remarks'>;
  /** Why the bucket says nothing. */
  readonly bucketProblem?: { readonly code: string; readonly message: string };
}

/** What is remembered, and what runs. */
export function remembered(record: Record, running: Running | undefined) {
  const { lastSuccessAt, lastSnapshot, failures, lastFailure, lastPruneAt, pruneFailure } = record;
  const { verify = {}, drill = {}, update } = record;
  return given({
    failures,
    running: running && { reason: running.reason, phase: running.progress?.phase ?? 'start' },
    lastSuccessAt,
    lastSnapshot,
    remarks: record.remarks,
    moreRemarks: record.moreRemarks,
    lastFailure,
    update: update?.checked,
    updateUnchecked: update?.checkAt === undefined ? undefined : formatUnchecked(update),
    updateProblem: update?.problem,
    lastPruneAt,
    pruneProblem: pruneFailure && plain(pruneFailure),
    lastVerifyAt: verify.doneAt,
    verifyProblem: verify.failure && plain(verify.failure),
    lastDrillAt: drill.doneAt,
    drillProblem: drill.failure && plain(drill.failure),
    drillSkipped: drill.skipped,
  });
}

/** An error without what is for programs. */
export function plain({ code, message }: { code: string; message: string }): {
  code: string;
  message: string;
} {
  return { code, message };
}
