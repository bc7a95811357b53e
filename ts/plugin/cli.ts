/** `openclaw b2-backup ...`: the command line of `b2-backup`, with the host's state, settings and secrets. */
import { SECRET_SETTINGS } from '../config.js';
import { createEngine, type Engine } from '../engine.js';
import { type Plugins, readPlugins } from '../loads.js';
import type { HostConfig, PluginApi } from './api.js';
import { saveByHost } from './save-config.js';
import { PLUGIN_ID, stateDirectory } from './settings.js';

const DESCRIPTION = 'Back up and restore the state of OpenClaw with Backblaze B2';

/** Registers the command. Its arguments are ours to read: commander takes them all, unknown options too. */
export function registerCommandLine(api: PluginApi): void {
  api.registerCli?.(
    ({ program, config }) => {
      program
        .command(PLUGIN_ID)
        .description(DESCRIPTION)
        .argument('[command...]')
        .allowUnknownOption(true)
        .allowExcessArguments(true)
        .helpOption(false)
        .action(async () => {
          process.exitCode = await run(api, config, ownArguments(process.argv));
        });
    },
    {
      commands: [PLUGIN_ID],
      descriptors: [
        {
          name: PLUGIN_ID,
          description: DESCRIPTION,
          hasSubcommands: true,
          machineOutput: ({ argv }) => argv.includes('--json'),
        },
      ],
    },
  );
}

/** Options that the host takes anywhere on the command line, and how many values follow each. */
const HOST_OPTIONS: ReadonlyMap<string, number> = new Map([
  ['--no-color', 0],
  ['--dev', 0],
  ['--profile', 1],
  ['--log-level', 1],
  ['--container', 1],
]);

/** What follows our name, but for options of the host: it has read those already. */
export function ownArguments(argv: readonly string[]): string[] {
  const after = argv.slice(argv.indexOf(PLUGIN_ID) + 1);
  const own: string[] = [];
  for (let at = 0; at < after.length; at += 1) {
    const argument = after[at] ?? '';
    if (argument === '--') return [...own, ...after.slice(at)];
    const [name = '', value] = argument.split('=', 2);
    const values = HOST_OPTIONS.get(name);
    if (values === undefined) own.push(argument);
    else if (value === undefined) at += values;
  }
  return own;
}

async function run(api: PluginApi, config: HostConfig, argv: readonly string[]): Promise<number> {
  // On demand: the gateway registers the command and never runs it.
  const { main, systemDeps } = await import('../cli/run.js');
  const deps = systemDeps();
  const stateDir = stateDirectory(api);
  const env = { ...deps.env, OPENCLAW_STATE_DIR: stateDir };
  const engine = resolving(createEngine(), config, env);
  const setup = { ...deps.setup, save: saveByHost(api, stateDir) };
  return main(argv, { ...deps, env, engine, setup, readPlugins: pluginsOf(config), inOpenClaw: true });
}

/**
 * The section `plugins` as the gateway goes by it: as it stands in the file, where that has all of it. The host hands commands
 * one in which plugins that are configured count as enabled, and yet its gateway does not load them.
 */
export function pluginsOf({ plugins = {} }: HostConfig): (path: string) => Promise<Plugins> {
  return async (path) => (await readPlugins(path)) ?? plugins;
}

/**
 * An engine that reads the plugin's settings with all references to secrets resolved. The host does that in the
 * gateway, but not for commands.
 */
function resolving(engine: Engine, config: HostConfig, env: NodeJS.ProcessEnv): Engine {
  return {
    ...engine,
    readHostConfig: async (path) => {
      const read = await engine.readHostConfig(path);
      if (typeof read.config !== 'object' || read.config === null) return read;
      const fields: Record<string, unknown> = { ...read.config };
      for (const field of SECRET_SETTINGS) {
        const value = fields[field];
        if (typeof value === 'object' && value !== null) {
          fields[field] = (await resolveSecret(config, env, field, value)) ?? value;
        }
      }
      return { ...read, config: fields };
    },
  };
}

/** What the host's SDK exports for this. */
interface SecretRuntime {
  resolveConfiguredSecretInputString(request: {
    config: HostConfig;
    env: NodeJS.ProcessEnv;
    value: unknown;
    path: string;
  }): Promise<{ value?: string }>;
}

async function resolveSecret(
  config: HostConfig,
  env: NodeJS.ProcessEnv,
  field: string,
  value: object,
): Promise<string | undefined> {
  // Not resolvable by the compiler, and not there at all on old hosts: then only the environment is read.
  const runtime: string = 'openclaw/plugin-sdk/secret-input-runtime';
  try {
    const { resolveConfiguredSecretInputString } = (await import(runtime)) as SecretRuntime;
    const path = `plugins.entries.${PLUGIN_ID}.config.${field}`;
    return (await resolveConfiguredSecretInputString({ config, env, value, path })).value;
  } catch {
    return undefined;
  }
}
