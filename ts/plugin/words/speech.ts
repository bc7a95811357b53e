/** What was said: which times, which reasons, whose snapshots, in which order. What is not understood is kept. */
import type { Reason } from '../snapshots.js';
import { type Language, meanings, timesIn } from './dates.js';
import type { Present, Reading } from './readings.js';
import { DAY_MS } from './zone.js';

/** Whose snapshots: those of `other` machines, of `any`, of `this`, or of those whose id begins so. */
export type Machine = 'this' | 'other' | 'any' | { readonly id: string };

/** What a word names: snapshots whose ids it is or begins, or a machine. */
export type Name = { readonly ids: readonly string[] } | { readonly machine: Machine };

/** All that was said. */
export interface Speech {
  /** Each meaning of the time; undefined when none was said. */
  readonly readings: readonly Reading[] | undefined;
  /** Any of these. */
  readonly reasons: ReadonlySet<Reason>;
  readonly order: 'newest' | 'oldest' | 'previous' | undefined;
  readonly machine: Machine | undefined;
  readonly ids: readonly string[] | undefined;
  /** The ids are what the snapshot comes before. */
  readonly beforeIds: boolean;
  /** "before that" */
  readonly that: boolean;
  /** What to say when the words are not certain. */
  readonly hint: string | undefined;
  /** Whether nothing at all was understood. */
  readonly empty: boolean;
  /** Words that found no place: what was understood is not all that was said. */
  readonly unclear: readonly string[];
}

/** More is no way to name a snapshot, and chrono takes time for each. */
export const MAX_WORDS = 200;

/** They stand for a time and for a name that were found; no text holds them. */
const [TIME, NAME] = ['\u0001', '\u0002'];
const WORD = /[\p{L}\p{N}]+(?:['.:/_-][\p{L}\p{N}]+)*/gu;

/** Words without which the rest means the same; after the first line those of other languages. */
const FILLER: ReadonlySet<string> = new Set(
  (
    'a an as at back backup backups be by bring can copy could created do for from gateway get give go have i in is it made ' +
    'me my of on one ones our please pls restore revert roll rollback rolled show snapshot snapshots state take taken ' +
    'that the this time to us use version want was we were when which with you ' +
    'am das den der dem die vom von um uhr bitte stand le la les du de el los del il lo gli dal het van op sicherung ' +
    'の に で から'
  ).split(' '),
);

const MACHINE = '(?:machine|computer|device|host|server|laptop)';
const BEFORE = '(?:(?:right|just|shortly|immediately) )?(?:before|prior to)';
const BETWEEN = `((?:(?:the|my|our|i|we|it|was|one|last|latest|newest|first|gateway) )*(?:${TIME} )?)`;
/** What happened after the snapshot. "Rollback" elsewhere only says what is to be done. */
const EVENTS: readonly (readonly [Reason, string])[] = [
  ['compaction', '(?:pre[- ]?|auto(?:matic)? )?compact(?:ion|ions|ed|ing)'],
  ['reset', 'reset(?:s|ting)?'],
  ['shutdown', 'shut ?down|shutting down|stopped|stopping|restart(?:ed)?'],
];
const UNDONE = 'roll(?:ed|ing)? ?backs?|restor(?:e|ed|ing)|undo';
const MADE: readonly (readonly [Reason, string])[] = [
  ['safety', 'safety'],
  ['manual', 'manual(?:ly)?|by hand'],
  ['scheduled', 'scheduled?'],
];

type Draft = { -readonly [K in keyof Speech]: Speech[K] } & {
  reasons: Set<Reason>;
  unclear: string[];
  before: boolean;
};
type Rule = readonly [pattern: RegExp, hear: (draft: Draft, match: RegExpExecArray) => void];

function rule(phrase: string, hear: Rule[1]): Rule {
  return [new RegExp(`(?:${phrase})(?![\\p{L}\\p{N}]|[-:/.]\\p{N})`, 'uy'), hear];
}

/** In the order in which they are tried. */
const RULES: readonly Rule[] = [
  // Not "before this morning", nor "before it was reset".
  rule('(?:one )?before (?:that|(?:it|this)(?= (?:one|please)|[^\\p{L}\\p{N}]*$))(?: one)?', (draft) => {
    draft.that = true;
  }),
  ...[...EVENTS, ['safety', UNDONE] as const].map(([reason, words]) =>
    rule(`${BEFORE} ${BETWEEN}(?:${words})`, (draft, [, between = '']) => {
      setReason(draft, reason);
      if (/first/.test(between)) setOrder(draft, 'oldest');
      else if (/last|latest|newest/.test(between)) setOrder(draft, 'newest');
    }),
  ),
  ...MADE.map(([reason, words]) =>
    rule(`${BEFORE} ${BETWEEN}(?:${words})`, (draft) => {
      setReason(draft, reason);
      draft.unclear.push('what is before what');
    }),
  ),
  rule(`${BEFORE} (?:(?:the|of|on|from) )*(?=[${TIME}${NAME}])`, (draft) => {
    if (draft.before) draft.unclear.push('which of several times counts');
    draft.before = true;
  }),
  rule(
    `${BEFORE} (?:the )?(?:last|latest|newest)(?! ${TIME})|(?:second|2nd|next) (?:to )?(?:the )?(?:last|latest|newest)|last but one|penultimate|previous`,
    (draft) => setOrder(draft, 'previous'),
  ),
  rule('latest|newest|most recent|last', (draft) => setOrder(draft, 'newest')),
  // "February the first" is one day.
  rule(`(?<!${TIME} (?:the )?)(?:first|oldest|earliest)`, (draft) => setOrder(draft, 'oldest')),
  ...[...EVENTS, ...MADE].map(([reason, words]) => rule(words, (draft) => setReason(draft, reason))),
  rule(`(?:an)?other ${MACHINE}s?`, (draft) => setMachine(draft, 'other')),
  rule(`this ${MACHINE}`, (draft) => setMachine(draft, 'this')),
  rule(`(?:any|all|every)(?: the)? ${MACHINE}s?`, (draft) => setMachine(draft, 'any')),
  rule(`${MACHINE} ([0-9a-f]{4,8})`, (draft, [, id = '']) => setMachine(draft, { id })),
  rule(`${MACHINE} (?=${NAME})`, () => undefined),
];

function setReason({ reasons, unclear }: Draft, reason: Reason): void {
  if (reasons.size > 0 && !reasons.has(reason)) unclear.push('which of several reasons counts');
  reasons.add(reason);
}

function setOrder(draft: Draft, order: NonNullable<Speech['order']>): void {
  if (draft.order !== undefined) draft.unclear.push('which of several words for order counts');
  draft.order = order;
}

function setMachine(draft: Draft, machine: Machine): void {
  if (draft.machine !== undefined) draft.unclear.push('which of several machines counts');
  draft.machine = machine;
}

/**
 * Understands `words` in each language, as far as possible: those of the languages in which the fewest words are left over
 * count, and where they read a time differently, each reading does.
 */
export function understand(
  words: string,
  languages: readonly Language[],
  present: Present,
  known: (word: string) => Name | undefined,
): Speech {
  const names: Name[] = [];
  const text = words
    .normalize('NFKC')
    .replaceAll('’', "'")
    .replace(/(?<=[\p{L}\p{N}])'s(?![\p{L}\p{N}])/giu, '')
    .replace(/[\s\p{C}]+/gu, ' ')
    .replace(/\bday before yesterday\b/giu, '2 days ago')
    // Chrono would take the 15 of "from 15 February at 3 pm" for an hour.
    .replace(/\b(?:from )+(?=\d)/giu, '')
    .replace(WORD, (word) => {
      const name = known(word.toLowerCase());
      if (name === undefined) return word;
      names.push(name);
      return NAME;
    });
  const all = languages.map((language) => understandIn(text, language, names, present));
  const fewest = Math.min(...all.map(({ unclear }) => unclear.length));
  const best = all.filter(({ unclear }) => unclear.length === fewest);
  const timed = best.filter(({ readings }) => readings !== undefined);
  const [first, ...others] = timed.length > 0 ? timed : best;
  if (first === undefined) throw new TypeError('no language');
  if (first.readings === undefined) return first;
  const readings = [first, ...others].flatMap((speech) => speech.readings ?? []);
  const different = new Map(
    readings.map((reading) => [`${reading.from} ${reading.to} ${reading.how}`, reading]),
  );
  return { ...first, readings: [...different.values()] };
}

function understandIn(text: string, language: Language, names: readonly Name[], present: Present): Speech {
  const times = timesIn(text, language, present);
  const draft: Draft = {
    readings: undefined,
    reasons: new Set(),
    order: undefined,
    machine: undefined,
    ids: undefined,
    beforeIds: false,
    that: false,
    hint: undefined,
    empty: false,
    unclear: [],
    before: false,
  };
  let rest = '';
  let at = 0;
  for (const { result, doubtful } of times) {
    rest += text.slice(at, result.index) + TIME;
    at = result.index + result.text.length;
    if (doubtful) draft.unclear.push(`"${result.text}"`);
  }
  const heard = hear((rest + text.slice(at)).toLowerCase(), draft, names);
  if (times.length > 1) draft.unclear.push('which of several times counts');
  if (times.length > 0) {
    // More would only cost time: it is not certain anyway.
    const all = times.slice(0, 3).map((said) => meanings(said, draft.before, present));
    const readings = all.flatMap(({ readings }) => readings);
    // Of what is not understood the next one may be meant as well.
    draft.readings = draft.unclear.length === 0 ? readings : readings.map(wider);
    draft.hint = all.find(({ hint }) => hint !== undefined)?.hint;
  }
  draft.empty = !heard && times.length === 0 && names.length === 0;
  return draft;
}

function wider(reading: Reading): Reading {
  return reading.how === 'asOf' ? { ...reading, slack: DAY_MS } : reading;
}

/** Hears all but the times, and says whether there was anything. */
function hear(text: string, draft: Draft, names: readonly Name[]): boolean {
  let heard = false;
  let at = 0;
  let named = 0;
  while (at < text.length) {
    const found = match(text, at, draft);
    if (found > 0) {
      heard = true;
      at += found;
      continue;
    }
    WORD.lastIndex = at;
    const character = text[at] ?? '';
    const word = WORD.exec(text);
    if (character === NAME) setName(draft, names[named++]);
    if (word?.index !== at) {
      at += 1;
      continue;
    }
    if (!FILLER.has(word[0])) draft.unclear.push(`"${word[0]}"`);
    at += word[0].length;
  }
  return heard;
}

function match(text: string, at: number, draft: Draft): number {
  for (const [pattern, hear] of RULES) {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found === null || found[0].length === 0) continue;
    hear(draft, found);
    return found[0].length;
  }
  return 0;
}

function setName(draft: Draft, name: Name | undefined): void {
  if (name === undefined) return;
  if ('machine' in name) {
    setMachine(draft, name.machine);
    return;
  }
  if (draft.ids !== undefined) draft.unclear.push('which of several snapshots counts');
  draft.ids = name.ids;
  draft.beforeIds = draft.before;
}
