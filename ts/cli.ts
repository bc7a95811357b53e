#!/usr/bin/env node
/** Entry of the command `b2-backup`: the real world for `cli/main.ts`. */
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism, homedir } from 'node:os';
import process from 'node:process';
import { main } from './cli/main.js';
import { createEngine } from './engine.js';

const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

// A reader that went away (`| head`) is no failure of ours.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

// Not process.exit: output to a pipe may still be on its way.
process.exitCode = await main(process.argv.slice(2), {
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
  threads: availableParallelism(),
});
