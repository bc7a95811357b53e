/** What a command leaves behind. Commands decide, `main.ts` prints. */
import type { Finding, Settings } from '../../index.js';
import type { Engine } from '../engine.js';
import { BackupError } from '../errors.js';
import type { Operation } from '../operation.js';
import type { Origin } from '../places.js';
import type { Described, GlobalOptions } from './command.js';
import type { Ask, CliDeps } from './deps.js';
import type { Style } from './render.js';

/** How long a command waits for a push, in milliseconds: longer than most take. */
export const WAIT_MS = 600_000;

/** Exit statuses, as documented in docs/commands.md. */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  /** Done, but some files could not be; they are listed. */
  incomplete: 3,
} as const;

/** Beside what may come of somebody who deleted or overwrote things in the bucket. */
export const UNDELETE_HINT =
  'If somebody deleted or overwrote it: "b2-backup undelete --dry-run" shows what can be brought back.';

/** A result in both forms. */
export interface Outcome {
  /** {@linkcode EXIT}`.done` where nothing is said. */
  readonly exit?: number;
  /** The one document of `--json`. */
  readonly document: Readonly<Record<string, unknown>>;
  /** For people, on stdout. */
  readonly lines: readonly string[];
  /** Instead of `lines`: what was asked for as it is, not for reading. */
  readonly bytes?: Uint8Array;
  /** Whether `--quiet` may drop `lines`: true for "it worked", false for what was asked for. */
  readonly chatter: boolean;
  /** For people, on stderr, also with `--quiet`. */
  readonly problems?: readonly string[];
  /** For people, on stderr. */
  readonly warnings?: readonly string[];
  /** Takes back what is of no use where nobody saw the output; says what came of that. */
  readonly unseen?: () => Promise<readonly string[]>;
  /** Whether there are backups, and none of them opened. */
  readonly locked?: boolean;
}

/** What a command works with. */
export interface Context {
  readonly engine: Engine;
  readonly settings: Settings;
  /** The plugin's settings as they stand in the configuration, for what is no part of `settings`. */
  readonly config: unknown;
  /** Where each setting came from. */
  readonly origins: readonly Origin[];
  /** What a gateway makes of the configuration; see `gatewayFindings`. */
  readonly gateway: () => Promise<readonly Finding[]>;
  readonly operation: Operation;
  readonly style: Style;
  /** The directory that relative paths are relative to. */
  readonly cwd: string;
  /** What the clock shows, for words such as "yesterday". */
  readonly date: () => Date;
  /** IANA name of the zone in which they are said. */
  readonly timeZone: () => string;
  /** Shows lines and asks whether to go on; not set where nobody can answer. */
  readonly confirm?: ((lines: readonly string[]) => Promise<boolean>) | undefined;
  /** Asks for a line; not set where nobody can answer. */
  readonly ask?: Ask | undefined;
  /** Tells the user something in between, before a question. */
  readonly say: (line: string) => void;
}

/** What a command needs besides its arguments. */
export interface Needs {
  /** It backs up, or proves a backup: that takes a secret of this machine's own. Others can do with a recovery code. */
  readonly ownSecret?: boolean;
  /**
   * It reads backups or brings them back. A bad edit of OpenClaw's configuration must not keep it from working: where that
   * is not understood, an older copy of it will do, or the environment.
   */
  readonly fileOptional?: boolean;
  /** It proves that what is configured opens the backups: a code that is typed would prove something else. */
  readonly asksNoCode?: boolean;
}

/** What works before anything is configured. */
export interface Unconfigured {
  readonly deps: CliDeps;
  readonly global: GlobalOptions;
  readonly operation: Operation;
  /** Takes the progress line away. */
  readonly pause: () => void;
}

/** What a command is described with: its name, options and help in `program`, and what it does. */
export interface Cli {
  readonly program: Described;
  /** Loads the settings, does it and prints the outcome. */
  work<A extends unknown[]>(
    needs: Needs,
    run: (context: Context, ...args: A) => Promise<Outcome>,
  ): (...args: A) => Promise<void>;
  /** The same without settings. */
  unconfigured<A extends unknown[]>(
    run: (world: Unconfigured, ...args: A) => Promise<Outcome>,
  ): (...args: A) => Promise<void>;
}

/** Shows what would be done and asks. @throws {BackupError} B2_USAGE where nobody can be asked, B2_CANCELLED after a no */
export async function agree(
  { confirm }: Pick<Context, 'confirm'>,
  lines: readonly string[],
  { unasked, unchanged = 'nothing was changed' }: { readonly unasked: string; readonly unchanged?: string },
): Promise<void> {
  if (confirm === undefined) throw new BackupError(unasked, { code: 'B2_USAGE' });
  if (!(await confirm(lines))) throw new BackupError(unchanged, { code: 'B2_CANCELLED' });
}
