/** What a set-up works with, what it was told on the command line, and what it found out. */
import type { Settings } from '../../index.js';
import type { Engine } from '../engine.js';
import { BackupError } from '../errors.js';
import type { Operation } from '../operation.js';
import type { B2World } from './b2-api.js';
import type { Prompts } from './prompts.js';
import type { SaveConfig } from './save.js';

/** What was said on the command line; what was not is asked for, or has a default. */
export interface SetupOptions {
  /** Name of a bucket, or `file:///path` of a folder. */
  readonly bucket?: string | undefined;
  readonly createBucket?: boolean;
  /** An S3 server other than B2. */
  readonly endpoint?: string | undefined;
  readonly region?: string | undefined;
  readonly prefix?: string | undefined;
  readonly keyId?: string | undefined;
  /** A JSON file with secrets; `-` is standard input. */
  readonly secrets?: string | undefined;
  /** Whether to use the given key, and make none of its own. */
  readonly keepKey?: boolean;
  readonly lifecycle: boolean;
  /** Whether a passphrase encrypts; otherwise the application key does. */
  readonly passphrase: boolean;
  readonly recoveryCode: boolean;
  /** Where secrets go: `config`, `env`, or the absolute path of a file. */
  readonly secretRefs?: string | undefined;
  /** Whether to back up beside the snapshots of others. */
  readonly beside?: boolean;
  /** Whether to back up at all; otherwise only the settings are written. */
  readonly push: boolean;
  /** Whether settings that are there are replaced. */
  readonly replace?: boolean;
  /** Whether secrets that are made may be in the output. */
  readonly showCode?: boolean;
}

/** Secrets that were given in a file, on standard input, or in the environment. */
export interface GivenSecrets {
  readonly keyId?: string | undefined;
  readonly applicationKey?: string | undefined;
  readonly passphrase?: string | undefined;
}

/** The world. */
export interface SetupWorld {
  readonly engine: Engine;
  readonly operation: Operation;
  readonly stateDir: string;
  /** OpenClaw's configuration file, and whether there is one. */
  readonly config: { readonly path: string; readonly exists: boolean };
  readonly env: NodeJS.ProcessEnv;
  readonly given: GivenSecrets;
  /** Whoever answers; not set where nobody can be asked. */
  readonly prompts?: Prompts | undefined;
  readonly b2: B2World;
  readonly save: SaveConfig;
  /** A random whole number from 0 to below `limit`. */
  readonly random: (limit: number) => number;
  /** The name of this computer. */
  readonly hostname: string;
  readonly threads: number;
}

/** The settings that say where backups go. */
export type PlaceFields = Pick<
  Settings,
  'bucket' | 'keyId' | 'applicationKey' | 'endpoint' | 'region' | 'prefix'
>;

/** How often somebody may answer wrongly before the set-up gives up. */
const TRIES = 5;

/** Tries until it works, as long as somebody is there to answer better. `codes` are what another answer can heal. */
export async function insist<T>(
  { prompts }: Pick<SetupWorld, 'prompts'>,
  codes: readonly string[],
  attempt: (again: boolean) => Promise<T>,
): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await attempt(tries > 1);
    } catch (error) {
      const curable = error instanceof BackupError && codes.includes(error.code);
      if (!curable || prompts === undefined || tries === TRIES) throw error;
      prompts.problem(`${error.message} (${error.code})`);
    }
  }
}

/** An answer is missing, and nobody can be asked. */
export function needed(what: string, how: string): BackupError {
  return new BackupError(`${what} is not known, and nobody can be asked here: ${how}`, { code: 'B2_USAGE' });
}

/** Settings that are in the way, or cannot be. */
export function misfit(message: string): BackupError {
  return new BackupError(message, { code: 'B2_CONFIG' });
}

/** What was made before the settings are written, and is taken back if the set-up does not come to its end. */
export class Made {
  readonly #made: { readonly what: string; readonly undo: () => Promise<void> }[] = [];

  add(what: string, undo: () => Promise<void>): void {
    this.#made.push({ what, undo });
  }

  /** From now on it stays. */
  keep(): void {
    this.#made.length = 0;
  }

  /** Takes back what can be, and says in the error what could not. */
  async takeBack(error: unknown): Promise<unknown> {
    const left: string[] = [];
    for (const { what, undo } of this.#made.splice(0).reverse()) {
      await undo().catch(() => left.push(what));
    }
    if (error instanceof BackupError && left.length > 0) {
      error.message += `; no setting was changed, but this was made and is still there: ${left.join(', ')}`;
    }
    return error;
  }
}
