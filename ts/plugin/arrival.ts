/** A new machine is given what another one had, and nothing of it is pushed before that is decided. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { AutoRestoreReport } from '../../index.js';
import type { Engine } from '../engine.js';
import { BackupError, type ErrorCode, toBackupError } from '../errors.js';
import type { Operation } from '../operation.js';
import { formatBytes } from '../text.js';
import { type Clock, within } from './clock.js';
import { formatArriving, formatGivenUp, formatRefused, formatUndecided } from './format-arrival.js';
import type { Reporter } from './report.js';
import type { Configured } from './settings.js';

/** What an arrival works with. */
export interface ArrivalDeps {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly reporter: Reporter;
  readonly configured: Configured | BackupError;
  /** Asks the gateway to restart once what it does now is done. */
  restart(): void;
}

/**
 * How long the gateway's start waits, in milliseconds: its agents shall find their memory. What takes longer goes on
 * in the background; it is given up if an agent begins to work before it is ready.
 */
const START_WAIT_MS = 60_000;

/**
 * These are about the backups that are there, and trying again would not help: the machine goes on without them. All
 * other errors may pass, and pushes wait until they do, as long as there is nothing to lose.
 */
const HOPELESS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'B2_WRONG_KEY',
  'B2_NEEDS_CHOICE',
  'B2_NOT_AUTHENTICATED',
  'B2_DAMAGED',
  'B2_OBJECT_MISSING',
  'B2_SNAPSHOT_NOT_FOUND',
  'B2_VERSION',
  'B2_UNSAFE_PATH',
  'B2_DATABASE',
]);

/** See above. */
export class Arrival {
  readonly #deps: ArrivalDeps;
  #decided = false;
  #deciding: Promise<void> | undefined;
  /** Whether the user knows that it could not be decided. */
  #told = false;

  constructor(deps: ArrivalDeps) {
    this.#deps = deps;
  }

  /** Before agents run: looks for something to restore, and makes it ready. Never fails. */
  async atStart(signal: AbortSignal): Promise<void> {
    const decided = this.#decide({ signal }).catch(() => {});
    await within(this.#deps.clock, START_WAIT_MS, decided);
  }

  /** Resolves when a push may be made. @throws {BackupError} while it may not */
  async beforePush(reason: string, operation: Operation): Promise<void> {
    // A gateway that stops has no time for it.
    if (reason === 'shutdown' && !this.#isDecided()) throw waits('this machine is new: nothing to lose yet');
    await this.#decide(operation);
  }

  #isDecided(): boolean {
    const { configured } = this.#deps;
    if (!this.#decided && !(configured instanceof Error)) {
      // The core makes this file with the first push. Without it the answer takes a process of its own.
      const known = existsSync(join(configured.settings.stateDir, 'b2-backup', 'machine'));
      this.#decided = known || !configured.policy.autoRestore;
    }
    return this.#decided;
  }

  async #decide(operation: Operation): Promise<void> {
    if (this.#isDecided()) return;
    this.#deciding ??= this.#find(operation).finally(() => {
      this.#deciding = undefined;
    });
    await this.#deciding;
  }

  async #find({ signal }: Operation): Promise<void> {
    const { configured, engine, reporter } = this.#deps;
    if (configured instanceof Error) throw configured;
    // An agent that passes on what goes on here would be the first to use the machine, and nothing would come to it.
    reporter.wakeAgent(false);
    let report: AutoRestoreReport;
    try {
      report = await engine.autoRestore(configured.settings, { signal, onProgress: this.#saysItFetches() });
    } catch (error) {
      this.#failed(toBackupError(error));
      return;
    }
    for (const warning of report.warnings) reporter.warn(warning);
    await this.#found(report);
  }

  #failed(error: BackupError): void {
    const { reporter } = this.#deps;
    if (HOPELESS.has(error.code)) {
      this.#isOver();
      reporter.tell(formatRefused(error));
      return;
    }
    if (error.code !== 'B2_CANCELLED' && !this.#told) {
      this.#told = true;
      reporter.tell(formatUndecided(error));
    }
    throw error;
  }

  async #found(report: AutoRestoreReport): Promise<void> {
    const { reporter, restart, clock, configured } = this.#deps;
    const { outcome, used, id, snapshot, arrival } = report;
    switch (outcome) {
      case 'staged': {
        if (id === undefined || snapshot === undefined) break;
        const waiting = { id, snapshot, undo: false, ...(arrival === undefined ? {} : { arrival }) };
        await reporter.rollbackWaits(waiting);
        const timeZone = configured instanceof Error ? undefined : configured.policy.schedule.timeZone;
        reporter.say(formatArriving(waiting, { now: clock.now(), timeZone }));
        restart();
        throw waits('a backup is about to be restored: the gateway restarts');
      }
      case 'waiting':
        throw waits('a backup is about to be restored: restart the gateway');
      case 'used':
        reporter.wakeAgent(true);
        if (snapshot !== undefined) reporter.tell(formatGivenUp(snapshot, used));
        else reporter.say(`this machine has content of its own (${used}): nothing is restored by itself`);
        break;
      case 'no-snapshot':
        reporter.say('the bucket has nothing to restore on this new machine');
        break;
    }
    this.#isOver();
  }

  #isOver(): void {
    this.#decided = true;
    this.#deps.reporter.wakeAgent(true);
  }

  #saysItFetches(): Operation['onProgress'] {
    let said = false;
    return ({ phase, totalBytes }) => {
      if (phase !== 'restore' || said) return;
      said = true;
      const size = totalBytes === undefined ? '' : ` (${formatBytes(totalBytes)})`;
      this.#deps.reporter.say(`this machine is new: fetching the newest backup${size}`);
    };
  }
}

/** No failure: the next push comes after it. */
function waits(message: string): BackupError {
  return new BackupError(message, { code: 'B2_CANCELLED' });
}
