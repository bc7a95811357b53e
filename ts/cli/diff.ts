/** `b2-backup diff` */
import type { DiffEntry, DiffOptions, DiffReport } from '../../index.js';
import { given } from '../given.js';
import { LIVE } from '../operations.js';
import { AS_OF, collect, examples, Option, UNAUTHENTICATED } from './command.js';
import { type Cli, type Context, EXIT, type Outcome } from './outcome.js';
import { count, fileProblems, formatBytes, formatCount, printable, type Style, table } from './render.js';
import { SNAPSHOT, snapshotMeant } from './snapshot.js';

/** How many differences are shown on the terminal; `--json` has them all. */
const SHOWN = 500;

const COLUMNS = [
  { title: '' },
  { title: 'BEFORE', right: true },
  { title: 'AFTER', right: true },
  { title: 'PATH' },
] as const;

export function diffCommand({ program, work }: Cli): void {
  program
    .command('diff')
    .summary('show what is different now, or in another snapshot')
    .description(`Show what is different between a snapshot and another one, or the present state.

Of the present state, only what belongs in a backup is compared. A database is listed when it was written since the last \
push, even if no row of it changed.`)
    .argument('<snapshot>', SNAPSHOT)
    .argument('[other]', 'another snapshot, latest, or live: the present state', LIVE)
    .addOption(
      new Option(
        '--path <path>',
        'only this file or directory of the state, or what a glob matches; may be given again',
      ).argParser(collect),
    )
    .option(
      '--text',
      'also show which lines of small text files differ. Never of files that may hold secrets, such as openclaw.json and .env',
    )
    .addOption(AS_OF)
    .addOption(UNAUTHENTICATED)
    .addHelpText(
      'after',
      examples(
        'b2-backup diff latest',
        'b2-backup diff 2026-02-19T00-00-00Z-1f2e3d4c latest',
        'b2-backup diff latest --path workspace/MEMORY.md --text',
      ),
    )
    .hook('preAction', (command) => {
      if (command.processedArgs[0] === LIVE) {
        command.error('diff takes the snapshot first: b2-backup diff <snapshot>');
      }
    })
    .action(
      work({ fileOptional: true }, (context, from, to, { path, text, allowUnauthenticated }) =>
        diff(context, given({ from, to, paths: path, text, allowUnauthenticated })),
      ),
    );
}

async function diff(context: Context, options: DiffOptions): Promise<Outcome> {
  const { engine, settings, operation, style } = context;
  const meant = {
    from: await snapshotMeant(context, options.from),
    to: await snapshotMeant(context, options.to ?? LIVE),
  };
  const report = await engine.diff(settings, { ...options, ...meant }, operation);
  const { from, to, entries, skipped, warnings } = report;
  return {
    exit: skipped.length > 0 ? EXIT.incomplete : EXIT.done,
    document: {
      ok: true,
      ...report,
      entries: entries.map(({ text, textOmitted, ...entry }) => ({
        ...entry,
        ...(options.text ? { text: text ?? null, textOmitted: textOmitted ?? null } : {}),
      })),
    },
    lines: [
      style.bold(`From ${printable(from)} to ${to === LIVE ? 'the present state' : printable(to)}`),
      ...listing(report, style),
      ...entries.flatMap((entry) => text(entry, style)),
    ],
    chatter: false,
    problems: fileProblems(skipped, 'compared', style),
    warnings,
  };
}

function listing({ entries, added, removed, changed, ...report }: DiffReport, style: Style): string[] {
  if (entries.length === 0) return ['Nothing is different.'];
  const lines = table(COLUMNS, entries.slice(0, SHOWN).map(row), style);
  const hidden = entries.length - SHOWN;
  if (hidden > 0) lines.push(style.dim(`and ${count(hidden, 'more path')}; --json has them all`));
  const sizes = `${formatBytes(report.bytesBefore)} before, ${formatBytes(report.bytesAfter)} after`;
  lines.push(
    '',
    `${count(added, 'file')} added, ${formatCount(changed)} changed, ${formatCount(removed)} removed; ${sizes}`,
  );
  return lines;
}

function row({
  path,
  change,
  what,
  kind,
  bytesBefore,
  bytesAfter,
  database,
  textOmitted,
}: DiffEntry): string[] {
  const remarks: string[] = what.length === 1 && what[0] === 'content' ? [] : [...what];
  if (database) remarks.push('database');
  else if (textOmitted !== undefined) remarks.push(`no text: ${textOmitted}`);
  const remark = remarks.length === 0 ? '' : `  (${remarks.map(printable).join(', ')})`;
  return [
    change,
    change === 'added' ? '-' : size(kind, bytesBefore),
    change === 'removed' ? '-' : size(kind, bytesAfter),
    `${printable(path)}${kind === 'directory' ? '/' : ''}${remark}`,
  ];
}

/** Only files have a size; what was one may have become something else. */
function size(kind: string, bytes: number): string {
  return kind === 'file' || bytes > 0 ? formatBytes(bytes) : '-';
}

function text({ path, text: hunks }: DiffEntry, style: Style): string[] {
  if (hunks === undefined || hunks === '') return [];
  const lines = hunks.replace(/\n$/, '').split('\n');
  return ['', style.bold(printable(path)), ...lines.map((line) => paint(line, style))];
}

/** One line of a unified diff, harmless and in its colour. */
export function paint(line: string, style: Style): string {
  // A tab is the only control character that text is full of, and harmless.
  const shown = line.split('\t').map(printable).join('\t');
  if (line.startsWith('+')) return style.green(shown);
  if (line.startsWith('-')) return style.red(shown);
  return line.startsWith('@@') ? style.dim(shown) : shown;
}
