// Programs from npm that the tests run and the project does not depend on, in the ignored `.cache`.
import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import process from 'node:process';
import { root, run } from './run.mjs';

export const cache = join(root, '.cache');

/** What OpenClaw 2026.9.6 needs, or newer, and the npm that Node ships in that release. */
const NODE_24 = '24.21.0';
const NPM = '11.19.0';
const OPENCLAW = '2026.9.6';

/** Why this system cannot run {@linkcode node24}, or undefined. */
export function withoutNode24() {
  if (process.platform === 'linux' && ['x64', 'arm64'].includes(process.arch)) return undefined;
  return `there is no npm package with Node 24 for ${process.platform} ${process.arch}`;
}

/**
 * The directory of a Node 24 laid out as Node's own archive is: `node` and a working `npm` side by side, where
 * programs that look for the npm of the Node they run on find it. The npm package of Node has no npm in it.
 */
export async function node24() {
  const name = `node-linux-${process.arch}`;
  const modules = await installed('node-24', { [name]: NODE_24, npm: NPM }, {}, async (folder) => {
    const home = join(folder, name);
    await mkdir(join(home, 'lib', 'node_modules'), { recursive: true });
    await symlink(join('..', '..', '..', 'npm'), join(home, 'lib', 'node_modules', 'npm'));
    for (const command of ['npm', 'npx']) {
      await symlink(
        join('..', 'lib', 'node_modules', 'npm', 'bin', `${command}-cli.js`),
        join(home, 'bin', command),
      );
    }
  });
  return join(modules, name, 'bin');
}

/** The directory of the package `openclaw`, installed by and for the Node in `bin`. */
export async function openclaw(bin) {
  // Its install scripts run on that Node, too: it refuses older ones.
  const env = { PATH: `${bin}${delimiter}${process.env.PATH}` };
  return join(await installed('gateway', { openclaw: OPENCLAW }, env), 'openclaw');
}

/** The directory that a version of `openclaw` was installed into as by `npm install -g`, for the Node in `bin`. */
export async function globalOpenclaw(bin, version) {
  const env = { PATH: `${bin}${delimiter}${process.env.PATH}` };
  const own = ['--global', '--allow-scripts=openclaw'];
  const modules = await installed(`openclaw-${version}`, { openclaw: version }, env, undefined, own);
  return dirname(modules);
}

/** Installs packages into a folder of the cache once; the marker is written when everything is there. */
async function installed(name, packages, env, finish = async () => {}, options = []) {
  const folder = join(cache, name);
  const modules = join(folder, 'node_modules');
  const marker = join(folder, 'installed.json');
  const wanted = JSON.stringify(packages);
  if ((await readFile(marker, 'utf8').catch(() => '')) === wanted) return modules;
  const specs = Object.entries(packages).map(([at, version]) => `${at}@${version}`);
  console.log(`\ninstalling ${specs.join(' and ')} into .cache/${name}, once`);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const quietly = ['--no-save', '--no-audit', '--no-fund', '--loglevel=error'];
  await run('npm', ['install', '--prefix', folder, ...quietly, ...options, ...specs], { env });
  await finish(modules);
  await writeFile(marker, wanted);
  return modules;
}
