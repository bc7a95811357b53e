/** Writing the settings into openclaw.json: all at once or not at all. */
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  fsyncSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { BackupError } from '../errors.js';
import { contentOf, type Edit, edited } from './json5-edit.js';

/** Writes edits into the configuration file. */
export type SaveConfig = (path: string, edits: readonly Edit[]) => Promise<void>;

/** Where the plugin's settings are in openclaw.json. */
export const ENTRY = ['plugins', 'entries', 'b2-backup'] as const;
/** The name of our own provider of secrets there. */
export const PROVIDER = 'b2-backup';

/**
 * Edits the file itself. Comments, order and spelling stay; only the owner can read it afterwards.
 *
 * @throws {BackupError} B2_CONFIG, B2_IO
 */
export const saveToFile: SaveConfig = async (path, edits) => {
  const real = realOf(path);
  const before = readOf(real);
  const after = edited(before, edits);
  // Proof that it can be read, before anybody has to.
  contentOf(after);
  writeWhole(real, after, () => {
    if (readOf(real) !== before) {
      throw new BackupError(`${path} was changed meanwhile; nothing was written: try again`, {
        code: 'B2_CONFIG',
      });
    }
  });
};

/** Refuses where OpenClaw's own rule is that nobody but a deployment system writes the file. @throws {BackupError} B2_CONFIG */
export function checkWritable(env: NodeJS.ProcessEnv): void {
  const variable = ['OPENCLAW_CONFIG_READONLY', 'OPENCLAW_NIX_MODE'].find((name) => env[name] === '1');
  if (variable === undefined) return;
  throw new BackupError(
    `${variable} says that another program manages openclaw.json: put the settings there (docs/settings.md)`,
    { code: 'B2_CONFIG' },
  );
}

/** Writes a file that only its owner can read, whole or not at all. @throws {BackupError} B2_IO */
export function writeWhole(path: string, content: string, check: () => void = () => {}): void {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}`);
  try {
    const file = openSync(temporary, 'wx', 0o600);
    try {
      writeSync(file, content);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    chmodSync(temporary, 0o600);
    check();
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    if (error instanceof BackupError) throw error;
    throw new BackupError(`${path} cannot be written (${codeOf(error)}); nothing was changed`, {
      code: codeOf(error) === 'ENOSPC' ? 'B2_DISK_FULL' : 'B2_IO',
    });
  }
}

/** The file that a link leads to: it is written there. */
function realOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

/** What the file holds; nothing where there is none. @throws {BackupError} B2_IO */
export function readOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return '';
    throw new BackupError(`${path} cannot be read (${codeOf(error)})`, { code: 'B2_IO' });
  }
}

function codeOf(error: unknown): string {
  return String((error as { code?: unknown }).code ?? 'unknown');
}
