/** A home with OpenClaw in it, and its gateway. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { compileCache, environment, logs, node24, openclawPackage } from './host.ts';
import type { Model } from './model.ts';
import { Operator } from './operator.ts';
import { type Exit, type Finished, finish, Program } from './processes.ts';
import type { Registry } from './registry.ts';
import { query } from './sqlite.ts';
import { type Patience, until, within } from './until.ts';

/** `openclaw.json`, as far as tests look into it. */
export interface HostConfig {
  gateway: { port: number; auth: { mode: string; token: string } };
  plugins?: { entries?: Record<string, { enabled?: boolean; config?: Record<string, unknown> }> };
  [section: string]: unknown;
}

/** What the gateway says about its plugins. */
export interface Health {
  readonly plugins: {
    readonly loaded: readonly string[];
    readonly errors: readonly {
      readonly id: string;
      readonly failurePhase: string;
      readonly error: string;
    }[];
  };
}

/** The context window that the model claims, in tokens. */
export const CONTEXT_WINDOW = 64_000;
const PLUGIN_ID = 'b2-backup';

/** How a home is made. */
export interface HomeOptions {
  readonly tools?: object;
  readonly env?: NodeJS.ProcessEnv;
  /** The path of another home. */
  readonly like?: string;
}

/** A user's home: configuration, state, temporary files, all in a folder of its own. */
export class Home {
  readonly path: string;
  readonly stateDir: string;
  readonly configPath: string;
  readonly #extraEnv: NodeJS.ProcessEnv;

  private constructor(path: string, extraEnv: NodeJS.ProcessEnv) {
    this.path = path;
    this.stateDir = join(path, '.openclaw');
    this.configPath = join(this.stateDir, 'openclaw.json');
    this.#extraEnv = extraEnv;
  }

  /**
   * A home in which a user has set OpenClaw up with `model`. Our plugin is in it when it is made `like` a home in
   * which it was installed and that is at rest.
   */
  static async create(
    model: Pick<Model, 'url'>,
    { tools = { alsoAllow: ['b2_rollback'] }, env = {}, like }: HomeOptions = {},
  ): Promise<Home> {
    const home = new Home(mkdtempSync(join(tmpdir(), 'b2-gateway-')), env);
    mkdirSync(join(home.path, 'tmp'));
    mkdirSync(compileCache, { recursive: true });
    // Where OpenClaw keeps it. Told by an environment variable, it would start itself a second time.
    symlinkSync(compileCache, join(home.path, 'tmp', 'node-compile-cache'));
    if (like === undefined) mkdirSync(home.stateDir, { mode: 0o700 });
    else await home.#copy(like);
    const config: HostConfig = {
      ...(like === undefined ? {} : home.readConfig()),
      gateway: {
        mode: 'local',
        bind: 'loopback',
        port: await freePort(),
        auth: { mode: 'token', token: randomBytes(24).toString('hex') },
      } as HostConfig['gateway'],
      models: { catalogRefresh: { enabled: false }, providers: { mock: provider(model.url) } },
      agents: {
        defaults: {
          model: { primary: 'mock/m1' },
          skipBootstrap: true,
          heartbeat: { every: '0m' },
          compaction: { mode: 'default', keepRecentTokens: 500 },
        },
      },
      // Not the one in /tmp that all of a user's gateways write to.
      logging: { file: join(logs, `${basename(home.path)}.host.log`) },
      tools,
    };
    home.writeConfig(config);
    return home;
  }

  async #copy(path: string): Promise<void> {
    cpSync(join(path, '.openclaw'), this.stateDir, { recursive: true, verbatimSymlinks: true });
    // Where OpenClaw has noted what is installed, with its full path.
    await query(
      join(this.stateDir, 'state', 'openclaw.sqlite'),
      'UPDATE config_machine_state SET value_json = replace(value_json, ?, ?)',
      path,
      this.path,
    );
  }

  get env(): NodeJS.ProcessEnv {
    return environment(this.path, { ...HOST_ENVIRONMENT, ...this.#extraEnv });
  }

  readConfig(): HostConfig {
    return JSON.parse(readFileSync(this.configPath, 'utf8')) as HostConfig;
  }

  /** In one step, as the host expects it from an editor. */
  writeConfig(config: HostConfig): void {
    const next = `${this.configPath}.next`;
    writeFileSync(next, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
    renameSync(next, this.configPath);
  }

  agentDatabase(agent = 'main'): string {
    return join(this.stateDir, 'agents', agent, 'agent', 'openclaw-agent.sqlite');
  }

  /** Sets the plugin's own settings; undefined ones go away. */
  configurePlugin(settings: Record<string, unknown>): void {
    const config = this.readConfig();
    const { entries = {} } = config.plugins ?? {};
    const entry = entries[PLUGIN_ID] ?? {};
    // Through JSON, which has no undefined.
    const merged = JSON.parse(JSON.stringify({ ...entry.config, ...settings })) as Record<string, unknown>;
    config.plugins = {
      ...config.plugins,
      entries: { ...entries, [PLUGIN_ID]: { ...entry, config: merged } },
    };
    this.writeConfig(config);
  }

  /** Runs `openclaw ARGS` to its end; `input` is what it reads. */
  async openclaw(
    args: readonly string[],
    { seconds = 120, input }: { seconds?: number; input?: string } = {},
  ): Promise<Finished> {
    const program = new Program(`openclaw ${args.join(' ')}`, node24, [openclawProgram, ...args], {
      env: this.env,
      cwd: this.path,
      input: input !== undefined,
    });
    if (input !== undefined) program.end(input);
    return await finish(program, { seconds });
  }

  /** What `openclaw doctor` finds. */
  async findings(): Promise<string[]> {
    const { out } = await this.openclaw(['doctor', '--lint', '--json'], { seconds: 300 });
    const { findings } = JSON.parse(out) as { findings: { checkId: string; message: string }[] };
    return findings.map(({ checkId, message }) => `${checkId}: ${message}`).sort();
  }

  /** As a user installs the plugin. @throws when OpenClaw says that it did not work */
  async install(registry: Registry, spec = 'npm:@openclaw/b2-backup'): Promise<Finished> {
    writeFileSync(join(this.path, '.npmrc'), registry.npmrc);
    const result = await this.openclaw(['plugins', 'install', spec, '--force', '--accept-capabilities']);
    if (result.code !== 0)
      throw new Error(`plugins install ended with ${result.code}\n${result.out}\n${result.err}`);
    return result;
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** The gateway restarts in its own process, and nothing looks beyond loopback or into a login shell. */
const HOST_ENVIRONMENT = {
  OPENCLAW_NO_RESPAWN: '1',
  OPENCLAW_NO_AUTO_UPDATE: '1',
  OPENCLAW_DISABLE_BONJOUR: '1',
  OPENCLAW_EXEC_SHELL_SNAPSHOT: '0',
};

const openclawProgram = join(openclawPackage, 'openclaw.mjs');

function provider(baseUrl: string): object {
  const cost = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 };
  const limits = { contextWindow: CONTEXT_WINDOW, maxTokens: 2_048 };
  return {
    baseUrl,
    apiKey: 'none',
    api: 'openai-completions',
    models: [{ id: 'm1', name: 'm1', reasoning: false, input: ['text'], cost, ...limits }],
  };
}

/** A running `openclaw gateway run`. */
export class Gateway {
  readonly home: Home;
  readonly #program: Program;
  /** The package that runs. */
  readonly #openclaw: string;
  #operator: Operator | undefined;

  private constructor(home: Home, program: Program, openclaw: string) {
    this.home = home;
    this.#program = program;
    this.#openclaw = openclaw;
  }

  /**
   * Starts the gateway and waits until it is ready for work. `env` is for it alone, not for other commands; `openclaw` is the
   * directory of another version of it.
   */
  static async start(
    home: Home,
    {
      seconds = 120,
      env = {},
      openclaw = openclawPackage,
    }: { seconds?: number; env?: NodeJS.ProcessEnv; openclaw?: string } = {},
  ): Promise<Gateway> {
    const gateway = new Gateway(
      home,
      new Program('gateway', node24, [join(openclaw, 'openclaw.mjs'), 'gateway', 'run'], {
        env: { ...home.env, ...env },
        cwd: home.path,
        log: join(logs, `${basename(home.path)}.log`),
      }),
      openclaw,
    );
    try {
      await gateway.until('to be ready', () => gateway.isReady(), { seconds });
      return gateway;
    } catch (error) {
      await gateway.kill();
      throw error;
    }
  }

  get pid(): number {
    return this.#program.pid;
  }

  /** Everything that the gateway has printed. */
  get log(): string {
    return this.#program.output;
  }

  tail(lines?: number): string {
    return this.#program.tail(lines);
  }

  /** A connection to the gateway, made when it is first needed. */
  async operator(): Promise<Operator> {
    const { port, auth } = this.home.readConfig().gateway;
    // Its client opens the state of this home, and brings it up to its own schema.
    this.#operator ??= await Operator.connect(port, auth.token, this.home.path, undefined, this.#openclaw);
    return this.#operator;
  }

  async call<T = Record<string, unknown>>(method: string, params: object = {}, seconds = 60): Promise<T> {
    return await (await this.operator()).request<T>(method, params, seconds);
  }

  /** Has the agent do something, and gives its answer. */
  async agent(message: string, seconds = 60): Promise<string> {
    return (await (await this.operator()).say(message, { seconds })).text;
  }

  /** The gateway's health as it is now; the command `openclaw health` may show what it was a minute ago. */
  async health(): Promise<Health> {
    return await this.call<Health>('health', { probe: true });
  }

  /** Compacts the main session, as a user asks for it. */
  async compact(key = 'agent:main:main'): Promise<Record<string, unknown>> {
    return await this.call('sessions.compact', { key }, 120);
  }

  /** Waits for a line in the log, among those after the first `from` characters. */
  async says(pattern: RegExp, { from = 0, seconds = 60 } = {}): Promise<RegExpExecArray> {
    return await this.#program.says(pattern, { from, seconds });
  }

  /** Waits for something to become so, as long as the gateway lives. */
  async until<T>(
    what: string,
    probe: () => T | Promise<T>,
    patience: Omit<Patience, 'evidence'> = {},
  ): Promise<Exclude<T, undefined | false>> {
    const alive = this.#program.exited.then(({ code, signal }) => {
      throw new Error(`the gateway ended with ${signal ?? code} before: ${what}\n${this.tail()}`);
    });
    const found = until(`the gateway ${what}`, probe, { ...patience, evidence: () => this.tail() });
    found.catch(() => {});
    return await Promise.race([found, alive]);
  }

  /** Whether it says that it is ready for work. */
  async isReady(): Promise<boolean> {
    return (await fetch(this.#url('/readyz'))).ok;
  }

  /** Has the gateway start again in its own process, as it does for a rollback. */
  async restart(seconds = 180): Promise<void> {
    const from = this.log.length;
    this.#program.signal('SIGUSR2');
    await this.says(/http server listening/, { from, seconds });
    await this.until('to be ready again', () => this.isReady(), { seconds });
  }

  /** Asks the gateway to end, as a service manager does, and waits until it has. */
  async stop({ seconds = 60 } = {}): Promise<Exit> {
    this.#program.signal('SIGTERM');
    const exit = await within('the gateway to stop', this.#program.exited, {
      seconds,
      evidence: () => this.tail(),
    });
    await this.kill();
    return exit;
  }

  /** Ends the gateway without asking. Harmless when it has ended. */
  async kill(): Promise<void> {
    await this.#operator?.close();
    this.#operator = undefined;
    await this.#program.kill();
  }

  #url(path: string): string {
    return `http://127.0.0.1:${this.home.readConfig().gateway.port}${path}`;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
