/** Comparisons as plain text for chats and models. Pure. */
import type { DiffEntry, DiffReport } from '../../index.js';
import { count, formatBytes, printable } from '../text.js';
import { timeIn } from './snapshots.js';
import { type Reader, Times } from './times.js';

const MARKS: Readonly<Record<string, string>> = { added: '+', removed: '-', changed: '~' };

/** What differs, at most `limit` paths, then the text of small files. */
export function formatDiff(report: DiffReport, { limit, ...reader }: Reader & { limit: number }): string {
  const { from, to, added, removed, changed, entries, skipped, warnings } = report;
  const times = new Times(reader);
  const then = times.clock(timeIn(from));
  const present = to === 'live' ? 'the present' : times.clock(timeIn(to));
  if (entries.length === 0)
    return [`The backup of ${then} and ${present} are the same.`, ...notes(report)].join('\n');
  const shown = entries.slice(0, limit);
  const more = entries.length - shown.length;
  return [
    `From ${then} to ${present}: ${count(added, 'file')} new, ${changed} changed, ${removed} gone.`,
    ...shown.map(formatEntry),
    ...(more > 0 ? [`and ${more} more; ask for fewer paths to see them`] : []),
    ...shown.flatMap(formatText),
    ...notes({ skipped, warnings }),
  ].join('\n');
}

function formatEntry({
  path,
  change,
  what,
  kind,
  bytesBefore,
  bytesAfter,
  database,
  textOmitted,
}: DiffEntry): string {
  const sizes =
    kind !== 'file'
      ? []
      : change === 'changed'
        ? [
            bytesBefore === bytesAfter
              ? formatBytes(bytesAfter)
              : `${formatBytes(bytesBefore)} to ${formatBytes(bytesAfter)}`,
          ]
        : [formatBytes(change === 'added' ? bytesAfter : bytesBefore)];
  const facts = [
    ...(database ? ['database'] : kind === 'file' ? [] : [kind]),
    ...sizes,
    // That the content differs goes without saying.
    ...what.filter((aspect) => aspect !== 'content'),
    ...(textOmitted === undefined || textOmitted === 'database' ? [] : [`text not shown: ${textOmitted}`]),
  ];
  return `${MARKS[change] ?? '?'} ${printable(path)}${facts.length === 0 ? '' : ` (${facts.join(', ')})`}`;
}

/** The lines of a unified diff are the user's own text: only what would move a terminal's cursor is escaped. */
function formatText({ path, text }: DiffEntry): string[] {
  if (text === undefined || text === '') return [];
  return [
    '',
    `${printable(path)}:`,
    ...text
      .trimEnd()
      .split('\n')
      .map((line) => printable(line.replaceAll('\t', '    '))),
  ];
}

function notes({ skipped, warnings }: Pick<DiffReport, 'skipped' | 'warnings'>): string[] {
  return [
    ...skipped.map(({ path, message }) => `Not compared: ${printable(path)}: ${printable(message)}`),
    ...warnings.map((warning) => `Note: ${printable(warning)}`),
  ];
}
