/** Takes words apart into tokens. What it does not understand it keeps, so that nothing is guessed past it. */
import { DAY_RULES, NUMBER, PARTS, readNumber } from './days.js';
import { type Rule, rule, type Token } from './tokens.js';
import { HOUR_MS, type LocalTime, MINUTE_MS } from './zone.js';

/** What words were taken apart into. */
export interface Lexed {
  readonly tokens: readonly (Token & {
    /** Whether nothing stood between this token and the one before. */
    readonly joined: boolean;
  })[];
  /** Words that say nothing here, in their order. */
  readonly unknown: readonly string[];
}

/** More is no way to name a snapshot. */
export const MAX_WORDS = 200;

const MACHINE = '(?:machine|computer|device|host|server|laptop)';
/** "3" alone is a time only after such a word. */
const BARE_HOUR = '(?<=\\b(?:at|around|about|near|before|after) )(\\d{1,2})';

const RULES: readonly Rule[] = [
  ...DAY_RULES,
  rule(`(?:back )?half an hour (?:ago|back|earlier)`, () => [{ is: 'ago', ms: HOUR_MS / 2 }]),
  rule(
    `(?:back )?(${NUMBER}) (hour|hr|h|minute|min)s? (?:ago|back|earlier)`,
    ([, amount = '', unit = '']) => [
      { is: 'ago', ms: readNumber(amount) * (unit.startsWith('h') ? HOUR_MS : MINUTE_MS) },
    ],
  ),
  rule('(\\d{1,2}):(\\d{2})(?::\\d{2})? ?(?:([ap])\\.?m\\.?)?', ([, hours, minutes, half]) =>
    clock(hours, minutes, half),
  ),
  rule('(\\d{1,2}) ?([ap])\\.?m\\.?', ([, hours, half]) => clock(hours, undefined, half)),
  rule("(\\d{1,2}) ?o'?clock", ([, hours]) => clock(hours, undefined, undefined)),
  rule(BARE_HOUR, ([, hours]) => clock(hours, undefined, undefined)),
  rule('noon|midday', () => [{ is: 'clock', minutes: [12 * 60], rough: true }]),
  // At the beginning of the day or at its end.
  rule('midnight', () => [{ is: 'clock', minutes: [0, 24 * 60], rough: true }]),
  rule('(?:in the )?(morning|afternoon|evening|night)', ([, name = '']) => {
    const part = PARTS[name];
    return part && [{ is: 'part', part }];
  }),

  // Not "before this morning", nor "before it was reset".
  rule('(?:one )?before (?:that|(?:it|this)(?= (?:one|please)|[^\\p{L}\\p{N}]*$))(?: one)?', () => [
    { is: 'that' },
  ]),
  rule(
    '(?:second|2nd|next) (?:to )?(?:the )?(?:last|latest|newest)|last but one|penultimate|previous',
    () => [{ is: 'order', order: 'previous' }],
  ),
  rule('latest|newest|most recent|last', () => [{ is: 'order', order: 'newest' }]),
  rule('first|oldest|earliest', () => [{ is: 'order', order: 'oldest' }]),

  rule('(?:(?:right|just|shortly|immediately) )?(before|after)|(prior) to', ([, relation]) => [
    { is: 'relation', relation: relation === 'after' ? 'after' : 'before' },
  ]),
  rule('around|about|near|circa', () => [{ is: 'relation', relation: 'around' }]),

  rule('(?:pre[- ]?|auto(?:matic)? )?compact(?:ion|ions|ed|ing)', () => [
    { is: 'reason', reason: 'compaction', event: true },
  ]),
  rule('reset(?:s|ting)?', () => [{ is: 'reason', reason: 'reset', event: true }]),
  rule('shut ?down|shutting down|stopped|stopping|restart(?:ed)?', () => [
    { is: 'reason', reason: 'shutdown', event: true },
  ]),
  // Elsewhere these only say what is to be done.
  rule('(?<=\\bbefore .*)(?:roll(?:ed|ing)? ?backs?|restor(?:e|ed|ing)|undo)', () => [
    { is: 'reason', reason: 'safety', event: true },
  ]),
  rule('safety', () => [{ is: 'reason', reason: 'safety', event: false }]),
  rule('manual(?:ly)?|by hand', () => [{ is: 'reason', reason: 'manual', event: false }]),
  rule('scheduled?', () => [{ is: 'reason', reason: 'scheduled', event: false }]),

  rule(`(?:an)?other ${MACHINE}s?`, () => [{ is: 'machine', machine: 'other' }]),
  rule(`this ${MACHINE}`, () => [{ is: 'machine', machine: 'this' }]),
  rule(`(?:any|all|every)(?: the)? ${MACHINE}s?`, () => [{ is: 'machine', machine: 'any' }]),
  rule(`${MACHINE} ([0-9a-f]{4,8})`, ([, id = '']) => [{ is: 'machine', machine: { id } }]),
];

/** Words without which the rest means the same. */
const FILLER: ReadonlySet<string> = new Set(
  (
    'a an as at back backup backups be by bring can copy could created do for from gateway get give go have i in is it made ' +
    'me my of on one ones our please pls restore revert roll rollback rolled show snapshot snapshots state take taken ' +
    'that the this time to us use version want was we were when which with you'
  ).split(' '),
);

const BETWEEN = /[^\p{L}\p{N}]+/uy;
const WORD = /[\p{L}\p{N}]+(?:['.:/_-][\p{L}\p{N}]+)*/uy;

/** Takes `words` apart. `known` recognises the names of snapshots and machines. */
export function lex(words: string, now: LocalTime, known: (word: string) => Token | undefined): Lexed {
  const text = words
    .normalize('NFKC')
    .toLowerCase()
    .replaceAll('’', "'")
    .replace(/(?<=[\p{L}\p{N}])'s(?![\p{L}\p{N}])/gu, '')
    .replace(/\s+/gu, ' ');
  const tokens: (Token & { joined: boolean })[] = [];
  const unknown: string[] = [];
  let joined = false;
  let at = 0;
  const next = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    return pattern.exec(text);
  };
  while (at < text.length) {
    const between = next(BETWEEN);
    if (between !== null) {
      at += between[0].length;
      joined &&= between[0] === ' ';
      continue;
    }
    const [word = ''] = next(WORD) ?? [text.slice(at, at + 1)];
    const name = known(word);
    const found = name === undefined ? phrase(next, now) : { length: word.length, tokens: [name] };
    if (found !== undefined) {
      for (const token of found.tokens) {
        tokens.push({ ...token, joined });
        joined = true;
      }
    } else {
      joined = false;
      if (!FILLER.has(word)) unknown.push(word);
    }
    at += found?.length ?? word.length;
  }
  return { tokens, unknown };
}

function phrase(next: (pattern: RegExp) => RegExpExecArray | null, now: LocalTime) {
  for (const { pattern, read } of RULES) {
    const match = next(pattern);
    const tokens = match === null ? undefined : read(match, now);
    if (match !== null && tokens !== undefined) return { length: match[0].length, tokens };
  }
  return undefined;
}

/**
 * Without "am" or "pm", 3:30 is in the night or in the afternoon, and "at 12" at noon or midnight; 03:30 and 15:30 are
 * certain.
 */
function clock(hours = '', minutes: string | undefined, half: string | undefined): Token[] {
  const hour = Number(hours);
  const minute = Number(minutes ?? 0);
  const rough = minutes === undefined;
  if (hour > 24 || minute > 59) return [{ is: 'clock', minutes: [], rough }];
  const since = (of: number): number => of * 60 + minute;
  if (half !== undefined && hour >= 1 && hour <= 12) {
    return [{ is: 'clock', minutes: [since((hour % 12) + (half === 'p' ? 12 : 0))], rough }];
  }
  if (half !== undefined || hours.startsWith('0') || hour === 0 || hour > 12) {
    return [{ is: 'clock', minutes: [since(hour)], rough }];
  }
  const twice = [since(hour), since(hour + 12)];
  if (hour < 12) return [{ is: 'clock', minutes: twice, rough }];
  return [{ is: 'clock', minutes: rough ? [...twice, since(0)] : [since(12)], rough }];
}
