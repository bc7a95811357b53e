/** From the plugin's configuration, as the host hands it over, to settings that passed every check. */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import process from 'node:process';
import { checkAll } from '../config.js';
import { BackupError, toBackupError } from '../errors.js';
import type { Settings } from '../index.js';
import type { Policy } from '../policy.js';
import type { HostConfig, PluginApi } from './api.js';

/** Settings that passed every check. */
export interface Configured {
  readonly settings: Settings;
  readonly policy: Policy;
}

/** The id of the plugin. */
export const PLUGIN_ID = 'b2-backup';

/** Where the host keeps its state. */
export function stateDirectory(api: PluginApi): string {
  // Older hosts, and some ways to load a plugin, have no runtime: then its own rule, from the environment.
  try {
    const named = api.runtime?.state?.resolveStateDir(process.env);
    if (named !== undefined) return named;
  } catch {
    // See above.
  }
  const named = process.env['OPENCLAW_STATE_DIR'];
  return named === undefined || named === '' ? join(homedir(), '.openclaw') : resolve(named);
}

/** Where the host's configuration is. */
export function configPath(stateDir: string): string {
  // The host's own variable; it takes none of this name from a `.env`.
  const named = process.env['OPENCLAW_CONFIG_PATH'];
  return named === undefined || named === '' ? join(stateDir, 'openclaw.json') : resolve(named);
}

/** Checks what the user configured. What is wrong with it is returned, so that it can be told in many places. */
export function configure(
  api: PluginApi,
  stateDir: string,
): { configured: Configured | BackupError; warnings: readonly string[] } {
  const path = configPath(stateDir);
  try {
    const { settings, policy, warnings } = checkAll(api.pluginConfig, {
      stateDir,
      config: { path, exists: existsSync(path) },
      env: process.env,
      inOpenClaw: true,
    });
    const hostVersion = version(api);
    const known = hostVersion === undefined ? settings : { ...settings, hostVersion };
    return { configured: { settings: known, policy }, warnings };
  } catch (error) {
    const wrong = toBackupError(error);
    if (!isBlank(api.pluginConfig)) return { configured: wrong, warnings: [] };
    return { configured: new BackupError(wrong.message, { code: 'B2_NOT_SET_UP' }), warnings: [] };
  }
}

/** Whether nobody has said anything yet of where to back up to. The host fills in what has a default. */
function isBlank(config: unknown): boolean {
  const { bucket, keyId, keyID, applicationKey } = (config ?? {}) as Record<string, unknown>;
  return [bucket, keyId, keyID, applicationKey].every((value) => value === undefined || value === '');
}

function version(api: PluginApi): string | undefined {
  try {
    return api.runtime?.version;
  } catch {
    return undefined;
  }
}

/** Where an agent works, as the host resolves it; unknown where the host does not say. */
export function workspaceOf(
  api: PluginApi,
  { agentId, config }: { readonly agentId?: string; readonly config?: HostConfig },
): string | undefined {
  if (agentId === undefined) return undefined;
  try {
    return api.runtime?.agent?.resolveAgentWorkspaceDir?.(config ?? api.config, agentId);
  } catch {
    return undefined;
  }
}

/**
 * The session that belongs to nobody but the owner: where the host itself speaks up. Its key always ends in
 * `main` (docs/concepts/main-session.md of the host).
 */
export function mainSession({ agents, session }: HostConfig): { sessionKey: string; agentId: string } {
  const listed = agents?.list?.find((agent) => agent.default === true) ?? agents?.list?.[0];
  const entries = Object.keys(agents?.entries ?? {});
  const first = entries.includes('main') ? 'main' : entries[0];
  const agentId = listed?.id ?? first ?? 'main';
  return { sessionKey: session?.scope === 'global' ? 'global' : `agent:${agentId}:main`, agentId };
}
