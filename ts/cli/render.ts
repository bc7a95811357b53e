/** Text for terminals: tables, colour. Pure. */
import type { FileProblem } from '../../index.js';
import { count, printable } from '../text.js';

export { count, formatBytes, formatCount, formatDuration, formatTime, printable } from '../text.js';

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
