// Finds or builds what the benchmarks run.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

/** The top of the project. */
export const root = fileURLToPath(new URL('../..', import.meta.url));

const EXAMPLES = { state: 'openclaw_state', server: 's3_server', proxy: 's3_count_proxy' };

/** Runs a program that must succeed and returns its output. */
export function checked(command, args, { env = process.env, cwd = root, show = false } = {}) {
  const done = spawnSync(command, args, {
    env,
    cwd,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    stdio: ['ignore', show ? 'inherit' : 'pipe', show ? 'inherit' : 'pipe'],
  });
  if (done.error) throw done.error;
  if (done.status !== 0) {
    throw new Error(
      `${command} ${args.join(' ')} ended with ${done.status ?? done.signal}:\n${done.stderr ?? ''}`,
    );
  }
  return done.stdout ?? '';
}

/** Paths of generator, S3 server and proxy; built when one is missing. */
export function tools(profile) {
  const folder = join(root, 'target', profile, 'examples');
  const paths = Object.fromEntries(Object.entries(EXAMPLES).map(([key, name]) => [key, join(folder, name)]));
  if (Object.values(paths).some((path) => !existsSync(path))) {
    const names = Object.values(EXAMPLES).flatMap((name) => ['--example', name]);
    const flags = profile === 'release' ? ['--release'] : [];
    checked('cargo', ['build', '--no-default-features', ...flags, ...names], { show: true });
  }
  return paths;
}

/** Whether our command line with its release addon is there, after building it if need be. */
export function ensureProduct() {
  const built = () =>
    existsSync(join(root, 'dist', 'cli.js')) && readdirSync(root).some((name) => name.endsWith('.node'));
  if (built()) return true;
  if (!existsSync(join(root, 'package.json'))) return false;
  checked('npm', ['run', 'build:release'], { show: true });
  return built();
}
