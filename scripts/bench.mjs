// `npm run bench`: the release build measured beside restic and rustic, where those are installed.
import { failed, isMain, run } from './run.mjs';
import { installPackages } from './setup.mjs';

async function bench() {
  await installPackages();
  await run('node', ['benches/compare.mjs', ...process.argv.slice(2)]);
}

if (isMain(import.meta.url)) await bench().catch(failed);
