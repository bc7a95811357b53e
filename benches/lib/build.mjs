// Finds or builds what the benchmarks run.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { hostTarget } from '../../scripts/run.mjs';

/** The top of the project. */
export const root = fileURLToPath(new URL('../..', import.meta.url));

const EXAMPLES = { server: 's3_server', proxy: 's3_count_proxy' };
const GENERATOR = 'openclaw_state';

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

/** Paths of generator, S3 server and proxy, built when need be. Cargo decides quickly. */
export function tools(profile, built = false) {
  const folder = join(root, 'target', hostTarget() ?? '', profile);
  const names = Object.values(EXAMPLES).flatMap((name) => ['--example', name]);
  const build = ['build', ...(profile === 'release' ? ['--release'] : [])];
  if (!built) {
    checked('cargo', [...build, ...names], { show: true });
    checked('cargo', [...build, '--package', GENERATOR], { show: true });
  }
  return {
    state: join(folder, GENERATOR),
    ...Object.fromEntries(
      Object.entries(EXAMPLES).map(([key, name]) => [key, join(folder, 'examples', name)]),
    ),
  };
}

/** Builds our command line with its release addon. What is measured must be what the sources say. */
export function ensureProduct() {
  checked('npm', ['run', '--silent', 'build:release'], { show: true });
  return true;
}
