/** What a command line can ask for. */
import type { SetupOptions } from '../setup/world.js';

/** What every command takes. */
export interface GlobalOptions {
  readonly stateDir?: string | undefined;
  readonly config?: string | undefined;
  /** The prefix that the backups were made for, where they were moved or copied. */
  readonly movedFrom?: string | undefined;
  readonly json: boolean;
  readonly quiet: boolean;
}

/** Commands that can read the bucket as it was. */
interface AsOf {
  /** ISO 8601, UTC. */
  readonly asOf: string | undefined;
}

/** How far somebody agreed to a rollback. */
export interface Agreed {
  /** Only shows what it would do. */
  readonly dryRun: boolean;
  readonly yes: boolean;
  /** The number of the plan that was shown. */
  readonly plan?: string;
}

/** Setting backups up; with `yes` nothing is asked. */
export interface SetupCommand extends SetupOptions {
  readonly name: 'setup';
  readonly yes: boolean;
}

/** One thing to do. */
export type Command =
  | SetupCommand
  | {
      readonly name: 'push';
      readonly dryRun: boolean;
      readonly list: boolean;
      readonly newBucket: boolean;
      readonly acceptMissing: readonly string[];
    }
  | ({ readonly name: 'list'; readonly machine: string | undefined } & AsOf)
  | ({
      readonly name: 'restore';
      readonly snapshot: string;
      readonly to: string;
      readonly paths: readonly string[];
      readonly allowUnauthenticated: boolean;
    } & AsOf)
  | ({
      readonly name: 'rollback';
      readonly snapshot: string;
      readonly paths: readonly string[];
      readonly exact: boolean;
      readonly partial: boolean;
      readonly allowUnauthenticated: boolean;
    } & Agreed)
  | { readonly name: 'resume' }
  | { readonly name: 'discard' }
  | ({ readonly name: 'undo' } & Agreed)
  | {
      readonly name: 'undo-update';
      /** A version of OpenClaw. */
      readonly to: string | undefined;
      readonly dryRun: boolean;
      readonly yes: boolean;
    }
  | ({
      readonly name: 'diff';
      readonly from: string;
      readonly to: string;
      readonly paths: readonly string[];
      readonly text: boolean;
      readonly allowUnauthenticated: boolean;
    } & AsOf)
  | ({
      readonly name: 'show';
      readonly snapshot: string;
      readonly path: string | undefined;
      readonly allowUnauthenticated: boolean;
    } & AsOf)
  | ({
      readonly name: 'history';
      readonly path: string;
      readonly text: boolean;
      readonly allowUnauthenticated: boolean;
    } & AsOf)
  | ({
      readonly name: 'verify';
      readonly readData: boolean;
      /** Per cent. */
      readonly sample: number | undefined;
    } & AsOf)
  | { readonly name: 'doctor'; readonly write: boolean }
  | {
      readonly name: 'undelete';
      readonly snapshots: readonly string[];
      /** ISO 8601, UTC. */
      readonly since: string | undefined;
      readonly keys: boolean;
      readonly dryRun: boolean;
      readonly yes: boolean;
    }
  | { readonly name: 'drill'; readonly boot: boolean }
  | { readonly name: 'keyList' }
  | {
      readonly name: 'keyAdd';
      /** Which secret: the configured one, the application key, or a passphrase that is asked for. */
      readonly what: 'configured' | 'application-key' | 'passphrase';
      /** Whether to ask for a recovery code first, for backups that do not open here. */
      readonly unlock: boolean;
    }
  | { readonly name: 'keyRemove'; readonly slot: string; readonly force: boolean; readonly yes: boolean }
  | { readonly name: 'keyRecovery'; readonly showCode: boolean }
  | {
      readonly name: 'forget';
      readonly machine: string;
      readonly dryRun: boolean;
      readonly yes: boolean;
    }
  | { readonly name: 'prune'; readonly dryRun: boolean; readonly moreThanHalf: boolean }
  | { readonly name: 'status' }
  | { readonly name: 'adopt'; readonly machine: string; readonly yes: boolean }
  | { readonly name: 'help'; readonly topic: Topic | undefined }
  | { readonly name: 'version' };

/** The commands that work on a backup that is configured. */
export type WorkCommand = Exclude<Command, { name: 'help' | 'version' | 'setup' }>;

/** What there is help on: all that is typed. Rolling back, resuming and giving up are typed as "restore". */
export type Topic =
  | Exclude<
      WorkCommand['name'],
      'rollback' | 'resume' | 'discard' | 'keyList' | 'keyAdd' | 'keyRemove' | 'keyRecovery'
    >
  | 'key'
  | 'setup';

/** A parsed command line. */
export interface Invocation {
  readonly command: Command;
  readonly global: GlobalOptions;
}
