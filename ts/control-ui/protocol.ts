/** What the gateway and the page in the browser say to each other. Types only. */

/** Part of `b2-backup.page`: what the page shows. */
export interface ShownView {
  /** The same markup as in the frame: words are the server's alone. */
  readonly markup: string;
  /** After so many milliseconds it is worth looking again, even if no event came. */
  readonly againMs?: number;
  /** Whether there is a rollback that can be undone, as far as is known. */
  readonly undo: boolean;
}

/** Answer of `b2-backup.activity`, and payload of `plugin.b2-backup.activity`: what happens right now. */
export interface Activity {
  readonly running?: {
    readonly what: 'backup' | 'rollback';
    /** How far it is, in words. */
    readonly text: string;
    /** How far it is, from 0 to 1, once that is known. */
    readonly part?: number;
  };
  /** How the last rollback went, until a turn of an agent has carried that to the user. */
  readonly rollback?: string;
}

/** Answer of `b2-backup.preview`: a plan, for a person to read before it is confirmed. */
export interface ShownPlan {
  /** What confirms it. */
  readonly plan: string;
  /** The id of the snapshot. */
  readonly snapshot: string;
  /** Whether it would change anything. */
  readonly changes: boolean;
  /** What would run, be allowed or become another secret: to be read first. Empty where there is none of that. */
  readonly security: string;
  /** Everything else. */
  readonly text: string;
  /** Whether OpenClaw restarts for it. */
  readonly restarts: boolean;
}

/** What `b2-backup.preview` is asked for. */
export type PlanRequest =
  | { readonly undo: true }
  | { readonly snapshot: string; readonly paths?: readonly string[]; readonly exact?: boolean };

/** Answer of `b2-backup.confirm`: what a rollback has come to. */
export interface Confirmed {
  readonly text: string;
  readonly outcome: string;
  readonly restarts: boolean;
}

/** Answer of `b2-backup.push`. */
export interface Pushed {
  readonly text: string;
  readonly snapshot?: string;
}
