/** From `openclaw.json` and the environment to the addon's `Settings`. Checks every field, resolves what it can. */
import type { Settings } from '../index.js';
import type { Engine, HostConfig } from './engine.js';
import { BackupError, toBackupError } from './errors.js';
import { findPlaces, type Origin, type PlaceSource } from './places.js';
import { checkPolicy, kind, POLICY_FIELDS, type Policy, Problems, wrong } from './policy.js';
import { meant, takeKeyID } from './spelling.js';
import { checkBucket, checkEndpoint, flag, limit, list, name } from './values.js';

/** Where settings come from. */
export interface SettingsSource extends PlaceSource {
  readonly readHostConfig: Engine['readHostConfig'];
  /** Whether a folder may come without a passphrase: what only reads can do with a recovery code. */
  readonly secretOptional?: boolean;
  /** Whether an older copy, or the environment alone, will do where the file is not understood. */
  readonly fileOptional?: boolean;
  /** See {@linkcode SettingsPlace}. */
  readonly inOpenClaw?: boolean;
}

/** Settings that passed every check, and what the user should know about them. */
export interface LoadedSettings {
  readonly settings: Settings;
  /** Where each setting that has a value came from. */
  readonly origins: readonly Origin[];
  /** The plugin's settings as they stand in the configuration, for what is no part of `settings`. */
  readonly config: unknown;
  /** The settings as a gateway has them, or what is wrong with them; nothing where there is no file, or it was not understood. */
  readonly gateway: Settings | BackupError | undefined;
  readonly warnings: readonly string[];
}

/** What the settings and the place say together. */
type CheckedSettings = Omit<LoadedSettings, 'config' | 'gateway'>;

/** Where the fields come from, for checks and messages. */
export interface SettingsPlace {
  readonly stateDir: string;
  /** OpenClaw's configuration file, and whether there is one. */
  readonly config: { readonly path: string; readonly exists: boolean };
  readonly env: NodeJS.ProcessEnv;
  /**
   * Whether this runs inside OpenClaw: in the gateway, or as a command of it. OpenClaw loads the `.env` of whatever
   * directory it was started in, so our own variables are not read there. It resolves secret references itself; of
   * those that it left, one that names a variable is looked up.
   */
  readonly inOpenClaw: boolean;
  /** See {@linkcode SettingsSource}. */
  readonly secretOptional?: boolean;
  /** Whether a reference to a secret that is well-formed counts as one that is there: another process resolves it. */
  readonly trustsReferences?: boolean;
}

/** The name of the plugin's place in `openclaw.json`, for messages. */
export const PLACE = 'plugins.entries["b2-backup"].config';

/** Which variable goes before which setting, outside OpenClaw. An empty variable counts as unset. */
export const ENVIRONMENT = {
  keyId: 'B2_APPLICATION_KEY_ID',
  applicationKey: 'B2_APPLICATION_KEY',
  bucket: 'B2_BUCKET',
  region: 'B2_REGION',
  endpoint: 'B2_ENDPOINT',
  prefix: 'B2_PREFIX',
  passphrase: 'B2_BACKUP_PASSPHRASE',
} as const;

/** Application keys of before, separated by commas or spaces, which no key has in it. Never in a file. */
const OLD_KEYS = 'B2_BACKUP_OLD_KEYS';
/** As many as the core takes. */
const MOST_OLD_KEYS = 16;

type TextField = keyof typeof ENVIRONMENT;

/** The recovery code is for one command, not for a file: it only comes from here, or is asked for. */
export const RECOVERY_CODE_VARIABLE = 'B2_BACKUP_RECOVERY_CODE';

/** Settings that may be references to secrets. */
export const SECRET_SETTINGS = ['keyId', 'applicationKey', 'passphrase'] as const;

/** Fields that may hold one. */
const KEYS: ReadonlySet<string> = new Set(['applicationKey', 'passphrase']);
const SECRETS: ReadonlySet<string> = new Set(SECRET_SETTINGS);
const TEXTS = Object.keys(ENVIRONMENT) as readonly TextField[];
const FLAGS = ['encrypt', 'includeSecrets'] as const;
const LISTS = ['include', 'exclude'] as const;

/** Every setting there is. */
export const SETTINGS = [
  ...TEXTS,
  ...FLAGS,
  ...LISTS,
  'uploadLimit',
  'machineName',
  ...POLICY_FIELDS,
] as const;

const KNOWN: ReadonlySet<string> = new Set(SETTINGS);

/** Application keys as B2 makes them. In the wrong field one would show in messages, and in what is sent. */
const APPLICATION_KEY = /^K\d{3}[A-Za-z0-9+/]{20,}$/;

/** What stands in snapshots where a secret was. */
const PLACEHOLDER = /^__B2_BACKUP_\w+__$/;

const DEFAULT_PREFIX = 'openclaw-backup';

/**
 * Reads, merges and checks the settings: environment over file, and inside OpenClaw the file alone.
 *
 * @throws {BackupError} B2_CONFIG, with a message that names the field
 */
export async function loadSettings(source: SettingsSource): Promise<LoadedSettings> {
  const { stateDir, config } = findPlaces(source);
  const read = config.exists ? await readFile(source, config.path) : { config: null, warning: null };
  const { env, secretOptional = false, inOpenClaw = false } = source;
  const place = { stateDir: stateDir.path, config, env, inOpenClaw, secretOptional };
  const problems = new Problems();
  const checked = problems.in(() => checkSettings(read.config, place));
  // What only the gateway uses keeps no command from working. Where something else does, all is named at once.
  if (checked === undefined) problems.in(() => checkPolicy(read.config));
  const { settings, origins, warnings } = problems.none(checked as CheckedSettings);
  return {
    settings,
    origins: [stateDir.origin, ...(config.exists ? [config.origin] : []), ...origins],
    config: read.config,
    gateway: config.exists && read.warning === null ? inGateway(read.config, place) : undefined,
    warnings: read.warning === null ? warnings : [read.warning, ...warnings],
  };
}

/**
 * The plugin's settings in a file that may be half understood, or not at all. Then an older copy or the environment may lack
 * what was set since, such as a passphrase: good enough to read backups and to bring them back, and for nothing else.
 */
async function readFile(source: SettingsSource, path: string): Promise<HostConfig> {
  const { env, fileOptional = false, inOpenClaw = false } = source;
  try {
    const read = await source.readHostConfig(path);
    if (read.warning === null || fileOptional) return read;
    const message = `${read.warning}. By these nothing is stored or deleted: correct the file first`;
    throw new BackupError(message, { code: 'B2_CONFIG' });
  } catch (error) {
    const elsewhere = fileOptional && !inOpenClaw && nonEmpty(env[ENVIRONMENT.bucket]) !== undefined;
    if (!elsewhere || !(error instanceof BackupError) || error.code !== 'B2_CONFIG') throw error;
    return { config: null, warning: `${error.message}; settings come from the environment alone` };
  }
}

/**
 * Checks all that a gateway needs to back up: what the core takes, and when to do it.
 *
 * @throws {BackupError} B2_CONFIG, with a message that names each field that is wrong
 */
export function checkAll(
  config: unknown,
  place: SettingsPlace,
): CheckedSettings & { readonly policy: Policy } {
  const problems = new Problems();
  const checked = problems.in(() => checkSettings(config, place));
  const policy = problems.in(() => checkPolicy(config));
  return problems.none({ ...(checked as CheckedSettings), policy: policy as Policy });
}

/** The settings as a gateway has them: from the file alone, all of them right. */
function inGateway(config: unknown, place: SettingsPlace): Settings | BackupError {
  // Outside OpenClaw nobody knows the gateway's environment, nor its other sources of secrets.
  const trustsReferences = !place.inOpenClaw;
  try {
    return checkAll(config, { ...place, inOpenClaw: true, secretOptional: false, trustsReferences }).settings;
  } catch (error) {
    return toBackupError(error);
  }
}

/**
 * Checks the plugin's settings as they stand in the configuration, merged with the environment.
 *
 * @throws {BackupError} B2_CONFIG, with a message that names the field
 */
export function checkSettings(config: unknown, place: SettingsPlace): CheckedSettings {
  const { stateDir, config: configPath, env, inOpenClaw, secretOptional = false } = place;
  const { file, taken } = takeKeyID(asObject(config));
  const variables = inOpenClaw ? {} : env;
  const origins: Origin[] = [];
  const inFile: Omit<Origin, 'setting'> = { source: 'file', name: configPath.path };
  const unknown = Object.keys(file)
    .filter((key) => !KNOWN.has(key))
    .map((key) => `${key}: there is no such setting; it is ignored${instead(key)}`);
  const warnings = [...taken, ...unknown].map((text) => `${PLACE}.${text}`);

  const problems = new Problems();
  /** Settings that are there, and wrong: of them nothing more is said. */
  const bad = new Set<string>();
  const check = <T>(field: string, how: () => T): T | undefined =>
    problems.in(() => {
      bad.add(field);
      const value = how();
      bad.delete(field);
      return value;
    });
  const settings: Settings = {
    stateDir,
    encrypt: check('encrypt', () => flag(file, 'encrypt')) ?? true,
    includeSecrets: check('includeSecrets', () => flag(file, 'includeSecrets')) ?? false,
    prefix: DEFAULT_PREFIX,
  };
  if (configPath.exists) settings.configPath = configPath.path;
  for (const field of TEXTS) {
    const variable = ENVIRONMENT[field];
    const inEnvironment = nonEmpty(variables[variable]);
    const value = check(field, () => checked(field, text(field, inEnvironment ?? file[field], place)));
    if (value === undefined) continue;
    origins.push(
      inEnvironment === undefined
        ? { setting: field, ...inFile }
        : { setting: field, source: 'environment', name: variable },
    );
    settings[field] = value;
  }
  for (const field of LISTS) {
    const value = check(field, () => list(file, field));
    if (value !== undefined) settings[field] = value;
  }
  for (const setting of SETTINGS) {
    if (setting in ENVIRONMENT) continue;
    if (file[setting] !== undefined && file[setting] !== null) origins.push({ setting, ...inFile });
  }
  for (const setting of ['prefix', ...FLAGS]) {
    if (!origins.some((origin) => origin.setting === setting)) origins.push({ setting, source: 'default' });
  }
  const recoveryCode = nonEmpty(variables[RECOVERY_CODE_VARIABLE]);
  if (recoveryCode !== undefined) {
    settings.recoveryCode = recoveryCode;
    origins.push({ setting: 'recoveryCode', source: 'environment', name: RECOVERY_CODE_VARIABLE });
  }
  const oldKeys = (variables[OLD_KEYS] ?? '').split(/[\s,]+/).filter((key) => key !== '');
  problems.in(() => {
    if (oldKeys.length > MOST_OLD_KEYS) throw wrong(OLD_KEYS, `holds more than ${MOST_OLD_KEYS} keys`);
  });
  if (oldKeys.length > 0) {
    settings.oldKeys = oldKeys;
    origins.push({ setting: 'oldKeys', source: 'environment', name: OLD_KEYS });
  }
  const uploadLimit = check('uploadLimit', () => limit(file));
  if (uploadLimit !== undefined) settings.uploadLimit = uploadLimit;
  const machineName = check('machineName', () => name(file));
  if (machineName !== undefined) settings.machineName = machineName;

  checkTogether(settings, { file, bad, problems }, configPath.path, secretOptional, inOpenClaw);
  return problems.none({ settings, origins, warnings });
}

/** Which setting was meant, for a message that names another. */
function instead(key: string): string {
  const setting = meant(key, SETTINGS);
  return setting === undefined ? '' : `; write it as ${setting}`;
}

/** A text that may be what it is for. */
function checked(field: TextField, value: string | undefined): string | undefined {
  if (value === undefined) return value;
  if (PLACEHOLDER.test(value)) {
    throw wrong(
      field,
      'still holds the placeholder from a restored snapshot; replace it with the real value',
    );
  }
  if (!KEYS.has(field) && APPLICATION_KEY.test(value)) {
    throw wrong(field, 'holds what looks like an application key, which goes into applicationKey');
  }
  if (field === 'bucket') checkBucket(value);
  if (field === 'endpoint') checkEndpoint(value);
  return value;
}

function asObject(config: unknown): Record<string, unknown> {
  if (config === null || config === undefined) return {};
  if (typeof config !== 'object' || Array.isArray(config)) {
    throw wrong(PLACE, `must be an object, not ${kind(config)}`);
  }
  return config as Record<string, unknown>;
}

function text(field: TextField, inFile: unknown, place: SettingsPlace): string | undefined {
  if (inFile === undefined || inFile === null) return undefined;
  if (SECRETS.has(field) && typeof inFile === 'object') {
    return resolveRef(field, inFile, place);
  }
  if (typeof inFile !== 'string') {
    const what = SECRETS.has(field) ? 'a string or a secret reference' : 'a string';
    throw wrong(field, `must be ${what}, not ${kind(inFile)}`);
  }
  const value = inFile.trim();
  if (value === '') throw wrong(field, 'is empty; remove it or give it a value');
  // A passphrase is taken to the letter.
  return field === 'passphrase' ? inFile : value;
}

/** A `SecretRef`. Only the environment can be read without the gateway. */
function resolveRef(
  field: TextField,
  ref: object,
  { env, inOpenClaw, trustsReferences = false }: SettingsPlace,
): string {
  const { source, id } = ref as { source?: unknown; id?: unknown };
  if (typeof source !== 'string' || typeof id !== 'string' || id === '') {
    throw wrong(field, 'must be a string or a secret reference {source, provider, id}');
  }
  if (APPLICATION_KEY.test(source) || APPLICATION_KEY.test(id)) {
    throw wrong(field, 'its secret reference holds the key itself; write the key alone, or name a variable');
  }
  if (trustsReferences) return id;
  if (source !== 'env' && inOpenClaw) {
    throw wrong(field, `OpenClaw could not resolve its secret reference (source "${source}", id "${id}")`);
  }
  if (source !== 'env') {
    throw wrong(
      field,
      `a secret reference of source "${source}" can only be resolved inside the gateway; ` +
        `set the environment variable ${ENVIRONMENT[field]} instead`,
    );
  }
  const value = nonEmpty(env[id]);
  if (value === undefined) {
    throw wrong(field, `refers to the environment variable ${id}, which is not set`);
  }
  return value;
}

function checkTogether(
  settings: Settings,
  { file, bad, problems }: { file: Record<string, unknown>; bad: ReadonlySet<string>; problems: Problems },
  configPath: string,
  secretOptional: boolean,
  inOpenClaw: boolean,
): void {
  const folder = settings.bucket?.startsWith('file:') === true;
  const required: readonly TextField[] = folder ? ['bucket'] : ['bucket', 'keyId', 'applicationKey'];
  const missing = required.filter((field) => settings[field] === undefined && !bad.has(field));
  problems.in(() => {
    if (missing.length === 0) return;
    const variables = and(missing.map((field) => ENVIRONMENT[field]));
    const others = Object.keys(file).filter((key) =>
      missing.some((field) => !KNOWN.has(key) && meant(key, SETTINGS) === field),
    );
    throw wrong(
      and(missing),
      `not set; put ${missing.length === 1 ? 'it' : 'them'} into ${configPath} under ${PLACE}` +
        (inOpenClaw ? '' : `, or into the environment as ${variables}`) +
        others
          .map((key) => `; what is called ${key} there has to be called ${meant(key, SETTINGS)}`)
          .join(''),
    );
  });
  problems.in(() => {
    if (settings.includeSecrets === true && settings.encrypt === false) {
      throw wrong('includeSecrets', 'needs encryption: secrets are never stored with encrypt: false');
    }
  });
  const secret = settings.passphrase ?? settings.applicationKey;
  const wanted = secret === undefined && !secretOptional && !bad.has('passphrase') && !bad.has('encrypt');
  problems.in(() => {
    if (folder && settings.encrypt === true && wanted) {
      throw wrong(
        'passphrase',
        'not set; a folder brings no key to encrypt with, so set ' +
          (inOpenClaw ? '' : 'B2_BACKUP_PASSPHRASE, or ') +
          `passphrase in ${configPath} under ${PLACE}, or encrypt: false there`,
      );
    }
  });
}

function nonEmpty(value: string | undefined): string | undefined {
  return value === undefined || value === '' ? undefined : value;
}

function and(names: readonly string[]): string {
  const last = names.at(-1) ?? '';
  return names.length < 2 ? last : `${names.slice(0, -1).join(', ')} and ${last}`;
}
