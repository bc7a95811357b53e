// What the scripts share: running programs, and where things are. No dependencies: this runs before npm ci.
import { spawn, spawnSync } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** The top of the project. */
export const root = fileURLToPath(new URL('..', import.meta.url));

const windows = process.platform === 'win32';

/** The target that everything here is built for (`.cargo/config.toml`); what is built lies in a folder of its name. */
export function hostTarget() {
  const version = spawnSync('rustc', ['-vV'], { encoding: 'utf8' });
  return /^host: (.+)$/m.exec(version.stdout ?? '')?.[1];
}

/** Where `cargo build` puts what it builds. */
export const built = join(root, 'target', hostTarget() ?? '', 'debug');

/** Where `cargo build --example` puts what it builds. */
export const builtExamples = join(built, 'examples');

/** Whether a module is the script that was started. */
export function isMain(url) {
  const [, script] = process.argv;
  return script !== undefined && pathToFileURL(realpathSync(script)).href === url;
}

/** A program that npm installed here. */
export function bin(name) {
  return join(root, 'node_modules', '.bin', windows ? `${name}.cmd` : name);
}

/** A program that failed, or does not exist. */
export class CommandFailed extends Error {}

/**
 * Runs a program. With `tee`, its output is shown and also returned; with `capture` only returned; otherwise
 * it has the terminal. Rejects unless the exit status is in `accept`.
 */
export function run(command, args, { cwd = root, env, tee = false, capture = false, accept = [0] } = {}) {
  return new Promise((resolve, reject) => {
    const piped = tee || capture;
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: piped ? ['ignore', 'pipe', tee ? 'pipe' : 'inherit'] : ['ignore', 'inherit', 'inherit'],
      shell: windows,
    });
    let output = '';
    for (const [stream, sink] of [
      [child.stdout, process.stdout],
      [child.stderr, process.stderr],
    ]) {
      stream?.setEncoding('utf8').on('data', (text) => {
        output += text;
        if (tee) sink.write(text);
      });
    }
    child.once('error', (error) => {
      reject(
        new CommandFailed(
          error.code === 'ENOENT' ? `${command} is not installed` : `${command}: ${error.message}`,
        ),
      );
    });
    child.once('close', (status, signal) => {
      if (accept.includes(status)) resolve({ status, output });
      else {
        const failure = new CommandFailed(
          `${command} ${args.join(' ')} ended with ${signal ?? `exit status ${status}`}`,
        );
        reject(Object.assign(failure, { status, output }));
      }
    });
  });
}

/** Whether a program runs. */
export async function works(command, args) {
  try {
    await run(command, args, { tee: false, capture: true });
    return true;
  } catch {
    return false;
  }
}

/** Ends the process with one line when a script fails for a reason that is not ours. */
export function failed(error) {
  console.error(error instanceof CommandFailed ? `\n${error.message}` : error);
  process.exit(1);
}
