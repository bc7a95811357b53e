/** The gateway of this machine, from outside: whether it runs, and how it is stopped and started by its own means. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import type { BackupError } from '../errors.js';
import type { Installation } from '../installation.js';
import { run } from './install.js';
import type { Process } from './turn.js';

/** OpenClaw on this machine. */
export interface Host {
  /** The installation; undefined where there is none. */
  installation(): Installation | undefined;
  /** The version that is there; undefined for none, or half of one. */
  version(installation: Installation): string | undefined;
  /** Whether this process may install by itself. */
  installs(installation: Installation): boolean;
  /** Why that would not get far. */
  obstacle(installation: Installation, version: string): Promise<BackupError | undefined>;
  /** Installs a version, by a process that `began` is told of; says why it did not. */
  install(
    installation: Installation,
    version: string,
    began: (process: Process) => void,
  ): Promise<string | undefined>;
  /** Whether a process runs. */
  lives(process: Process): boolean;
  /** The process of the gateway; undefined where none runs. */
  running(): number | undefined;
  /** Has the version that came back know this machine by the identity that it has. */
  restored(version: string): Promise<void>;
  /** Has the service manager stop and start it; false where that does nothing. */
  stop(installation: Installation): Promise<boolean>;
  start(installation: Installation): Promise<boolean>;
  /** Whether it is ready for work. */
  ready(): Promise<boolean>;
  /** How it is called. */
  calling(installation: Installation): string[];
}

/** How long one command of OpenClaw may take, milliseconds: it waits for turns to end when it stops. */
const COMMAND_MS = 6 * 60_000;

/** The process of the gateway that works with this state; undefined where none does. */
export function gatewayPid(stateDir: string): number | undefined {
  const folder = join(stateDir, 'tmp');
  try {
    for (const name of readdirSync(folder)) {
      if (!name.startsWith('openclaw-')) continue;
      const pid = pidIn(join(folder, name, 'gateway.state.lock'));
      if (pid !== undefined) return pid;
    }
  } catch {
    // No such folder: nothing ran here.
  }
  return undefined;
}

function pidIn(lock: string): number | undefined {
  try {
    const { pid } = JSON.parse(readFileSync(lock, 'utf8')) as { pid?: unknown };
    if (typeof pid !== 'number') return undefined;
    process.kill(pid, 0);
    return pid;
  } catch (error) {
    // Another user's process is one, too.
    return (error as NodeJS.ErrnoException).code === 'EPERM' ? 0 : undefined;
  }
}

/** Asks the service manager to stop the gateway, by OpenClaw's own command. False where that did not do it. */
export async function stopService(openclaw: readonly string[]): Promise<boolean> {
  const [program = '', ...first] = openclaw;
  // Newer ones ask whether that is meant, older ones do not know the option.
  for (const more of [['--force'], []]) {
    const { code } = await run(program, [...first, 'gateway', 'stop', ...more], undefined, COMMAND_MS);
    if (code === 0) return true;
  }
  return false;
}

/** Asks the service manager to start it. False where there is none. */
export async function startService(openclaw: readonly string[]): Promise<boolean> {
  const [program = '', ...first] = openclaw;
  return (await run(program, [...first, 'gateway', 'start'], undefined, COMMAND_MS)).code === 0;
}

/** Whether the gateway says that it is ready for work. */
export async function isReady(port: number): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(5_000) })).ok;
  } catch {
    return false;
  }
}

/** The port of the gateway by a configuration: what it says, or OpenClaw's own. */
export function portIn(configPath: string): number {
  try {
    const text = readFileSync(configPath, 'utf8');
    const { gateway } = JSON.parse(text) as { gateway?: { port?: unknown } };
    return typeof gateway?.port === 'number' ? gateway.port : DEFAULT_PORT;
  } catch {
    return DEFAULT_PORT;
  }
}

/** What OpenClaw takes where nothing is configured. */
const DEFAULT_PORT = 18_789;
