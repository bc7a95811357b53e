/** The real world for `main.ts`. */
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism, homedir } from 'node:os';
import process from 'node:process';
import { createInterface } from 'node:readline/promises';
import { createEngine } from '../engine.js';
import type { CliDeps } from './deps.js';

export { main } from './main.js';

/** This process, as a command sees it. */
export function systemDeps(): CliDeps {
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  return {
    env: process.env,
    stdout: process.stdout,
    stderr: process.stderr,
    engine: createEngine(),
    signals: process,
    exit: (code) => process.exit(code),
    now: () => performance.now(),
    home: homedir(),
    cwd: process.cwd(),
    fileExists: existsSync,
    version: manifest.version,
    confirm: process.stdin.isTTY && process.stderr.isTTY ? confirm : undefined,
    threads: availableParallelism(),
  };
}

async function confirm(lines: readonly string[]): Promise<boolean> {
  const asker = createInterface({ input: process.stdin, output: process.stderr });
  try {
    process.stderr.write(`${lines.join('\n')}\n`);
    return /^y(es)?$/i.test((await asker.question('Go on? [y/N] ')).trim());
  } finally {
    asker.close();
  }
}
