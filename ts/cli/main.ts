/** Runs one command line: parse, load settings, do, print, and give the exit status. */
import type { ProgressEvent } from '../../index.js';
import { loadSettings, RECOVERY_CODE_VARIABLE } from '../config.js';
import { BackupError, toBackupError } from '../errors.js';
import type { Operation } from '../operation.js';
import { printableText } from '../text.js';
import { adopt } from './adopt.js';
import { parse, wantsJson } from './arguments.js';
import type { GlobalOptions, WorkCommand } from './command.js';
import type { CliDeps, StopSignal } from './deps.js';
import { diff } from './diff.js';
import { doctor } from './doctor.js';
import { drill } from './drill.js';
import { forget } from './forget.js';
import { helpText } from './help.js';
import { history } from './history.js';
import { addKey, listKeys, newRecoveryCode, removeKey } from './key.js';
import { list } from './list.js';
import { type Context, EXIT, type Outcome, UNDELETE_HINT } from './outcome.js';
import { ProgressLine, WAITING } from './progress-line.js';
import { prune } from './prune.js';
import { dryRun, push } from './push.js';
import {
  createStyle,
  formatBytes,
  forTerminal,
  printable,
  type Style,
  textOf,
  wantsColour,
} from './render.js';
import { restore } from './restore.js';
import { discard, resume, rollBack, undo } from './rollback.js';
import { setup } from './setup.js';
import { show } from './show.js';
import { status } from './status.js';
import { undelete } from './undelete.js';
import { undoTheUpdate } from './undo-update.js';
import { unlocking } from './unlock.js';
import { verify } from './verify.js';

/** 128 plus the signal's number, as shells count. */
const SIGNAL_EXIT: Readonly<Record<StopSignal, number>> = { SIGINT: 130, SIGTERM: 143 };

/** What may come of somebody who deleted or overwrote things in the bucket. */
const MAY_BE_UNDELETED: ReadonlySet<string> = new Set([
  'B2_OBJECT_MISSING',
  'B2_SNAPSHOT_NOT_FOUND',
  'B2_DAMAGED',
]);

/** Why an operation was aborted, and the exit status that goes with it. */
class Stopped extends BackupError {
  readonly exit: number;

  constructor(signal: StopSignal) {
    super('cancelled', { code: 'B2_CANCELLED' });
    this.exit = SIGNAL_EXIT[signal];
  }
}

/** Carries out `argv` (without node and script) and returns the exit status. Never throws. */
export async function main(argv: readonly string[], deps: CliDeps): Promise<number> {
  const style = createStyle(wantsColour(deps.stderr, deps.env));
  try {
    const { command, global } = parse(argv);
    switch (command.name) {
      case 'help':
        deps.stdout.write(helpText(command.topic));
        return EXIT.done;
      case 'version':
        deps.stdout.write(global.json ? document({ ok: true, version: deps.version }) : `${deps.version}\n`);
        return EXIT.done;
      case 'setup': {
        const outcome = await interruptible(global, deps, (operation, pause) =>
          setup(command, global, deps, operation, pause),
        );
        print(outcome, [], global, deps);
        return outcome.exit;
      }
      default:
        return await work(command, global, deps);
    }
  } catch (error) {
    return report(error, wantsJson(argv), deps, style);
  }
}

/** Commands that back up, or prove a backup, and so need a secret of this machine's own. Others can do with a code. */
const OWN_SECRET: ReadonlySet<WorkCommand['name']> = new Set([
  'push',
  'rollback',
  'undo',
  'undo-update',
  'drill',
]);

/**
 * Commands that read backups or bring them back. A bad edit of OpenClaw's configuration must not keep them from working:
 * where it is not understood, an older copy of it will do, or the environment.
 */
const WITHOUT_FILE: ReadonlySet<WorkCommand['name']> = new Set<WorkCommand['name']>([
  'list',
  'show',
  'status',
  'diff',
  'history',
  'verify',
  'doctor',
  'restore',
  'rollback',
  'undo',
  'resume',
  'discard',
  'undo-update',
]);

async function work(command: WorkCommand, global: GlobalOptions, deps: CliDeps): Promise<number> {
  const answers = !global.json;
  // A trial restore proves that what is configured opens the backups: a code that is typed would prove something else.
  const ask = answers && command.name !== 'drill' ? deps.ask : undefined;
  const inOpenClaw = deps.inOpenClaw === true;
  const code = inOpenClaw ? '' : (deps.env[RECOVERY_CODE_VARIABLE] ?? '');
  const loaded = await loadSettings({
    stateDir: global.stateDir,
    configPath: global.config,
    env: deps.env,
    home: deps.home,
    cwd: deps.cwd,
    fileExists: deps.fileExists,
    readHostConfig: deps.engine.readHostConfig,
    inOpenClaw,
    fileOptional: WITHOUT_FILE.has(command.name),
    secretOptional: !OWN_SECRET.has(command.name) && (ask !== undefined || code !== ''),
  });
  const confirm = answers ? deps.confirm : undefined;
  const outcome = await interruptible(global, deps, (operation, pause) =>
    unlocking(
      {
        engine: deps.engine,
        settings: { ...loaded.settings, threads: deps.threads, ...moment(command), ...moved(global) },
        config: loaded.config,
        origins: loaded.origins,
        operation,
        style: createStyle(!global.json && wantsColour(deps.stdout, deps.env)),
        cwd: deps.cwd,
        confirm: confirm && after(pause, (lines) => confirm(lines.map(forTerminal))),
        ask: ask && after(pause, ask),
        say: (line) => {
          pause();
          if (answers) deps.stderr.write(`${forTerminal(line)}\n`);
        },
      },
      (context) => carryOut(command, context),
    ),
  );
  print(outcome, loaded.warnings, global, deps);
  return outcome.exit;
}

/** The same function, with something done before. */
function after<A extends readonly unknown[], R>(
  before: () => void,
  then: (...args: A) => R,
): (...args: A) => R {
  return (...args) => {
    before();
    return then(...args);
  };
}

/** The moment as of which to read. */
function moment(command: WorkCommand): { asOf?: string } {
  const asOf = 'asOf' in command ? command.asOf : undefined;
  return asOf === undefined ? {} : { asOf };
}

/** The prefix that the backups were moved from. */
function moved({ movedFrom }: GlobalOptions): { movedFrom?: string } {
  return movedFrom === undefined ? {} : { movedFrom };
}

function carryOut(command: WorkCommand, context: Context): Promise<Outcome> {
  switch (command.name) {
    case 'push':
      return command.dryRun ? dryRun(context, command.list) : push(context, command);
    case 'list':
      return list(context, command.machine);
    case 'diff':
      return diff(context, command);
    case 'show':
      return show(context, command);
    case 'history':
      return history(context, command);
    case 'restore':
      return restore(context, command);
    case 'rollback':
      return rollBack(context, command);
    case 'resume':
      return resume(context);
    case 'discard':
      return discard(context);
    case 'undo':
      return undo(context, command);
    case 'undo-update':
      return undoTheUpdate(context, command);
    case 'prune':
      return prune(context, command);
    case 'forget':
      return forget(context, command);
    case 'verify':
      return verify(context, command);
    case 'drill':
      return drill(context, command.boot);
    case 'keyList':
      return listKeys(context);
    case 'keyAdd':
      return addKey(context, command);
    case 'keyRemove':
      return removeKey(context, command);
    case 'keyRecovery':
      return newRecoveryCode(context);
    case 'doctor':
      return doctor(context, command.write);
    case 'undelete':
      return undelete(context, command);
    case 'status':
      return status(context);
    case 'adopt':
      return adopt(context, command);
  }
}

/** The first signal cancels and lets the work end in order, the second ends the process. */
async function interruptible<T>(
  { json, quiet }: GlobalOptions,
  { stderr, signals, exit, now }: CliDeps,
  run: (operation: Operation, pause: () => void) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const talks = !json && !quiet;
  const progress = talks && stderr.isTTY === true ? new ProgressLine(stderr, now) : undefined;
  const stop = (signal: StopSignal) => (): void => {
    if (controller.signal.aborted) {
      exit(SIGNAL_EXIT[signal]);
      return;
    }
    progress?.close();
    if (talks) stderr.write('Stopping; once more to stop at once.\n');
    controller.abort(new Stopped(signal));
  };
  const onInterrupt = stop('SIGINT');
  const onTerminate = stop('SIGTERM');
  signals.on('SIGINT', onInterrupt);
  signals.on('SIGTERM', onTerminate);
  try {
    const onProgress =
      progress !== undefined
        ? (event: ProgressEvent) => progress.update(event)
        : talks
          ? sayOnce(stderr)
          : undefined;
    return await run({ signal: controller.signal, onProgress }, () => progress?.pause());
  } finally {
    signals.off('SIGINT', onInterrupt);
    signals.off('SIGTERM', onTerminate);
    progress?.close();
  }
}

/** Where no line can be redrawn, only that another one has to be waited for is worth a line. */
function sayOnce(stderr: CliDeps['stderr']): (event: ProgressEvent) => void {
  let said = false;
  return ({ phase }) => {
    if (phase !== 'wait' || said) return;
    said = true;
    stderr.write(`${WAITING}\n`);
  };
}

function print(
  outcome: Outcome,
  settingsWarnings: readonly string[],
  { json, quiet }: GlobalOptions,
  { stdout, stderr, env }: CliDeps,
): void {
  const warnings = [...settingsWarnings, ...outcome.warnings];
  if (json) {
    stdout.write(document({ ...outcome.document, warnings }));
    return;
  }
  if (outcome.bytes !== undefined) writeContent(outcome.bytes, stdout);
  else if (!(quiet && outcome.chatter)) write(stdout, outcome.lines);
  write(stderr, outcome.problems);
  if (quiet) return;
  const style = createStyle(wantsColour(stderr, env));
  write(
    stderr,
    warnings.map((warning) => `${style.yellow('warning:')} ${printable(warning)}`),
  );
}

function report(error: unknown, json: boolean, { stdout, stderr }: CliDeps, style: Style): number {
  const { code, message } = toBackupError(error);
  if (json) {
    stdout.write(document({ ok: false, code, message }));
  } else {
    stderr.write(`${style.red('b2-backup:')} ${printable(message)} (${code})\n`);
    if (MAY_BE_UNDELETED.has(code)) stderr.write(`${UNDELETE_HINT}\n`);
  }
  if (error instanceof Stopped) return error.exit;
  return code === 'B2_USAGE' ? EXIT.usage : EXIT.failed;
}

function document(value: Readonly<Record<string, unknown>>): string {
  return `${JSON.stringify(value)}\n`;
}

function write(stream: CliDeps['stdout'], lines: readonly string[]): void {
  if (lines.length > 0) stream.write(`${forTerminal(lines.join('\n'))}\n`);
}

/** What a file holds: as it is, but on a terminal nothing that commands it. @throws {BackupError} B2_USAGE */
function writeContent(content: Uint8Array, stdout: CliDeps['stdout']): void {
  if (stdout.isTTY !== true) {
    stdout.write(content);
    return;
  }
  const text = textOf(content);
  if (text === undefined) {
    const size = formatBytes(content.length);
    throw new BackupError(
      `the file is binary (${size}): send the output into a file, as "show SNAPSHOT PATH > FILE", or restore it with --to`,
      { code: 'B2_USAGE' },
    );
  }
  stdout.write(printableText(text));
}
