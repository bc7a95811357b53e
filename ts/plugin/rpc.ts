/** RPCs of the gateway for operators and user interfaces. */
import { BackupError, printableError } from '../errors.js';
import type { GatewayMethod, PluginApi } from './api.js';
import type { Backup } from './backup.js';
import { healthOf } from './page/health.js';
import { cancelPush, confirm, preview, pushNow, type Request, shownView } from './rpc-actions.js';
import { currentBackup } from './shared.js';

/** Registers `b2-backup.status`, `b2-backup.list` and the rest. The host compares the scopes of who asks. */
export function registerRpc(api: PluginApi): void {
  const register = (
    name: string,
    scope: 'read' | 'write' | 'admin',
    answer: (request: Request) => Promise<unknown>,
  ): void => api.registerGatewayMethod?.(`b2-backup.${name}`, method(answer), { scope: `operator.${scope}` });
  // `{"bucket": false}` spares the request to the bucket.
  register('status', 'read', ({ backup, params }) => backup.status({ bucket: params['bucket'] !== false }));
  register('list', 'read', ({ backup }) => backup.list());
  register('health', 'read', async ({ backup }) => healthOf(await backup.view.facts()));
  register('page', 'read', (request) => shownView(request, api));
  register('activity', 'read', async ({ backup }) => backup.activity);
  register('push', 'write', pushNow);
  register('cancel', 'write', cancelPush);
  register('preview', 'write', preview);
  register('confirm', 'admin', confirm);
}

function method(answer: (request: Request) => Promise<unknown>): GatewayMethod {
  return async ({ params, client, respond }) => {
    try {
      const given = (typeof params === 'object' && params !== null ? params : {}) as Record<string, unknown>;
      respond(true, await answer({ backup: theBackup(), params: given, client }));
    } catch (error) {
      const { code, message } = printableError(error);
      respond(false, undefined, { code, message });
    }
  };
}

/** The backup of this gateway. @throws {BackupError} when its service does not run */
export function theBackup(): Backup {
  const backup = currentBackup();
  if (backup !== undefined) return backup;
  throw new BackupError('the backup service does not run in this process; is the gateway running?', {
    code: 'B2_NOT_RUNNING',
  });
}
