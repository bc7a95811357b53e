// Compiles ts/ to dist/. An emptied dist/ holds no file of a source that is gone.
import { chmod, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { bin, failed, isMain, root, run } from './run.mjs';

export async function buildTs() {
  console.log('setup: compiling the TypeScript');
  await rm(join(root, 'dist'), { recursive: true, force: true });
  await run(bin('tsc'), ['-p', 'tsconfig.json']);
  await run(bin('tsc'), ['-p', join('ts', 'control-ui', 'tsconfig.json')]);
  await buildStyle();
  await chmod(join(root, 'dist', 'cli.js'), 0o755);
}

/** The sheet of the page in the Control UI: that of the framed page below the page's own class, and what only this one has. */
async function buildStyle() {
  const { STYLE } = await import(pathToFileURL(join(root, 'dist', 'plugin', 'page', 'style.js')).href);
  const own = await readFile(join(root, 'ts', 'control-ui', 'index.css'), 'utf8');
  await writeFile(join(root, 'dist', 'control-ui', 'index.css'), `.b2-backups {\n${STYLE}}\n${own}`);
}

if (isMain(import.meta.url)) await buildTs().catch(failed);
