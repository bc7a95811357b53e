#!/usr/bin/env node
/** Entry of the command `b2-backup`. */
import process from 'node:process';
import { main, systemDeps } from './cli/run.js';
import { createEngine } from './engine.js';
import { createInPlace } from './in-place.js';
import { loadNative } from './native.js';

// Secrets are in this process's memory. Without the addon there is nothing to do with them; the command says so.
await loadNative().then((native) => native.forbidCoreDumps(), ignore);

// Not process.exit: output to a pipe may still be on its way.
const engine = createEngine({ runIsolated: createInPlace() });
process.exitCode = await main(process.argv.slice(2), { ...systemDeps(), engine });

function ignore(): void {}
