/** When OpenClaw last started on a restored snapshot, in our folder of the state directory. Losing it costs a line of the status. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A trial start in which all was as the snapshot said. */
export interface Booted {
  readonly snapshot: string;
  /** ISO 8601. */
  readonly at: string;
  /** The version of OpenClaw that was started. */
  readonly version: string;
}

const file = (stateDir: string): string => join(stateDir, 'b2-backup', 'booted.json');

/** The last one; undefined where there was none, or it cannot be read. */
export function readBooted(stateDir: string): Booted | undefined {
  try {
    const { snapshot, at, version } = JSON.parse(readFileSync(file(stateDir), 'utf8')) as Partial<Booted>;
    const whole = [snapshot, at, version].every((text) => typeof text === 'string');
    return whole ? ({ snapshot, at, version } as Booted) : undefined;
  } catch {
    return undefined;
  }
}

/** Remembers one. */
export function writeBooted(stateDir: string, booted: Booted): void {
  const path = file(stateDir);
  mkdirSync(join(stateDir, 'b2-backup'), { recursive: true, mode: 0o700 });
  writeFileSync(`${path}.next`, `${JSON.stringify(booted)}\n`, { mode: 0o600 });
  renameSync(`${path}.next`, path);
}
