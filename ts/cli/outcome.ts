/** What a command leaves behind. Commands decide, `main.ts` prints. */
import type { Settings } from '../../index.js';
import type { Engine } from '../engine.js';
import type { Operation } from '../operation.js';
import type { Origin } from '../places.js';
import type { Ask } from './deps.js';
import type { Style } from './render.js';

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
  readonly exit: number;
  /** The one document of `--json`. */
  readonly document: Readonly<Record<string, unknown>>;
  /** For people, on stdout. */
  readonly lines: readonly string[];
  /** Instead of `lines`: what was asked for as it is, not for reading. */
  readonly bytes?: Uint8Array;
  /** Whether `--quiet` may drop `lines`: true for "it worked", false for what was asked for. */
  readonly chatter: boolean;
  /** For people, on stderr, also with `--quiet`. */
  readonly problems: readonly string[];
  /** For people, on stderr. */
  readonly warnings: readonly string[];
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
  readonly operation: Operation;
  readonly style: Style;
  /** The directory that relative paths are relative to. */
  readonly cwd: string;
  /** Shows lines and asks whether to go on; not set where nobody can answer. */
  readonly confirm?: ((lines: readonly string[]) => Promise<boolean>) | undefined;
  /** Asks for a line; not set where nobody can answer. */
  readonly ask?: Ask | undefined;
  /** Tells the user something in between, before a question. */
  readonly say: (line: string) => void;
}
