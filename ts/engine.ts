/** The operations, and where each of them runs. */
import type { Settings } from '../index.js';
import { toBackupError } from './errors.js';
import { installKind } from './installation.js';
import { createIsolate, type RunIsolated } from './isolate.js';
import { hostName } from './machine-name.js';
import { type LoadNative, loadNative, type NativeModule } from './native.js';
import { findOpenClaw, openClawVersion } from './openclaw.js';
import { harmless, type Operation, underSignal } from './operation.js';
import { call, OPERATIONS, type OperationName, type Operations, type Shape, shapeOf } from './operations.js';

/** What `readHostConfig` finds in an `openclaw.json`. */
export interface HostConfig {
  /** `plugins.entries["b2-backup"].config` as it stands there, unchecked; null when there is none. */
  readonly config: unknown;
  readonly warning: string | null;
}

/** Everything a user can ask for. */
export interface Engine extends Operations {
  /** Loads the addon, so that a machine without a fitting one is noticed. @throws {BackupError} B2_NATIVE_UNAVAILABLE */
  load(): Promise<void>;
  /** Checks a recovery code that somebody typed, without trying it. @throws {BackupError} B2_RECOVERY_CODE */
  checkRecoveryCode(code: string): Promise<void>;
  /** The plugin's settings in an OpenClaw configuration file. */
  readHostConfig(configPath: string): Promise<HostConfig>;
}

/** What an engine is made of. */
export interface EngineDeps {
  readonly loadNative: LoadNative;
  readonly runIsolated: RunIsolated;
  /** How OpenClaw is called; empty where it is not known. */
  readonly findOpenClaw: () => string[];
  /** What this machine is called where the settings do not say it. */
  readonly hostName: () => string | undefined;
}

/** Makes an engine; without arguments the real one. */
export function createEngine({
  loadNative: load = loadNative,
  runIsolated = createIsolate(),
  findOpenClaw: find = findOpenClaw,
  hostName: nameOfHost = hostName,
}: Partial<EngineDeps> = {}): Engine {
  // Inside OpenClaw it says itself which version it is, and how it is called. The user may say what the machine is called.
  const knowing = (settings: Settings, host: Shape['host']): Settings => {
    if (host === undefined) return settings;
    const openclaw = find();
    const hostVersion = openClawVersion(openclaw);
    const hostInstall = hostVersion === undefined ? undefined : installKind(openclaw);
    const machineName = nameOfHost();
    return {
      ...(host === 'command' ? { openclaw } : {}),
      ...(hostVersion === undefined ? {} : { hostVersion }),
      ...(hostInstall === undefined ? {} : { hostInstall }),
      ...(machineName === undefined ? {} : { machineName }),
      ...settings,
    };
  };

  async function run(op: OperationName, settings: Settings, given: readonly unknown[]): Promise<unknown> {
    const { own, isolated = false, host } = shapeOf(op);
    const mine = Array.from({ length: own }, (_, at) => given[at] ?? {});
    const operation = (given[own] ?? {}) as Operation;
    const args = [knowing(settings, host), ...mine];
    if (typeof isolated === 'function' ? isolated(mine) : isolated)
      return runIsolated({ op, args }, operation);
    const native = await load();
    return underSignal(operation.signal, new native.CancelHandle(), (cancel) =>
      call(native, op, args, cancel, harmless(operation.onProgress)),
    );
  }

  /** What is no operation on a bucket, and answers at once. */
  async function ask<T>(question: (native: NativeModule) => T): Promise<T> {
    const native = await load();
    try {
      return question(native);
    } catch (error) {
      throw toBackupError(error);
    }
  }

  const operations = Object.fromEntries(
    (Object.keys(OPERATIONS) as OperationName[]).map((op) => [
      op,
      (settings: Settings, ...given: unknown[]) => run(op, settings, given),
    ]),
  ) as unknown as Operations;
  return {
    ...operations,
    load: () => ask(() => undefined),
    checkRecoveryCode: (code) => ask((native) => native.checkRecoveryCode(code)),
    readHostConfig: (configPath) =>
      ask((native) => JSON.parse(native.readHostConfig(configPath)) as HostConfig),
  };
}
