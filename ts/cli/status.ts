/** `b2-backup status` */
import type { MachineInfo } from '../../index.js';
import { readBooted } from '../boot/record.js';
import { machineOf, namesIn } from '../machine-name.js';
import { onlyApplicationKey, secretInWords } from '../secrets.js';
import { readCheckedUpdate, readHere } from '../updates/checked.js';
import { lostInUpdate } from '../updates/format.js';
import { formatMadeBy, formatUpdate, madeByDocument, updatesIn } from '../updates/history.js';
import { examples } from './command.js';
import { findingDocument, findingLines, lookAtGateway } from './findings.js';
import { originDocument, originLines } from './origins.js';
import type { Cli, Context, Outcome } from './outcome.js';
import { count, facts, formatBytes, formatCount, formatTime, printable, remarksOf, table } from './render.js';

const COLUMNS = [
  { title: 'MACHINE' },
  { title: 'SNAPSHOTS', right: true },
  { title: 'STORED', right: true },
  { title: 'NEWEST' },
  { title: '' },
] as const;

export function statusCommand({ program, work }: Cli): void {
  program
    .command('status')
    .summary('show what is configured and what the bucket holds')
    .description('Show what is configured and what the bucket holds.')
    .addHelpText('after', examples('b2-backup status', 'b2-backup status --json'))
    .action(work({ fileOptional: true }, (context) => status(context)));
}

async function status(context: Context): Promise<Outcome> {
  const { engine, settings, origins, operation, style } = context;
  const report = await engine.status(settings, operation);
  const { lastSnapshot, lastSnapshotAt, machine, opensWith } = report;
  const warnings = [...report.warnings, ...onlyApplicationKey(report, 'b2-backup')];
  const findings = await lookAtGateway(context);
  const booted = readBooted(report.stateDir);
  const checked = readCheckedUpdate(report.stateDir);
  const lost = checked && lostInUpdate(checked);
  const { snapshots } = await engine.list(settings, operation);
  const update = updatesIn(snapshots, readHere(report.stateDir)).at(-1);
  const before = snapshots.find(({ id }) => id === update?.snapshot);
  const madeBy = before && formatMadeBy(before);
  const names = namesIn(snapshots);
  const called = (id: string, ...more: string[]): string =>
    machineOf({ machine: id, machineName: names.get(id) }, ...more);
  const last =
    lastSnapshot === undefined
      ? 'none yet'
      : printable(lastSnapshot) + (lastSnapshotAt === undefined ? '' : `, ${formatTime(lastSnapshotAt)}`);
  const proven =
    report.provenSnapshot === undefined || report.provenAt === undefined
      ? 'never; "b2-backup drill" does a trial restore'
      : `${formatTime(report.provenAt)}, by a trial restore of ${printable(report.provenSnapshot)}`;
  return {
    document: {
      ok: true,
      ...report,
      machine: machine ?? null,
      lastSnapshot: lastSnapshot ?? null,
      lastSnapshotAt: lastSnapshotAt ?? null,
      machines: report.machines.map((of) => ({
        ...of,
        machineName: names.get(of.machine) ?? null,
        lastSnapshot: of.lastSnapshot ?? null,
        lastSnapshotAt: of.lastSnapshotAt ?? null,
      })),
      provenSnapshot: report.provenSnapshot ?? null,
      provenAt: report.provenAt ?? null,
      booted: booted ?? null,
      update: update === undefined ? null : { ...update, ...(before && madeByDocument(before)) },
      missingSinceUpdate: lost === undefined ? null : (checked?.missing ?? []).map(({ text }) => text),
      gateway: findings.map(findingDocument),
      settings: originDocument(origins),
      warnings,
    },
    lines: [
      style.bold('Backup'),
      ...facts([
        ['state', printable(report.stateDir)],
        ['bucket', `${printable(report.bucket)}, prefix ${printable(report.prefix)}`],
        ['encrypted', report.encrypt ? 'yes' : 'no'],
        ['opens with', opensWith.length > 0 ? opensWith.map(secretInWords).join(', ') : undefined],
        ['this machine', machine === undefined ? 'has not backed up yet' : called(machine)],
        ['last snapshot', report.incomplete ? `${last}, incomplete` : last],
        ['last proven', proven],
        [
          'last booted',
          booted &&
            `${formatTime(booted.at)}, OpenClaw ${printable(booted.version)} on ${printable(booted.snapshot)}`,
        ],
        ['last update', update && `${printable(update.snapshot)} is from ${formatUpdate(update)}`],
        ['made by', madeBy && printable(madeBy)],
        [
          'not in it',
          update?.unsavedSince &&
            `what was said and done after ${formatTime(update.unsavedSince)}: OpenClaw ${printable(update.from)} ended without a backup`,
        ],
        ['in the bucket', `${count(report.snapshots, 'snapshot')}, ${formatBytes(report.storedBytes)}`],
        ['waiting', report.pending ? 'an upload was cut off; the next push finishes it' : 'nothing'],
      ]),
      ...(report.machines.length > 1
        ? [
            '',
            ...table(
              COLUMNS,
              report.machines.map((of) => row(of, called)),
              style,
            ),
          ]
        : []),
      '',
      ...originLines(origins, style),
    ],
    chatter: false,
    problems: [
      ...findings.flatMap((finding) => findingLines(finding, style)),
      ...(lost === undefined ? [] : [`${style.red('problem:')} ${lost.message} (${lost.code})`]),
      ...remarksOf(report.remarks, style),
    ],
    warnings,
  };
}

function row(
  { machine, thisMachine, snapshots, storedBytes, lastSnapshotAt, silent }: MachineInfo,
  called: (machine: string, ...more: string[]) => string,
): string[] {
  return [
    called(machine, ...(thisMachine ? ['this'] : [])),
    formatCount(snapshots),
    formatBytes(storedBytes),
    lastSnapshotAt === undefined ? '-' : formatTime(lastSnapshotAt),
    silent ? 'silent' : '',
  ];
}
