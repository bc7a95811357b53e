/** Keeps the record of how pushes go, and tells the user when they do not. */
import type { FileProblem, PruneReport, PushReport, Settings, VerifyReport } from '../../index.js';
import type { Trial } from '../boot/drill.js';
import { BackupError } from '../errors.js';
import type { Policy } from '../policy.js';
import { sortRemarks } from '../secrets.js';
import { count } from '../text.js';
import type { UpdateRecord } from '../updates/checked.js';
import type { Clock } from './clock.js';
import { formatPrune, formatPush, incomplete, standingFailure } from './format.js';
import { formatDamage, formatDrill, formatTooLarge, formatVerify, unproven } from './format-proof.js';
import { fingerprint, isOf } from './place.js';
import type { PushReason } from './pusher.js';
import {
  boundRemarks,
  EMPTY,
  type Failure,
  failure,
  type Incident,
  type PendingRollback,
  type Record,
  type RecordFile,
  unfinished,
} from './record.js';
import type { Voice } from './voice.js';

/** So many failures in a row reach the user. */
const FAILURES = 3;
/** Nothing for so many of the schedule's periods reaches the user. */
const PERIODS = 2;
/** How long what was missed while the gateway was off or the machine slept may take to be made up, in milliseconds. */
const MAKE_UP_MS = 60 * 60_000;
/** Looks are a minute apart; longer than this, in milliseconds, and the machine has slept, or its clock was set. */
const ASLEEP_MS = 5 * 60_000;

/** What happened to the backups of this gateway. */
export class Reporter {
  readonly #file: RecordFile;
  readonly #voice: Voice;
  readonly #clock: Clock;
  #record: Record = EMPTY;
  #wakes = true;
  /** Since when there has been a chance to back up, and when that was last seen to be so. */
  #awake: { readonly since: Date; at: Date } | undefined;

  constructor(file: RecordFile, voice: Voice, clock: Clock) {
    this.#file = file;
    this.#voice = voice;
    this.#clock = clock;
  }

  get record(): Record {
    return this.#record;
  }

  /** Reads what is remembered. A push that was not seen to succeed is to be made up at once. */
  async open(): Promise<void> {
    const record = await this.#file.read();
    const { lastRunAt, lastSuccessAt, ...rest } = record;
    const finished = lastSuccessAt !== undefined && lastRunAt !== undefined && lastSuccessAt >= lastRunAt;
    this.#record = {
      since: this.#clock.now().toISOString(),
      ...rest,
      ...(lastSuccessAt === undefined ? {} : { lastSuccessAt }),
      ...(finished ? { lastRunAt } : {}),
    };
    // A restart mends nothing.
    const standing = standingFailure(this.#record);
    if (standing !== undefined) this.#voice.health?.reportFailure(standing);
  }

  /**
   * Compares where and how backups are stored with what is remembered. After a change nothing that was stored or proven
   * before counts, and a push is due at once.
   */
  async storesAt(settings: Settings, signal: AbortSignal): Promise<void> {
    const { place } = this.#record;
    if (place !== undefined && (await isOf(settings, place))) return;
    const now = await fingerprint(settings);
    if (signal.aborted) return;
    if (place === undefined) {
      this.#save({ ...this.#record, place: now });
      return;
    }
    const {
      lastRunAt: _ran,
      lastSuccessAt: _done,
      lastSnapshot: _id,
      lastFailure: _why,
      remarks: _lacks,
      moreRemarks: _more,
      verify: _looked,
      drill: _tried,
      ...rest
    } = this.#record;
    const since = this.#clock.now().toISOString();
    this.#save({ ...rest, since, failures: 0, told: [], place: now, moved: true });
    this.say('the bucket, key or encryption settings have changed; backing up now to check them');
  }

  /** Resolves once all that is known is on disk, or could not be written. */
  saved(): Promise<void> {
    return this.#file.written();
  }

  /** A line for the log. */
  say(message: string): void {
    this.#voice.logger.info(message);
  }

  /** News for the user, in the log, too. */
  tell(text: string): void {
    this.#voice.logger.info(text);
    this.#voice.tellUser(text, this.#wakes);
  }

  /** From now on news wake the agent, or wait until somebody speaks to it. */
  wakeAgent(wakes: boolean): void {
    this.#wakes = wakes;
  }

  /** A warning for the log. */
  warn(message: string): void {
    this.#voice.logger.warn(message);
  }

  /** Whether the gateway has stopped and all of it is backed up, or works again. */
  rests(atRest: boolean): void {
    const { atRest: before = false, ...rest } = this.#record;
    if (atRest !== before) this.#save(atRest ? { ...rest, atRest } : rest);
  }

  /** Remembers what is known of the last update of OpenClaw. */
  keepUpdate(update: UpdateRecord): void {
    this.#save({ ...this.#record, update });
    this.#showHealth();
  }

  /** Remembers a rollback over the restart that it needs, or what became of it. */
  async rollbackWaits(rollback: PendingRollback): Promise<void> {
    this.#save({ ...this.#record, rollback });
    await this.saved();
  }

  /** Tells what became of a rollback, in the session that asked for it. It is forgotten once a turn has carried it. */
  tellRollback(text: string, to: PendingRollback): void {
    this.#voice.logger.info(text);
    this.#voice.tellForSure(text, this.#wakes, to, () => {
      const { rollback, ...rest } = this.#record;
      // Another one may have been asked for in that very turn.
      if (rollback?.id === to.id) this.#save(rest);
    });
  }

  /** A push begins. */
  began(): void {
    this.#save({ ...this.#record, lastRunAt: this.#clock.now().toISOString() });
  }

  /** A push has ended. */
  ended(reason: PushReason, outcome: PushReport | BackupError): void {
    if (!(outcome instanceof BackupError)) this.#succeeded(reason, outcome);
    else if (outcome.code === 'B2_CANCELLED')
      this.#voice.logger.info(`${reason} push was cut short; the next one continues it`);
    else this.#failed(reason, outcome);
  }

  /** Pruning has ended. A failure is no failure of backups: it is told in the log and in the status. */
  pruned(outcome: PruneReport | BackupError): void {
    const now = this.#clock.now();
    const { pruneFailure: _over, ...rest } = this.#record;
    const { logger } = this.#voice;
    if (outcome instanceof BackupError) {
      this.#save({ ...rest, lastPruneAt: now.toISOString(), pruneFailure: failure(outcome, now) });
      logger.warn(`old snapshots stay: ${outcome.message} (${outcome.code})`);
      return;
    }
    this.#save({ ...rest, lastPruneAt: now.toISOString() });
    const told = formatPrune(outcome);
    if (told !== undefined) logger.info(told);
    for (const warning of outcome.warnings) logger.warn(warning);
  }

  /** A look at what is stored begins, or a trial restore. */
  proofBegan(which: 'verify' | 'drill'): void {
    const { skipped: _over, ...rest } = this.#record[which] ?? {};
    this.#save({ ...this.#record, [which]: { ...rest, triedAt: this.#clock.now().toISOString() } });
  }

  /** What is stored was verified, or could not be. The user hears once of each object that is bad. */
  verified(outcome: VerifyReport | BackupError): void {
    const at = this.#clock.now();
    const { failure: before, found = [], ...rest } = this.#record.verify ?? {};
    const { logger } = this.#voice;
    if (outcome instanceof BackupError) {
      const damage = found.length > 0 ? before : undefined;
      const verify = { ...rest, found, failure: unfinished(damage, outcome, at) };
      this.#save({ ...this.#record, verify });
      logger.warn(`what is stored could not be checked: ${outcome.message} (${outcome.code})`);
      return;
    }
    const verify = { ...rest, doneAt: at.toISOString() };
    const damage = formatDamage(outcome);
    if (damage === undefined) {
      this.#save({ ...this.#record, verify });
      if (found.length > 0) this.#showHealth();
      logger.info(formatVerify(outcome));
      if (found.length > 0) this.tell('What was damaged in the backups is whole again, or needed no more.');
      return;
    }
    const bad = outcome.problems.map(({ object }) => object);
    this.#save({ ...this.#record, verify: { ...verify, found: bad, failure: failure(damage, at) } });
    for (const { message, code } of outcome.problems.slice(0, 5)) logger.error(`${message} (${code})`);
    this.#voice.health?.reportFailure(damage);
    if (bad.some((object) => !found.includes(object))) this.alarm(damage.message);
  }

  /** A trial restore ended, or could not be made. The user hears once that it does not come back. */
  drilled(outcome: Trial | BackupError): void {
    const at = this.#clock.now();
    const { failure: _over, ...rest } = this.#record.drill ?? {};
    const { logger } = this.#voice;
    const problem = unproven(outcome);
    if (problem !== undefined) {
      const { told } = this.#record;
      this.#save({ ...this.#record, drill: { ...rest, failure: failure(problem, at) } });
      logger.error(problem.message);
      this.#voice.health?.reportFailure(problem);
      if (!told.includes('unproven')) this.#incident('unproven', problem.message);
    } else if (outcome instanceof BackupError) {
      const failed = unfinished(this.#unproven(), outcome, at);
      this.#save({ ...this.#record, drill: { ...rest, failure: failed } });
      logger.warn(`no trial restore: ${outcome.message} (${outcome.code})`);
    } else {
      const told = this.#record.told.filter((incident) => incident !== 'unproven');
      const over = told.length < this.#record.told.length;
      this.#save({ ...this.#record, told, drill: { ...rest, doneAt: at.toISOString() } });
      logger.info(formatDrill(outcome));
      if (over) {
        this.#showHealth();
        this.#voice.tellUser(formatDrill(outcome), this.#wakes);
      }
    }
  }

  /** What a trial restore did not bring back, as long as none has since. */
  #unproven(): Failure | undefined {
    const { told, drill } = this.#record;
    return told.includes('unproven') ? drill?.failure : undefined;
  }

  /** There is no trial restore of a snapshot of so many bytes. */
  drillTooLarge(bytes: number): void {
    const skipped = formatTooLarge(bytes);
    const { failure: _over, ...rest } = this.#record.drill ?? {};
    const failed = this.#unproven();
    const drill = { ...rest, ...(failed === undefined ? {} : { failure: failed }) };
    this.#save({ ...this.#record, drill: { ...drill, skipped, triedAt: this.#clock.now().toISOString() } });
    this.#voice.logger.warn(skipped);
  }

  /** Tells the user when nothing was backed up for too long. To be called at least once a minute. */
  look({ schedule }: Policy): void {
    this.#voice.tellAgain();
    const now = this.#clock.now();
    if (now.getTime() - this.#awakeSince(now).getTime() <= MAKE_UP_MS) return;
    const { lastSuccessAt, since, told } = this.#record;
    const last = lastSuccessAt ?? since;
    if (last === undefined || told.includes('overdue')) return;
    const late = now.getTime() - new Date(last).getTime();
    if (late <= PERIODS * schedule.period(now)) return;
    const when = lastSuccessAt === undefined ? 'yet' : `since ${lastSuccessAt}`;
    this.#incident(
      'overdue',
      `Nothing has been backed up ${when}; the schedule is "${schedule.text}".${this.#because()}`,
    );
  }

  #awakeSince(now: Date): Date {
    const awake = this.#awake;
    if (awake === undefined || Math.abs(now.getTime() - awake.at.getTime()) > ASLEEP_MS) {
      this.#awake = { since: now, at: now };
      return now;
    }
    awake.at = now;
    return awake.since;
  }

  #succeeded(reason: PushReason, report: PushReport): void {
    const {
      told,
      lastFailure: _over,
      moved: _tried,
      remarks: before = [],
      moreRemarks: _more,
      ...rest
    } = this.#record;
    const { skipped } = report;
    const lastSnapshot = report.snapshot ?? report.resumed;
    const now = this.#clock.now().toISOString();
    // That backups can be made does not prove that they can be restored.
    const stays = told.filter((incident) => incident === 'unproven');
    this.#save({
      ...rest,
      failures: 0,
      told: stays,
      lastRunAt: rest.lastRunAt ?? now,
      lastSuccessAt: now,
      ...(lastSnapshot === undefined ? {} : { lastSnapshot }),
      ...boundRemarks(skipped),
    });
    this.#showHealth();
    this.#voice.ping?.(standingFailure(this.#record));
    const { logger } = this.#voice;
    logger.info(`${reason} push: ${formatPush(report)}`);
    const { saved } = sortRemarks(skipped);
    for (const remark of skipped.slice(0, 5)) {
      const { path, code, message } = remark;
      const what = saved.includes(remark) ? 'backed up with a remark' : 'not backed up';
      logger.warn(`${what}: ${JSON.stringify(path)}: ${message} (${code})`);
    }
    const more = skipped.length - 5;
    if (more > 0)
      logger.warn(`${count(more, 'more remark')}; "openclaw b2-backup show latest" lists them all`);
    for (const warning of report.warnings) logger.warn(warning);
    if (told.length > stays.length) this.#voice.tellUser('Backups to B2 work again.', this.#wakes);
    this.#tellLack(before, skipped);
  }

  /** The user hears once of each failure that leaves something out, and when there is none any more. */
  #tellLack(before: readonly FileProblem[], now: readonly FileProblem[]): void {
    const failing = (all: readonly FileProblem[]) => all.filter(({ failure }) => failure);
    const known = new Set(failing(before).map(({ path, code }) => `${code} ${path}`));
    const lack = incomplete(now);
    // Of the others it is not known whether they are new.
    const { remarks = [] } = boundRemarks(now);
    if (lack === undefined) {
      if (known.size > 0) this.#voice.tellUser('Backups are complete again.', this.#wakes);
    } else if (failing(remarks).some(({ path, code }) => !known.has(`${code} ${path}`))) {
      this.alarm(lack.message);
    }
  }

  /** The host shows one failure: the gravest that holds. */
  #showHealth(): void {
    const standing = standingFailure(this.#record);
    if (standing === undefined) this.#voice.health?.clearFailure();
    else this.#voice.health?.reportFailure(standing);
  }

  #failed(reason: PushReason, error: BackupError): void {
    const { failures, told, moved } = this.#record;
    this.#save({
      ...this.#record,
      failures: failures + 1,
      lastFailure: failure(error, this.#clock.now()),
    });
    this.#voice.logger.error(`${reason} push failed: ${error.message} (${error.code})`);
    this.#voice.health?.reportFailure(error);
    this.#voice.ping?.(error);
    if (moved === true && !told.includes('failing')) {
      this.#incident(
        'failing',
        `The bucket, key or encryption settings have changed, and the first backup since then failed.${this.#because()}`,
      );
    } else if (failures + 1 >= FAILURES && !told.includes('failing')) {
      this.#incident(
        'failing',
        `Backups to B2 have failed ${failures + 1} times in a row.${this.#because()}`,
      );
    }
  }

  #incident(incident: Incident, text: string): void {
    this.#save({ ...this.#record, told: [...this.#record.told, incident] });
    this.alarm(text);
  }

  /** What the user should do something about, in the log, too. */
  alarm(text: string): void {
    this.#voice.logger.warn(text);
    this.#voice.tellUser(text, this.#wakes);
  }

  #because(): string {
    const { lastFailure } = this.#record;
    return lastFailure === undefined ? '' : ` The last reason: ${lastFailure.message} (${lastFailure.code}).`;
  }

  #save(record: Record): void {
    this.#record = record;
    this.#voice.changed?.();
    this.#file.write(record).catch((error: unknown) => {
      this.#voice.logger.warn(`cannot remember how backups went: ${String(error)}`);
    });
  }
}
