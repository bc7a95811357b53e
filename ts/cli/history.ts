/** `b2-backup history` */
import type { HistoryOptions, PathVersion } from '../../index.js';
import type { Command } from './command.js';
import { paint } from './diff.js';
import { type Context, EXIT, type Outcome } from './outcome.js';
import { formatBytes, formatTime, printable, type Style, table } from './render.js';

const COLUMNS = [
  { title: 'SINCE' },
  { title: '' },
  { title: 'SIZE', right: true },
  { title: 'SNAPSHOTS', right: true },
  { title: 'LAST SNAPSHOT' },
  { title: '' },
] as const;

export async function history(
  { engine, settings, operation, style }: Context,
  command: Extract<Command, { name: 'history' }>,
): Promise<Outcome> {
  const options: HistoryOptions = { path: command.path };
  if (command.text) options.text = true;
  if (command.allowUnauthenticated) options.allowUnauthenticated = true;
  const { versions, snapshots, requests, downloadedBytes, warnings } = await engine.history(
    settings,
    options,
    operation,
  );
  const groups = new Map<string, PathVersion[]>();
  for (const version of versions) {
    const title = `${version.path}, machine ${version.machine}`;
    groups.set(title, [...(groups.get(title) ?? []), version]);
  }
  return {
    exit: EXIT.done,
    document: {
      ok: true,
      snapshots,
      versions: versions.map(({ text, textOmitted, ...version }) => ({
        ...version,
        ...(command.text ? { text: text ?? null, textOmitted: textOmitted ?? null } : {}),
      })),
      requests,
      downloadedBytes,
      warnings,
    },
    lines: [...groups].flatMap(([title, of], at) => [
      ...(at === 0 ? [] : ['']),
      style.bold(printable(title)),
      ...table(COLUMNS, of.map(row), style),
      ...of.flatMap((version) => hunks(version, style)),
    ]),
    chatter: false,
    problems: [],
    warnings,
  };
}

function row(version: PathVersion): string[] {
  const { createdAt, change, kind, bytes, snapshots, lastSnapshot, what, database, textOmitted } = version;
  const remarks = [
    ...(kind === 'file' ? [] : [kind]),
    ...(database ? ['database'] : []),
    ...what.filter((aspect) => aspect !== 'content'),
    ...(textOmitted === undefined || database ? [] : [`no text: ${textOmitted}`]),
  ];
  return [
    formatTime(createdAt),
    change,
    kind === 'file' && change !== 'removed' ? formatBytes(bytes) : '-',
    String(snapshots),
    printable(lastSnapshot),
    remarks.length === 0 ? '' : `(${remarks.map(printable).join(', ')})`,
  ];
}

function hunks({ createdAt, text }: PathVersion, style: Style): string[] {
  if (text === undefined || text === '') return [];
  const lines = text.replace(/\n$/, '').split('\n');
  return ['', style.bold(formatTime(createdAt)), ...lines.map((line) => paint(line, style))];
}
