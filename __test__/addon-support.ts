/** Whether the real thing is here: the built addon, and dist/. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const required = process.env['B2_REQUIRE_ADDON'] === '1';

export const CLI = fileURLToPath(new URL('../dist/cli.js', import.meta.url));

/** The loader, or undefined where it does not load. In `npm test` that is a failure. */
export async function loadAddon(): Promise<Record<string, unknown> | undefined> {
  try {
    if (!existsSync(CLI)) throw new Error('dist/ is not built: npm run build:ts');
    const loader = new URL('../index.js', import.meta.url).href;
    return (await import(/* @vite-ignore */ loader)) as Record<string, unknown>;
  } catch (error) {
    if (required) throw error;
    return undefined;
  }
}

export const addon = await loadAddon();
