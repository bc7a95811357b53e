/** `b2-backup setup` */
import { resolve } from 'node:path';
import { BackupError } from '../errors.js';
import { given } from '../given.js';
import { findPlaces } from '../places.js';
import { PROVEN, type SetupReport, setUp } from '../setup/course.js';
import type { Prompts } from '../setup/prompts.js';
import type { GivenSecrets, SetupOptions } from '../setup/world.js';
import { examples, Option, SHOW_CODE } from './command.js';
import type { CliDeps, SetupDeps } from './deps.js';
import { type Cli, EXIT, type Outcome, type Unconfigured } from './outcome.js';
import {
  count,
  createStyle,
  type Fact,
  facts,
  formatBytes,
  forTerminal,
  printable,
  remarksOf,
  wantsColour,
} from './render.js';

/** What was said; with `yes` nothing is asked. */
type SetupCommand = SetupOptions & { readonly yes: boolean };

/** More than any file of secrets, in characters. */
const MOST_SECRETS = 64 * 1024;

/** None of the options takes a secret: everybody on the machine sees a command line. */
export function setupCommand({ program, unconfigured }: Cli): void {
  program
    .command('setup')
    .summary('set backups up: bucket, key, passphrase, and the proof')
    .description(`Set backups up, from nothing to the proof that they restore.

It asks where the backups go, tries the key at once, makes a private bucket and a key that can delete nothing, and a \
passphrase of six words. Then it backs up, does a trial restore, makes a recovery code, and writes the settings. Until then \
nothing is configured: Ctrl-C at any step takes back what was made.

Options answer what would be asked. With --yes or --json nothing is asked. No secret is ever an option.`)
    .option('--bucket <name>', 'a bucket, or a folder as file:///mnt/backup')
    .option('--create-bucket', 'make that bucket, private')
    .option('--endpoint <url>', 'an S3 server other than B2')
    .option('--region <name>', 'the region of that server, if it has one')
    .option('--prefix <name>', 'a folder in the bucket; otherwise openclaw-backup')
    .option('--key-id <id>', 'the id of the key that is used, or makes another one')
    .option(
      '--secrets <file>',
      'JSON with applicationKey, and keyId and passphrase if you like; "-" reads standard input',
    )
    .option('--keep-key', 'use this key, and make no other one')
    .option('--no-lifecycle', 'add no rule that frees space to the bucket')
    .option('--no-passphrase', 'the application key encrypts')
    .option('--no-recovery-code', 'make no recovery code')
    .option('--secret-refs <where>', 'keep secrets elsewhere: "env", or a file by its path')
    .addOption(new Option('--beside', 'back up beside the snapshots of another machine').conflicts('push'))
    .option('--no-push', 'only write the settings, for a new machine')
    .option('--replace', 'replace settings that are there')
    .addOption(SHOW_CODE)
    .option('-y, --yes', 'ask nothing')
    .addHelpText(
      'after',
      examples(
        'openclaw b2-backup setup',
        'b2-backup setup --bucket file:///mnt/usb/claw',
        'b2-backup setup --json --show-code --secrets - --bucket my-bucket < key.json',
      ),
    )
    .action(
      unconfigured((world, { yes = false, prefix, ...options }) =>
        setup({ ...options, prefix: prefix?.replace(/\/+$/, ''), yes }, world),
      ),
    );
}

/** Asks, sets up, and says what was done. */
async function setup(
  command: SetupCommand,
  { global, deps, operation, pause }: Unconfigured,
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
    { ...command, showCode: command.showCode === true || global.json !== true },
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
  const shown = command.showCode === true;
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
    ...given({ unseen: report.unseen }),
  };
}

function lines(
  { push, drill, fields, encryption, recoveryCode, variables, configPath }: SetupReport,
  asked: boolean,
  incomplete: boolean,
  style: ReturnType<typeof createStyle>,
): string[] {
  const pairs: Fact[] = [
    ['bucket', printable(fields.bucket ?? '')],
    ['settings', printable(configPath)],
    ['uploaded', push && `${formatBytes(push.uploadedBytes)} in ${count(push.requests, 'request')}`],
    ['compared', drill && `${count(drill.files, 'file')}, ${formatBytes(drill.bytes)}`],
    ['checked', drill && count(drill.databases, 'database')],
    // At a terminal they were shown, and typed back, already.
    ['passphrase', !asked && encryption.made ? encryption.passphrase : undefined],
    ['recovery code', asked ? undefined : recoveryCode],
  ];
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
