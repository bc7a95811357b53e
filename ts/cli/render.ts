/** Text for terminals: tables, colour. Pure. */
import type { FileProblem } from '../../index.js';
import { sortRemarks } from '../secrets.js';
import { count, formatCount, printable, printableText } from '../text.js';

export { count, formatBytes, formatCount, formatDuration, formatTime, lacks, printable } from '../text.js';

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

/** The colours of a {@linkcode Style}. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: that is what they are made of
const COLOURS = /(\u001b\[(?:1|2|22|31|32|33|39)m)/;

/** A line or more as it goes to a terminal: nothing in it is a command to one, but for our own colours. */
export function forTerminal(text: string): string {
  return text
    .split(COLOURS)
    .map((part, at) => (at % 2 === 1 ? part : printableText(part)))
    .join('');
}

/** What a file holds, if that is text. */
export function textOf(content: Uint8Array): string | undefined {
  if (content.includes(0)) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content);
  } catch {
    return undefined;
  }
}

/** Colour only on a terminal, and never against the user's wish (no-color.org). */
export function wantsColour(
  stream: { readonly isTTY?: boolean | undefined },
  env: NodeJS.ProcessEnv,
): boolean {
  const noColour = env['NO_COLOR'];
  return stream.isTTY === true && (noColour === undefined || noColour === '') && env['TERM'] !== 'dumb';
}

/** A label and its value; none where there is nothing to say. */
export type Fact = readonly [label: string, value: string | undefined];

/** Aligned `label  value` lines. */
export function facts(pairs: readonly Fact[]): string[] {
  const told = pairs.filter(([, value]) => value !== undefined);
  const width = Math.max(...told.map(([label]) => label.length));
  return told.map(([label, value]) => `  ${label.padEnd(width)}  ${value}`);
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

/** So many problems are named on a terminal. */
const MOST_PROBLEMS = 200;

/** The list of files that could not be dealt with. */
export function fileProblems(
  problems: readonly FileProblem[],
  what: string,
  style: Style,
): readonly string[] {
  const refused = problems.filter(({ code }) => code === 'B2_REFUSED');
  const failed = problems.filter(({ code }) => code !== 'B2_REFUSED');
  return [
    ...(failed.length === 0
      ? []
      : [style.yellow(`${count(failed.length, 'file')} could not be ${what}:`), ...named(failed)]),
    ...(refused.length === 0
      ? []
      : [style.yellow('Restored, but not exactly as before:'), ...named(refused)]),
  ];
}

/** What is not in a snapshot, and what is in it though not as it should be. */
export function remarksOf(remarks: readonly FileProblem[], style: Style): readonly string[] {
  const { missing, leftOut, saved } = sortRemarks(remarks);
  return [
    ...(missing.length === 0
      ? []
      : [style.yellow('The snapshot is incomplete. Missing or unusable:'), ...named(missing)]),
    ...(leftOut.length === 0 ? [] : [style.yellow('Left out on purpose:'), ...named(leftOut)]),
    ...(saved.length === 0 ? [] : [style.yellow('Backed up, with a warning:'), ...named(saved)]),
  ];
}

function named(problems: readonly FileProblem[]): string[] {
  const more = problems.length - MOST_PROBLEMS;
  return [
    ...problems
      .slice(0, MOST_PROBLEMS)
      .map(({ path, code, message }) => `  ${printable(path)}: ${printable(message)} (${printable(code)})`),
    ...(more > 0 ? [`  and ${formatCount(more)} more; --json names all`] : []),
  ];
}
