/** The settings that the core does not know: when to back up, and what is kept. */
import { Cron } from 'croner';
import { BackupError } from './errors.js';

/** Their names. */
export const POLICY_FIELDS = [
  'schedule',
  'timezone',
  'keepSnapshots',
  'keepDaily',
  'keepWeekly',
  'keepUpdates',
  'autoRestore',
  'verifyWeeks',
  'drill',
  'healthcheckUrl',
] as const;

/** What is kept. */
export interface Keep {
  /** Newest snapshots that are kept in any case. */
  readonly keepSnapshots: number;
  /** Days of which, beyond those, the last snapshot is kept. */
  readonly keepDaily: number;
  /** Weeks of which, beyond those, the last snapshot is kept. */
  readonly keepWeekly: number;
  /** Updates of OpenClaw, the last snapshot before each of which is kept for 90 days. */
  readonly keepUpdates: number;
}

/** When to back up, and what is kept. */
export interface Policy extends Keep {
  readonly schedule: Schedule;
  /** Whether a new machine restores itself. */
  readonly autoRestore: boolean;
  /** Every byte that this machine stores is read within so many weeks; 0: not by itself. */
  readonly verifyWeeks: number;
  /** Whether there is a trial restore of the newest snapshot once a month, and whether OpenClaw is then started on it. */
  readonly drill: boolean | 'boot';
  /** What is told how each backup went; it may hold a token. */
  readonly healthcheckUrl?: string;
}

/** Words for schedules; everything else is a cron expression. */
const WORDS: Readonly<Record<string, string>> = { daily: '0 0 * * *', weekly: '0 0 * * 0' };

/** How many gaps between runs are looked at to tell how long the longest is. */
const GAPS = 10;

/** A schedule that was checked. */
export class Schedule {
  /** As it was written. */
  readonly text: string;
  /** IANA name; the system's when not set. */
  readonly timeZone: string | undefined;
  readonly #cron: Cron;

  /** @throws {BackupError} B2_CONFIG */
  constructor(text: string, timeZone?: string) {
    this.text = text;
    this.timeZone = timeZone;
    try {
      this.#cron = new Cron(WORDS[text] ?? text, {
        paused: true,
        ...(timeZone === undefined ? {} : { timezone: timeZone }),
      });
    } catch {
      // Not repeated, nor in the words of croner: it may be a secret in the wrong field.
      throw wrong('schedule', 'is neither "daily" nor "weekly" nor a cron expression such as "0 3 * * *"');
    }
    if (this.next(new Date()) === undefined) throw wrong('schedule', 'never comes');
  }

  /** The first run after `time`; undefined when there is none. */
  next(time: Date): Date | undefined {
    return this.#cron.nextRun(time) ?? undefined;
  }

  /** The longest time between two of the next runs, in milliseconds. */
  period(from: Date): number {
    const runs = this.#cron.nextRuns(GAPS + 1, from).map((run) => run.getTime());
    return Math.max(0, ...runs.slice(1).map((run, at) => run - (runs[at] ?? run)));
  }
}

/**
 * Checks the settings that only the gateway uses.
 *
 * @throws {BackupError} B2_CONFIG, with a message that names the field
 */
export function checkPolicy(config: unknown): Policy {
  const file = (config ?? {}) as Readonly<Record<string, unknown>>;
  const problems = new Problems();
  const timeZone = problems.in(() => zone(file['timezone']));
  const schedule = problems.in(() => {
    const value = file['schedule'] ?? 'daily';
    if (typeof value !== 'string') throw wrong('schedule', `must be a string, not ${kind(value)}`);
    return new Schedule(value.trim(), timeZone);
  });
  const keep = problems.in(() => checkKeep(file));
  const autoRestore = problems.in(() => trueOrFalse(file, 'autoRestore', true));
  const drill = problems.in(() =>
    file['drill'] === 'boot' ? ('boot' as const) : trueOrFalse(file, 'drill', true, ' or "boot"'),
  );
  const verifyWeeks = problems.in(() => whole(file, 'verifyWeeks', 20, 0));
  const healthcheckUrl = problems.in(() => webAddress(file['healthcheckUrl']));
  const watched = healthcheckUrl === undefined ? {} : { healthcheckUrl };
  return problems.none({ schedule, ...keep, autoRestore, verifyWeeks, drill, ...watched } as Policy);
}

/**
 * Checks the settings that say what is kept.
 *
 * @throws {BackupError} B2_CONFIG, with a message that names the field
 */
export function checkKeep(config: unknown): Keep {
  const file = (config ?? {}) as Readonly<Record<string, unknown>>;
  const problems = new Problems();
  const keepSnapshots = problems.in(() => whole(file, 'keepSnapshots', 10, 1));
  const keepDaily = problems.in(() => whole(file, 'keepDaily', 7, 0));
  const keepWeekly = problems.in(() => whole(file, 'keepWeekly', 4, 0));
  const keepUpdates = problems.in(() => whole(file, 'keepUpdates', 5, 0));
  return problems.none({ keepSnapshots, keepDaily, keepWeekly, keepUpdates } as Keep);
}

function zone(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string') throw wrong('timezone', `must be a string, not ${kind(value)}`);
  try {
    return new Intl.DateTimeFormat('en', { timeZone: value }).resolvedOptions().timeZone;
  } catch {
    throw wrong('timezone', 'is no time zone; write it as "Europe/Vienna"');
  }
}

/** Its text is never repeated: it may hold a token. */
function webAddress(value: unknown): string | undefined {
  if (value === undefined || value === null || value === '') return undefined;
  if (typeof value !== 'string') throw wrong('healthcheckUrl', `must be a string, not ${kind(value)}`);
  const address = value.trim();
  const { protocol } = URL.canParse(address) ? new URL(address) : { protocol: '' };
  if (protocol === 'https:' || protocol === 'http:') return address;
  throw wrong('healthcheckUrl', 'is no web address; write it as "https://hc-ping.com/..."');
}

function trueOrFalse(
  file: Readonly<Record<string, unknown>>,
  field: string,
  byDefault: boolean,
  or = '',
): boolean {
  const value = file[field] ?? byDefault;
  if (typeof value !== 'boolean') throw wrong(field, `must be true or false${or}, not ${kind(value)}`);
  return value;
}

function whole(
  file: Readonly<Record<string, unknown>>,
  field: string,
  byDefault: number,
  least: number,
): number {
  const value = file[field] ?? byDefault;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < least) {
    const said = typeof value === 'number' ? String(value) : kind(value);
    throw wrong(field, `must be a whole number from ${least}, not ${said}`);
  }
  return value;
}

/** What a value is, for messages. */
export function kind(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

const CONFIGURATION = 'configuration: ';

/** The error about a setting. */
export function wrong(field: string, message: string): BackupError {
  return new BackupError(`${CONFIGURATION}${field}: ${message}`, { code: 'B2_CONFIG' });
}

/** Several settings that are wrong. */
class SeveralWrong extends BackupError {
  readonly each: readonly string[];

  constructor(each: readonly string[]) {
    const said = each.map((text, at) => `(${at + 1}) ${text}`).join('; ');
    super(`${CONFIGURATION}${each.length} settings are wrong: ${said}`, { code: 'B2_CONFIG' });
    this.each = each;
  }
}

/** What an error about settings says of each of them, such as `schedule: never comes`. */
export function eachWrong(error: BackupError): readonly string[] {
  return error instanceof SeveralWrong ? error.each : [error.message.replace(CONFIGURATION, '')];
}

/** What is wrong with the settings: all of it, so that nobody puts one right to be told of the next. */
export class Problems {
  readonly #found: BackupError[] = [];

  /** What `check` gives; nothing where it finds a setting wrong, which is kept. */
  in<T>(check: () => T): T | undefined {
    try {
      return check();
    } catch (error) {
      if (!(error instanceof BackupError && error.code === 'B2_CONFIG')) throw error;
      this.#found.push(error);
      return undefined;
    }
  }

  /** Gives `value`. @throws {BackupError} B2_CONFIG, one that names all that was found */
  none<T>(value: T): T {
    const [first] = this.#found;
    if (first === undefined) return value;
    if (this.#found.length === 1) throw first;
    throw new SeveralWrong(this.#found.flatMap(eachWrong));
  }
}
