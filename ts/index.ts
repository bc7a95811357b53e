/**
 * Encrypted, incremental backups of an OpenClaw state.
 *
 * @example
 * ```ts
 * import { push } from '@openclaw/b2-backup';
 * const report = await push({ stateDir: '/home/me/.openclaw', bucket: 'my-bucket', keyId, applicationKey });
 * ```
 */
import { createEngine } from './engine.js';

const engine = createEngine();

export const {
  push,
  plan,
  prune,
  list,
  diff,
  show,
  history,
  restore,
  verify,
  doctor,
  drill,
  undelete,
  status,
  planRollback,
  rollBack,
  recoverRollback,
  discardRollback,
  adopt,
  keys,
  addKey,
  newRecoveryCode,
  removeKey,
  checkRecoveryCode,
  forget,
} = engine;

export type * from '../index.js';
export { type LoadedSettings, loadSettings, type SettingsSource } from './config.js';
export type { Engine, HostConfig } from './engine.js';
export { BackupError, type BackupErrorInit, ERROR_CODES, type ErrorCode } from './errors.js';
export type { Operation } from './operation.js';
