/** `b2-backup undelete` */
import type { Undeleted, UndeleteOptions, UndeleteReport } from '../../index.js';
import { given } from '../given.js';
import { examples, moment, Option, YES } from './command.js';
import { agree, type Cli, type Context, EXIT, type Outcome } from './outcome.js';
import { count, facts, formatBytes, formatTime, printable, type Style, table } from './render.js';

const COLUMNS = [
  { title: 'SNAPSHOT' },
  { title: 'SINCE' },
  { title: 'OBJECTS', right: true },
  { title: 'SIZE', right: true },
  { title: '' },
] as const;

export function undeleteCommand({ program, work }: Cli): void {
  program
    .command('undelete')
    .summary('bring back snapshots that somebody hid or overwrote')
    .description(`Bring back snapshots that somebody hid or overwrote.

B2 keeps what was hidden or overwritten as versions, until a lifecycle rule or a key with deleteFiles deletes them. This \
shows the snapshots concerned and asks. A prune with a key that may not delete hides old snapshots, too: name those that \
you want, or give the time of the trouble. Only hide markers are deleted. Without deleteFiles, or where somebody wrote \
something else, the old content is written once more.

A time is 2026-11-23, its first moment, or "2026-11-23 14:05"; local time, unless it ends in Z or +01:00. It is compared \
with the server's clock. To only look, or to restore without writing to the bucket, use --as-of with list, show, diff, \
history, verify and restore --to.`)
    .argument('[snapshots...]', 'their names; otherwise all')
    .addOption(new Option('--since <time>', 'only what was hidden or overwritten since').argParser(moment))
    .option('--keys', 'key slots, too; one that was removed on purpose opens the backup again then')
    .option('--dry-run', 'only show what can be brought back')
    .addOption(YES)
    .addHelpText(
      'after',
      examples(
        'b2-backup undelete --since "2026-11-23 14:00" --dry-run',
        'b2-backup restore latest --as-of 2026-11-23 --to ~/before',
      ),
    )
    .action(
      work({}, (context, snapshots, { since, keys, dryRun, yes }) => {
        const named = snapshots.length > 0 ? snapshots : undefined;
        return undelete(context, { keys: keys === true, ...given({ since, snapshots: named }) }, dryRun, yes);
      }),
    );
}

/** Shows which snapshots somebody hid or overwrote, and brings them back after the user has agreed. */
async function undelete(
  context: Context,
  options: UndeleteOptions,
  dryRun = false,
  yes = false,
): Promise<Outcome> {
  const { engine, settings, operation, style } = context;
  const plan = await engine.undelete(settings, options, operation);
  if (dryRun || plan.objects === 0) return told(plan, style, dryRun);
  if (!yes) {
    const what = `this would bring back ${count(plan.objects, 'object')}`;
    await agree(context, describe(plan, style), {
      unasked: `${what}; see them with --dry-run, and do it with --yes`,
    });
  }
  return done(await engine.undelete(settings, { ...options, apply: true }, operation), style);
}

function told(plan: UndeleteReport, style: Style, dryRun: boolean): Outcome {
  return {
    exit: plan.problems.length > 0 ? EXIT.incomplete : EXIT.done,
    document: { ...plain(plan), dryRun },
    lines: describe(plan, style),
    chatter: false,
    problems: problems(plan, style),
    warnings: plan.warnings,
  };
}

function done(report: UndeleteReport, style: Style): Outcome {
  const { objects, bytes, removedMarkers, writtenAgain } = report;
  return {
    exit: report.problems.length > 0 ? EXIT.incomplete : EXIT.done,
    document: plain(report),
    lines: [
      style.green(`Brought back ${count(objects, 'object')}, ${formatBytes(bytes)}`),
      ...facts([
        ['markers removed', String(removedMarkers)],
        ['written again', String(writtenAgain)],
        ['next', '"b2-backup verify" checks the snapshots'],
      ]),
    ],
    chatter: true,
    problems: problems(report, style),
    warnings: report.warnings,
  };
}

function plain({ snapshots, ...rest }: UndeleteReport): Record<string, unknown> {
  const one = (snapshot: Undeleted) => ({ ...snapshot, changedAt: snapshot.changedAt ?? null });
  return { ok: true, snapshots: snapshots.map(one), ...rest };
}

function describe({ snapshots, keySlots, objects, bytes }: UndeleteReport, style: Style): string[] {
  const slots =
    keySlots === 0
      ? []
      : [`${count(keySlots, 'key slot')} hidden or overwritten; they come back with --keys only`];
  if (snapshots.length === 0) {
    const nothing = 'No snapshot is hidden or overwritten';
    return [objects === 0 ? style.green(nothing) : nothing, ...slots];
  }
  return [
    ...table(COLUMNS, snapshots.map(row), style),
    '',
    style.bold(`To bring back: ${count(objects, 'object')}, ${formatBytes(bytes)}`),
    ...slots,
  ];
}

function row({ snapshot, gone, changedAt, objects, bytes, lostPacks }: Undeleted): string[] {
  const remarks = [
    gone ? 'not visible now' : 'files in it cannot be read now',
    ...(lostPacks === 0
      ? []
      : [`${count(lostPacks, 'pack')} deleted for good: comes back only when it is named`]),
  ];
  return [
    printable(snapshot),
    changedAt === undefined ? '-' : formatTime(changedAt),
    String(objects),
    formatBytes(bytes),
    remarks.join('; '),
  ];
}

function problems({ problems: found }: UndeleteReport, style: Style): string[] {
  if (found.length === 0) return [];
  return [
    style.yellow(`${count(found.length, 'snapshot')} could not be read:`),
    ...found.map(({ path, code, message }) => `  ${printable(path)}: ${printable(message)} (${code})`),
  ];
}
