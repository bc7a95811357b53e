/** The gateway of this machine, from outside: whether it runs, and how it is stopped and started by its own means. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { run } from './install.js';

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
