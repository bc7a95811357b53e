/** RPCs of the gateway for operators and user interfaces. */
import { BackupError, printableError } from '../errors.js';
import type { GatewayMethod, PluginApi } from './api.js';
import type { Backup } from './backup.js';
import { currentBackup } from './shared.js';

/** Registers `b2-backup.status` and `b2-backup.list`. */
export function registerRpc(api: PluginApi): void {
  const options = { scope: 'operator.read' };
  // `{"bucket": false}` spares the request to the bucket.
  const status = method((backup, params) => backup.status({ bucket: params['bucket'] !== false }));
  api.registerGatewayMethod?.('b2-backup.status', status, options);
  api.registerGatewayMethod?.(
    'b2-backup.list',
    method((backup) => backup.list()),
    options,
  );
}

function method(
  answer: (backup: Backup, params: Readonly<Record<string, unknown>>) => Promise<unknown>,
): GatewayMethod {
  return async ({ params, respond }) => {
    try {
      const given = (typeof params === 'object' && params !== null ? params : {}) as Record<string, unknown>;
      respond(true, await answer(theBackup(), given));
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
