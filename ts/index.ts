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

export type {
  AddedKeys,
  AddKeyOptions,
  AdoptReport,
  ChangedPath,
  DiffEntry,
  DiffOptions,
  DiffReport,
  DoctorOptions,
  DoctorReport,
  DrillReport,
  FileProblem,
  Finding,
  ForgetReport,
  HistoryOptions,
  HistoryReport,
  KeyInfo,
  KeyReport,
  ListReport,
  MachineInfo,
  NewRecoveryCode,
  PathVersion,
  PlanEntry,
  PlanReport,
  ProgressEvent,
  PrunedSnapshot,
  PruneOptions,
  PruneReport,
  PushOptions,
  PushReport,
  RemovedKey,
  RestoreOptions,
  RestoreReport,
  RollbackEntry,
  RollbackOptions,
  RollbackPlan,
  RollbackReport,
  Settings,
  ShownEntry,
  ShowOptions,
  ShowReport,
  SnapshotChanges,
  SnapshotInfo,
  StatusReport,
  Undeleted,
  UndeleteOptions,
  UndeleteReport,
  VerifyOptions,
  VerifyProblem,
  VerifyReport,
} from '../index.js';
export { type LoadedSettings, loadSettings, type SettingsSource } from './config.js';
export type { Engine, HostConfig } from './engine.js';
export { BackupError, type BackupErrorInit, ERROR_CODES, type ErrorCode } from './errors.js';
export type { Operation } from './operation.js';
