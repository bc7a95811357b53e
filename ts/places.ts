/** Where the state and the configuration are. */
import { statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { BackupError } from './errors.js';
import { wrong } from './policy.js';

/** What says where the state and the configuration are. */
export interface PlaceSource {
  /** `--state-dir` */
  readonly stateDir?: string | undefined;
  /** `--config` */
  readonly configPath?: string | undefined;
  readonly env: NodeJS.ProcessEnv;
  readonly home: string;
  readonly cwd: string;
  readonly fileExists: (path: string) => boolean;
}

/** Where a setting came from. Never holds its value. */
export interface Origin {
  readonly setting: string;
  readonly source: 'flag' | 'environment' | 'file' | 'default';
  /** The flag, the variable, or the file; nothing for a default. */
  readonly name?: string;
}

/** A path with where it came from. */
export interface Found {
  readonly path: string;
  readonly origin: Origin;
}

/** The flag, the host's own variable (which it takes from no `.env`), or what the host does without both. */
function find(
  setting: string,
  [flag, given]: readonly [name: string, value: string | undefined],
  variable: string,
  otherwise: string,
  { env, home, cwd }: PlaceSource,
): Found {
  if (given !== undefined) {
    return { path: absolute(given, home, cwd), origin: { setting, source: 'flag', name: flag } };
  }
  const value = env[variable];
  return value === undefined || value === ''
    ? { path: otherwise, origin: { setting, source: 'default' } }
    : { path: absolute(value, home, cwd), origin: { setting, source: 'environment', name: variable } };
}

/** Where the state and the configuration are. @throws {BackupError} B2_CONFIG where a configuration is named that is not there */
export function findPlaces(source: PlaceSource): {
  readonly stateDir: Found;
  readonly config: Found & { readonly exists: boolean };
} {
  const stateDir = findStateDir(source);
  return { stateDir, config: findConfig(source, stateDir.path) };
}

function findStateDir(source: PlaceSource): Found {
  const usual = join(source.home, '.openclaw');
  return find('stateDir', ['--state-dir', source.stateDir], 'OPENCLAW_STATE_DIR', usual, source);
}

function findConfig(source: PlaceSource, stateDir: string): Found & { readonly exists: boolean } {
  const usual = join(stateDir, 'openclaw.json');
  const found = find('config', ['--config', source.configPath], 'OPENCLAW_CONFIG_PATH', usual, source);
  const exists = source.fileExists(found.path);
  const { name } = found.origin;
  if (!exists && name !== undefined) throw wrong(name, `there is no file ${found.path}`);
  return { ...found, exists };
}

/**
 * Whether a file is there.
 *
 * @throws {BackupError} B2_PERMISSION where that cannot be seen: "not set" would be wrong
 */
export function isThere(path: string, look: (path: string) => unknown = statSync): boolean {
  try {
    look(path);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EACCES' && code !== 'EPERM') return false;
    throw new BackupError(
      `${path} cannot be looked at: run this as the user that OpenClaw runs as, or as root`,
      { code: 'B2_PERMISSION', cause: error },
    );
  }
}

function absolute(path: string, home: string, cwd: string): string {
  if (path === '~') return home;
  if (path.startsWith('~/')) return join(home, path.slice(2));
  return resolve(cwd, path);
}
