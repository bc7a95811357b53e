/** What a trial start is given and what it answers; the program that carries it out is `inside.ts`. */

/** A directory of the snapshot, and where it was restored to. */
export interface Moved {
  /** Absolute path on the machine that made the snapshot. */
  readonly from: string;
  /** Absolute path of the restored copy. */
  readonly to: string;
}

/** What the program is told on its standard input: one JSON value on one line. */
export interface BootJob {
  /** A folder of the trial's own. Nothing is written elsewhere. */
  readonly folder: string;
  /** What was restored. The first one is the state directory. */
  readonly roots: readonly Moved[];
  /** The home directory of the user, for paths of the configuration that begin with `~`. */
  readonly home: string;
  /** The program of OpenClaw, a JavaScript file. */
  readonly openclaw: string;
  /** Whether the processes have no network but loopback. Without that, `no-network.ts` is loaded into OpenClaw. */
  readonly alone: boolean;
  /** How long OpenClaw may take to be ready, milliseconds. */
  readonly patienceMs: number;
}

/** What the program answers: one JSON value on one line of its standard output. */
export interface BootAnswer {
  /** The version of OpenClaw that was started. */
  readonly version: string;
  readonly agents: number;
  readonly sessions: number;
  /** Sessions of which OpenClaw showed the last message. */
  readonly messages: number;
  readonly jobs: number;
  readonly memoryFiles: number;
  /** What is not as the snapshot says; empty: all is well. */
  readonly problems: readonly string[];
}

/** What a snapshot says must be there once OpenClaw runs on it. */
export interface Expected {
  readonly sessions: readonly ExpectedSession[];
  readonly jobs: readonly ExpectedJob[];
  readonly memoryFiles: readonly ExpectedFile[];
}

/** A session of an agent. */
export interface ExpectedSession {
  readonly key: string;
  readonly sessionId: string;
  /** The id of its last message; not set where it has none, or where its messages are in an archive. */
  readonly last?: string;
}

/** A job of the user's. */
export interface ExpectedJob {
  readonly id: string;
  readonly name: string;
}

/** A file that the agent remembers by. */
export interface ExpectedFile {
  readonly agent: string;
  readonly name: string;
  readonly content: string;
}

/** What OpenClaw said when it was asked for all that. */
export interface Answers {
  /** The id of each session by its key. */
  readonly sessions: ReadonlyMap<string, string>;
  /** The ids of the last messages by the key of their session; what went wrong where it could not tell. */
  readonly messages: ReadonlyMap<string, readonly string[] | Error>;
  readonly jobs: ReadonlySet<string>;
  /** The content of memory files by agent and name, joined by a slash; what went wrong where it could not tell. */
  readonly files: ReadonlyMap<string, string | Error>;
}
