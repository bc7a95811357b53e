/** The command line as processes that can be killed, against a real S3 server, on states like those of real users. */
import { type ChildProcessByStdio, execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { promisify } from 'node:util';
import { until, within } from '../e2e/support/until.ts';
import { addon, CLI } from './addon-support.ts';

const required = process.env['B2_REQUIRE_ADDON'] === '1';

/** Programs that `npm test` builds and names; one that is missing there is a failure. */
const tools = {
  s3Server: process.env['B2_S3_SERVER'] ?? '',
  state: process.env['B2_OPENCLAW_STATE'] ?? '',
};

/** Whether everything is here: Linux (whose /proc tells who runs), the addon and the tools. */
export const processesCanRun = (() => {
  if (process.platform !== 'linux' || addon === undefined) return false;
  const missing = Object.entries(tools).filter(([, path]) => !existsSync(path));
  if (missing.length === 0) return true;
  const names = missing.map(([name]) => name).join(', ');
  if (required) throw new Error(`B2_S3_SERVER or B2_OPENCLAW_STATE do not name a program: ${names}`);
  return false;
})();

/** Longer than anything takes on a machine that is busy, in seconds. */
const PATIENCE_S = 120;

export interface Keys {
  readonly keyId: string;
  readonly applicationKey: string;
}

/** A bucket named `backups` on a server that checks signatures. */
export class Server {
  readonly keys: Keys;
  readonly address: string;
  /** Where the objects are, for tests that damage them. */
  readonly objects: string;
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;

  private constructor(
    child: ChildProcessByStdio<Writable, Readable, null>,
    address: string,
    objects: string,
    keys: Keys,
  ) {
    this.#child = child;
    this.address = address;
    this.objects = objects;
    this.keys = keys;
  }

  static async start(
    folder: string,
    keys: Keys = { keyId: 'test-key-id', applicationKey: 'test-application-key' },
  ): Promise<Server> {
    mkdirSync(folder, { recursive: true });
    const args = ['--root', folder, '--access-key', keys.keyId, '--secret-key', keys.applicationKey];
    // It ends when its input does, however this process ends.
    const child = spawn(tools.s3Server, [...args, '--bucket', 'backups'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const [first] = (await within('the S3 server to start', once(child.stdout, 'data'))) as [Buffer];
    const address = /^listening (\S+)/.exec(first.toString())?.[1];
    if (address === undefined) throw new Error(`the S3 server said ${first.toString()}`);
    child.stdout.resume();
    return new Server(child, address, join(folder, 'backups'), keys);
  }

  /** From now on nobody gets an answer, so that who asks stays as they are; until `goOn`. */
  hold(): void {
    this.#child.kill('SIGSTOP');
  }

  goOn(): void {
    this.#child.kill('SIGCONT');
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.goOn();
    this.#child.stdin.end();
    await ended;
  }
}

/** How a command ended. */
export interface Ended {
  readonly exit: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly err: string;
}

/** The document of `--json`. */
export type Document = Readonly<Record<string, unknown>> & { readonly ok: boolean };

/** A command that runs, or ran; it leads a process group of its own. */
export class Running {
  readonly line: string;
  readonly pid: number;
  readonly ended: Promise<Ended>;
  /** Standard error so far. */
  err = '';
  #out = '';
  #over = false;

  constructor(args: readonly string[], env: NodeJS.ProcessEnv, cwd: string) {
    this.line = `b2-backup ${args.join(' ')}`;
    const child = spawn(process.execPath, [CLI, ...args], {
      env,
      cwd,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    if (child.pid === undefined) throw new Error(`${this.line} did not start`);
    this.pid = child.pid;
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#out += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.err += text;
    });
    child.once('exit', () => {
      this.#over = true;
    });
    this.ended = within(
      `${this.line} to end`,
      once(child, 'close').then(([exit, signal]) => ({ exit, signal, out: this.#out, err: this.err })),
      { seconds: PATIENCE_S, evidence: () => this.#out + this.err },
    );
    this.ended.catch(() => {});
  }

  get over(): boolean {
    return this.#over;
  }

  /** Its worker, while there is one. */
  worker(): number | undefined {
    try {
      const children = readFileSync(`/proc/${this.pid}/task/${this.pid}/children`, 'utf8');
      return children.split(' ').filter(Boolean).map(Number)[0];
    } catch {
      return undefined;
    }
  }

  /** Resolves to its worker once there is one, or to nothing when it ends without. */
  async whenWorking(): Promise<number | undefined> {
    for (;;) {
      const worker = this.worker();
      if (worker !== undefined || this.#over) return worker;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Sends a signal to a process, or to a group when negative. False when it was gone. */
  static signal(pid: number, signal: NodeJS.Signals): boolean {
    try {
      return process.kill(pid, signal);
    } catch {
      return false;
    }
  }
}

/** Somebody who has a state, settings and the command. Whatever the commands start has `tmp` as its TMPDIR. */
export class Person {
  readonly state: string;
  readonly tmp: string;
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;

  /** `folder` is theirs alone. */
  constructor(
    folder: string,
    { keys, address }: Pick<Server, 'keys' | 'address'>,
    extra: NodeJS.ProcessEnv = {},
  ) {
    this.folder = folder;
    this.state = join(folder, 'state');
    this.tmp = join(folder, 'tmp');
    for (const path of [this.state, this.tmp]) mkdirSync(path, { recursive: true });
    this.env = {
      PATH: process.env['PATH'],
      HOME: folder,
      TMPDIR: this.tmp,
      TZ: 'UTC',
      OPENCLAW_STATE_DIR: this.state,
      B2_APPLICATION_KEY_ID: keys.keyId,
      B2_APPLICATION_KEY: keys.applicationKey,
      B2_BUCKET: 'backups',
      B2_ENDPOINT: `http://${address}`,
      B2_REGION: 'us-east-1',
      B2_BACKUP_PASSPHRASE: 'words that nobody guesses',
      ...extra,
    };
  }

  start(...args: readonly string[]): Running {
    return new Running(args, this.env, this.folder);
  }

  run(...args: readonly string[]): Promise<Ended> {
    return this.start(...args).ended;
  }

  /** What a command that must succeed answers. */
  async json<T = Document>(...args: readonly string[]): Promise<T> {
    const { exit, signal, out, err } = await this.run(...args, '--json');
    if (exit !== 0) throw new Error(`${args.join(' ')} ended with ${exit ?? signal}: ${out}${err}`);
    return JSON.parse(out) as T;
  }

  /** Processes that work for this person, or did and were left behind. */
  processes(): number[] {
    const mark = `TMPDIR=${this.tmp}`;
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => {
        try {
          return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(mark);
        } catch {
          return false;
        }
      });
  }

  /** Resolves once nobody works for this person; fails when somebody stays. */
  async alone(): Promise<void> {
    const left = (): string =>
      this.processes()
        .map((pid) => commandLine(pid))
        .join('\n');
    await until('every process to end', () => this.processes().length === 0, { seconds: 30, evidence: left });
  }
}

/** What a process was started as. */
export function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
  } catch {
    return '';
  }
}

/** A configuration by which pruning keeps the newest snapshots and no others; gives its path. */
export function keepNewest(folder: string, keepSnapshots: number): string {
  const path = join(folder, 'keep.json');
  const config = { keepSnapshots, keepDaily: 0, keepWeekly: 0 };
  mkdirSync(folder, { recursive: true });
  writeFileSync(path, JSON.stringify({ plugins: { entries: { 'b2-backup': { config } } } }));
  return path;
}

const execute = promisify(execFile);

const CONFIG = 'openclaw.json';

/** The same value with its keys in order. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, inner]) => [key, sorted(inner)]));
}

/** Makes and compares states: `tools/openclaw_state/`. */
export const states = {
  async generate(folder: string, at: { readonly seed: number; readonly mb: number }): Promise<void> {
    const options = ['--seed', String(at.seed), '--mb', String(at.mb), '--layout', 'db'];
    await execute(tools.state, ['generate', ...options, '--out', folder]);
  },
  /** The agents work for a day. */
  async day(folder: string, at: { readonly seed: number; readonly scale: number }): Promise<void> {
    await execute(tools.state, ['day', '--seed', String(at.seed), '--scale', String(at.scale), folder]);
  },
  /** What two states are compared by. */
  async digest(folder: string): Promise<string> {
    const hash = createHash('sha256').update((await states.entries(folder)).join('\n'));
    return hash.digest('hex');
  },
  /**
   * A line for each entry. OpenClaw's configuration counts by what it says: a rollback writes it anew, with this
   * machine's settings of the plugin and its token in it.
   */
  async entries(folder: string): Promise<string[]> {
    const { stdout } = await execute(tools.state, ['digest', '--list', folder], { maxBuffer: 1 << 26 });
    const config = JSON.parse(readFileSync(join(folder, CONFIG), 'utf8')) as { gateway: { auth: object } };
    config.gateway.auth = {};
    return stdout
      .trimEnd()
      .split('\n')
      .map((entry) =>
        entry.startsWith(`${CONFIG}\t`) ? `${CONFIG}\t${JSON.stringify(sorted(config))}` : entry,
      );
  },
};
