/** `b2-backup forget` */
import type { ForgetReport } from '../../index.js';
import { BackupError } from '../errors.js';
import type { Command } from './command.js';
import { type Context, EXIT, type Outcome } from './outcome.js';
import { count, facts, formatBytes, printable } from './render.js';

export async function forget(
  { engine, settings, operation, style, confirm }: Context,
  { machine, dryRun, yes }: Extract<Command, { name: 'forget' }>,
): Promise<Outcome> {
  if (dryRun || !yes) {
    const plan = await engine.forget(settings, machine, { dryRun: true }, operation);
    if (dryRun) return tell(plan, true, style);
    const lines = [
      `This deletes all backups of machine ${printable(machine)}, for good:`,
      ...plan.snapshots.map((id) => `  ${printable(id)}`),
      ...facts(space(plan, true)),
    ];
    if (confirm === undefined) {
      throw new BackupError(
        `this would delete ${count(plan.snapshots.length, 'snapshot')}; see them with --dry-run, and do it with --yes`,
        { code: 'B2_USAGE' },
      );
    }
    if (!(await confirm(lines))) throw new BackupError('nothing was deleted', { code: 'B2_CANCELLED' });
  }
  return tell(await engine.forget(settings, machine, { dryRun: false }, operation), false, style);
}

function tell(report: ForgetReport, dryRun: boolean, style: Context['style']): Outcome {
  const { snapshots, warnings, ...figures } = report;
  const gone = count(snapshots.length, 'snapshot');
  return {
    exit: EXIT.done,
    document: { ok: true, dryRun, ...figures, snapshots, warnings },
    lines: [
      ...(dryRun ? snapshots.map(printable) : []),
      style.bold(dryRun ? `${gone} would go` : `${gone} deleted`),
      ...facts(space(report, dryRun)),
    ],
    chatter: !dryRun,
    problems: [],
    warnings,
  };
}

function space(
  { freedBytes, deletedPacks, waitingBytes, waitingPacks }: ForgetReport,
  dryRun: boolean,
): [string, string][] {
  return [
    [dryRun ? 'would be freed' : 'freed', `${formatBytes(freedBytes)} in ${count(deletedPacks, 'pack')}`],
    ['a day later', `${formatBytes(waitingBytes)} in ${count(waitingPacks, 'pack')}`],
  ];
}
