/** The operations of the core, one row each: where it runs, and what it takes. The only list of them. */
import type {
  AddedKeys,
  AddKeyOptions,
  AdoptReport,
  AutoRestoreReport,
  CancelHandle,
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
  ProgressEvent,
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
import type { NativeModule } from './native.js';
import type { Operation } from './operation.js';

/** What stands for the present state in the options of `diff`. */
export const LIVE = 'live';

/** Everything a user can ask of a bucket. */
export interface Operations {
  /** Takes a snapshot. Without changes none is made and `changed` is false. */
  push(settings: Settings, options?: PushOptions, operation?: Operation): Promise<PushReport>;
  /** Deletes snapshots of this machine that are not to be kept any more, and packs that nothing needs. */
  prune(settings: Settings, options: PruneOptions, operation?: Operation): Promise<PruneReport>;
  /** Tells what a push would take, and what it would leave out and why. */
  plan(settings: Settings, operation?: Operation): Promise<PlanReport>;
  /** The snapshots of every machine in the bucket, newest first. */
  list(settings: Settings, operation?: Operation): Promise<ListReport>;
  /** What is different between a snapshot and another one, or the present state. */
  diff(settings: Settings, options: DiffOptions, operation?: Operation): Promise<DiffReport>;
  /** What a snapshot holds; where the path names one file, what is in it. */
  show(settings: Settings, options: ShowOptions, operation?: Operation): Promise<ShowReport>;
  /** The versions of a path over all snapshots. */
  history(settings: Settings, options: HistoryOptions, operation?: Operation): Promise<HistoryReport>;
  /** Brings a snapshot, or paths of it, into an empty or new directory. */
  restore(settings: Settings, options: RestoreOptions, operation?: Operation): Promise<RestoreReport>;
  /** Tells what a rollback would do. */
  planRollback(settings: Settings, options: RollbackOptions, operation?: Operation): Promise<RollbackPlan>;
  /**
   * Rolls the live state back as the plan of that hash says: at once, or when OpenClaw stops. Before that it makes a safety
   * snapshot.
   */
  rollBack(
    settings: Settings,
    options: RollbackOptions,
    hash: string,
    operation?: Operation,
  ): Promise<RollbackReport>;
  /** Makes the newest snapshot ready for a machine that has nothing; it is carried out when OpenClaw stops. */
  autoRestore(settings: Settings, operation?: Operation): Promise<AutoRestoreReport>;
  /**
   * Finishes a rollback that waits or was cut off. With `agentsStopped`, OpenClaw itself says that its agents do not work
   * now; without, nothing is done while it runs.
   */
  recoverRollback(settings: Settings, agentsStopped: boolean): Promise<RollbackReport>;
  /** Gives up a rollback that waits; nothing of the state was touched by it. False when none waits. */
  discardRollback(settings: Settings): Promise<boolean>;
  /** Checks that every snapshot can be restored; with `readData` by opening every byte, or a part of them. */
  verify(settings: Settings, options?: VerifyOptions, operation?: Operation): Promise<VerifyReport>;
  /** Does a trial restore of this machine's newest snapshot: checks it, and removes it. */
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
  /** Deletes what a machine that is gone has left: its snapshots at once, its packs a day later. */
  forget(
    settings: Settings,
    machine: string,
    options: { readonly dryRun: boolean },
    operation?: Operation,
  ): Promise<ForgetReport>;
}

/** How the addon's function of that name is called: with the settings, then its own arguments. */
export interface Shape {
  /** How many arguments of its own follow the settings. One that is not given is an empty object. */
  readonly own: 0 | 1 | 2;
  /**
   * Runs in a child process: it opens files of the live state, or holds lists of all snapshots, memory that the gateway
   * should not have to spend.
   */
  readonly isolated?: boolean | ((own: readonly unknown[]) => boolean);
  /** Cannot be stopped. */
  readonly uncancellable?: true;
  /** Tells how far it is. */
  readonly progress?: true;
  /** Has to know which version OpenClaw is, or how to call it, too. */
  readonly host?: 'version' | 'command';
  /** The addon's arguments, where they are not the same. */
  readonly native?: (own: readonly unknown[]) => readonly unknown[];
}

type WaitOptions = { readonly waitMs?: number };

export const OPERATIONS = {
  push: { own: 1, isolated: true, progress: true, host: 'version' },
  plan: { own: 0, isolated: true },
  prune: { own: 1, isolated: true, progress: true },
  list: { own: 0 },
  diff: {
    own: 1,
    isolated: ([options]) => ((options as { to?: string }).to ?? LIVE) === LIVE,
    progress: true,
  },
  show: { own: 1 },
  history: { own: 1, progress: true },
  restore: { own: 1, progress: true },
  planRollback: { own: 1, isolated: true },
  rollBack: { own: 2, isolated: true, progress: true, host: 'command' },
  autoRestore: { own: 0, isolated: true, progress: true, host: 'command' },
  recoverRollback: { own: 1, isolated: true, uncancellable: true },
  discardRollback: { own: 0, uncancellable: true },
  verify: { own: 1, isolated: true, progress: true },
  drill: { own: 0, isolated: true, progress: true },
  doctor: { own: 1 },
  undelete: { own: 1, progress: true },
  status: { own: 0 },
  adopt: { own: 1 },
  keys: { own: 0 },
  addKey: { own: 1 },
  newRecoveryCode: { own: 1, native: ([options]) => [(options as WaitOptions).waitMs] },
  removeKey: {
    own: 2,
    native: ([slot, options]) => {
      const { force = false, waitMs } = options as WaitOptions & { readonly force?: boolean };
      return [slot, force, waitMs];
    },
  },
  forget: { own: 2, native: ([machine, options]) => [machine, (options as { dryRun: boolean }).dryRun] },
} as const satisfies Record<keyof Operations, Shape>;

/** The name of an operation. */
export type OperationName = keyof Operations;

/** What the row of an operation says. */
export function shapeOf(name: OperationName): Shape {
  return OPERATIONS[name];
}

/** Calls the addon with the settings and the operation's own arguments. */
export function call(
  native: NativeModule,
  name: OperationName,
  [settings, ...own]: readonly unknown[],
  cancel: CancelHandle,
  onProgress: ((event: ProgressEvent) => void) | undefined,
): Promise<unknown> {
  const { uncancellable, progress, native: convert } = shapeOf(name);
  const args = [settings, ...(convert === undefined ? own : convert(own))];
  if (uncancellable !== true) args.push(cancel);
  if (progress === true) args.push(onProgress);
  // The compiler checks the arguments where Engine declares them.
  return (native[name] as (...args: unknown[]) => Promise<unknown>)(...args);
}
