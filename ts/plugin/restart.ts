/** Asking the host to restart. */
import process from 'node:process';
import type { Logger } from './api.js';

/**
 * Restarts the gateway in order: it finishes what its agents do, stops (our hook runs), and starts again. The signal is
 * the host's own for that since 2026.9; Windows has none, and there the user is asked.
 */
export function restartGateway(logger: Logger): void {
  if (process.platform === 'win32') {
    logger.warn('please restart the gateway: a rollback waits for that ("openclaw gateway restart")');
    return;
  }
  logger.info('restarting the gateway for a rollback');
  process.kill(process.pid, 'SIGUSR2');
}
