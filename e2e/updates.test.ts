/**
 * OpenClaw started on what was restored, and updates of OpenClaw taken back, with real versions of it. What takes an hour (each
 * fault alone, versions from the registry) runs with `npm run campaign -- updates`.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { full, report } from '../__test__/campaign-support.ts';
import type { Engine, Settings } from '../ts/index.ts';
import { FAULTS } from './support/boot-faults.ts';
import { Gateway, Home } from './support/gateway.ts';
import { node24, openclawPackage, project, support } from './support/host.ts';
import { Model } from './support/model.ts';
import { type Finished, finish, Program } from './support/processes.ts';
import { change } from './support/sqlite.ts';
import { until } from './support/until.ts';

/** A start of OpenClaw takes a minute on a busy machine; milliseconds. */
const LONG_MS = 600_000;
/** The versions between which updates are made and undone; all of them run on the Node of these tests. */
const OLD = '2026.9.5';
const NEW = '2026.9.6';
const PASSPHRASE = 'correct horse battery staple nine';
/** What is about this machine, and stays as it is: what is installed, and when the gateway ran. */
const STAYS =
  /^state\/openclaw\.sqlite: [-+]INSERT INTO "(gateway_boot_lifecycle"|config_machine_state" VALUES\('plugins\.installedIndex')/;

interface Boot {
  readonly snapshot: string;
  readonly version: string;
  readonly alone: boolean;
  readonly sessions: number;
  readonly messages: number;
  readonly agents: number;
  readonly jobs: number;
  readonly memoryFiles: number;
  readonly problems: readonly string[];
}

let model: Model;
let home: Home;
/** Where everything that the user configured leads to, and how often somebody came. */
let world: Server;
let connections = 0;

/** `b2-backup ARGS` beside OpenClaw, as in a shell. */
function start(args: readonly string[]): Program {
  const env = {
    ...home.env,
    PATH: `${join(home.path, 'bin')}:${home.env['PATH']}`,
    OPENCLAW_STATE_DIR: home.stateDir,
    B2_BUCKET: `file://${join(home.path, 'bucket')}`,
    B2_BACKUP_PASSPHRASE: PASSPHRASE,
  };
  return new Program(`b2-backup ${args.join(' ')}`, node24, [cliProgram, ...args], { env });
}

const run = (...args: string[]): Promise<Finished> => finish(start(args), { seconds: 500 });

async function drill(): Promise<{ exit: number | null; boot: Boot; message?: string }> {
  const { code, out } = await run('drill', '--boot', '--json');
  return { ...(JSON.parse(out) as { boot: Boot; message?: string }), exit: code };
}

beforeAll(async () => {
  world = createServer((socket) => {
    connections++;
    socket.destroy();
  }).listen(0, '127.0.0.1');
  await until('the world to listen', () => world.listening);
  const url = `http://127.0.0.1:${(world.address() as { port: number }).port}`;
  model = await Model.start();
  home = await Home.create(model);
  for (const folder of ['bucket', 'bin']) mkdirSync(join(home.path, folder));
  symlinkSync(join(openclawPackage, 'openclaw.mjs'), join(home.path, 'bin', 'openclaw'));
  const config = home.readConfig() as ReturnType<Home['readConfig']> & {
    agents: { entries?: object; defaults: { heartbeat: object } };
    models: { providers: { mock: { baseUrl: string } } };
  };
  config.agents.entries = { main: { default: true }, work: { workspace: join(home.path, 'proj') } };
  home.writeConfig(config);
  const gateway = await Gateway.start(home);
  try {
    await gateway.agent('SAY hello');
    await (await gateway.operator()).say('SAY from work', { sessionKey: 'agent:work:main' });
    await gateway.call('cron.add', {
      name: 'due',
      enabled: true,
      schedule: { kind: 'every', everyMs: 60_000 },
      sessionTarget: 'isolated',
      wakeMode: 'now',
      payload: { kind: 'agentTurn', message: 'SAY due' },
    });
  } finally {
    await gateway.stop();
  }
  writeFileSync(join(home.stateDir, 'workspace', 'MEMORY.md'), '# Memory\nthe cat is called Minka\n');
  // A machine that talks to the whole world, with a job that is due at once.
  config.models.providers.mock.baseUrl = `${url}/v1`;
  config.agents.defaults.heartbeat = { every: '1m' };
  home.writeConfig({
    ...config,
    channels: { telegram: { enabled: true, botToken: '1:abcdefghijklmnopqrstuvwxyz', apiRoot: url } },
    hooks: { enabled: true, token: '0123456789abcdef0123456789abcdef', path: '/hooks' },
    mcp: { servers: { far: { url: `${url}/mcp` } } },
  });
  await change(
    join(home.stateDir, 'state', 'openclaw.sqlite'),
    `UPDATE cron_jobs SET state_json = '{"nextRunAtMs":1}' WHERE declaration_key IS NULL`,
  );
  expect((await run('push')).code).toBe(0);
  // Before anything is planted.
  cpSync(home.stateDir, whole(), { recursive: true, verbatimSymlinks: true });
}, LONG_MS);

afterAll(async () => {
  world?.close();
  await model?.close();
  home?.remove();
}, LONG_MS);

const trial = (): string => join(home.stateDir, 'b2-backup', 'boot');
/** The state as it was, for each fault alone. */
const whole = (): string => join(home.path, 'whole');

/** What the plugin works with, whatever the configuration says by then. */
const settings = (): Settings =>
  ({
    stateDir: home.stateDir,
    bucket: `file://${join(home.path, 'bucket')}`,
    passphrase: PASSPHRASE,
  }) as Settings;
const built = (path: string): Promise<unknown> => import(join(project, 'dist', path));

async function engine(): Promise<Engine> {
  return ((await built('engine.js')) as { createEngine: () => Engine }).createEngine();
}

/** Starts OpenClaw on the newest snapshot, as the gateway does each month. */
async function bootLatest(
  withoutNetwork?: () => Promise<undefined>,
): Promise<Boot & { warnings: readonly string[] }> {
  const { bootDrill } = (await built('boot/drill.js')) as typeof import('../ts/boot/drill.ts');
  const findOpenClaw = () => [node24, join(openclawPackage, 'openclaw.mjs')];
  const isolated = withoutNetwork === undefined ? {} : { withoutNetwork };
  return bootDrill({ engine: await engine(), findOpenClaw, ...isolated }, settings(), 'latest');
}

describe('a trial start', () => {
  it(
    'has all that is in the snapshot, tells nobody, and leaves nothing',
    async () => {
      const { exit, boot } = await drill();
      expect(boot.problems).toEqual([]);
      expect(exit).toBe(0);
      expect(boot).toMatchObject({ agents: 2, sessions: 2, messages: 2, jobs: 1, memoryFiles: 1 });
      expect(connections).toBe(0);
      expect(existsSync(trial())).toBe(false);
      const { booted } = JSON.parse((await run('status', '--json')).out) as { booted: unknown };
      expect(booted).toMatchObject({ snapshot: boot.snapshot, version: boot.version });
      // It lies in a folder of these tests.
      const { snapshots } = JSON.parse((await run('list', '--json')).out) as { snapshots: unknown[] };
      const version = expect.any(Number);
      expect(snapshots).toMatchObject([
        {
          hostInstall: 'other',
          hostSchemas: [
            { path: 'agents/main/agent/openclaw-agent.sqlite', version },
            { path: 'agents/work/agent/openclaw-agent.sqlite', version },
            { path: 'state/openclaw.sqlite', version },
          ],
        },
      ]);
    },
    LONG_MS,
  );

  it(
    'tells nobody where the system gives it no network of its own either',
    async () => {
      const boot = await bootLatest(async () => undefined);
      expect(boot.problems).toEqual([]);
      expect(boot.alone).toBe(false);
      expect(boot.warnings.join()).toContain('kept from the network');
      expect(connections).toBe(0);
    },
    LONG_MS,
  );

  it(
    'ends with whoever wanted it, and leaves its folder to the next one',
    async () => {
      const program = start(['drill', '--boot']);
      const pid = await until('the gateway of the trial', () => pidOf(trial()), { seconds: 300 });
      await program.kill();
      await until('its end', () => !existsSync(`/proc/${pid}`));
      expect(existsSync(trial())).toBe(true);
    },
    LONG_MS,
  );

  it(
    'finds what hashes cannot see',
    async () => {
      const named = ['a list of sessions without their messages', 'a job of another state directory'];
      const planted = FAULTS.filter(({ name }) => named.includes(name));
      for (const fault of planted) await fault.plant(home.stateDir);
      expect((await run('push')).code).toBe(0);
      const { exit, boot, message } = await drill();
      expect(exit).toBe(1);
      for (const { said } of planted) expect(boot.problems.join('\n')).toMatch(said);
      expect(message).toContain('OpenClaw does not have all of it');
      expect(connections).toBe(0);
      // What a killed one left is gone.
      expect(existsSync(trial())).toBe(false);
    },
    LONG_MS,
  );
});

describe('after an update', () => {
  it(
    'what it lost is found, on databases of OpenClaw',
    async () => {
      const { checkUpdate } = (await built('updates/check.js')) as typeof import('../ts/updates/check.ts');
      rmSync(home.stateDir, { recursive: true });
      cpSync(whole(), home.stateDir, { recursive: true, verbatimSymlinks: true });
      const backup = await engine();
      await backup.push({ ...settings(), hostVersion: OLD }, {});
      const after = { ...settings(), hostVersion: NEW };
      // The versions are made up, the databases are not.
      expect(await checkUpdate(backup, after, {}, { node: node24 })).toMatchObject({
        missing: [],
        counted: { agents: 2, sessions: 2, jobs: 1, memoryFiles: 1 },
      });
      await change(
        home.agentDatabase(),
        'DELETE FROM transcript_event_identities; DELETE FROM transcript_events',
      );
      await change(home.agentDatabase('work'), 'DELETE FROM session_nodes');
      await change(
        join(home.stateDir, 'state', 'openclaw.sqlite'),
        'DELETE FROM cron_jobs WHERE declaration_key IS NULL',
      );
      rmSync(join(home.stateDir, 'workspace', 'MEMORY.md'));
      // The name of a snapshot has seconds.
      const second = Math.floor(Date.now() / 1000);
      await until('another second', () => Math.floor(Date.now() / 1000) > second);
      await backup.push(after, {});
      const found = await checkUpdate(backup, after, {}, { node: node24 });
      expect(found?.missing.map(({ text }) => text)).toEqual([
        expect.stringMatching(/^(\d+) of the \1 messages of the session agent:main:main$/),
        expect.stringMatching(/^the session agent:work:main \(\d+ messages\)$/),
        'the job "due"',
        'the memory file workspace/MEMORY.md',
      ]);
      expect(existsSync(join(home.stateDir, 'b2-backup', 'survey'))).toBe(false);
    },
    LONG_MS,
  );
});

function pidOf(folder: string): number | undefined {
  const file = join(folder, 'gateway.pid');
  return existsSync(file) ? Number(readFileSync(file, 'utf8')) : undefined;
}

describe.runIf(full)('each fault that hashes cannot see', () => {
  const count = { planted: 0, found: 0 };
  afterAll(() => report('updates', 'faults that hashes cannot see', count));

  it.each(FAULTS.map((fault) => [fault.name, fault] as const))(
    'is found: %s',
    async (_name, { plant, said }) => {
      rmSync(home.stateDir, { recursive: true });
      cpSync(whole(), home.stateDir, { recursive: true, verbatimSymlinks: true });
      await plant(home.stateDir);
      count.planted++;
      // The command itself refuses to store by a configuration that is spoilt; a gateway that runs does not notice.
      await (await engine()).push(settings(), { acceptMissing: ['agents'] });
      const { problems } = await bootLatest();
      expect(problems.join('\n')).toMatch(said);
      expect(connections).toBe(0);
      count.found++;
    },
    LONG_MS,
  );

  it(
    'is not there without one',
    async () => {
      rmSync(home.stateDir, { recursive: true });
      cpSync(whole(), home.stateDir, { recursive: true, verbatimSymlinks: true });
      await (await engine()).push(settings(), {});
      expect((await bootLatest()).problems).toEqual([]);
    },
    LONG_MS,
  );
});

describe.runIf(full)('an update that is undone, with versions from the registry', () => {
  it(
    'gives version and conversations back, and forth again',
    async () => {
      const prefix = join(home.path, 'prefix');
      const modules = join(prefix, 'lib', 'node_modules');
      const own = await Home.create(model, {
        env: { ...certificates(), PATH: `${join(prefix, 'bin')}:${home.env['PATH']}` },
      });
      const env = {
        ...own.env,
        OPENCLAW_STATE_DIR: own.stateDir,
        B2_BUCKET: `file://${join(home.path, 'updates')}`,
        B2_BACKUP_PASSPHRASE: PASSPHRASE,
      };
      mkdirSync(join(home.path, 'updates'));
      const npm = join(node24, '..', '..', 'lib', 'node_modules', 'npm', 'bin', 'npm-cli.js');
      const install = async (version: string): Promise<void> => {
        const args = [
          npm,
          'install',
          '-g',
          '--prefix',
          prefix,
          '--allow-scripts=openclaw',
          `openclaw@${version}`,
        ];
        expect(
          (await finish(new Program(`npm ${version}`, node24, args, { env }), { seconds: 500 })).code,
        ).toBe(0);
      };
      const shell = async (...args: string[]): Promise<Finished> => {
        const done = await finish(new Program('b2-backup', node24, [cliProgram, ...args], { env }), {
          seconds: 500,
        });
        expect(done.code, done.err).toBe(0);
        return done;
      };
      const version = (): unknown =>
        (JSON.parse(readFileSync(join(modules, 'openclaw', 'package.json'), 'utf8')) as { version: unknown })
          .version;
      /** Says something to the agent, if anything, and gives all that was said. */
      const use = async (words?: string): Promise<string> => {
        const gateway = await Gateway.start(own, { openclaw: join(modules, 'openclaw') });
        try {
          if (words !== undefined) await gateway.agent(`SAY ${words}`);
          // The old version refuses to start beside the database that the new one makes for another agent.
          if (words === 'in the new one')
            await (await gateway.operator()).say('SAY later', { sessionKey: 'agent:later:main' });
          return JSON.stringify(await gateway.call('chat.history', { sessionKey: 'agent:main:main' }));
        } finally {
          await gateway.stop();
        }
      };
      const config = own.readConfig() as ReturnType<Home['readConfig']> & { agents: { entries?: object } };
      config.agents.entries = { main: { default: true }, later: { workspace: join(own.path, 'later') } };
      own.writeConfig(config);
      await install(OLD);
      await use('in the old one');
      await shell('push');
      // For eyes that are not ours.
      const kept = (name: string): string => join(home.path, `kept-${name}`);
      cpSync(own.stateDir, kept('state'), { recursive: true, verbatimSymlinks: true });
      execFileSync('cp', ['-al', join(modules, 'openclaw'), kept('package')]);
      await install(NEW);
      expect(await use('in the new one')).toContain('in the old one');
      const undone = JSON.parse((await shell('undo-update', '--yes', '--json')).out) as { safety: string };
      expect(undone).toMatchObject({ from: NEW, to: OLD, gateway: 'not-running' });
      expect(version()).toBe(OLD);
      execFileSync('diff', ['-r', '--no-dereference', kept('package'), join(modules, 'openclaw')]);
      const compare = [support('same-state.py'), kept('state'), own.stateDir];
      const { changed } = JSON.parse(execFileSync('python3', compare, { encoding: 'utf8' })) as {
        readonly changed: readonly string[];
      };
      expect(changed.filter((line) => !STAYS.test(line))).toEqual([]);
      expect(existsSync(own.agentDatabase('later'))).toBe(false);
      const old = await use('in the old one again');
      expect(old).toContain('in the old one');
      expect(old).not.toContain('in the new one');
      await shell('push');
      // As its page says.
      await install(NEW);
      await use();
      await shell('restore', undone.safety, '--yes');
      expect(version()).toBe(NEW);
      const now = await use();
      expect(now).toContain('in the new one');
      expect(now).not.toContain('in the old one again');
      own.remove();
    },
    2 * LONG_MS,
  );
});

const cliProgram = join(project, 'dist', 'cli.js');

/** Where the registry is reached through somebody who looks into it, as in a company. */
function certificates(): NodeJS.ProcessEnv {
  const names = Object.keys(process.env).filter((name) =>
    /^(NODE_EXTRA_CA_CERTS|SSL_CERT|npm_config_|https?_proxy)/i.test(name),
  );
  return Object.fromEntries(names.map((name) => [name, process.env[name]]));
}
