/** How the user and the host hear of backups. */
import type { BackupError } from '../errors.js';
import type { Logger } from './api.js';

/** How the host is told. */
export interface Voice {
  readonly logger: Logger;
  /** The service's health, as `openclaw health` shows it. */
  readonly health?: { reportFailure(error: unknown): void; clearFailure(): void } | undefined;
  /**
   * Says something to the user: in the session `to`, or in the main one. With `wake` the agent passes it on at once; else it
   * does when it is next spoken to.
   */
  tellUser(
    text: string,
    wake: boolean,
    to?: { readonly sessionKey?: string; readonly agentId?: string },
  ): void;
  /** The same for what must not be lost: tells it again until a turn of the agent had it before it, then calls `carried`. */
  tellForSure(
    text: string,
    wake: boolean,
    to: { readonly sessionKey?: string; readonly agentId?: string },
    carried: () => void,
  ): void;
  /** How a backup went, for a watchdog elsewhere; nobody waits for it. */
  ping?(problem: BackupError | undefined): void;
  /** What is remembered about the backups has changed. */
  changed?(): void;
  /** Tries again what the host did not take. */
  tellAgain(): void;
}
