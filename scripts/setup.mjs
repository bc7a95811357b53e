// Makes a fresh clone ready: npm packages, the addon (quick profile), the TypeScript. Does only what is needed.
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { buildTs } from './build-ts.mjs';
import { bin, CommandFailed, failed, isMain, root, run, works } from './run.mjs';

/** `options` are those of `napi build`, such as `--release`. */
export async function setup(...options) {
  await installPackages();
  await buildAddon(...options);
  await buildTs();
}

/** The build tools, and the two packages that are needed at run time. */
export async function installPackages() {
  if (!(await packagesAreOld())) return;
  console.log('setup: installing the npm packages');
  // Not `npm ci`: it refuses a lock file without the optional packages of every other platform, and not every
  // registry mirror has them all. This installs what the lock file says, too, and leaves that file alone.
  await run('npm', [
    'install',
    '--no-save',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ]);
}

/** The addon and its generated loader. Cargo decides what is to be done. */
export async function buildAddon(...options) {
  if (!(await works('cargo', ['--version']))) {
    throw new CommandFailed('cargo is not installed: this project needs Rust 1.95 or newer');
  }
  console.log('setup: building the addon (the first time takes some minutes; later, seconds)');
  const generated = ['--esm', '--no-const-enum', '--js', 'index.js', '--dts', 'index.d.ts'];
  await run(bin('napi'), ['build', '--platform', ...generated, ...options]);
}

async function packagesAreOld() {
  try {
    const [installed, locked] = await Promise.all([
      stat(join(root, 'node_modules', '.package-lock.json')),
      stat(join(root, 'package-lock.json')),
    ]);
    return installed.mtimeMs < locked.mtimeMs;
  } catch {
    return true;
  }
}

if (isMain(import.meta.url)) await setup().catch(failed);
