// Compiles ts/ to dist/. An emptied dist/ holds no file of a source that is gone.
import { chmod, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { bin, failed, root, run } from './run.mjs';

export async function buildTs() {
  console.log('setup: compiling the TypeScript');
  await rm(join(root, 'dist'), { recursive: true, force: true });
  await run(bin('tsc'), ['-p', 'tsconfig.json']);
  await chmod(join(root, 'dist', 'cli.js'), 0o755);
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await buildTs().catch(failed);
