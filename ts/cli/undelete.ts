/** `b2-backup undelete` */
import type { Undeleted, UndeleteOptions, UndeleteReport } from '../../index.js';
import { BackupError } from '../errors.js';
import type { Command } from './command.js';
import { type Context, EXIT, type Outcome } from './outcome.js';
import { count, facts, formatBytes, formatTime, printable, type Style, table } from './render.js';

const COLUMNS = [
  { title: 'SNAPSHOT' },
  { title: 'SINCE' },
  { title: 'OBJECTS', right: true },
  { title: 'SIZE', right: true },
  { title: '' },
] as const;

/** Shows which snapshots somebody hid or overwrote, and brings them back after the user has agreed. */
export async function undelete(
  { engine, settings, operation, style, confirm }: Context,
  { snapshots, since, keys, dryRun, yes }: Extract<Command, { name: 'undelete' }>,
): Promise<Outcome> {
  const options: UndeleteOptions = { keys };
  if (snapshots.length > 0) options.snapshots = [...snapshots];
  if (since !== undefined) options.since = since;
  const plan = await engine.undelete(settings, options, operation);
  if (dryRun || plan.objects === 0) return told(plan, style, dryRun);
  if (!yes) {
    if (confirm === undefined) {
      const what = `this would bring back ${count(plan.objects, 'object')}`;
      throw new BackupError(`${what}; see them with --dry-run, and do it with --yes`, { code: 'B2_USAGE' });
    }
    if (!(await confirm(describe(plan, style)))) {
      throw new BackupError('nothing was changed', { code: 'B2_CANCELLED' });
    }
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
    gone ? 'not to be seen now' : 'files in it cannot be read now',
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
    style.yellow(`${count(found.length, 'snapshot')} could not be looked into:`),
    ...found.map(({ path, code, message }) => `  ${printable(path)}: ${printable(message)} (${code})`),
  ];
}
