/**
 * The moments at which the host tells that something is about to be lost. Agent hooks and gateway hooks are fired in
 * different instances of the module, so every instance registers all of them.
 */
import type { PluginApi } from './api.js';
import { currentBackup, setGatewayRuns } from './shared.js';

/** Longer than what the handlers wait for by themselves, so that theirs is the limit that counts. */
const TIMEOUT_MS = 60_000;
/** What the host calls a stop that is none. */
const RELOAD = 'plugin replacement';

/** Registers all hooks. */
export function registerHooks(api: PluginApi): void {
  const options = { timeoutMs: TIMEOUT_MS };
  api.on('before_compaction', () => currentBackup()?.beforeCompaction(), options);
  api.on('before_reset', () => currentBackup()?.beforeReset(), options);
  api.on('gateway_start', () => setGatewayRuns(true));
  api.on(
    'gateway_stop',
    async ({ reason }) => {
      if (reason === RELOAD) return;
      await currentBackup()?.beforeStop();
      setGatewayRuns(false);
    },
    options,
  );
}
