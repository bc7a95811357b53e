/** `b2-backup show` */
import type { ShownEntry, ShowOptions } from '../../index.js';
import { tellUpdate, updatesIn } from '../updates/history.js';
import type { Command } from './command.js';
import { type Context, EXIT, type Outcome } from './outcome.js';
import { count, formatBytes, formatTime, printable, remarksOf, table, textOf } from './render.js';

const COLUMNS = [
  { title: 'MODE' },
  { title: 'SIZE', right: true },
  { title: 'MODIFIED' },
  { title: 'PATH' },
] as const;

export async function show(
  { engine, settings, operation, style }: Context,
  command: Extract<Command, { name: 'show' }>,
): Promise<Outcome> {
  const options: ShowOptions = { snapshot: command.snapshot };
  if (command.path !== undefined) options.path = command.path;
  if (command.allowUnauthenticated) options.allowUnauthenticated = true;
  const report = await engine.show(settings, options, operation);
  // Of a whole snapshot only: it takes a request more.
  const update =
    command.path === undefined
      ? updatesIn((await engine.list(settings, operation)).snapshots).find(
          (one) => one.snapshot === report.snapshot,
        )
      : undefined;
  const { snapshot, createdAt, entries, incomplete, remarks, content, warnings } = report;
  const files = entries.filter(({ kind }) => kind === 'file');
  const bytes = files.reduce((sum, entry) => sum + entry.bytes, 0);
  return {
    exit: EXIT.done,
    document: {
      ok: true,
      snapshot,
      createdAt,
      beforeUpdate: update?.to ?? null,
      entries,
      incomplete,
      remarks,
      ...(content === undefined ? {} : asJson(content)),
      warnings,
    },
    lines: [
      style.bold(
        [
          printable(snapshot),
          formatTime(createdAt),
          ...(update === undefined ? [] : [printable(tellUpdate(update))]),
        ].join(', '),
      ),
      ...(entries.length === 0 ? ['It is empty.'] : table(COLUMNS, entries.map(row), style)),
      '',
      `${count(files.length, 'file')}, ${formatBytes(bytes)}`,
    ],
    ...(content === undefined ? {} : { bytes: content }),
    chatter: false,
    problems: remarksOf(remarks, style),
    warnings,
  };
}

/** JSON has no bytes: what is text is given as such, anything else in Base64. */
function asJson(content: Uint8Array): { content: string } | { contentBase64: string } {
  const text = textOf(content);
  return text === undefined ? { contentBase64: Buffer.from(content).toString('base64') } : { content: text };
}

function row({ path, kind, bytes, mode, modifiedAt, database, target }: ShownEntry): string[] {
  const remarks = [
    ...(target === undefined ? [] : [` -> ${printable(target)}`]),
    ...(database ? ['  (database)'] : []),
  ];
  return [
    mode.toString(8).padStart(4, '0'),
    kind === 'file' ? formatBytes(bytes) : '-',
    formatTime(modifiedAt),
    `${printable(path)}${kind === 'directory' ? '/' : ''}${remarks.join('')}`,
  ];
}
