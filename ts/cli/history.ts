/** `b2-backup history` */
import type { HistoryOptions, PathVersion } from '../../index.js';
import { given } from '../given.js';
import { machineOf } from '../machine-name.js';
import { AS_OF, examples, UNAUTHENTICATED } from './command.js';
import { paint } from './diff.js';
import type { Cli, Context, Outcome } from './outcome.js';
import { formatBytes, formatTime, printable, type Style, table } from './render.js';

const COLUMNS = [
  { title: 'SINCE' },
  { title: '' },
  { title: 'SIZE', right: true },
  { title: 'SNAPSHOTS', right: true },
  { title: 'LAST SNAPSHOT' },
  { title: '' },
] as const;

export function historyCommand({ program, work }: Cli): void {
  program
    .command('history')
    .summary('show the versions of a file over all snapshots')
    .description(`Show the versions of a file over all snapshots: when each was first backed up, how big it is, and what changed.

Each line is a version. The snapshot beside it is the last one that has it; give that one to "restore".`)
    .argument('<file>', 'such as workspace/MEMORY.md')
    .option(
      '--text',
      'also show which lines of a small text file changed. Never of files that may hold secrets, such as openclaw.json and .env',
    )
    .addOption(AS_OF)
    .addOption(UNAUTHENTICATED)
    .addHelpText(
      'after',
      examples('b2-backup history workspace/MEMORY.md', 'b2-backup history workspace/MEMORY.md --text'),
    )
    .action(
      work({ fileOptional: true }, (context, path, { text, allowUnauthenticated }) =>
        history(context, given({ path, text, allowUnauthenticated })),
      ),
    );
}

async function history(
  { engine, settings, operation, style }: Context,
  options: HistoryOptions,
): Promise<Outcome> {
  const report = await engine.history(settings, options, operation);
  const { versions, warnings } = report;
  const groups = new Map<string, PathVersion[]>();
  for (const version of versions) {
    const title = `${version.path}, machine ${machineOf(version)}`;
    groups.set(title, [...(groups.get(title) ?? []), version]);
  }
  return {
    document: {
      ok: true,
      ...report,
      versions: versions.map(({ text, textOmitted, machineName, ...version }) => ({
        ...version,
        machineName: machineName ?? null,
        ...(options.text ? { text: text ?? null, textOmitted: textOmitted ?? null } : {}),
      })),
    },
    lines: [...groups].flatMap(([title, of], at) => [
      ...(at === 0 ? [] : ['']),
      style.bold(printable(title)),
      ...table(COLUMNS, of.map(row), style),
      ...of.flatMap((version) => hunks(version, style)),
    ]),
    chatter: false,
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
