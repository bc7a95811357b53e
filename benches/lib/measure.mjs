// Wall time, CPU and memory of one command and everything it starts.
import { spawn } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';

const TIMEOUT_MS = 3_600_000;

/**
 * Runs a command under GNU time. `wall` in seconds is ours (GNU time's has 10 ms steps); `cpu` is user and system
 * seconds of the command and all children it waited for; `rss` is the peak of the largest single process, in MB. `alone` is the
 * program that gives the command the processors, with its arguments.
 */
export async function timed({ argv, env, cwd }, log, alone = []) {
  const figures = `${log}.time`;
  rmSync(figures, { force: true });
  const [out, err] = [openSync(`${log}.out`, 'w'), openSync(`${log}.err`, 'w')];
  try {
    const start = performance.now();
    const child = spawn('/usr/bin/time', ['-o', figures, '-f', '%U %S %M', ...alone, ...argv], {
      env,
      cwd,
      stdio: ['ignore', out, err],
      // Its own group, so that a command that hangs can be ended with all its children.
      detached: true,
    });
    const timer = setTimeout(() => process.kill(-child.pid, 'SIGKILL'), TIMEOUT_MS);
    const status = await new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code, signal) => resolve(code ?? signal));
    });
    clearTimeout(timer);
    const wall = (performance.now() - start) / 1000;
    // A failed command puts a line of its own before the figures.
    const last = readFileSync(figures, 'utf8').trim().split('\n').at(-1) ?? '';
    const [user = 0, system = 0, kilobytes = 0] = last.split(' ').map(Number);
    return {
      status,
      wall: Number(wall.toFixed(3)),
      cpu: Number((user + system).toFixed(2)),
      rss: Number(((kilobytes * 1024) / 1e6).toFixed(1)),
    };
  } finally {
    closeSync(out);
    closeSync(err);
  }
}

/** Bytes of all files in a folder. */
export function folderBytes(folder) {
  let bytes = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    bytes += entry.isDirectory() ? folderBytes(path) : statSync(path).size;
  }
  return bytes;
}
