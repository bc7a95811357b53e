/** The operations, and where each of them runs. */
import type {
  AddedKeys,
  AddKeyOptions,
  AdoptReport,
  ArriveReport,
  DiffOptions,
  DiffReport,
  DoctorOptions,
  DoctorReport,
  DrillReport,
  ForgetReport,
  HistoryOptions,
  HistoryReport,
  KeyReport,
  ListReport,
  NewRecoveryCode,
  PlanReport,
  PruneOptions,
  PruneReport,
  PushOptions,
  PushReport,
  RemovedKey,
  RestoreOptions,
  RestoreReport,
  RollbackOptions,
  RollbackPlan,
  RollbackReport,
  Settings,
  ShowOptions,
  ShowReport,
  StatusReport,
  UndeleteOptions,
  UndeleteReport,
  VerifyOptions,
  VerifyReport,
} from '../index.js';
import { toBackupError } from './errors.js';
import { createIsolate, type RunIsolated } from './isolate.js';
import { type LoadNative, loadNative, type NativeModule } from './native.js';
import { findOpenClaw, openClawVersion } from './openclaw.js';
import { harmless, type Operation, underSignal } from './operation.js';

/** What `readHostConfig` finds in an `openclaw.json`. */
export interface HostConfig {
  /** `plugins.entries["b2-backup"].config` as it stands there, unchecked; null when there is none. */
  readonly config: unknown;
  readonly warning: string | null;
}

/** What stands for the present state in a {@linkcode DiffOptions}. */
export const LIVE = 'live';

/** Everything a user can ask for. */
export interface Engine {
  /** Loads the addon, so that a machine without a fitting one is noticed. @throws {BackupError} B2_NATIVE_UNAVAILABLE */
  load(): Promise<void>;
  /** Takes a snapshot, in a child process. Without changes none is made and `changed` is false. */
  push(settings: Settings, options?: PushOptions, operation?: Operation): Promise<PushReport>;
  /**
   * Deletes, in a child process, snapshots of this machine that are not to be kept any more, and packs that nothing
   * needs. It reads all manifests: memory that the gateway should not have to spend.
   */
  prune(settings: Settings, options: PruneOptions, operation?: Operation): Promise<PruneReport>;
  /** Tells, in a child process, what a push would take, and what it would leave out and why. */
  plan(settings: Settings, operation?: Operation): Promise<PlanReport>;
  /** The snapshots of every machine in the bucket, newest first. */
  list(settings: Settings, operation?: Operation): Promise<ListReport>;
  /**
   * What is different between a snapshot and another one, or the present state. Only the latter needs a child
   * process: it opens files of the state.
   */
  diff(settings: Settings, options: DiffOptions, operation?: Operation): Promise<DiffReport>;
  /** What a snapshot holds; where the path names one file, what is in it. */
  show(settings: Settings, options: ShowOptions, operation?: Operation): Promise<ShowReport>;
  /** The versions of a path over all snapshots. */
  history(settings: Settings, options: HistoryOptions, operation?: Operation): Promise<HistoryReport>;
  /** Brings a snapshot, or paths of it, into an empty or new directory. */
  restore(settings: Settings, options: RestoreOptions, operation?: Operation): Promise<RestoreReport>;
  /** Tells, in a child process, what a rollback would do. */
  planRollback(settings: Settings, options: RollbackOptions, operation?: Operation): Promise<RollbackPlan>;
  /**
   * Rolls the live state back, in a child process, as the plan of that hash says: at once, or when OpenClaw stops.
   * Before that it makes a safety snapshot.
   */
  rollBack(
    settings: Settings,
    options: RollbackOptions,
    hash: string,
    operation?: Operation,
  ): Promise<RollbackReport>;
  /**
   * Makes, in a child process, the newest snapshot ready for a machine that has nothing; it is carried out when OpenClaw
   * stops.
   */
  arrive(settings: Settings, operation?: Operation): Promise<ArriveReport>;
  /**
   * Finishes, in a child process, a rollback that waits or was cut off. With `gatewayStands`, OpenClaw itself says
   * that its agents do not work now; without, nothing is done while it runs.
   */
  recoverRollback(settings: Settings, gatewayStands: boolean): Promise<RollbackReport>;
  /** Gives up a rollback that waits; nothing of the state was touched by it. False when none waits. */
  discardRollback(settings: Settings): Promise<boolean>;
  /**
   * Checks, in a child process, that every snapshot can be restored; with `readData` by opening every byte, or a part
   * of them. It holds the lists of files of all snapshots: memory that the gateway should not have to spend.
   */
  verify(settings: Settings, options?: VerifyOptions, operation?: Operation): Promise<VerifyReport>;
  /** Restores this machine's newest snapshot for a trial, in a child process, looks it through, and removes it. */
  drill(settings: Settings, operation?: Operation): Promise<DrillReport>;
  /** Looks at settings, this machine, server, key and bucket; what is wrong is in the report. */
  doctor(settings: Settings, options?: DoctorOptions, operation?: Operation): Promise<DoctorReport>;
  /** Which snapshots somebody hid or overwrote; with `apply` brings them back. */
  undelete(settings: Settings, options?: UndeleteOptions, operation?: Operation): Promise<UndeleteReport>;
  /** What is configured and what the bucket holds. */
  status(settings: Settings, operation?: Operation): Promise<StatusReport>;
  /** Goes on with the lineage of another machine, which this one replaces. */
  adopt(settings: Settings, machine: string, operation?: Operation): Promise<AdoptReport>;
  /** The key slots: which secrets open the backups. */
  keys(settings: Settings, operation?: Operation): Promise<KeyReport>;
  /** Makes a slot for a secret in every repository of the prefix that opens here. */
  addKey(settings: Settings, options?: AddKeyOptions, operation?: Operation): Promise<AddedKeys>;
  /** Makes a recovery code, which cannot be shown again. Earlier ones stay good. */
  newRecoveryCode(
    settings: Settings,
    options?: { readonly waitMs?: number },
    operation?: Operation,
  ): Promise<NewRecoveryCode>;
  /**
   * Removes a key slot, named by the start of its id. Snapshots made so far keep a copy of it. With `force` also one
   * after which nothing that is given opens the backups; never the last one.
   */
  removeKey(
    settings: Settings,
    slot: string,
    options?: { readonly force?: boolean; readonly waitMs?: number },
    operation?: Operation,
  ): Promise<RemovedKey>;
  /** Checks a recovery code that somebody typed, without trying it. @throws {BackupError} B2_RECOVERY_CODE */
  checkRecoveryCode(code: string): Promise<void>;
  /** Deletes what a machine that is gone has left: its snapshots at once, its packs a day later. */
  forget(
    settings: Settings,
    machine: string,
    options: { readonly dryRun: boolean },
    operation?: Operation,
  ): Promise<ForgetReport>;
  /** The plugin's settings in an OpenClaw configuration file. */
  readHostConfig(configPath: string): Promise<HostConfig>;
}

/** What an engine is made of. */
export interface EngineDeps {
  readonly loadNative: LoadNative;
  readonly runIsolated: RunIsolated;
  /** How OpenClaw is called; empty where it is not known. */
  readonly findOpenClaw: () => string[];
}

/** Makes an engine; without arguments the real one. */
export function createEngine({
  loadNative: load = loadNative,
  runIsolated = createIsolate(),
  findOpenClaw: find = findOpenClaw,
}: Partial<EngineDeps> = {}): Engine {
  async function here<T>(
    { signal }: Operation,
    run: (native: NativeModule, cancel: InstanceType<NativeModule['CancelHandle']>) => Promise<T>,
  ): Promise<T> {
    const native = await load();
    return underSignal(signal, new native.CancelHandle(), (cancel) => run(native, cancel));
  }

  const asking = (settings: Settings): Settings => ({ openclaw: find(), ...knowing(settings) });
  // Inside OpenClaw it says itself which version it is.
  const knowing = (settings: Settings): Settings => {
    const hostVersion = openClawVersion(find());
    return hostVersion === undefined ? settings : { hostVersion, ...settings };
  };

  return {
    load: async () => {
      await load();
    },
    push: (settings, options = {}, operation = {}) =>
      runIsolated({ op: 'push', settings: knowing(settings), options }, operation),
    prune: (settings, options, operation = {}) => runIsolated({ op: 'prune', settings, options }, operation),
    plan: (settings, operation = {}) => runIsolated({ op: 'plan', settings }, operation),
    list: (settings, operation = {}) => here(operation, (native, cancel) => native.list(settings, cancel)),
    diff: (settings, options, operation = {}) =>
      (options.to ?? LIVE) === LIVE
        ? runIsolated({ op: 'diff', settings, options }, operation)
        : here(operation, (native, cancel) =>
            native.diff(settings, options, cancel, harmless(operation.onProgress)),
          ),
    show: (settings, options, operation = {}) =>
      here(operation, (native, cancel) => native.show(settings, options, cancel)),
    history: (settings, options, operation = {}) =>
      here(operation, (native, cancel) =>
        native.history(settings, options, cancel, harmless(operation.onProgress)),
      ),
    restore: (settings, options, operation = {}) =>
      here(operation, (native, cancel) =>
        native.restore(settings, options, cancel, harmless(operation.onProgress)),
      ),
    planRollback: (settings, options, operation = {}) =>
      runIsolated({ op: 'planRollback', settings, options }, operation),
    rollBack: (settings, options, hash, operation = {}) =>
      runIsolated({ op: 'rollBack', settings: asking(settings), options, hash }, operation),
    arrive: (settings, operation = {}) =>
      runIsolated({ op: 'arrive', settings: asking(settings) }, operation),
    recoverRollback: (settings, gatewayStands) =>
      runIsolated({ op: 'recoverRollback', settings, gatewayStands }),
    discardRollback: (settings) => here({}, (native) => native.discardRollback(settings)),
    verify: (settings, options = {}, operation = {}) =>
      runIsolated({ op: 'verify', settings, options }, operation),
    drill: (settings, operation = {}) => runIsolated({ op: 'drill', settings }, operation),
    doctor: (settings, options = {}, operation = {}) =>
      here(operation, (native, cancel) => native.doctor(settings, options, cancel)),
    undelete: (settings, options = {}, operation = {}) =>
      here(operation, (native, cancel) =>
        native.undelete(settings, options, cancel, harmless(operation.onProgress)),
      ),
    status: (settings, operation = {}) =>
      here(operation, (native, cancel) => native.status(settings, cancel)),
    adopt: (settings, machine, operation = {}) =>
      here(operation, (native, cancel) => native.adopt(settings, machine, cancel)),
    keys: (settings, operation = {}) => here(operation, (native, cancel) => native.keys(settings, cancel)),
    addKey: (settings, options = {}, operation = {}) =>
      here(operation, (native, cancel) => native.addKey(settings, options, cancel)),
    newRecoveryCode: (settings, { waitMs } = {}, operation = {}) =>
      here(operation, (native, cancel) => native.newRecoveryCode(settings, waitMs, cancel)),
    removeKey: (settings, slot, { force = false, waitMs } = {}, operation = {}) =>
      here(operation, (native, cancel) => native.removeKey(settings, slot, force, waitMs, cancel)),
    checkRecoveryCode: async (code) => {
      const native = await load();
      try {
        native.checkRecoveryCode(code);
      } catch (error) {
        throw toBackupError(error);
      }
    },
    forget: (settings, machine, { dryRun }, operation = {}) =>
      here(operation, (native, cancel) => native.forget(settings, machine, dryRun, cancel)),
    readHostConfig: async (configPath) => {
      const native = await load();
      try {
        return JSON.parse(native.readHostConfig(configPath)) as HostConfig;
      } catch (error) {
        throw toBackupError(error);
      }
    },
  };
}
