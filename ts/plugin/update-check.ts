/** After an update of OpenClaw: a push some minutes after the start, and then a look whether something is missing. */
import { BackupError } from '../errors.js';
import type { Operation } from '../operation.js';
import type { CheckOptions, UpdateCheck } from '../updates/check.js';
import type { CheckedUpdate, UpdateRecord } from '../updates/checked.js';
import { unsavedOf } from '../updates/checked.js';
import { formatAllThere, lostInUpdate } from '../updates/format.js';
import { isNewer } from '../updates/history.js';
import { type Chore, type EndedPush, sinceThen } from './chores.js';
import type { Clock } from './clock.js';
import type { Reporter } from './report.js';

const DAY_MS = 24 * 60 * 60_000;
/** OpenClaw brings some databases up to its schema when they are first used; milliseconds. */
const IDLE_MS = 3 * 60_000;
/** What was missing is looked for again after so many milliseconds: a bit less than a day, as pushes are a day apart. */
const AGAIN_MS = DAY_MS / 2;
/** After so many milliseconds it counts as meant. The status then says it no more; the snapshot stays. */
const GIVE_UP_MS = 14 * DAY_MS;
/** So many missing things are remembered. */
const MOST = 20;

/** What it works with. */
export interface UpdateCheckDeps {
  readonly clock: Clock;
  readonly reporter: Pick<Reporter, 'record' | 'keepUpdate' | 'rests' | 'say' | 'warn' | 'tell' | 'alarm'>;
  /** The OpenClaw that runs; undefined where it does not say. */
  readonly version: string | undefined;
  /** Compares the snapshots. `startedMs` is when this version first ran, at the first look. */
  check(
    operation: Operation,
    known: Pick<CheckOptions, 'startedMs' | 'unsavedSince'>,
  ): Promise<UpdateCheck | undefined>;
}

/** Notes which OpenClaw runs. Where it was another one before, a push follows soon, and the check. */
export function noteVersion({ clock, reporter, version }: UpdateCheckDeps): void {
  const { update, ...ended } = reporter.record;
  reporter.rests(false);
  if (version === undefined || update?.version === version) return;
  if (update === undefined) {
    reporter.keepUpdate({ version });
    return;
  }
  if (!isNewer(version, update.version)) {
    // Somebody went back. What the newer one had is in its own snapshots.
    reporter.keepUpdate({ version });
    reporter.say(`OpenClaw is ${version} now, and was ${update.version}`);
    return;
  }
  const checkAt = new Date(clock.now().getTime() + IDLE_MS).toISOString();
  const unsavedSince = unsavedOf(ended);
  const unsaved = unsavedSince === undefined ? {} : { unsavedSince };
  reporter.keepUpdate({ version, from: update.version, ...unsaved, checkAt });
  reporter.say(
    `OpenClaw is ${version} now, and was ${update.version}: in some minutes it is checked whether all is still there`,
  );
  if (unsavedSince !== undefined)
    reporter.warn(
      `OpenClaw ${update.version} ended without a backup: what was said and done in it after ${unsavedSince} is in no snapshot from before the update`,
    );
}

/** Makes the chore that compares. */
export function updateChecker(deps: UpdateCheckDeps): Chore<UpdateCheck | undefined> {
  const { clock, reporter, version } = deps;
  const record = (): UpdateRecord | undefined => {
    const { update } = reporter.record;
    return update?.version === version ? update : undefined;
  };
  const due = ({ reason, outcome }: EndedPush): boolean => {
    if (outcome instanceof BackupError) return false;
    const { checkAt, checked } = record() ?? {};
    if (checkAt !== undefined) return Date.parse(checkAt) <= clock.now().getTime();
    const missing = (checked?.missing.length ?? 0) > 0;
    return missing && reason === 'scheduled' && sinceThen(clock, checked?.at) >= AGAIN_MS;
  };
  const ended = (outcome: UpdateCheck | undefined | BackupError): void => {
    const known = record();
    if (known === undefined) return;
    if (outcome instanceof BackupError) failed(deps, known, outcome);
    else if (outcome === undefined) reporter.keepUpdate({ version: known.version });
    else found(deps, known, outcome);
  };
  const work: Chore<UpdateCheck | undefined>['work'] = (operation) => {
    const { checkAt, unsavedSince } = record() ?? {};
    const startedMs = checkAt === undefined ? undefined : Date.parse(checkAt) - IDLE_MS;
    return deps.check(operation, { startedMs, unsavedSince });
  };
  return { due, work, ended };
}

/** What may pass is tried again after the next push. */
function failed({ reporter }: UpdateCheckDeps, known: UpdateRecord, error: BackupError): void {
  const { checkAt, ...rest } = known;
  const again = error.retryable && checkAt !== undefined ? { checkAt } : {};
  reporter.keepUpdate({ ...rest, ...again, problem: error.message });
  reporter.warn(
    `it could not be checked whether the update lost something: ${error.message} (${error.code})`,
  );
}

function found({ clock, reporter }: UpdateCheckDeps, known: UpdateRecord, check: UpdateCheck): void {
  const { checked: before, checkAt: _done, problem: _over, ...rest } = known;
  const { from, to, snapshot, unsavedSince } = check;
  const at = clock.now().toISOString();
  const since = before?.since ?? at;
  const expired = sinceThen(clock, since) > GIVE_UP_MS && before !== undefined;
  const missing = expired ? [] : still(before, check.missing);
  const bound = { missing: missing.slice(0, MOST), more: Math.max(missing.length - MOST, 0) };
  const older = unsavedSince === undefined ? {} : { unsavedSince };
  const checked: CheckedUpdate = { from, to, snapshot, at, since, ...bound, ...older };
  reporter.keepUpdate({ ...rest, checked });
  for (const note of check.notes) reporter.warn(note);
  const lost = lostInUpdate(checked);
  if (before === undefined) {
    if (lost === undefined) reporter.say(formatAllThere(check));
    else reporter.alarm(lost.message);
  } else if (lost === undefined && !expired) {
    reporter.tell(`What was missing since the update of OpenClaw ${from} to ${to} is there again.`);
  }
}

/** Later, things go because somebody wants it: only what was missing from the beginning is. */
function still(before: CheckedUpdate | undefined, missing: UpdateCheck['missing']): UpdateCheck['missing'] {
  if (before === undefined) return missing;
  const ids = new Set(before.missing.map(({ id }) => id));
  return missing.filter(({ id }) => ids.has(id));
}
