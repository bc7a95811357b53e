/** `b2-backup adopt` */
import { BackupError } from '../errors.js';
import type { Command } from './command.js';
import { type Context, EXIT, type Outcome } from './outcome.js';
import { count, formatTime, printable } from './render.js';

export async function adopt(
  { engine, settings, operation, confirm, style }: Context,
  { machine, yes }: Extract<Command, { name: 'adopt' }>,
): Promise<Outcome> {
  if (!yes) {
    if (confirm === undefined) {
      throw new BackupError('nobody can be asked here whether to adopt this machine; say --yes', {
        code: 'B2_USAGE',
      });
    }
    const question = `This machine goes on with the snapshots of machine ${printable(machine)}, which should be gone.`;
    if (!(await confirm([question]))) throw new BackupError('nothing was changed', { code: 'B2_CANCELLED' });
  }
  const report = await engine.adopt(settings, machine, operation);
  const { before, snapshots, lastSnapshot, lastSnapshotAt, warnings } = report;
  return {
    exit: EXIT.done,
    document: {
      ok: true,
      machine: report.machine,
      before: before ?? null,
      snapshots,
      lastSnapshot,
      lastSnapshotAt,
      warnings,
    },
    lines: [
      style.bold(`This is machine ${printable(report.machine)} now`),
      `${count(snapshots, 'snapshot')}, the newest of ${formatTime(lastSnapshotAt)}`,
      ...(before === undefined ? [] : [`What it backed up as ${printable(before)} stays in the bucket.`]),
    ],
    chatter: true,
    problems: [],
    warnings,
  };
}
