/**
 * Entry of the plugin. The host evaluates it several times, in modes that see different parts: tools and agent hooks
 * run in one instance, the service in another. So everything but the service is registered wherever it can be.
 */

import type { PluginApi } from './plugin/api.js';
import { registerApproval } from './plugin/approval.js';
import { registerCommandLine } from './plugin/cli.js';
import { registerCommand } from './plugin/command.js';
import { registerHooks } from './plugin/hooks.js';
import { registerMetrics } from './plugin/metrics.js';
import { registerPage } from './plugin/page/route.js';
import { registerRpc } from './plugin/rpc.js';
import { createService } from './plugin/service.js';
import { PLUGIN_ID } from './plugin/settings.js';
import { registerTool } from './plugin/tool.js';

export default {
  id: PLUGIN_ID,
  name: 'B2 Backup',
  description: 'Encrypted, incremental backups of this OpenClaw to Backblaze B2',
  register(api: PluginApi): void {
    registerCommandLine(api);
    // Hosts of early 2026 know no modes and load a plugin once.
    const mode = api.registrationMode ?? 'full';
    if (mode === 'cli-metadata' || mode === 'setup-only') return;
    registerTool(api);
    registerApproval(api);
    registerHooks(api);
    registerCommand(api);
    registerRpc(api);
    registerPage(api);
    registerMetrics(api);
    if (mode === 'full') api.registerService?.(createService(api));
  },
};
