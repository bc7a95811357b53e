/** `b2-backup setup` */
import { resolve } from 'node:path';
import { BackupError } from '../errors.js';
import type { Operation } from '../operation.js';
import { findPlaces } from '../places.js';
import { PROVEN, type SetupReport, setUp } from '../setup/course.js';
import type { Prompts } from '../setup/prompts.js';
import type { GivenSecrets } from '../setup/world.js';
import type { GlobalOptions, SetupCommand } from './command.js';
import type { CliDeps, SetupDeps } from './deps.js';
import { EXIT, type Outcome } from './outcome.js';
import {
  count,
  createStyle,
  facts,
  formatBytes,
  forTerminal,
  printable,
  remarksOf,
  wantsColour,
} from './render.js';

/** More than any file of secrets, in characters. */
const MOST_SECRETS = 64 * 1024;

/** Asks, sets up, and says what was done. `pause` takes the progress line away. */
export async function setup(
  command: SetupCommand,
  global: GlobalOptions,
  deps: CliDeps,
  operation: Operation,
  pause: () => void,
): Promise<Outcome> {
  const { env, engine, inOpenClaw = false, threads, setup: world } = deps;
  if (world === undefined) throw new TypeError('there is no world to set anything up in');
  await engine.load();
  const { stateDir, config } = findPlaces({
    stateDir: global.stateDir,
    configPath: global.config,
    env,
    home: deps.home,
    cwd: deps.cwd,
    fileExists: deps.fileExists,
  });
  const asks = !global.json && !command.yes && command.secrets !== '-';
  const prompts = asks ? await world.prompts?.() : undefined;
  const report = await setUp(
    {
      engine,
      operation,
      stateDir: stateDir.path,
      config,
      env,
      given: await givenSecrets(command, deps, world, inOpenClaw),
      prompts: prompts && pausing(prompts, pause),
      b2: { ...world.b2, signal: operation.signal },
      save: world.save,
      random: world.random,
      hostname: world.hostname,
      threads,
    },
    { ...command, showCode: command.showCode || !global.json },
  );
  pause();
  return outcome(
    report,
    command,
    prompts !== undefined,
    createStyle(!global.json && wantsColour(deps.stdout, env)),
  );
}

/** The same questions, with the progress line away while they are asked. */
function pausing(prompts: Prompts, pause: () => void): Prompts {
  const after =
    <A extends unknown[], R>(ask: (...args: A) => R) =>
    (...args: A): R => {
      pause();
      return ask(...args);
    };
  return {
    intro: after(prompts.intro),
    note: (title, lines) => after(prompts.note)(title, lines.map(forTerminal)),
    problem: (text) => after(prompts.problem)(forTerminal(text)),
    done: after(prompts.done),
    text: after(prompts.text),
    secret: after(prompts.secret),
    choose: (question, choices) => {
      pause();
      return prompts.choose(question, choices);
    },
    yes: after(prompts.yes),
  };
}

/** Secrets from the file of `--secrets`; outside OpenClaw also from the variables that all commands read. */
async function givenSecrets(
  { secrets }: SetupCommand,
  { env, cwd }: CliDeps,
  { readInput, readFile }: SetupDeps,
  inOpenClaw: boolean,
): Promise<GivenSecrets> {
  const variable = (name: string): string | undefined => (inOpenClaw ? undefined : env[name] || undefined);
  const fromEnvironment = {
    keyId: variable('B2_APPLICATION_KEY_ID'),
    applicationKey: variable('B2_APPLICATION_KEY'),
    passphrase: variable('B2_BACKUP_PASSPHRASE'),
  };
  if (secrets === undefined) return fromEnvironment;
  const text = secrets === '-' ? await readInput() : read(readFile, resolve(cwd, secrets));
  return { ...fromEnvironment, ...parsed(text, secrets === '-' ? 'standard input' : secrets) };
}

function read(readFile: SetupDeps['readFile'], path: string): string {
  try {
    return readFile(path);
  } catch (error) {
    const code = String((error as { code?: unknown }).code ?? 'unknown');
    throw new BackupError(`the file of --secrets cannot be read: ${path} (${code})`, { code: 'B2_USAGE' });
  }
}

/** Nothing of the text is repeated: it holds secrets. @throws {BackupError} B2_USAGE */
function parsed(text: string, from: string): GivenSecrets {
  const shape = 'one JSON object with any of keyId, applicationKey and passphrase, all of them texts';
  const wrong = new BackupError(`${from} must hold ${shape}`, { code: 'B2_USAGE' });
  let value: unknown;
  try {
    if (text.length > MOST_SECRETS) throw wrong;
    value = JSON.parse(text);
  } catch {
    throw wrong;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong;
  const known = ['keyId', 'applicationKey', 'passphrase'];
  const fits = Object.entries(value).every(
    ([name, secret]) => known.includes(name) && typeof secret === 'string' && secret !== '',
  );
  if (!fits) throw wrong;
  return value;
}

function outcome(
  report: SetupReport,
  command: SetupCommand,
  asked: boolean,
  style: ReturnType<typeof createStyle>,
): Outcome {
  const { push, drill, fields, encryption, recoveryCode, atB2, warnings } = report;
  const skipped = push?.skipped ?? [];
  const incomplete = push?.incomplete === true || drill?.incomplete === true;
  const shown = command.showCode;
  return {
    exit: incomplete ? EXIT.incomplete : EXIT.done,
    document: {
      ok: true,
      proven: drill !== undefined,
      kind: report.kind,
      bucket: fields.bucket ?? null,
      prefix: fields.prefix ?? null,
      endpoint: fields.endpoint ?? null,
      keyId: fields.keyId ?? null,
      keyMade: atB2?.keyMade ?? false,
      bucketMade: atB2?.bucketMade ?? false,
      lifecycleRule: atB2?.rule ?? null,
      encryption: encryption.passphrase === undefined ? 'application-key' : 'passphrase',
      passphrase: encryption.made && shown ? (encryption.passphrase ?? null) : null,
      recoveryCode: shown ? (recoveryCode ?? null) : null,
      config: report.configPath,
      variables: Object.fromEntries(
        report.variables.map(([name, value]) => [name, shown ? (value ?? null) : null]),
      ),
      snapshot: push?.snapshot ?? drill?.snapshot ?? null,
      files: drill?.files ?? null,
      bytes: drill?.bytes ?? null,
      databases: drill?.databases ?? null,
      incomplete,
      skipped,
      warnings,
    },
    lines: lines(report, asked, incomplete, style),
    chatter: false,
    problems: remarksOf(skipped, style),
    warnings,
  };
}

function lines(
  { push, drill, fields, encryption, recoveryCode, variables, configPath }: SetupReport,
  asked: boolean,
  incomplete: boolean,
  style: ReturnType<typeof createStyle>,
): string[] {
  const pairs: [string, string][] = [
    ['bucket', printable(fields.bucket ?? '')],
    ['settings', printable(configPath)],
  ];
  if (push !== undefined) {
    pairs.push(['uploaded', `${formatBytes(push.uploadedBytes)} in ${count(push.requests, 'request')}`]);
  }
  if (drill !== undefined) {
    pairs.push(['compared', `${count(drill.files, 'file')}, ${formatBytes(drill.bytes)}`]);
    pairs.push(['checked', count(drill.databases, 'database')]);
  }
  // At a terminal they were shown, and typed back, already.
  if (!asked && encryption.made) pairs.push(['passphrase', encryption.passphrase ?? '']);
  if (!asked && recoveryCode !== undefined) pairs.push(['recovery code', recoveryCode]);
  const secret = !asked && (encryption.made || recoveryCode !== undefined);
  return [
    ...facts(pairs),
    ...(secret ? ['Write these down, and keep them away from this machine.'] : []),
    ...(variables.length === 0 ? [] : ['Set these variables where the gateway is started:']),
    ...variables.map(([name, value]) => `  ${name}=${value === undefined ? '...' : `'${value}'`}`),
    drill === undefined
      ? 'The settings are written. Restart the gateway: a new machine then takes the newest snapshot.'
      : incomplete
        ? style.yellow('Proven: what is in your backup restores. It lacks what is listed.')
        : style.green(PROVEN),
  ];
}
