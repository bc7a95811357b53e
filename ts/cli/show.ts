/** `b2-backup show` */
import type { ShownEntry, ShowOptions } from '../../index.js';
import { given } from '../given.js';
import { readHere } from '../updates/checked.js';
import { formatMadeBy, formatUpdate, madeByDocument, updatesIn } from '../updates/history.js';
import { AS_OF, examples, UNAUTHENTICATED } from './command.js';
import type { Cli, Context, Outcome } from './outcome.js';
import { count, formatBytes, formatTime, printable, remarksOf, table, textOf } from './render.js';
import { SNAPSHOT, snapshotMeant } from './snapshot.js';

const COLUMNS = [
  { title: 'MODE' },
  { title: 'SIZE', right: true },
  { title: 'MODIFIED' },
  { title: 'PATH' },
] as const;

export function showCommand({ program, work }: Cli): void {
  program
    .command('show')
    .summary('list what is in a snapshot, or print a file of it')
    .description(`List what is in a snapshot, or print a file of it.

A file is printed as it is. On a terminal only text is printed, with control characters made visible. A file of more than \
64 MiB is not printed; bring it into a directory with "restore --to".`)
    .argument('<snapshot>', SNAPSHOT)
    .argument(
      '[path]',
      'a directory or a glob, of which the entries are listed, or one file, which is printed',
    )
    .addOption(AS_OF)
    .addOption(UNAUTHENTICATED)
    .addHelpText(
      'after',
      examples(
        'b2-backup show latest workspace',
        'b2-backup show latest workspace/MEMORY.md',
        'b2-backup show 2026-02-19T00-00-00Z-1f2e3d4c openclaw.json > old.json',
      ),
    )
    .action(
      work({ fileOptional: true }, (context, snapshot, path, { allowUnauthenticated }) =>
        show(context, given({ snapshot, path, allowUnauthenticated })),
      ),
    );
}

async function show(context: Context, options: ShowOptions): Promise<Outcome> {
  const { engine, settings, operation, style } = context;
  const snapshot = await snapshotMeant(context, options.snapshot);
  const report = await engine.show(settings, { ...options, snapshot }, operation);
  // Of a whole snapshot only: it takes a request more.
  const all = options.path === undefined ? (await engine.list(settings, operation)).snapshots : [];
  const update = updatesIn(all, readHere(settings.stateDir)).find((one) => one.snapshot === report.snapshot);
  const host = all.find(({ id }) => id === report.snapshot);
  const madeBy = host && formatMadeBy(host);
  const { createdAt, entries, incomplete, remarks, content, warnings } = report;
  const files = entries.filter(({ kind }) => kind === 'file');
  const bytes = files.reduce((sum, entry) => sum + entry.bytes, 0);
  return {
    document: {
      ok: true,
      snapshot: report.snapshot,
      createdAt,
      beforeUpdate: update?.to ?? null,
      ...(host === undefined ? {} : madeByDocument(host)),
      entries,
      incomplete,
      remarks,
      ...(content === undefined ? {} : asJson(content)),
      warnings,
    },
    lines: [
      style.bold(
        [
          printable(report.snapshot),
          formatTime(createdAt),
          ...(update === undefined ? [] : [printable(formatUpdate(update))]),
        ].join(', '),
      ),
      ...(madeBy === undefined ? [] : [`Made by ${printable(madeBy)}.`]),
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
