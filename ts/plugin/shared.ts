/**
 * The one backup of this process. The host evaluates the plugin more than once, each time from another copy of the
 * files: the service runs in one instance, tools and agent hooks in another. Module state is not shared between
 * them; a global symbol is.
 */
import type { Backup } from './backup.js';

const SLOT = Symbol.for('openclaw.b2-backup');
const RUNS = Symbol.for('openclaw.b2-backup.gateway-runs');
const place = globalThis as { [SLOT]?: Backup | undefined; [RUNS]?: boolean };

/** The backup that the running service has installed. */
export function currentBackup(): Backup | undefined {
  return place[SLOT];
}

/** Makes `backup` the one that all instances use. */
export function installBackup(backup: Backup): void {
  place[SLOT] = backup;
}

/** Takes `backup` away, unless another has taken its place. */
export function removeBackup(backup: Backup): void {
  if (place[SLOT] === backup) place[SLOT] = undefined;
}

/** Whether the gateway has started and not stopped since: its agents may work. A reload of the plugin changes nothing. */
export function gatewayRuns(): boolean {
  return place[RUNS] === true;
}

/** Remembers whether the gateway runs. */
export function setGatewayRuns(runs: boolean): void {
  place[RUNS] = runs;
}
