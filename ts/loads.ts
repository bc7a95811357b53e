/** Whether OpenClaw's gateway loads this plugin, as far as the host's configuration tells. */
import { readFileSync } from 'node:fs';

const ID = 'b2-backup';
const INCLUDE = '$include';

/** The section `plugins` of the host's configuration. */
export type Plugins = Readonly<Record<string, unknown>>;

/** Why the plugin is not loaded, and what to do about it. */
export interface NotLoaded {
  readonly reason: string;
  readonly advice: string;
}

/**
 * The section `plugins` of a configuration file; empty where there is none. Nothing where that cannot be told: the file is not
 * understood, or other files are included in it.
 */
export async function readPlugins(configPath: string): Promise<Plugins | undefined> {
  try {
    const content = await contentOf(readFileSync(configPath, 'utf8'));
    const plugins = section(content['plugins']);
    const entries = section(plugins['entries']);
    const included = [content, plugins, entries, section(entries[ID])].some((one) => INCLUDE in one);
    return included ? undefined : plugins;
  } catch {
    return undefined;
  }
}

/** What a configuration says. OpenClaw writes it as plain JSON; what reads JSON5 takes longer to load than the file to read. */
async function contentOf(text: string): Promise<Readonly<Record<string, unknown>>> {
  try {
    return section(JSON.parse(text));
  } catch {
    return (await import('./setup/json5-edit.js')).contentOf(text);
  }
}

/**
 * Why a gateway does not load the plugin; nothing where it does. The rules are those of OpenClaw 2026.9.6 for a plugin that
 * is not its own: `resolvePluginActivationDecisionShared` and `passesPluginStartupPolicy` there.
 */
export function whyNotLoaded(plugins: Plugins): NotLoaded | undefined {
  const entry = section(section(plugins['entries'])[ID]);
  const allowed = names(plugins['allow']);
  if (plugins['enabled'] === false) {
    return { reason: 'plugins.enabled is false', advice: 'Set plugins.enabled to true, or remove it' };
  }
  if (names(plugins['deny']).includes(ID)) {
    return { reason: `plugins.deny names "${ID}"`, advice: `Take "${ID}" out of plugins.deny` };
  }
  if (entry['enabled'] === false) {
    return { reason: `plugins.entries["${ID}"].enabled is false`, advice: ENABLE };
  }
  if (allowed.length > 0 && !allowed.includes(ID)) {
    return { reason: `plugins.allow does not name "${ID}"`, advice: `Add "${ID}" to plugins.allow` };
  }
  if (
    entry['enabled'] !== true &&
    allowed.length === 0 &&
    Object.keys(section(entry['hooks'])).length === 0
  ) {
    return { reason: `plugins.entries["${ID}"].enabled is not set`, advice: ENABLE };
  }
  return undefined;
}

const ENABLE = `Set plugins.entries["${ID}"].enabled to true`;

function section(value: unknown): Plugins {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Plugins) : {};
}

/** A list of plugins, as the host reads it. */
function names(value: unknown): readonly string[] {
  if (!Array.isArray(value)) return [];
  return value
    .flatMap((name) => (typeof name === 'string' ? [name.trim().toLowerCase()] : []))
    .filter(Boolean);
}
