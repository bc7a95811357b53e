/** What a gateway makes of the configuration, for commands: it backs up by the file alone, if all of that is right. */
import type { Finding, Settings } from '../index.js';
import { ENVIRONMENT, type LoadedSettings, PLACE } from './config.js';
import type { BackupError } from './errors.js';
import { type Plugins, whyNotLoaded } from './loads.js';
import { eachWrong } from './policy.js';

/**
 * What keeps a gateway from backing up by this configuration, each thing apart; or what it does otherwise than this
 * command. Empty where there is nothing to say, and where there is no configuration to judge by. `readPlugins`
 * gives nothing where that section is not known.
 */
export async function gatewayFindings(
  { settings, config, gateway }: Pick<LoadedSettings, 'settings' | 'config' | 'gateway'>,
  readPlugins: (path: string) => Promise<Plugins | undefined>,
): Promise<readonly Finding[]> {
  const path = settings.configPath;
  if (path === undefined || gateway === undefined) return [];
  const plugins = await readPlugins(path);
  const configured = config !== null && config !== undefined;
  const out = plugins && whyNotLoaded(plugins);
  const unloaded =
    out &&
    finding(
      // Who backs up with the command alone has no settings there, and no need of a gateway.
      configured ? 'problem' : 'note',
      `it backs up nothing, since OpenClaw does not load this plugin: ${out.reason}`,
      `${out.advice} in ${path}`,
    );
  if (!configured && (unloaded !== undefined || plugins === undefined)) return unloaded ? [unloaded] : [];
  const wrong = gateway instanceof Error ? wrongSettings(gateway, path) : [];
  const all = [...(unloaded ? [unloaded] : []), ...wrong];
  return all.length > 0 || gateway instanceof Error ? all : otherwise(settings, gateway, config, path);
}

/** What is wrong with settings in the file, each apart. */
export function wrongSettings(error: BackupError, path: string): readonly Finding[] {
  return eachWrong(error).map((message) =>
    finding('problem', `it backs up nothing: ${message}`, `Put it right in ${path} under ${PLACE}`),
  );
}

/** Where this command goes by its environment, and the gateway does not. */
function otherwise(settings: Settings, gateway: Settings, config: unknown, path: string): readonly Finding[] {
  const inFile = (config ?? {}) as Readonly<Record<string, unknown>>;
  const differ = (Object.keys(ENVIRONMENT) as (keyof typeof ENVIRONMENT)[]).filter(
    // What a reference stands for is not known here.
    (field) => typeof inFile[field] !== 'object' && settings[field] !== gateway[field],
  );
  if (differ.length === 0) return [];
  return [
    finding(
      'note',
      `it goes by ${path} alone, this command by the environment too: they differ in ${differ.join(', ')}`,
      '"openclaw b2-backup doctor" looks at what the gateway uses',
    ),
  ];
}

function finding(level: 'problem' | 'note', message: string, advice: string): Finding {
  return { check: 'gateway', level, ...(level === 'problem' ? { code: 'B2_CONFIG' } : {}), message, advice };
}
