/** What is known about the backups of this gateway: what the page "Backups" is made of, and nothing else. */
import type { ListReport, StatusReport } from '../../../index.js';
import type { BackupError } from '../../errors.js';
import type { Here } from '../../updates/history.js';
import type { GatewayStatus } from '../status.js';

/** What the bucket said when it was last asked. */
export interface BucketFacts {
  /** When it was asked, ISO 8601. */
  readonly askedAt: string;
  readonly status: StatusReport;
  readonly list: ListReport;
}

/** Something that went wrong. */
export interface Problem {
  readonly code: string;
  readonly message: string;
}

/** All of it. Nothing in here was guessed. */
export interface Facts {
  readonly now: Date;
  /** IANA name of the zone in which the user reads times. */
  readonly timeZone: string;
  /** What the gateway remembers; without the bucket. */
  readonly gateway: GatewayStatus;
  /** What `openclaw health` shows. */
  readonly standing?: BackupError;
  /** The longest time from one scheduled push to the next, in milliseconds. */
  readonly periodMs?: number;
  /** Since when the plugin has been set up, ISO 8601. */
  readonly since?: string;
  /** Whether trial restores are made by themselves. */
  readonly drills: boolean;
  /** Whether what is written is encrypted. */
  readonly encrypt: boolean;
  /** Whether something waits for the restart of the gateway. */
  readonly rollbackWaits: boolean;
  /** What this machine knows of its OpenClaw. */
  readonly here?: Here;
  /** The newest answer of the bucket. */
  readonly bucket?: BucketFacts;
  /** Why there is no newer one. */
  readonly bucketProblem?: Problem;
  /** Whether it is being asked now. */
  readonly asking: boolean;
}
