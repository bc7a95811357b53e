// Makes a fresh clone ready: npm packages, the addon (quick profile), the TypeScript. Does only what is needed.
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { buildTs } from './build-ts.mjs';
import { bin, CommandFailed, failed, root, run, works } from './run.mjs';

export async function setup() {
  if (await packagesAreOld()) {
    console.log('setup: installing the npm packages (build tools only)');
    await run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
  }
  if (!(await works('cargo', ['--version']))) {
    throw new CommandFailed('cargo is not installed: this project needs Rust 1.95 or newer');
  }
  console.log('setup: building the addon (the first time takes some minutes; later, seconds)');
  await run(bin('napi'), [
    'build',
    '--platform',
    '--esm',
    '--no-const-enum',
    '--js',
    'index.js',
    '--dts',
    'index.d.ts',
  ]);
  console.log('setup: compiling the TypeScript');
  await buildTs();
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

if (import.meta.url === pathToFileURL(process.argv[1]).href) await setup().catch(failed);
