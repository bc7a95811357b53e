/** Writing settings from inside OpenClaw, by the host's own means. */
import { realpathSync } from 'node:fs';
import { BackupError, toBackupError } from '../errors.js';
import { apply, hasComments } from '../setup/json5-edit.js';
import { readOf, type SaveConfig, saveToFile } from '../setup/save.js';
import type { PluginApi, PluginRuntime } from './api.js';
import { configPath } from './settings.js';

/**
 * The host writes its configuration: it keeps older versions, and tells a running gateway. It drops comments, though
 * (docs/cli/config.md of the host). So a file with comments is edited by us; a running gateway sees that, too.
 */
export function saveByHost(api: PluginApi, stateDir: string): SaveConfig {
  return async (path, edits) => {
    const config = writer(api);
    const text = readOf(path);
    if (config?.mutateConfigFile === undefined || !same(path, configPath(stateDir)) || hasComments(text)) {
      return saveToFile(path, edits);
    }
    try {
      await config.mutateConfigFile({ afterWrite: { mode: 'auto' }, mutate: (draft) => apply(draft, edits) });
    } catch (error) {
      if (error instanceof BackupError) throw error;
      throw new BackupError(`OpenClaw would not write its configuration: ${toBackupError(error).message}`, {
        code: 'B2_CONFIG',
      });
    }
  };
}

/** Some ways to load a plugin have no runtime. */
function writer(api: PluginApi): PluginRuntime['config'] {
  try {
    return api.runtime?.config;
  } catch {
    return undefined;
  }
}

function same(one: string, other: string): boolean {
  try {
    return one === other || realpathSync(one) === realpathSync(other);
  } catch {
    return false;
  }
}
