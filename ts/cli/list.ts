/** `b2-backup list` */
import type { SnapshotInfo } from '../../index.js';
import { machineOf } from '../machine-name.js';
import { readHere } from '../updates/checked.js';
import { formatUpdate, madeByDocument, type Update, updatesIn } from '../updates/history.js';
import { AS_OF, examples } from './command.js';
import { type Cli, type Context, EXIT, type Outcome } from './outcome.js';
import { formatBytes, formatCount, formatTime, lacks, printable, table } from './render.js';

const COLUMNS = [
  { title: 'SNAPSHOT' },
  { title: 'TAKEN' },
  { title: 'WHY' },
  { title: 'MACHINE' },
  { title: 'FILES', right: true },
  { title: 'SIZE', right: true },
  { title: '' },
] as const;

export function listCommand({ program, work }: Cli): void {
  program
    .command('list')
    .summary('show the snapshots of every machine')
    .description(`Show the snapshots of every machine in the bucket.

Safety snapshots are those made before a rollback. "not authenticated" means that the snapshot is not encrypted, so anyone \
who can write to the bucket can have made it. Those of the original plugin never are authenticated; they can be shown, and \
restored with --to.`)
    .option('--machine <id>', 'only those of this machine')
    .addOption(AS_OF)
    .addHelpText('after', examples('b2-backup list', 'b2-backup list --machine 1f2e3d4c --json'))
    .action(work({ fileOptional: true }, (context, { machine }) => list(context, machine)));
}

async function list(
  { engine, settings, operation, style }: Context,
  machine: string | undefined,
): Promise<Outcome> {
  const { snapshots: all, warnings } = await engine.list(settings, operation);
  const snapshots =
    machine === undefined
      ? all
      : all.filter((snapshot) => [snapshot.machine, snapshot.machineName].includes(machine));
  // Those of another owner of the bucket open with another secret. That is no failure, unless nothing opens.
  const locked =
    snapshots.some(({ problemCode }) => problemCode === 'B2_WRONG_KEY') &&
    !snapshots.some(({ authenticated }) => authenticated);
  const failed = snapshots.some(
    ({ problemCode }) => problemCode !== undefined && problemCode !== 'B2_WRONG_KEY',
  );
  const here = readHere(settings.stateDir);
  const updates = new Map(updatesIn(all, here).map((update) => [update.snapshot, update]));
  return {
    document: {
      ok: true,
      snapshots: snapshots.map((snapshot) => ({
        ...snapshot,
        reason: snapshot.reason ?? null,
        machineName: snapshot.machineName ?? null,
        ...madeByDocument(snapshot),
        beforeUpdate: updates.get(snapshot.id)?.to ?? null,
        problem: snapshot.problem ?? null,
        problemCode: snapshot.problemCode ?? null,
        changes: snapshot.changes ?? null,
      })),
      warnings,
    },
    lines:
      snapshots.length === 0
        ? [
            machine === undefined
              ? 'There are no snapshots yet. "b2-backup push" makes the first.'
              : `There are no snapshots of machine ${printable(machine)}.`,
          ]
        : table(
            COLUMNS,
            snapshots.map((snapshot) => row(snapshot, updates.get(snapshot.id))),
            style,
          ),
    chatter: false,
    warnings,
    exit: failed || locked ? EXIT.incomplete : EXIT.done,
    locked,
  };
}

function row(snapshot: SnapshotInfo, update: Update | undefined): string[] {
  // What cannot be read has no figures.
  const figures =
    snapshot.problem === undefined ? [formatCount(snapshot.files), formatBytes(snapshot.bytes)] : ['-', '-'];
  return [
    printable(snapshot.id),
    formatTime(snapshot.createdAt),
    printable(snapshot.reason ?? (snapshot.kind === 'safety' ? 'safety' : '-')),
    machineOf(snapshot, ...(snapshot.thisMachine ? ['this'] : [])),
    ...figures,
    [...(update === undefined ? [] : [printable(formatUpdate(update))]), remark(snapshot)]
      .filter((text) => text !== '')
      .join('; '),
  ];
}

function remark({ problem, authenticated, format, remarks, moreRemarks }: SnapshotInfo): string {
  if (problem !== undefined) return printable(problem);
  if (format === 1) return 'of the original plugin, not authenticated';
  const missing = lacks(remarks, moreRemarks);
  return [
    ...(missing === undefined ? [] : [`incomplete: lacks ${missing}`]),
    ...(authenticated ? [] : ['not authenticated']),
  ].join('; ');
}
