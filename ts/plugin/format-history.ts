/** The versions of a file as plain text for chats and models. Pure. */
import type { HistoryReport, PathVersion } from '../../index.js';
import { machineOf } from '../machine-name.js';
import { count, formatBytes, printable } from '../text.js';
import { timeIn } from './snapshots.js';
import { type Reader, Times } from './times.js';

/** So many lines of what changed are shown of each version. */
const MOST_LINES = 40;

/** At most `limit` versions, the newest of each machine first. */
export function formatHistory(
  { versions, snapshots, warnings }: HistoryReport,
  { limit, ...reader }: Reader & { readonly limit: number },
): string {
  const times = new Times(reader);
  const newest = versions.toReversed();
  const machines = new Set(versions.map(({ machine }) => machine));
  const more = newest.length - limit;
  const tell = (version: PathVersion): string[] => {
    const { path, createdAt, change, lastSnapshot, text } = version;
    const since = times.tell(createdAt);
    const where = machines.size > 1 ? `${printable(path)} on ${machineOf(version)}, ` : '';
    return [
      `- ${where}since ${since}: ${[change, ...facts(version)].join(', ')}; last in the backup of ${times.clock(timeIn(lastSnapshot))}`,
      ...lines(text),
    ];
  };
  return [
    `${count(versions.length, 'version')} of ${printable(versions[0]?.path ?? '')} in ${count(snapshots, 'snapshot')}, newest first:`,
    ...newest.slice(0, limit).flatMap(tell),
    ...(more > 0 ? [`and ${more} older`] : []),
    ...warnings.map((warning) => `Note: ${printable(warning)}`),
  ].join('\n');
}

function facts({ change, kind, bytes, what, database, text, textOmitted }: PathVersion): string[] {
  const written = text?.split('\n') ?? [];
  const starting = (mark: string): number => written.filter((line) => line.startsWith(mark)).length;
  return [
    ...(kind === 'file' ? [] : [kind]),
    ...(database ? ['database'] : []),
    ...(change === 'removed' || kind !== 'file' ? [] : [formatBytes(bytes)]),
    ...what.filter((aspect) => aspect !== 'content'),
    ...(text === undefined ? [] : [`${count(starting('+'), 'line')} new, ${starting('-')} gone`]),
    ...(textOmitted === undefined || database ? [] : [`text not shown: ${textOmitted}`]),
  ];
}

function lines(text: string | undefined): string[] {
  if (text === undefined || text === '') return [];
  const all = text.trimEnd().split('\n');
  const more = all.length - MOST_LINES;
  return [
    ...all.slice(0, MOST_LINES).map((line) => `    ${printable(line.replaceAll('\t', '    '))}`),
    ...(more > 0 ? [`    and ${count(more, 'more line')}`] : []),
  ];
}
