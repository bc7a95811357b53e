/** From `openclaw.json` and the environment to the addon's `Settings`. Checks every field, resolves what it can. */
import { isAbsolute, join, resolve } from 'node:path';
import type { Settings } from '../index.js';
import type { Engine } from './engine.js';
import { BackupError } from './errors.js';

/** Where settings come from. */
export interface SettingsSource {
  /** `--state-dir` */
  readonly stateDir?: string | undefined;
  /** `--config` */
  readonly configPath?: string | undefined;
  readonly env: NodeJS.ProcessEnv;
  readonly home: string;
  readonly cwd: string;
  readonly fileExists: (path: string) => boolean;
  readonly readHostConfig: Engine['readHostConfig'];
}

/** Settings that passed every check, and what the user should know about them. */
export interface LoadedSettings {
  readonly settings: Settings;
  readonly warnings: readonly string[];
}

/** The name of the plugin's place in `openclaw.json`, for messages. */
const PLACE = 'plugins.entries["b2-backup"].config';

/** Which variable goes before which setting. An empty variable counts as unset. */
const ENVIRONMENT = {
  keyId: 'B2_APPLICATION_KEY_ID',
  applicationKey: 'B2_APPLICATION_KEY',
  bucket: 'B2_BUCKET',
  region: 'B2_REGION',
  endpoint: 'B2_ENDPOINT',
  prefix: 'B2_PREFIX',
  passphrase: 'B2_BACKUP_PASSPHRASE',
} as const;

type TextField = keyof typeof ENVIRONMENT;

const SECRETS: ReadonlySet<string> = new Set(['keyId', 'applicationKey', 'passphrase']);
const TEXTS = Object.keys(ENVIRONMENT) as readonly TextField[];
const FLAGS = ['encrypt', 'includeSecrets'] as const;
const LISTS = ['include', 'exclude'] as const;

/** Settings of the plugin that mean nothing outside the gateway. */
const GATEWAY_ONLY = [
  'schedule',
  'keepSnapshots',
  'keepDaily',
  'keepWeekly',
  'autoRestore',
  'timezone',
] as const;

const KNOWN: ReadonlySet<string> = new Set([...TEXTS, ...FLAGS, ...LISTS, 'uploadLimit', ...GATEWAY_ONLY]);

const DEFAULT_PREFIX = 'openclaw-backup';

/**
 * Reads, merges and checks the settings: environment over file.
 *
 * @throws {BackupError} B2_CONFIG, with a message that names the field
 */
export async function loadSettings(source: SettingsSource): Promise<LoadedSettings> {
  const stateDir = findStateDir(source);
  const configPath = findConfig(source, stateDir);
  const warnings: string[] = [];
  let file: Record<string, unknown> = {};
  if (configPath.exists) {
    const { config, warning } = await source.readHostConfig(configPath.path);
    if (warning !== null) warnings.push(warning);
    file = asObject(config);
  }
  for (const key of Object.keys(file)) {
    if (!KNOWN.has(key)) warnings.push(`${PLACE}.${key}: there is no such setting; it is ignored`);
  }

  const settings: Settings = {
    stateDir,
    encrypt: flag(file, 'encrypt') ?? true,
    includeSecrets: flag(file, 'includeSecrets') ?? false,
    prefix: DEFAULT_PREFIX,
  };
  if (configPath.exists) settings.configPath = configPath.path;
  for (const field of TEXTS) {
    const value = text(field, file[field], source.env);
    if (value !== undefined) settings[field] = value;
  }
  for (const field of LISTS) {
    const value = list(file, field);
    if (value !== undefined) settings[field] = value;
  }
  const uploadLimit = limit(file);
  if (uploadLimit !== undefined) settings.uploadLimit = uploadLimit;

  if (settings.bucket !== undefined) checkBucket(settings.bucket);
  if (settings.endpoint !== undefined) checkEndpoint(settings.endpoint);
  checkTogether(settings, configPath.path);
  return { settings, warnings };
}

function findStateDir({ stateDir, env, home, cwd }: SettingsSource): string {
  const named = stateDir ?? nonEmpty(env['OPENCLAW_STATE_DIR']);
  return named === undefined ? join(home, '.openclaw') : absolute(named, home, cwd);
}

function findConfig(
  { configPath, env, home, cwd, fileExists }: SettingsSource,
  stateDir: string,
): { path: string; exists: boolean } {
  const named = configPath ?? nonEmpty(env['OPENCLAW_CONFIG_PATH']);
  if (named === undefined) {
    const path = join(stateDir, 'openclaw.json');
    return { path, exists: fileExists(path) };
  }
  const path = absolute(named, home, cwd);
  if (!fileExists(path)) {
    throw wrong(configPath === undefined ? 'OPENCLAW_CONFIG_PATH' : '--config', `there is no file ${path}`);
  }
  return { path, exists: true };
}

function absolute(path: string, home: string, cwd: string): string {
  if (path === '~') return home;
  if (path.startsWith('~/')) return join(home, path.slice(2));
  return resolve(cwd, path);
}

function asObject(config: unknown): Record<string, unknown> {
  if (config === null || config === undefined) return {};
  if (typeof config !== 'object' || Array.isArray(config)) {
    throw wrong(PLACE, `must be an object, not ${kind(config)}`);
  }
  return config as Record<string, unknown>;
}

function text(field: TextField, inFile: unknown, env: NodeJS.ProcessEnv): string | undefined {
  const variable = ENVIRONMENT[field];
  const inEnvironment = nonEmpty(env[variable]);
  if (inEnvironment !== undefined) return inEnvironment;
  if (inFile === undefined || inFile === null) return undefined;
  if (SECRETS.has(field) && typeof inFile === 'object') return resolveRef(field, inFile, env);
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
function resolveRef(field: TextField, ref: object, env: NodeJS.ProcessEnv): string {
  const { source, id } = ref as { source?: unknown; id?: unknown };
  if (typeof source !== 'string' || typeof id !== 'string' || id === '') {
    throw wrong(field, 'must be a string or a secret reference {source, provider, id}');
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

function flag(file: Record<string, unknown>, field: (typeof FLAGS)[number]): boolean | undefined {
  const value = file[field];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'boolean') throw wrong(field, `must be true or false, not ${kind(value)}`);
  return value;
}

function list(file: Record<string, unknown>, field: (typeof LISTS)[number]): string[] | undefined {
  const value = file[field];
  if (value === undefined || value === null) return undefined;
  if (!Array.isArray(value)) throw wrong(field, `must be a list of patterns, not ${kind(value)}`);
  return value.map((pattern: unknown, index) => {
    if (typeof pattern === 'string' && pattern.trim() !== '') return pattern;
    throw wrong(`${field}[${index}]`, 'must be a pattern such as "workspace/**/*.log"');
  });
}

function limit(file: Record<string, unknown>): number | undefined {
  const value = file['uploadLimit'];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value <= 0) {
    throw wrong('uploadLimit', 'must be a whole number of bytes per second above 0, such as 2000000');
  }
  return value;
}

function checkBucket(bucket: string): void {
  if (bucket.startsWith('file:')) {
    if (!bucket.startsWith('file:///')) {
      throw wrong('bucket', 'a folder is written with its full path, as "file:///mnt/backup"');
    }
    return;
  }
  if (bucket.includes('://')) {
    throw wrong(
      'bucket',
      'must be the name of a bucket or a folder as "file:///path"; a server goes into endpoint',
    );
  }
  if (isAbsolute(bucket)) {
    throw wrong('bucket', `must be the name of a bucket; a folder is written as "file://${bucket}"`);
  }
  if (!/^[A-Za-z0-9][A-Za-z0-9.-]{1,61}[A-Za-z0-9]$/.test(bucket)) {
    throw wrong('bucket', `"${bucket}" cannot be a bucket: 3 to 63 letters, digits, hyphens and dots`);
  }
}

function checkEndpoint(endpoint: string): void {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  if (url === undefined || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw wrong('endpoint', 'must be a URL such as "https://s3.us-west-004.backblazeb2.com"');
  }
  if (url.username !== '' || url.password !== '') {
    throw wrong('endpoint', 'must not hold a user or password; the key goes into keyId and applicationKey');
  }
}

function checkTogether(settings: Settings, configPath: string): void {
  const folder = settings.bucket?.startsWith('file:') === true;
  const required: readonly TextField[] = folder ? ['bucket'] : ['bucket', 'keyId', 'applicationKey'];
  const missing = required.filter((field) => settings[field] === undefined);
  if (missing.length > 0) {
    throw wrong(
      and(missing),
      `not set; put ${missing.length === 1 ? 'it' : 'them'} into ${configPath} under ${PLACE}, ` +
        `or into the environment as ${and(missing.map((field) => ENVIRONMENT[field]))}`,
    );
  }
  if (settings.includeSecrets === true && settings.encrypt === false) {
    throw wrong('includeSecrets', 'needs encryption: secrets are never stored with encrypt: false');
  }
  const secret = settings.passphrase ?? settings.applicationKey;
  if (folder && settings.encrypt === true && secret === undefined) {
    throw wrong(
      'passphrase',
      'not set; a folder brings no key to encrypt with, so set B2_BACKUP_PASSPHRASE, or passphrase in ' +
        `${configPath} under ${PLACE}, or encrypt: false there`,
    );
  }
}

function nonEmpty(value: string | undefined): string | undefined {
  return value === undefined || value === '' ? undefined : value;
}

function and(names: readonly string[]): string {
  const last = names.at(-1) ?? '';
  return names.length < 2 ? last : `${names.slice(0, -1).join(', ')} and ${last}`;
}

function kind(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

function wrong(field: string, message: string): BackupError {
  return new BackupError(`configuration: ${field}: ${message}`, { code: 'B2_CONFIG' });
}
