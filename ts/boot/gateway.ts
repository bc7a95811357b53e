/** The OpenClaw of a trial start: its environment, its process, and what it answers. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { PORT_VARIABLE } from './common.js';
import type { Gateway } from './prepare.js';
import type { Answers, BootJob, Expected } from './types.js';

/** How often it is looked whether OpenClaw is ready, milliseconds. */
const LOOK_MS = 200;
/** How long one question may take, milliseconds. */
const ANSWER_MS = 60_000;
/** So much of the end of the log goes into a message, characters. */
const TAIL_CHARS = 1_500;
/** How many of the last messages of a session are asked for: what an interrupted turn adds comes after the last one. */
const LAST = 20;
/** What OpenClaw gives up its own start with after five seconds on a busy machine. It says nothing of the backup. */
const TOO_BUSY = /lease heartbeat did not become ready/;
/** So often it is started then. */
const STARTS = 3;
/** So many sessions or jobs are asked for at once. */
const PAGE = 200;

/** A home of its own, and no channel, provider, job, model, watcher or browser, as the host's own trial of an update has it. */
export function environment(job: BootJob, configPath: string, port: number): NodeJS.ProcessEnv {
  const state = job.roots[0]?.to ?? job.folder;
  const home = join(job.folder, 'home');
  const temporary = join(job.folder, 'tmp');
  const skipped = [
    'CHANNELS',
    'PROVIDERS',
    'CRON',
    'GMAIL_WATCHER',
    'CANVAS_HOST',
    'BROWSER_CONTROL_SERVER',
    'STARTUP_MODEL_PREWARM',
  ];
  return {
    PATH: '/usr/local/bin:/usr/bin:/bin',
    LANG: 'C.UTF-8',
    HOME: home,
    USERPROFILE: home,
    TMPDIR: temporary,
    TMP: temporary,
    TEMP: temporary,
    OPENCLAW_HOME: home,
    OPENCLAW_STATE_DIR: state,
    OPENCLAW_CONFIG_PATH: configPath,
    ...Object.fromEntries(skipped.map((what) => [`OPENCLAW_SKIP_${what}`, '1'])),
    OPENCLAW_NO_AUTO_UPDATE: '1',
    OPENCLAW_NO_RESPAWN: '1',
    OPENCLAW_OFFLINE: '1',
    OPENCLAW_DISABLE_BONJOUR: '1',
    OPENCLAW_EXEC_SHELL_SNAPSHOT: '0',
    NO_COLOR: '1',
    ...(job.alone
      ? {}
      : {
          [PORT_VARIABLE]: `${port}`,
          NODE_OPTIONS: `--import ${pathToFileURL(fileURLToPath(new URL('./no-network.js', import.meta.url))).href}`,
        }),
  };
}

/** Processes of OpenClaw that run. */
const running = new Set<ChildProcess>();

/** Ends them at once: there is nothing to save. */
export function endAll(): void {
  for (const child of running) child.kill('SIGKILL');
}

/** Runs a command of OpenClaw to its end, and gives what it printed. */
export async function command(
  job: BootJob,
  env: NodeJS.ProcessEnv,
  args: readonly string[],
): Promise<{ code: number | null; out: string }> {
  const child = spawn(process.execPath, [job.openclaw, ...args], {
    env,
    cwd: job.folder,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  running.add(child);
  let out = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
  });
  const stop = setTimeout(() => child.kill('SIGKILL'), job.patienceMs);
  const code = await new Promise<number | null>((resolve) => {
    child.once('error', () => resolve(null));
    child.once('close', resolve);
  });
  clearTimeout(stop);
  running.delete(child);
  return { code, out };
}

/** Starts a gateway, and waits until it is ready; `problem` says why it did not become so. `began` is told of each process. */
export async function startTrial(
  job: BootJob,
  env: NodeJS.ProcessEnv,
  at: Gateway,
  began: (pid: number | undefined) => void,
): Promise<{ gateway: TrialGateway; problem: string | undefined }> {
  for (let start = 1; ; start++) {
    const gateway = new TrialGateway(job, env, at);
    began(gateway.pid);
    const problem = await gateway.ready();
    if (problem === undefined || start === STARTS || !TOO_BUSY.test(problem)) return { gateway, problem };
    await gateway.stop();
  }
}

/** A gateway that was started. */
export class TrialGateway {
  readonly #child: ChildProcess;
  readonly #job: BootJob;
  readonly #gateway: Gateway;
  readonly #log: string;
  readonly #ended: Promise<string>;
  #how: string | undefined;
  #client: Client | undefined;

  constructor(job: BootJob, env: NodeJS.ProcessEnv, gateway: Gateway) {
    this.#job = job;
    this.#gateway = gateway;
    this.#log = join(job.folder, 'gateway.log');
    const log = openSync(this.#log, 'a', 0o600);
    this.#child = spawn(process.execPath, [job.openclaw, 'gateway', 'run'], {
      env,
      cwd: job.folder,
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    running.add(this.#child);
    this.#ended = new Promise((resolve) => {
      this.#child.once('error', (error) => resolve(error.message));
      this.#child.once('exit', (code, signal) => resolve(signal ?? `exit status ${code}`));
    });
    void this.#ended.then((how) => {
      running.delete(this.#child);
      this.#how = how;
    });
  }

  /** The id of its process. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Waits until it says that it is ready; says why it did not become so. */
  async ready(): Promise<string | undefined> {
    const until = Date.now() + this.#job.patienceMs;
    for (;;) {
      if (this.#how !== undefined)
        return `OpenClaw ended with ${this.#how} instead of starting: ${this.#tail()}`;
      if (Date.now() > until)
        return `OpenClaw was not ready after ${this.#job.patienceMs / 1000} s: ${this.#tail()}`;
      try {
        const answer = await fetch(`http://127.0.0.1:${this.#gateway.port}/readyz`, {
          signal: AbortSignal.timeout(ANSWER_MS),
        });
        if (answer.ok) return undefined;
      } catch {
        // It does not listen yet.
      }
      await sleep(LOOK_MS);
    }
  }

  /** Who the agents are, and where each of them works. @throws what the connection says */
  async agents(): Promise<ReadonlyMap<string, string>> {
    const client = await this.#connected();
    const { agents } = (await client.request('agents.list', {})) as {
      agents: { id: string; workspace?: string }[];
    };
    return new Map(agents.map(({ id, workspace }) => [id, workspace ?? '']));
  }

  /** Asks for the rest of what is expected. @throws what the connection says */
  async ask({ sessions, memoryFiles }: Expected): Promise<Answers> {
    const client = await this.#connected();
    const messages = new Map<string, readonly string[] | Error>();
    for (const { key, last } of sessions) {
      if (last !== undefined) messages.set(key, await lastMessages(client, key));
    }
    const files = new Map<string, string | Error>();
    for (const { agent, name } of memoryFiles) {
      files.set(`${agent}/${name}`, await contentOf(client, agent, name));
    }
    const found = new Map<string, string>();
    for (const archived of [false, true]) {
      const rows = await pages(client, 'sessions.list', { archived }, 'sessions');
      for (const { key, sessionId } of rows) found.set(`${key}`, `${sessionId}`);
    }
    const jobs = await pages(client, 'cron.list', { includeDisabled: true }, 'jobs');
    return { sessions: found, messages, files, jobs: new Set(jobs.map(({ id }) => `${id}`)) };
  }

  /** Ends it at once: there is nothing to save. */
  async stop(): Promise<void> {
    this.#client?.stop();
    this.#child.kill('SIGKILL');
    await this.#ended;
  }

  /** By OpenClaw's own client, which speaks whatever this version speaks. */
  async #connected(): Promise<Client> {
    this.#client ??= await this.#connect();
    return this.#client;
  }

  async #connect(): Promise<Client> {
    const resolve = createRequire(pathToFileURL(join(dirname(this.#job.openclaw), 'package.json'))).resolve;
    const sdk = (await import(pathToFileURL(resolve('openclaw/plugin-sdk/gateway-runtime')).href)) as {
      GatewayClient: new (options: object) => Client;
    };
    return new Promise((done, fail) => {
      const late = setTimeout(() => fail(new Error('OpenClaw did not greet its client')), ANSWER_MS);
      const client = new sdk.GatewayClient({
        url: `ws://127.0.0.1:${this.#gateway.port}`,
        token: this.#gateway.token,
        role: 'operator',
        scopes: ['operator.read', 'operator.admin'],
        clientName: 'gateway-client',
        clientDisplayName: 'b2-backup drill',
        mode: 'backend',
        platform: process.platform,
        onHelloOk: () => {
          clearTimeout(late);
          done(client);
        },
      });
      client.start();
    });
  }

  #tail(): string {
    try {
      const lines = readFileSync(this.#log, 'utf8').trim();
      return lines === '' ? 'it said nothing' : lines.slice(-TAIL_CHARS);
    } catch {
      return 'it said nothing';
    }
  }
}

async function contentOf(client: Client, agentId: string, name: string): Promise<string | Error> {
  try {
    const { file } = (await client.request('agents.files.get', { agentId, name })) as {
      file: { content?: string; missing?: boolean };
    };
    return file.content ?? new Error('it is not there');
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

interface Client {
  start(): void;
  stop(): void;
  request(method: string, params: object): Promise<unknown>;
}

/** All rows of a list that is given in pages. */
async function pages(
  client: Client,
  method: string,
  params: object,
  field: string,
): Promise<{ readonly [name: string]: unknown }[]> {
  const all: { readonly [name: string]: unknown }[] = [];
  for (let offset: number | null = 0; offset !== null; ) {
    const page = (await client.request(method, { ...params, limit: PAGE, offset })) as {
      readonly nextOffset?: number | null;
      readonly [name: string]: unknown;
    };
    all.push(...(page[field] as typeof all));
    offset = page.nextOffset ?? null;
  }
  return all;
}

async function lastMessages(client: Client, sessionKey: string): Promise<readonly string[] | Error> {
  try {
    const { messages } = (await client.request('chat.history', { sessionKey, limit: LAST })) as {
      messages: { __openclaw?: { id?: string } }[];
    };
    return messages.flatMap(({ __openclaw }) => __openclaw?.id ?? []);
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}
