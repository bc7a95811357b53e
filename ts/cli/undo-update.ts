/** `b2-backup undo-update` */
import { join } from 'node:path';
import { formatMadeBy, formatUpdate, madeByDocument } from '../updates/history.js';
import { installCommand, isOurs } from '../updates/install.js';
import { realHost } from '../updates/real-host.js';
import { type Intent, type UndoReport, undoUpdate } from '../updates/undo.js';
import { examples } from './command.js';
import { agree, type Cli, type Context, EXIT, type Outcome } from './outcome.js';
import { count, type Fact, facts, fileProblems, formatTime, printable } from './render.js';

export function undoUpdateCommand({ program, work }: Cli): void {
  program
    .command('undo-update')
    .summary('go back to the OpenClaw before an update, and its state')
    .description(`Undo an update of OpenClaw: the old version comes back, with the state that it left.

It stops the gateway, installs the old version by npm (or tells you the command and waits), restores the last snapshot \
before the update, starts the gateway, and waits until it is ready. What is there now is saved first. It needs neither a \
gateway that starts nor the plugin. If it is cut off, run it again: it goes on.`)
    .option(
      '--to <version>',
      'the version to go back to; otherwise the one before the last update. If an undo was cut off, the version that it left turns back',
    )
    .option('--dry-run', 'only show what would be done')
    .option('-y, --yes', 'do it without asking')
    .addHelpText(
      'after',
      examples(
        'b2-backup undo-update --dry-run',
        'b2-backup undo-update',
        'b2-backup undo-update --to 2026.9.5',
      ),
    )
    .action(work({ ownSecret: true, fileOptional: true }, undoTheUpdate));
}

async function undoTheUpdate(
  context: Context,
  { to, dryRun = false, yes }: { readonly to?: string; readonly dryRun?: boolean; readonly yes?: boolean },
): Promise<Outcome> {
  const { engine, settings, operation, confirm, say } = context;
  const config = settings.configPath ?? join(settings.stateDir, 'openclaw.json');
  const done = await undoUpdate(
    {
      engine,
      settings,
      operation,
      say,
      host: realHost(settings.stateDir, config),
      attended: confirm !== undefined,
      agree: async (intent) => {
        if (yes) return;
        const unasked = 'this changes OpenClaw and its state; see it with --dry-run, and do it with --yes';
        await agree(context, describe(intent), { unasked });
      },
    },
    { to, dryRun },
  );
  return 'plan' in done ? intended(done) : undone(done, context);
}

function describe({ from, target, installation, running, plan }: Intent): string[] {
  const changes = plan.entries.filter(({ action }) => action !== 'keep-live').length;
  const automatic = isOurs(installation);
  return [
    `Go back from OpenClaw ${printable(from)} to ${printable(target.version)}`,
    ...facts([
      ['stop', running ? 'the gateway' : 'nothing: the gateway does not run'],
      [automatic ? 'install' : 'you install', printable(installCommand(installation, target.version))],
      [
        'restore',
        `${printable(target.snapshot)} of ${formatTime(target.createdAt)}, ${formatUpdate({ from: target.version, to: from })}: ${count(changes, 'path')}`,
      ],
      ['made by', printable(formatMadeBy(target.madeBy) ?? '')],
      ['first', 'a safety snapshot of what is there'],
      [
        'lost',
        `what was said and done in OpenClaw since ${formatTime(target.createdAt)}; it stays in the safety snapshot`,
      ],
    ]),
  ];
}

function intended(intent: Intent): Outcome {
  const { from, target, installation, running, plan } = intent;
  return {
    document: {
      ok: true,
      dryRun: true,
      from,
      to: target.version,
      snapshot: target.snapshot,
      createdAt: target.createdAt,
      ...madeByDocument(target.madeBy),
      install: installCommand(installation, target.version),
      automatic: isOurs(installation),
      running,
      changes: plan.entries.filter(({ action }) => action !== 'keep-live').length,
      warnings: plan.warnings,
    },
    lines: describe(intent),
    chatter: false,
    warnings: plan.warnings,
  };
}

const GATEWAY: Readonly<Record<UndoReport['gateway'], string>> = {
  ready: 'runs, and is ready',
  'by-hand': 'start it the way you started it before',
  'not-running': 'did not run before, and was not started',
};

function undone(report: UndoReport, { style }: Context): Outcome {
  const { from, to, snapshot, safety, gateway, turnedBack, failed, warnings } = report;
  const now = turnedBack ? from : to;
  return {
    exit: failed.length > 0 ? EXIT.incomplete : EXIT.done,
    document: { ok: true, ...report, safety: safety ?? null, warnings },
    lines: [
      turnedBack
        ? style.green(`OpenClaw is ${printable(from)} as before; nothing of the state was changed`)
        : style.green(`OpenClaw is ${printable(to)} again, with the state of ${printable(snapshot)}`),
      ...facts([
        ['gateway', GATEWAY[gateway]],
        ...(safety === undefined || turnedBack
          ? []
          : ([
              ['since then', `what was said and done is in ${printable(safety)}`],
              ['to see it', `b2-backup diff ${printable(snapshot)} ${printable(safety)}`],
              ['to have it', `b2-backup restore ${printable(safety)} --to DIRECTORY`],
              [
                'and back',
                `openclaw update --tag ${printable(from)}, start it, b2-backup restore ${printable(safety)}`,
              ],
            ] satisfies Fact[])),
        [
          'so it stays',
          `set OPENCLAW_NO_AUTO_UPDATE=1 for the gateway, or OpenClaw ${printable(now)} may update itself`,
        ],
      ]),
    ],
    chatter: true,
    problems: fileProblems(failed, 'restored', style),
    warnings,
  };
}
