/** `b2-backup undo-update` */
import { join } from 'node:path';
import { BackupError } from '../errors.js';
import { tellUpdate } from '../updates/history.js';
import { installCommand } from '../updates/install.js';
import { realHost } from '../updates/real-host.js';
import { type Intent, type UndoReport, undoUpdate } from '../updates/undo.js';
import type { Command } from './command.js';
import { type Context, EXIT, type Outcome } from './outcome.js';
import { count, facts, fileProblems, formatTime, printable } from './render.js';

export async function undoTheUpdate(
  context: Context,
  { to, dryRun, yes }: Extract<Command, { name: 'undo-update' }>,
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
        if (confirm === undefined) {
          throw new BackupError(
            'this changes OpenClaw and its state; see it with --dry-run, and do it with --yes',
            {
              code: 'B2_USAGE',
            },
          );
        }
        if (!(await confirm(describe(intent)))) {
          throw new BackupError('nothing was changed', { code: 'B2_CANCELLED' });
        }
      },
    },
    { to, dryRun },
  );
  return 'plan' in done ? intended(done) : undone(done, context);
}

function describe({ from, target, installation, running, plan }: Intent): string[] {
  const changes = plan.entries.filter(({ action }) => action !== 'keep-live').length;
  const automatic = installation.kind === 'npm';
  return [
    `Go back from OpenClaw ${printable(from)} to ${printable(target.version)}`,
    ...facts([
      ['stop', running ? 'the gateway' : 'nothing: the gateway does not run'],
      [automatic ? 'install' : 'you install', printable(installCommand(installation, target.version))],
      [
        'restore',
        `${printable(target.snapshot)} of ${formatTime(target.createdAt)}, ${tellUpdate({ from: target.version, to: from })}: ${count(changes, 'path')}`,
      ],
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
    exit: EXIT.done,
    document: {
      ok: true,
      dryRun: true,
      from,
      to: target.version,
      snapshot: target.snapshot,
      createdAt: target.createdAt,
      install: installCommand(installation, target.version),
      automatic: installation.kind === 'npm',
      running,
      changes: plan.entries.filter(({ action }) => action !== 'keep-live').length,
      warnings: plan.warnings,
    },
    lines: describe(intent),
    chatter: false,
    problems: [],
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
            ] as [string, string][])),
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
