/** `b2-backup forget` */
import type { ForgetReport } from '../../index.js';
import { examples, YES } from './command.js';
import { agree, type Cli, type Context, type Outcome } from './outcome.js';
import { count, type Fact, facts, formatBytes, printable } from './render.js';

export function forgetCommand({ program, work }: Cli): void {
  program
    .command('forget')
    .summary('delete the snapshots of a machine that is gone')
    .description(`Delete all backups of a machine that is gone.

Its snapshots are deleted at once. What only they needed is deleted a day later, by the next prune or by another "forget". \
A machine that stored a snapshot within a day is not gone. One that makes another meanwhile is left alone. To keep its \
snapshots and continue them, adopt it instead.`)
    .argument('<machine>', 'its id from "b2-backup status"')
    .option('--dry-run', 'only show what would be deleted')
    .addOption(YES)
    .addHelpText('after', examples('b2-backup status', 'b2-backup forget 1f2e3d4c --dry-run'))
    .action(work({}, forget));
}

async function forget(
  context: Context,
  machine: string,
  { dryRun = false, yes = false }: { readonly dryRun?: boolean; readonly yes?: boolean },
): Promise<Outcome> {
  const { engine, settings, operation, style } = context;
  if (dryRun || !yes) {
    const plan = await engine.forget(settings, machine, { dryRun: true }, operation);
    if (dryRun) return tell(plan, true, style);
    const lines = [
      `This deletes all backups of machine ${printable(machine)}, for good:`,
      ...plan.snapshots.map((id) => `  ${printable(id)}`),
      ...facts(space(plan, true)),
    ];
    const what = `this would delete ${count(plan.snapshots.length, 'snapshot')}`;
    const unasked = `${what}; see them with --dry-run, and do it with --yes`;
    await agree(context, lines, { unasked, unchanged: 'nothing was deleted' });
  }
  return tell(await engine.forget(settings, machine, { dryRun: false }, operation), false, style);
}

function tell(report: ForgetReport, dryRun: boolean, style: Context['style']): Outcome {
  const { snapshots, warnings, ...figures } = report;
  const gone = count(snapshots.length, 'snapshot');
  return {
    document: { ok: true, dryRun, ...figures, snapshots, warnings },
    lines: [
      ...(dryRun ? snapshots.map(printable) : []),
      style.bold(dryRun ? `${gone} would go` : `${gone} deleted`),
      ...facts(space(report, dryRun)),
    ],
    chatter: !dryRun,
    warnings,
  };
}

function space(
  { freedBytes, deletedPacks, waitingBytes, waitingPacks }: ForgetReport,
  dryRun: boolean,
): Fact[] {
  return [
    [dryRun ? 'would be freed' : 'freed', `${formatBytes(freedBytes)} in ${count(deletedPacks, 'pack')}`],
    ['a day later', `${formatBytes(waitingBytes)} in ${count(waitingPacks, 'pack')}`],
  ];
}
