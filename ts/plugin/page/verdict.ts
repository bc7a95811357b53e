/** Whether backups work: one sentence, and what to do. It never says more than was proved. Pure. */
import type { SnapshotInfo } from '../../../index.js';
import { isErrorCode } from '../../errors.js';
import { sortRemarks } from '../../secrets.js';
import { count, lacks } from '../../text.js';
import { formatChecked } from '../../updates/format.js';
import { byTime, isOurs } from '../snapshots.js';
import { ADVICE, LACKS } from './advice.js';
import type { Facts, Problem } from './facts.js';
import { Words } from './when.js';

/**
 * How things stand: `works` is proven, `made` is not proven, `waiting` is not known yet, `attention` works with something to
 * do, and `broken` does not work.
 */
export type Standing = 'works' | 'made' | 'waiting' | 'attention' | 'broken';

/** What the page says first. */
export interface Verdict {
  readonly standing: Standing;
  /** Without a full stop. */
  readonly title: string;
  /** Sentences. */
  readonly text: string;
  /** What to do; not set where nothing is to be done. */
  readonly todo?: string;
  /** The error behind it, as health shows it. */
  readonly problem?: Problem;
}

/** A trial restore older than this, in milliseconds, proves little: one is made each 30 days. */
const STALE_MS = 45 * 24 * 60 * 60_000;
/** Nothing for so many of the schedule's periods is too long. */
const PERIODS = 2;
/** Clocks may differ by so many milliseconds. */
const SKEW_MS = 5 * 60_000;

/** What to do where nothing else is known to be wrong. */
const NOW = 'Back up now, and see what happens.';

type Rule = (facts: Facts, words: Words) => Verdict | undefined;

/** The gravest first. */
const RULES: readonly Rule[] = [
  cannotRun,
  failing,
  harmed,
  never,
  clockSetBack,
  overdue,
  unreachable,
  checking,
  gone,
  unreadable,
  doubtful,
  damaged,
  rollback,
  lacking,
  unproven,
];

/** How the backups stand. */
export function verdictOf(facts: Facts): Verdict {
  const words = new Words(facts);
  for (const rule of RULES) {
    const verdict = rule(facts, words);
    if (verdict !== undefined) return verdict;
  }
  return {
    standing: 'works',
    title: 'Your backups work',
    text: `${lastSentence(facts, words)} ${provenSentence(facts, words)}`,
  };
}

/** When the newest snapshot was last brought back whole, as far as anybody knows; ISO 8601. */
export function provenAt({ gateway, bucket }: Facts): string | undefined {
  const known = [gateway.lastDrillAt, bucket?.status.provenAt].filter((at) => at !== undefined);
  return known.toSorted().at(-1);
}

/** The snapshots of this machine that it made for itself, newest first. */
function ownSnapshots({ bucket }: Facts): readonly SnapshotInfo[] {
  const all = bucket?.list.snapshots ?? [];
  return all.filter((one) => one.thisMachine && isOurs(one)).toSorted((a, b) => byTime(b, a));
}

function cannotRun({ gateway }: Facts): Verdict | undefined {
  const { problem } = gateway;
  if (problem === undefined) return undefined;
  const standing = problem.code === 'B2_NOT_SET_UP' ? 'attention' : 'broken';
  return { ...advised(problem), standing, text: 'Nothing is backed up.' };
}

function failing(facts: Facts, words: Words): Verdict | undefined {
  const { gateway } = facts;
  const { failures, lastFailure } = gateway;
  if (failures === 0 || lastFailure === undefined) return undefined;
  const times = failures === 1 ? 'The last backup has failed' : `The last ${failures} backups have failed`;
  const passes =
    lastFailure.retryable && failures < 3 && gateway.lastSuccessAt !== undefined && !isLate(facts);
  return {
    ...advised(lastFailure),
    standing: passes ? 'attention' : 'broken',
    text: `${times} (${words.when(lastFailure.at)}). ${lastSentence(facts, words)}`,
  };
}

function harmed(facts: Facts, words: Words): Verdict | undefined {
  const { standing, gateway } = facts;
  if (standing === undefined) return undefined;
  const { code, message } = standing;
  const text = lastSentence(facts, words);
  if (code === 'B2_UPDATE_LOST' && gateway.update !== undefined)
    return { ...advised(standing), standing: 'attention', text: formatChecked(gateway.update) };
  if (code !== 'B2_INCOMPLETE') {
    const title =
      code === 'B2_WRONG_KEY' ? ADVICE.B2_WRONG_KEY.what : 'Not everything that was stored can be restored';
    return { ...advised({ code, message }), title, standing: 'broken', text };
  }
  const worst = gateway.remarks?.find(({ failure }) => failure);
  const { what, todo } = LACKS[worst?.code ?? ''] ?? ADVICE.B2_INCOMPLETE;
  const rest = 'All else is backed up.';
  return { standing: 'attention', title: what, text: `${text} ${rest}`, todo, problem: { code, message } };
}

function never(facts: Facts): Verdict | undefined {
  const { gateway, bucket } = facts;
  if (gateway.lastSuccessAt !== undefined || bucket?.status.lastSnapshot !== undefined) return undefined;
  const title = 'Nothing has been backed up yet';
  if (isLate(facts)) {
    const text = `The plugin has been set up for longer than two of its schedule's turns ("${gateway.schedule ?? ''}").`;
    return { standing: 'broken', title, text, todo: NOW };
  }
  if (gateway.running !== undefined)
    return { standing: 'waiting', title: 'The first backup is running', text: `${title}.` };
  return { standing: 'waiting', title, text: 'The first backup follows by itself.' };
}

function clockSetBack({ gateway, now }: Facts): Verdict | undefined {
  const { lastSuccessAt } = gateway;
  if (lastSuccessAt === undefined || Date.parse(lastSuccessAt) - now.getTime() <= SKEW_MS) return undefined;
  return {
    standing: 'attention',
    title: 'The clock of this machine was set back',
    text: 'By it, the last backup was made in the future. So nobody can tell how old it is.',
    todo: 'Check the date and time of this machine. A backup is made at once to be sure.',
  };
}

function overdue(facts: Facts, words: Words): Verdict | undefined {
  if (!isLate(facts)) return undefined;
  const { running, nextAt } = facts.gateway;
  const now = running === undefined ? '' : ' One is running now.';
  return {
    standing: 'broken',
    title: 'The last backup is too old',
    text: `${lastSentence(facts, words)}${now}`,
    todo:
      running !== undefined || (nextAt !== undefined && Date.parse(nextAt) <= facts.now.getTime())
        ? 'The backup that was missed is made within some minutes. Look again then.'
        : NOW,
  };
}

/** Whether there was a time for a backup, and another, and nothing was made. */
function isLate({ gateway, bucket, since, periodMs, now }: Facts): boolean {
  const last = latest(gateway.lastSuccessAt, bucket?.status.lastSnapshotAt) ?? since;
  if (last === undefined || periodMs === undefined) return false;
  return now.getTime() - Date.parse(last) > PERIODS * periodMs;
}

function unreachable(facts: Facts, words: Words): Verdict | undefined {
  const { bucketProblem } = facts;
  if (bucketProblem === undefined) return undefined;
  const passes = bucketProblem.code === 'B2_NETWORK' || bucketProblem.code === 'B2_STORE';
  return {
    ...advised(bucketProblem),
    standing: passes ? 'attention' : 'broken',
    text: `The bucket was asked just now. ${lastSentence(facts, words)}`,
  };
}

function checking(facts: Facts, words: Words): Verdict | undefined {
  if (facts.bucket !== undefined) return undefined;
  return {
    standing: 'waiting',
    title: 'Looking into the bucket',
    text: lastSentence(facts, words),
  };
}

/** The bucket does not have what this machine stored last. */
function gone(facts: Facts): Verdict | undefined {
  const { lastSnapshot, lastSuccessAt } = facts.gateway;
  // It was asked before that one was made.
  if (lastSuccessAt !== undefined && (facts.bucket?.askedAt ?? '') < lastSuccessAt) return undefined;
  const own = ownSnapshots(facts);
  if (lastSnapshot === undefined || facts.bucket?.list.snapshots.some(({ id }) => id === lastSnapshot))
    return undefined;
  const message = `snapshot ${lastSnapshot} was stored and is not in the bucket any more`;
  const code = own.length === 0 ? 'B2_BUCKET_EMPTY' : 'B2_SNAPSHOT_NOT_FOUND';
  // Somebody else made a newer one for this machine: then this one may have been pruned.
  if (own.some(({ id }) => id > lastSnapshot)) return undefined;
  return {
    ...advised({ code, message }),
    standing: 'broken',
    text: 'The newest snapshot cannot be restored.',
  };
}

function unreadable(facts: Facts): Verdict | undefined {
  const [newest] = ownSnapshots(facts);
  if (newest?.problem === undefined) return undefined;
  const problem = { code: newest.problemCode ?? 'B2_DAMAGED', message: newest.problem };
  return { ...advised(problem), standing: 'broken', text: 'The newest snapshot cannot be opened.' };
}

function doubtful(facts: Facts): Verdict | undefined {
  const [newest] = ownSnapshots(facts);
  if (newest?.doubt === undefined) return undefined;
  return {
    standing: 'attention',
    title: 'The time of the newest snapshot cannot be right',
    text: 'Backups are made, but a new machine would not take this one by itself.',
    todo: 'Check the date and time of this machine, then back up again.',
    problem: { code: 'B2_CLOCK', message: newest.doubt },
  };
}

function damaged(facts: Facts, words: Words): Verdict | undefined {
  const packs = facts.bucket?.status.damagedPacks ?? 0;
  if (packs === 0) return undefined;
  const message = `${count(packs, 'object')} of this machine's backups lost or damaged`;
  return {
    ...advised({ code: 'B2_DAMAGED', message }),
    standing: 'broken',
    text: lastSentence(facts, words),
  };
}

function rollback(facts: Facts, words: Words): Verdict | undefined {
  if (!facts.rollbackWaits) return undefined;
  return {
    standing: 'attention',
    title: 'A rollback waits for OpenClaw to restart',
    text: lastSentence(facts, words),
    todo: 'Restart OpenClaw. Then it is carried out.',
  };
}

function lacking(facts: Facts, words: Words): Verdict | undefined {
  const { remarks = [], moreRemarks } = facts.gateway;
  const all = facts.bucket?.status.remarks ?? remarks;
  const missing = lacks(all, facts.bucket === undefined ? moreRemarks : 0);
  if (missing === undefined) return undefined;
  const [first] = sortRemarks(all).missing;
  return {
    standing: 'attention',
    title: 'Your backups lack something',
    text: `${lastSentence(facts, words)} It lacks ${missing}.`,
    todo: 'If you need it, correct what keeps it out. The next backup tries again.',
    ...(first === undefined ? {} : { problem: { code: first.code, message: first.message } }),
  };
}

function unproven(facts: Facts, words: Words): Verdict | undefined {
  const at = provenAt(facts);
  const { drillProblem, drillSkipped } = facts.gateway;
  const isOld = at !== undefined && facts.now.getTime() - Date.parse(at) > STALE_MS;
  if (at !== undefined && !isOld && drillProblem === undefined) return undefined;
  const title =
    at === undefined
      ? 'Backups are made, but no trial restore has proven one yet'
      : 'Backups are made, but the last trial restore is old';
  return {
    standing: 'made',
    title,
    text: `${lastSentence(facts, words)} ${provenSentence(facts, words)}`.trim(),
    todo:
      drillSkipped ??
      (facts.drills
        ? 'A trial restore is made by itself, about a day after the first backup and then each month.'
        : 'It is turned off in the settings (drill). To try one: openclaw b2-backup drill.'),
    ...(drillProblem === undefined ? {} : { problem: drillProblem }),
  };
}

function lastSentence({ gateway, bucket }: Facts, words: Words): string {
  const at = latest(gateway.lastSuccessAt, bucket?.status.lastSnapshotAt);
  // After a change of bucket or keys nothing counts that was stored before.
  return at === undefined
    ? 'Nothing has been backed up with these settings yet.'
    : `The last good backup: ${words.when(at)}.`;
}

function provenSentence(facts: Facts, words: Words): string {
  const at = provenAt(facts);
  return at === undefined ? '' : `Everything came back in the last trial restore, ${words.when(at)}.`;
}

/** ISO 8601 in UTC: as text, the greater is the later. */
function latest(...times: readonly (string | undefined)[]): string | undefined {
  const known = times.filter((time) => time !== undefined && !Number.isNaN(Date.parse(time))) as string[];
  return known.toSorted((a, b) => Date.parse(a) - Date.parse(b)).at(-1);
}

function advised({ code, message }: Problem): Pick<Verdict, 'title' | 'todo' | 'problem'> {
  const { what, todo } = ADVICE[isErrorCode(code) ? code : 'B2_INTERNAL'];
  return { title: what, todo, problem: { code, message } };
}
