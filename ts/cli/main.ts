/** Runs one command line: parse, load settings, do, print, and give the exit status. */
import type { ProgressEvent } from '../../index.js';
import { loadSettings, RECOVERY_CODE_VARIABLE } from '../config.js';
import { BackupError, toBackupError } from '../errors.js';
import { gatewayFindings } from '../gateway-view.js';
import { given } from '../given.js';
import type { Operation } from '../operation.js';
import { printableText } from '../text.js';
import { type GlobalOptions, isPrinted } from './command.js';
import type { CliDeps, StopSignal } from './deps.js';
import { type Context, EXIT, type Needs, type Outcome, UNDELETE_HINT } from './outcome.js';
import { createCommandLine } from './program.js';
import { ProgressLine, WAITING } from './progress-line.js';
import {
  createStyle,
  formatBytes,
  forTerminal,
  printable,
  type Style,
  textOf,
  wantsColour,
} from './render.js';
import { unlocking } from './unlock.js';

/** 128 plus the signal's number, as shells count. */
const SIGNAL_EXIT: Readonly<Record<StopSignal, number>> = { SIGINT: 130, SIGTERM: 143 };

/** As shells count a program that a reader has left: 128 plus SIGPIPE. */
const READER_GONE = 141;

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
  const shown: { outcome?: Outcome } = {};
  const exit = await command(argv, deps, shown);
  const failure = await deps.stdout.failure?.();
  return failure === undefined ? exit : unwritten(failure, exit, wantsJson(argv), shown.outcome, deps);
}

/** The same, whatever becomes of the output. `shown` gets what was printed. */
async function command(
  argv: readonly string[],
  deps: CliDeps,
  shown: { outcome?: Outcome },
): Promise<number> {
  const json = wantsJson(argv);
  let exit: number = EXIT.done;
  const show = (outcome: Outcome, warnings: readonly string[]): void => {
    shown.outcome = outcome;
    print(outcome, warnings, global(), deps);
    exit = outcome.exit ?? EXIT.done;
  };
  const program = await createCommandLine(
    argv,
    json ? JSON.stringify({ ok: true, version: deps.version }) : deps.version,
    (text) => deps.stdout.write(text),
    {
      work:
        (needs, run) =>
        async (...args) => {
          const { outcome, warnings } = await work(needs, global(), asOf, deps, (context) =>
            run(context, ...args),
          );
          show(outcome, warnings);
        },
      unconfigured:
        (run) =>
        async (...args) => {
          const given = global();
          show(
            await interruptible(given, deps, (operation, pause) =>
              run({ deps, global: given, operation, pause }, ...args),
            ),
            [],
          );
        },
    },
  );
  const global = (): GlobalOptions => program.opts();
  let asOf: string | undefined;
  program.hook('preAction', (_, command) => {
    asOf = (command.opts() as { asOf?: string }).asOf;
  });
  try {
    await program.parseAsync(argv, { from: 'user' });
    return exit;
  } catch (error) {
    if (isPrinted(error)) return EXIT.done;
    return report(error, json, deps, createStyle(wantsColour(deps.stderr, deps.env)));
  }
}

/** Whether the output is to be JSON, also when the rest of the command line makes no sense. */
function wantsJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return (end === -1 ? argv : argv.slice(0, end)).includes('--json');
}

async function work(
  { ownSecret = false, fileOptional = false, asksNoCode = false }: Needs,
  { stateDir, config, json = false, quiet, movedFrom }: GlobalOptions,
  asOf: string | undefined,
  deps: CliDeps,
  run: (context: Context) => Promise<Outcome>,
): Promise<{ readonly outcome: Outcome; readonly warnings: readonly string[] }> {
  const ask = json || asksNoCode ? undefined : deps.ask;
  const inOpenClaw = deps.inOpenClaw === true;
  const code = inOpenClaw ? '' : (deps.env[RECOVERY_CODE_VARIABLE] ?? '');
  const loaded = await loadSettings({
    stateDir,
    configPath: config,
    env: deps.env,
    home: deps.home,
    cwd: deps.cwd,
    fileExists: deps.fileExists,
    readHostConfig: deps.engine.readHostConfig,
    inOpenClaw,
    fileOptional,
    secretOptional: !ownSecret && (ask !== undefined || code !== ''),
  });
  const confirm = json ? undefined : deps.confirm;
  const outcome = await interruptible({ json, quiet }, deps, (operation, pause) =>
    unlocking(
      {
        engine: deps.engine,
        settings: { ...loaded.settings, threads: deps.threads, ...given({ asOf, movedFrom }) },
        config: loaded.config,
        origins: loaded.origins,
        gateway: () => gatewayFindings(loaded, deps.readPlugins),
        operation,
        style: createStyle(!json && wantsColour(deps.stdout, deps.env)),
        cwd: deps.cwd,
        date: deps.date,
        timeZone: deps.timeZone,
        confirm: confirm && after(pause, (lines) => confirm(lines.map(forTerminal))),
        ask: ask && after(pause, ask),
        say: (line) => {
          pause();
          if (!json) deps.stderr.write(`${forTerminal(line)}\n`);
        },
      },
      run,
    ),
  );
  return { outcome, warnings: loaded.warnings };
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
  const warnings = [...settingsWarnings, ...(outcome.warnings ?? [])];
  if (json) {
    stdout.write(document({ ...outcome.document, warnings }));
    return;
  }
  if (outcome.bytes !== undefined) writeContent(outcome.bytes, stdout);
  else if (!(quiet && outcome.chatter)) write(stdout, outcome.lines);
  write(stderr, outcome.problems ?? []);
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

/** What follows when the output did not get out. Returns the exit status. */
async function unwritten(
  failure: unknown,
  exit: number,
  json: boolean,
  outcome: Outcome | undefined,
  { stderr, env }: CliDeps,
): Promise<number> {
  // What was asked for was done all the same, where the output only says so.
  const counts = json || outcome?.chatter !== true;
  const failed = counts && (exit === EXIT.done || exit === EXIT.incomplete);
  const { unseen } = outcome ?? {};
  // Of `| head` nobody wants to hear.
  const gone = (failure as { code?: unknown }).code === 'EPIPE';
  if (gone && unseen === undefined) return failed ? READER_GONE : exit;
  const { code, message } = outputError(failure);
  const style = createStyle(wantsColour(stderr, env));
  stderr.write(`${style.red('b2-backup:')} ${printable(message)} (${code})\n`);
  if (unseen !== undefined) write(stderr, await unseen().catch((error) => [toBackupError(error).message]));
  return failed ? EXIT.failed : exit;
}

function outputError(failure: unknown): BackupError {
  const code = String((failure as { code?: unknown }).code ?? failure);
  const why = code === 'EPIPE' ? 'nobody reads it' : code === 'ENOSPC' ? 'no space is left' : code;
  return new BackupError(`the output could not be written: ${why}`, {
    code: code === 'ENOSPC' ? 'B2_DISK_FULL' : 'B2_IO',
  });
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
