// Compiles ts/ to dist/. An emptied dist/ holds no file of a source that is gone.
import { chmod, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { bin, failed, isMain, root, run } from './run.mjs';

export async function buildTs() {
  console.log('setup: compiling the TypeScript');
  await rm(join(root, 'dist'), { recursive: true, force: true });
  await run(bin('tsc'), ['-p', 'tsconfig.json']);
  await chmod(join(root, 'dist', 'cli.js'), 0o755);
}

if (isMain(import.meta.url)) await buildTs().catch(failed);
