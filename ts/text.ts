/** Figures, times and names as text for people. Pure. */

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const;

/** Paths that a sentence names. */
const NAMED = 3;

/** `12.3 MB`; powers of 1000, as Backblaze bills them. */
export function formatBytes(bytes: number): string {
  let value = Math.max(0, bytes);
  let unit = 0;
  // 999.95 would be shown as 1000.0.
  while (unit < UNITS.length - 1 && value >= (unit === 0 ? 1000 : 999.95)) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

/** `0.4 s`, `12 s`, `3 min 05 s`, `2 h 07 min`. */
export function formatDuration(ms: number): string {
  if (ms < 9_950) return `${(Math.max(0, ms) / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${two(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
}

/** `1 file`, `1,234 files`. */
export function count(number: number, noun: string): string {
  return `${formatCount(number)} ${noun}${number === 1 ? '' : 's'}`;
}

/** `1,234`, in every locale. */
export function formatCount(number: number): string {
  return String(number).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** `2026-11-23 14:05` in local time; what is no date stays as it is. */
export function formatTime(iso: string): string {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return printable(iso);
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}`;
}

/**
 * Characters that a terminal, a log or a reader takes for something else than text: controls, lone surrogates, marks and
 * overrides of direction, which make a name read as another, and what is not seen at all. Not the joiners, which
 * languages and emoji need.
 */
const TREACHEROUS =
  /[\p{Cc}\p{Cs}\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\u{e0000}-\u{e007f}]/gu;

/**
 * Makes treacherous characters visible. Names come from a bucket that others may be able to write to, and must
 * not reach the terminal as commands.
 */
export function printable(text: string): string {
  return text.replace(TREACHEROUS, visible);
}

/** The same for text of several lines: line feeds and tabs stay. */
export function printableText(text: string): string {
  return text.replace(TREACHEROUS, (character) =>
    character === '\n' || character === '\t' ? character : visible(character),
  );
}

function visible(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x100) return `\\x${hex(code, 2)}`;
  return code > 0xffff ? `\\u{${hex(code, 5)}}` : `\\u${hex(code, 4)}`;
}

/**
 * What a snapshot lacks, by name of some: `a, b, c and 2 more`; nothing where it is complete. So many `more` remarks follow
 * those given, the worst first: where one of these is of something saved, so are all that follow.
 */
export function lacks(
  remarks: readonly { readonly path: string; readonly missing: boolean }[],
  more = 0,
): string | undefined {
  const missing = remarks.filter((remark) => remark.missing);
  if (missing.length === 0) return undefined;
  const after = missing.length === remarks.length ? more : 0;
  const rest = Math.max(0, missing.length - NAMED) + after;
  const named = missing.slice(0, NAMED).map(({ path }) => printable(path));
  return rest > 0 ? `${named.join(', ')} and ${formatCount(rest)} more` : named.join(', ');
}

function two(number: number): string {
  return String(number).padStart(2, '0');
}

function hex(code: number, digits: number): string {
  return code.toString(16).padStart(digits, '0');
}
