/** Before all tests: the packages packed, and the plugin installed in a home, which most tests start from. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { Home } from './gateway.ts';
import { openRegistry, packForRegistry } from './registry.ts';

/** `inject('installed')` in tests. */
export interface Installed {
  /** A folder with the packages, for `openRegistry`. */
  readonly tarballs: string;
  /** The path of a home in which a user has installed the plugin, for {@linkcode Home.create}. */
  readonly home: string;
  /** What OpenClaw said to the user. */
  readonly said: string;
  /** What it asked of the npm registry. */
  readonly asked: readonly string[];
}

declare module 'vitest' {
  interface ProvidedContext {
    installed: Installed;
  }
}

/** Runs once; gives the way to clean up. */
export default async function install(project: TestProject): Promise<() => void> {
  const folder = mkdtempSync(join(tmpdir(), 'b2-installed-'));
  const cleanUp = (): void => rmSync(folder, { recursive: true, force: true });
  try {
    const tarballs = join(folder, 'tarballs');
    mkdirSync(tarballs);
    await packForRegistry(tarballs);
    const registry = await openRegistry(tarballs);
    // Nobody talks to its model.
    const home = await Home.create({ url: 'http://127.0.0.1:9/v1' });
    const { out } = await home.install(registry);
    await registry.close();
    project.provide('installed', { tarballs, home: home.path, said: out, asked: registry.asked });
    return () => {
      home.remove();
      cleanUp();
    };
  } catch (error) {
    cleanUp();
    throw error;
  }
}
