/** Everything the command line touches outside itself, so that tests can be the world. */
import type { Engine } from '../engine.js';
import type { Plugins } from '../loads.js';
import type { B2World } from '../setup/b2-api.js';
import type { Prompts } from '../setup/prompts.js';
import type { SaveConfig } from '../setup/save.js';

/** A standard stream, as far as it is used. */
export interface Output {
  write(text: string | Uint8Array): unknown;
  /** Waits until all of it is written, and tells what went wrong, if anything did. */
  failure?(): Promise<unknown>;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

/** The signals that ask to stop. */
export type StopSignal = 'SIGINT' | 'SIGTERM';

/** The process's signals. */
export interface Signals {
  on(signal: StopSignal, listener: () => void): unknown;
  off(signal: StopSignal, listener: () => void): unknown;
}

/** Asks the user for a line of text. */
export type Ask = (question: string, options: { readonly hidden: boolean }) => Promise<string | undefined>;

/** What only `setup` touches. */
export interface SetupDeps {
  /** Questions; not set where nobody can answer. */
  readonly prompts?: (() => Promise<Prompts>) | undefined;
  readonly b2: B2World;
  readonly save: SaveConfig;
  /** A random whole number from 0 to below `limit`, good enough for secrets. */
  readonly random: (limit: number) => number;
  readonly hostname: string;
  /** All of standard input. */
  readonly readInput: () => Promise<string>;
  readonly readFile: (path: string) => string;
}

/** The world. */
export interface CliDeps {
  readonly setup?: SetupDeps;
  readonly env: NodeJS.ProcessEnv;
  /** Whether this is a command of OpenClaw: then none of our own variables is read. */
  readonly inOpenClaw?: boolean;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly engine: Engine;
  readonly signals: Signals;
  /** Ends the process at once. */
  readonly exit: (code: number) => void;
  /** Milliseconds of any clock that does not jump. */
  readonly now: () => number;
  /** What the clock shows. */
  readonly date: () => Date;
  /** IANA name of the system's time zone. */
  readonly timeZone: () => string;
  readonly home: string;
  readonly cwd: string;
  readonly fileExists: (path: string) => boolean;
  /** The section `plugins` of the host's configuration in that file; nothing where it is not known. */
  readonly readPlugins: (configPath: string) => Promise<Plugins | undefined>;
  readonly version: string;
  /** Shows lines and asks whether to go on; not set where nobody can answer. */
  readonly confirm?: ((lines: readonly string[]) => Promise<boolean>) | undefined;
  /** Asks for a line, with `hidden` for one that does not show; undefined when none is given. Not set where nobody can answer. */
  readonly ask?: Ask | undefined;
  /** Threads for computing. A command has the machine to itself, unlike the gateway. */
  readonly threads: number;
}
