// `npm run bench`: the release build of addon and command, then the Rust benchmarks. Arguments go to cargo bench.
import process from 'node:process';
import { buildTs } from './build-ts.mjs';
import { failed, run } from './run.mjs';
import { buildAddon, installPackages } from './setup.mjs';

try {
  await installPackages();
  await buildAddon('--release');
  await buildTs();
  console.log('bench: running cargo bench');
  await run('cargo', ['bench', ...process.argv.slice(2)]);
} catch (error) {
  failed(error);
}
