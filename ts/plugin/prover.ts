/** When what is stored is verified, and when there is a trial restore of the newest snapshot. */
import type { PushReport, VerifyReport } from '../../index.js';
import type { Trial } from '../boot/drill.js';
import { BackupError } from '../errors.js';
import { type Chore, type EndedPush, sinceThen } from './chores.js';
import type { Clock } from './clock.js';
import type { ProofRecord } from './record.js';

const HOUR_MS = 60 * 60_000;
const DAY_MS = 24 * HOUR_MS;
/** What comes after scheduled pushes would come a push later, if its time were counted to the minute. */
const EARLY_MS = 12 * HOUR_MS;
/** Milliseconds from one look to the next. */
const VERIFY_MS = 7 * DAY_MS - EARLY_MS;
/** Milliseconds from one trial restore to the next. */
const DRILL_MS = 30 * DAY_MS - EARLY_MS;
/** The first trial restore comes so long after the first start, in milliseconds. */
const FIRST_DRILL_MS = DAY_MS - EARLY_MS;
/** What was cut off, or failed for a reason that may pass, is tried again after so many milliseconds. */
const AGAIN_MS = DAY_MS - EARLY_MS;

/** So many bytes are read in a week at most to look at what is stored. 5 % of 100 GB. */
export const VERIFY_BYTES = 5_000_000_000;
/** A snapshot with more bytes than this is not restored without being asked for. */
const DRILL_BYTES = 10_000_000_000;

/** What both work with. */
interface ProverDeps<T> extends Pick<Chore<T>, 'work' | 'ended'> {
  readonly clock: Clock;
  /** How it last went. */
  last(): ProofRecord;
  /** Since when the plugin has been set up, ISO 8601. */
  since(): string | undefined;
  /** Called before each. */
  began(): void;
}

/** Makes the chore that reads a part of what is stored. It goes on where the last one was cut off. */
export function verifier(deps: ProverDeps<VerifyReport>): Chore<VerifyReport> {
  const { clock, last, since, ended } = deps;
  const due = (push: EndedPush): boolean =>
    quiet(push) !== undefined &&
    sinceThen(clock, last().doneAt ?? since()) >= VERIFY_MS &&
    mayTry(clock, last(), VERIFY_MS);
  return { due, ended, work: announced(deps) };
}

/** What a trial restore works with. */
interface DrillDeps extends ProverDeps<Trial> {
  /** A snapshot of so many bytes is too large. */
  tooLarge(bytes: number): void;
}

/** Makes the chore of the trial restore. */
export function driller(deps: DrillDeps): Chore<Trial> {
  const { clock, last, since, ended, tooLarge } = deps;
  const isTime = (): boolean => {
    const { doneAt } = last();
    const done =
      doneAt === undefined
        ? sinceThen(clock, since()) >= FIRST_DRILL_MS
        : sinceThen(clock, doneAt) >= DRILL_MS;
    return done && mayTry(clock, last(), VERIFY_MS);
  };
  const due = (push: EndedPush): boolean => {
    const report = quiet(push);
    if (report === undefined || !isTime()) return false;
    if (report.bytes <= DRILL_BYTES) return true;
    tooLarge(report.bytes);
    return false;
  };
  return { due, ended, work: announced(deps) };
}

/** A push that succeeded, and that nobody asked for: at other times somebody is at work. */
function quiet({ reason, outcome }: EndedPush): PushReport | undefined {
  return reason === 'scheduled' && !(outcome instanceof BackupError) ? outcome : undefined;
}

/** Each try costs traffic: what will not pass by itself is tried again after `waitMs` only. */
function mayTry(clock: Clock, { triedAt, failure, skipped }: ProofRecord, waitMs: number): boolean {
  if (triedAt === undefined) return true;
  const failed = failure !== undefined && !failure.retryable && failure.at >= triedAt;
  const lasting = failed || skipped !== undefined;
  return sinceThen(clock, triedAt) >= (lasting ? waitMs : AGAIN_MS);
}

/** Says that it begins: one that is killed was tried, too. */
function announced<T>({ began, work }: ProverDeps<T>): Chore<T>['work'] {
  return (operation) => {
    began();
    return work(operation);
  };
}
