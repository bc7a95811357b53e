/** `b2-backup adopt` */
import { examples, YES } from './command.js';
import { agree, type Cli, type Context, type Outcome } from './outcome.js';
import { count, formatTime, printable } from './render.js';

export function adoptCommand({ program, work }: Cli): void {
  program
    .command('adopt')
    .summary('take over the snapshots of a machine that is gone')
    .description(`Take over the snapshots of a machine that this one replaces.

From then on its snapshots are this machine's. The next push sends only what has changed since the newest of them, and one \
rule says which of all are kept. Nothing in the bucket changes. Snapshots that this machine made before stay, as those of \
another machine. If the other machine is still alive, both continue safely, one of them as a new machine.

You need not adopt a machine to restore from it.`)
    .argument('<machine>', 'its id from "b2-backup list"')
    .addOption(YES)
    .addHelpText('after', examples('b2-backup list', 'b2-backup adopt 1f2e3d4c'))
    .action(work({}, (context, machine, { yes }) => adopt(context, machine, yes)));
}

async function adopt(context: Context, machine: string, yes = false): Promise<Outcome> {
  const { engine, settings, operation, style } = context;
  if (!yes) {
    const question = `This machine takes over the snapshots of machine ${printable(machine)}, which should be gone.`;
    const unasked = 'nobody can be asked here whether to adopt this machine; say --yes';
    await agree(context, [question], { unasked });
  }
  const report = await engine.adopt(settings, machine, operation);
  const { before, snapshots, lastSnapshotAt, warnings } = report;
  return {
    document: { ok: true, ...report, before: before ?? null },
    lines: [
      style.bold(`This is machine ${printable(report.machine)} now`),
      `${count(snapshots, 'snapshot')}, the newest of ${formatTime(lastSnapshotAt)}`,
      ...(before === undefined ? [] : [`What it backed up as ${printable(before)} stays in the bucket.`]),
    ],
    chatter: true,
    warnings,
  };
}
