/** Text for people: sizes, times, tables, colour. Pure. */
import type { FileProblem } from '../../index.js';

/** Colours, or their absence. */
export interface Style {
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly red: (text: string) => string;
  readonly yellow: (text: string) => string;
  readonly green: (text: string) => string;
}

/** Makes a {@linkcode Style}. */
export function createStyle(colour: boolean): Style {
  const paint = (code: number, end: number) => (text: string) =>
    colour ? `\u001b[${code}m${text}\u001b[${end}m` : text;
  return {
    bold: paint(1, 22),
    dim: paint(2, 22),
    red: paint(31, 39),
    yellow: paint(33, 39),
    green: paint(32, 39),
  };
}

/** Colour only on a terminal, and never against the user's wish (no-color.org). */
export function wantsColour(
  stream: { readonly isTTY?: boolean | undefined },
  env: NodeJS.ProcessEnv,
): boolean {
  const noColour = env['NO_COLOR'];
  return stream.isTTY === true && (noColour === undefined || noColour === '') && env['TERM'] !== 'dumb';
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const;

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
 * Makes control characters visible. Names come from a bucket that others may be able to write to, and must
 * not reach the terminal as commands.
 */
export function printable(text: string): string {
  // Bidirectional overrides too: they make a name read as another.
  return text.replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return code < 0x100 ? `\\x${hex(code, 2)}` : `\\u${hex(code, 4)}`;
  });
}

/** A heading and aligned `label  value` lines. */
export function facts(pairs: readonly (readonly [label: string, value: string])[]): string[] {
  const width = Math.max(...pairs.map(([label]) => label.length));
  return pairs.map(([label, value]) => `  ${label.padEnd(width)}  ${value}`);
}

/** One column of a {@linkcode table}. */
export interface Column {
  readonly title: string;
  readonly right?: boolean;
}

/** Aligned columns under a dim heading. */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  style: Style,
): string[] {
  const widths = columns.map(({ title }, at) =>
    Math.max(title.length, ...rows.map((row) => row[at]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    columns
      .map(({ right }, at) => {
        const cell = cells[at] ?? '';
        const width = widths[at] ?? 0;
        return right === true ? cell.padStart(width) : cell.padEnd(width);
      })
      .join('  ')
      .trimEnd();
  return [style.dim(line(columns.map(({ title }) => title))), ...rows.map(line)];
}

/** The list of files that could not be dealt with. */
export function fileProblems(
  problems: readonly FileProblem[],
  what: string,
  style: Style,
): readonly string[] {
  if (problems.length === 0) return [];
  return [
    style.yellow(`${count(problems.length, 'file')} could not be ${what}:`),
    ...problems.map(({ path, code, message }) => `  ${printable(path)}: ${printable(message)} (${code})`),
  ];
}

function two(number: number): string {
  return String(number).padStart(2, '0');
}

function hex(code: number, digits: number): string {
  return code.toString(16).padStart(digits, '0');
}
