/**
 * What the page "Backups" says, as data: one model for the framed page, the native one and whoever else shows it. Pure, and
 * JSON: times are ISO 8601, sizes are bytes, sentences are for people.
 */

import type { ChangedPath, MachineInfo, SnapshotInfo } from '../../../index.js';
import { given } from '../../given.js';
import { machineOf, namesIn } from '../../machine-name.js';
import { onlyApplicationKey, secretInWords } from '../../secrets.js';
import { count, lacks } from '../../text.js';
import { beforeUpdates, formatMadeBy } from '../../updates/history.js';
import { wordsFor } from '../format.js';
import { byTime, isOurs, madeAt, type Reason, reasonInWords, reasonOf } from '../snapshots.js';
import type { Facts, Problem } from './facts.js';
import { inWords, thingAt } from './things.js';
import { provenAt, type Verdict, verdictOf } from './verdict.js';
import { capital, Words } from './when.js';

/** All of it. */
export interface PageModel {
  /** When this was put together. */
  readonly at: string;
  readonly timeZone: string;
  readonly verdict: Verdict;
  /** What runs now. */
  readonly running?: { readonly reason: string; readonly phase: string };
  /** The newest snapshot, and when backups last went well. */
  readonly last?: { readonly at: string; readonly snapshot?: string };
  readonly next?: { readonly at: string; readonly schedule: string };
  readonly proof: Proof;
  /** What the newest snapshot lacks, in words; not set where it is complete, or nobody knows. */
  readonly lacks?: string;
  /** Not set until the bucket has been asked. */
  readonly keys?: Keys;
  readonly space?: Space;
  /** What is in the bucket of each machine, this one first. */
  /** Each by its id, and `name` for people. */
  readonly machines: readonly (MachineInfo & { readonly name: string })[];
  /** Newest first. */
  readonly days: readonly Day[];
  /** Whether the newest upload was cut off, and the next backup finishes it. */
  readonly cutOff: boolean;
  /** What else one should know, in sentences. */
  readonly notes: readonly string[];
  /** When the bucket said so, whether it is being asked, and why it does not answer. */
  readonly bucket: { readonly askedAt?: string; readonly asking: boolean; readonly problem?: Problem };
}

/** What was done to see that backups can be restored. */
export interface Proof {
  /** When all of the newest snapshot last came back from a trial restore. */
  readonly restoredAt?: string;
  /** When OpenClaw last started on a restored snapshot, and had all that is in it, and which version that was. */
  readonly booted?: { readonly at: string; readonly version: string };
  /** Why the last try did not, or why none is made. */
  readonly restoreProblem?: string;
  /** When a part of what is stored was last read again, and found whole. */
  readonly readAt?: string;
}

/** What opens the backups. */
export interface Keys {
  readonly encrypted: boolean;
  /** In words: `application key`, `passphrase`, `recovery code`. */
  readonly opensWith: readonly string[];
  /** What to say while one lost key would be the end of all backups. */
  readonly warning?: string;
}

/** What is stored. */
export interface Space {
  readonly bucket: string;
  readonly prefix: string;
  readonly bytes: number;
  readonly snapshots: number;
}

/** The snapshots of one day. */
export interface Day {
  /** `2026-11-29`, in the user's time zone. */
  readonly date: string;
  /** `Today`, `Thursday, 26 November` */
  readonly name: string;
  /** Newest first. */
  readonly snapshots: readonly Shown[];
}

/** One snapshot in the timeline. */
export interface Shown {
  readonly id: string;
  /** What `/b2` and the agent take for it: its time, or its id where that would not do. */
  readonly said: string;
  readonly at: string;
  /** `14:05`, in the user's time zone. */
  readonly time: string;
  readonly reason?: Reason;
  /** `Before a compaction` */
  readonly made: string;
  /** By which OpenClaw, in words; not set where nobody knows. */
  readonly host?: string;
  /** What changed, in words; not set where nobody knows. */
  readonly what?: string;
  readonly files: number;
  /** Of everything in it. */
  readonly bytes: number;
  /** What had to be stored for it. */
  readonly storedBytes?: number;
  /** The machine that made it, where it is another one. */
  readonly machine?: string;
  /** What it lacks, in words. */
  readonly lacks?: string;
  /** Why it cannot be used, or only with care. */
  readonly problem?: string;
  /** The one before it, of the same machine, with which it can be compared. */
  readonly before?: string;
  /** Whether a rollback in a chat can take it. */
  readonly usable: boolean;
}

/** What the page says of these facts. */
export function pageModel(facts: Facts): PageModel {
  const { gateway, bucket, bucketProblem, now, timeZone, asking } = facts;
  const words = new Words(facts);
  const { running, nextAt, schedule } = gateway;
  const status = bucket?.status;
  const at = gateway.lastSuccessAt ?? status?.lastSnapshotAt;
  const snapshot = status?.lastSnapshot ?? gateway.lastSnapshot;
  const missing = lacks(
    status?.remarks ?? gateway.remarks ?? [],
    status === undefined ? gateway.moreRemarks : 0,
  );
  return given({
    at: now.toISOString(),
    timeZone,
    verdict: verdictOf(facts),
    running,
    last: at === undefined ? undefined : given({ at, snapshot }),
    next: nextAt === undefined ? undefined : { at: nextAt, schedule: schedule ?? '' },
    proof: proofOf(facts),
    lacks: missing,
    keys: status && keysOf(facts, status.opensWith),
    space: status && {
      bucket: status.bucket,
      prefix: status.prefix,
      bytes: status.storedBytes,
      snapshots: status.snapshots,
    },
    machines: named(status?.machines ?? [], bucket?.list.snapshots ?? []),
    days: daysOf(bucket?.list.snapshots ?? [], words, facts),
    cutOff: status?.pending ?? false,
    notes: [
      ...(gateway.pruneProblem === undefined
        ? []
        : [`Old snapshots are not deleted: ${gateway.pruneProblem.message}`]),
      ...(gateway.verifyProblem === undefined || facts.standing !== undefined
        ? []
        : [`What is stored could not be read again: ${gateway.verifyProblem.message}`]),
      ...new Set([
        ...(status?.warnings ?? []),
        ...(bucket?.list.warnings ?? []),
        ...closed(bucket?.list.snapshots ?? []),
      ]),
    ],
    bucket: given({ asking, askedAt: bucket?.askedAt, problem: bucketProblem }),
  });
}

/** What is there and does not open: somebody may have forgotten a passphrase, and not know it. */
function closed(snapshots: readonly SnapshotInfo[]): string[] {
  const all = snapshots.filter(({ problemCode }) => problemCode === 'B2_WRONG_KEY').length;
  if (all === 0) return [];
  return [
    `${count(all, 'snapshot')} in this bucket cannot be opened with what is set here. If they are yours, set the passphrase ` +
      'or key with which they were made, or use their recovery code',
  ];
}

function proofOf(facts: Facts): Proof {
  const { gateway } = facts;
  const { booted } = gateway;
  return given({
    restoredAt: provenAt(facts),
    booted: booted && { at: booted.at, version: booted.version },
    restoreProblem: gateway.drillProblem?.message ?? gateway.drillSkipped,
    readAt: gateway.lastVerifyAt,
  });
}

function keysOf({ encrypt }: Facts, opensWith: readonly string[]): Keys {
  const [warning] = onlyApplicationKey({ opensWith: [...opensWith] }, 'openclaw b2-backup');
  return given({ encrypted: encrypt, opensWith: opensWith.map(secretInWords), warning });
}

/** The timeline. What has no time that can be read comes last, as a day of its own. */
function daysOf(snapshots: readonly SnapshotInfo[], words: Words, facts: Facts): Day[] {
  const days = new Map<string, { name: string; snapshots: Shown[] }>();
  const newestFirst = snapshots.toSorted((a, b) => byTime(b, a));
  const before = older(newestFirst);
  const updates = beforeUpdates(newestFirst.toReversed(), facts.here);
  const said = wordsFor(snapshots, facts);
  // Where nothing is encrypted, it is said once.
  const sealed = snapshots.some(({ authenticated }) => authenticated);
  for (const snapshot of newestFirst) {
    const at = madeAt(snapshot);
    const isKnown = !Number.isNaN(at);
    const date = isKnown ? words.day(at) : '';
    const day = days.get(date) ?? {
      name: isKnown ? words.dayInWords(at) : 'At an unknown time',
      snapshots: [],
    };
    const one = {
      ...shown(snapshot, isKnown ? words.clock(at) : '--:--', before.get(snapshot.id), sealed),
      said: said(snapshot),
    };
    const update = updates.get(snapshot.id);
    day.snapshots.push(update === undefined ? one : { ...one, made: `${one.made}, ${update}` });
    days.set(date, day);
  }
  return [...days].map(([date, day]) => ({ date, ...day }));
}

/** For each snapshot the one before it, of the same machine, that can be read. */
function older(newestFirst: readonly SnapshotInfo[]): ReadonlyMap<string, string> {
  const before = new Map<string, string>();
  const last = new Map<string, string>();
  for (const { id, machine, problem, format } of newestFirst.toReversed()) {
    if (problem !== undefined || format === 1) continue;
    const of = last.get(machine);
    if (of !== undefined) before.set(id, of);
    last.set(machine, id);
  }
  return before;
}

/** A machine is called what its newest snapshot calls it. */
function named(
  machines: readonly MachineInfo[],
  oldestFirst: readonly SnapshotInfo[],
): PageModel['machines'] {
  const names = namesIn(oldestFirst);
  return machines.map((one) => ({
    ...one,
    name: machineOf({ machine: one.machine, machineName: names.get(one.machine) }),
  }));
}

function shown(
  snapshot: SnapshotInfo,
  time: string,
  before: string | undefined,
  sealed: boolean,
): Omit<Shown, 'said'> {
  const { id, createdAt, files, bytes, changes, machine, thisMachine } = snapshot;
  const reason = reasonOf(snapshot);
  return given({
    id,
    at: createdAt,
    time,
    reason,
    made: reason === undefined ? 'Made' : capital(reasonInWords(reason)),
    host: formatMadeBy(snapshot),
    what: changes && whatChanged(changes.most, changes.added + changes.changed + changes.removed),
    storedBytes: changes?.storedBytes,
    files,
    bytes,
    machine: thisMachine || machine === '' ? undefined : machineOf(snapshot),
    lacks: lacks(snapshot.remarks, snapshot.moreRemarks),
    problem: problemOf(snapshot, sealed),
    before,
    usable: isOurs(snapshot) && snapshot.problem === undefined,
  });
}

function whatChanged(most: readonly ChangedPath[], files: number): string {
  const paths = most.map(({ path }) => path);
  const text = inWords(paths, files);
  const [first = ''] = paths;
  // A name of a file stays as it is.
  return first !== '' && first.endsWith(thingAt(first).name) ? text : capital(text);
}

function problemOf(
  { problem, doubt, authenticated, format }: SnapshotInfo,
  sealed: boolean,
): string | undefined {
  if (problem !== undefined) return `cannot be opened: ${problem}`;
  if (format === 1) return 'made by the original plugin: only a command in a shell restores it';
  if (doubt !== undefined) return doubt;
  return authenticated || !sealed
    ? undefined
    : 'not encrypted: whoever can write to the bucket can have made it';
}
