/** `b2-backup restore` over the live state, `undo`, and `restore --resume`. */
import type { Arrival, RollbackEntry, RollbackOptions, RollbackPlan, RollbackReport } from '../../index.js';
import { formatEffects } from '../effects.js';
import { BackupError } from '../errors.js';
import { isPlanNumber, planNumber } from '../plan-number.js';
import { examples, Option, YES } from './command.js';
import { agree, type Cli, type Context, EXIT, type Outcome } from './outcome.js';
import { count, type Fact, facts, fileProblems, formatBytes, printable, table } from './render.js';
import { snapshotMeant } from './snapshot.js';

export const PLAN = new Option(
  '--plan <number>',
  'do it without asking, if it is exactly what was shown with that number',
);

/** How far somebody agreed to a rollback. */
export interface Agreed {
  /** Only shows what it would do. */
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  /** The number of the plan that was shown. */
  readonly plan?: string;
}

export function undoCommand({ program, work }: Cli): void {
  program
    .command('undo')
    .summary('take the last rollback back')
    .description(`Take the last rollback back.

It brings back, from the safety snapshot, exactly what the last rollback changed. It is a rollback itself, and can be undone.`)
    .option('--dry-run', 'only show what would change')
    .addOption(PLAN)
    .addOption(YES)
    .addHelpText('after', examples('b2-backup undo'))
    .action(
      work({ ownSecret: true, fileOptional: true }, (context, agreed) =>
        rollBack(context, { undo: true }, agreed),
      ),
    );
}

/** Finishes what was cut off, or waits for OpenClaw to stop. */
export async function resume({ engine, settings, style }: Context): Promise<Outcome> {
  const report = await engine.recoverRollback(settings, false);
  if (report.outcome !== 'nothing') return done(report, style);
  return {
    document: { ok: true, outcome: report.outcome },
    lines: ['No rollback waits to be finished.'],
    chatter: true,
    warnings: report.warnings,
  };
}

/** Gives up what waits. */
export async function discard({ engine, settings }: Context): Promise<Outcome> {
  const discarded = await engine.discardRollback(settings);
  return {
    document: { ok: true, discarded },
    lines: [discarded ? 'The waiting rollback was discarded; nothing was changed.' : 'No rollback waits.'],
    chatter: true,
  };
}

/** Rolls back, after the user has agreed to the plan. */
export async function rollBack(
  context: Context,
  options: RollbackOptions,
  { dryRun, yes, plan: given }: Agreed,
): Promise<Outcome> {
  const { engine, settings, operation, style } = context;
  const number = given?.toLowerCase();
  if (number !== undefined && !isPlanNumber(number)) {
    throw new BackupError('--plan needs the number that --dry-run shows', { code: 'B2_USAGE' });
  }
  const meant =
    options.snapshot === undefined
      ? options
      : { ...options, snapshot: await snapshotMeant(context, options.snapshot) };
  const plan = await engine.planRollback(settings, meant, operation);
  const changes = plan.entries.filter(({ action }) => action !== 'keep-live').length;
  const lines = describe(plan, style);
  if (dryRun || changes === 0) {
    const { entries, leftOut, warnings, ...rest } = plan;
    return {
      exit: leftOut.length > 0 ? EXIT.incomplete : EXIT.done,
      document: { ok: true, dryRun: true, ...rest, entries: entries.map(plain), leftOut, warnings },
      lines,
      chatter: false,
      problems: fileProblems(leftOut, 'restored', style),
      warnings,
    };
  }
  if (number !== undefined && !plan.hash.startsWith(number)) {
    throw new BackupError(
      `nothing was changed: what would be done now is not what plan ${number} was; look again with --dry-run`,
      { code: 'B2_PLAN_CHANGED' },
    );
  }
  if (!yes && number === undefined) {
    const warned = plan.warnings.map((warning) => `warning: ${printable(warning)}`);
    const left = fileProblems(plan.leftOut, 'restored', style);
    await agree(context, [...lines, ...left, ...warned], {
      unasked: `this would change ${count(changes, 'path')} of the live state; see them with --dry-run, and do it with --yes`,
    });
  }
  // With the id of the plan: "latest" may be another one by now.
  const agreed = options.undo === true ? options : { ...options, snapshot: plan.snapshot };
  return done(await engine.rollBack(settings, agreed, plan.hash, operation), style);
}

function plain(entry: RollbackEntry) {
  return { ...entry, reason: entry.reason ?? null };
}

const SIGNS: Readonly<Record<string, string>> = {
  add: 'add',
  replace: 'replace',
  delete: 'delete',
  'keep-live': 'keep',
};

function describe(plan: RollbackPlan, style: Context['style']): string[] {
  const { snapshot, createdAt, entries, leftOut, bytes, fetchBytes, needsRestart } = plan;
  const incomplete = style.yellow(`Nothing would change, but not everything is as in ${printable(snapshot)}`);
  if (entries.length === 0) {
    return [
      leftOut.length > 0 ? incomplete : style.green(`Everything is as in ${printable(snapshot)} already`),
    ];
  }
  const rows = entries.map(({ path, action, bytes: size, database, reason }) => {
    const facts = [...(database ? ['database'] : []), ...(reason === undefined ? [] : [printable(reason)])];
    return [
      SIGNS[action] ?? action,
      action === 'add' || action === 'replace' ? formatBytes(size) : '',
      printable(path) + (facts.length === 0 ? '' : `  (${facts.join(', ')})`),
    ];
  });
  const listed = table([{ title: '' }, { title: 'SIZE', right: true }, { title: 'PATH' }], rows, style);
  if (!entries.some(({ action }) => action !== 'keep-live')) {
    const same = style.green(`Everything else is as in ${printable(snapshot)} already`);
    return [...listed, '', leftOut.length > 0 ? incomplete : same];
  }
  const effects = formatEffects(plan.effects, Number.POSITIVE_INFINITY);
  return [
    ...(effects.length === 0 ? [] : [...effects, '']),
    ...listed,
    '',
    style.bold(`Roll back to ${printable(snapshot)} of ${printable(createdAt)}`),
    ...facts([
      ['to write', `${formatBytes(bytes)}, of which ${formatBytes(fetchBytes)} are fetched`],
      [
        'first',
        'a safety snapshot of what is there; "b2-backup undo" brings it back, even if OpenClaw does not start',
      ],
      ['then', needsRestart ? 'OpenClaw has to restart' : undefined],
      ['plan', `${planNumber(plan.hash)}; --plan ${planNumber(plan.hash)} does exactly this, without asking`],
    ]),
  ];
}

function done(report: RollbackReport, style: Context['style']): Outcome {
  const { arrival, ...rest } = report;
  const { outcome, snapshot, safety, failed, late, left, problem, warnings } = rest;
  const to = printable(snapshot ?? 'the snapshot');
  const first: Readonly<Record<string, string>> = {
    nothing: style.green(`Everything is as in ${to} already`),
    waiting: style.yellow(
      `Ready to roll back to ${to}: restart OpenClaw to carry it out ("openclaw gateway restart")`,
    ),
    applied: style.green(`Rolled back to ${to}`),
    'given-up': style.yellow(
      `${to} was for a new machine, and this one is in use by now: nothing was changed`,
    ),
    'rolled-back': style.red(`The rollback to ${to} could not be finished; everything is as it was`),
  };
  const failure = outcome === 'rolled-back';
  return {
    exit: failure ? EXIT.failed : failed.length > 0 ? EXIT.incomplete : EXIT.done,
    document: {
      ok: !failure,
      ...rest,
      id: report.id ?? null,
      snapshot: snapshot ?? null,
      safety: safety ?? null,
      problem: problem ?? null,
      logins: arrival?.logins ?? [],
    },
    lines: [
      first[outcome] ?? outcome,
      ...facts([
        ['before', safety && printable(safety)],
        ...(arrival === undefined ? [] : newMachine(arrival)),
        ...late.map((path): Fact => ['changed meanwhile', printable(path)]),
        ...left.map((path): Fact => ['not removed', printable(path)]),
      ]),
    ],
    chatter: true,
    problems: [
      ...(problem === undefined ? [] : [style.red(printable(problem))]),
      ...fileProblems(failed, 'restored', style),
    ],
    warnings,
  };
}

/** What does not come with a restore on a machine that had nothing. */
function newMachine({ from, withSecrets, logins }: Arrival): Fact[] {
  const again = logins.length === 0 ? 'model providers and channels' : logins.map(printable).join(', ');
  return [
    ['of', printable(from)],
    ['logins', withSecrets ? 'came with it' : `are not in it: log in again (${again})`],
  ];
}
