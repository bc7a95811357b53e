/** Where OpenClaw, its Node and the rest are, and the environment that everything of a test runs in. */
import { randomUUID } from 'node:crypto';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

function given(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set: run these tests by npm run test:gateway`);
  return value;
}

/** The directory with `node` and `npm` that OpenClaw runs on. */
export const nodeBin = given('B2_E2E_NODE_BIN');
export const node24 = join(nodeBin, 'node');
/** The directory of the package `openclaw`. */
export const openclawPackage = given('B2_E2E_OPENCLAW');
export const s3ServerProgram = given('B2_E2E_S3_SERVER');
export const cache = given('B2_E2E_CACHE');
/** Compiled code of OpenClaw, from one run to the next: with it a command starts in a second. */
export const compileCache = join(cache, 'node-compile-cache');

/** Logs of the last run, for whoever wants to know why it failed. */
export const logs = join(cache, 'gateway-logs');

/** The top of the project. */
export const project = fileURLToPath(new URL('../..', import.meta.url));
export const support = (name: string): string => join(dirname(fileURLToPath(import.meta.url)), name);

/** Every process that this run starts has it in its environment, and is found by it at the end. */
export const RUN_MARK = 'B2_E2E_RUN';
export const runId = randomUUID();

/**
 * Nothing of the developer's own configuration comes along: neither an OpenClaw, npm or B2 setting, nor a
 * proxy. `home` is where the process believes to be at home.
 */
export function environment(home: string, extra: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  return {
    PATH: `${nodeBin}:/usr/local/bin:/usr/bin:/bin`,
    HOME: home,
    TMPDIR: join(home, 'tmp'),
    LANG: 'C.UTF-8',
    TZ: 'UTC',
    [RUN_MARK]: runId,
    ...extra,
  };
}
