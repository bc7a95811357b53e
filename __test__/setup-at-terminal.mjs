// `b2-backup setup` as it is, but for the address of B2's native API, which no user can change.
import { main, systemDeps } from '../dist/cli/run.js';

const deps = systemDeps();
const b2 = { ...deps.setup.b2, apiUrl: process.env.TEST_B2_API };
process.exitCode = await main(['setup', ...process.argv.slice(2)], { ...deps, setup: { ...deps.setup, b2 } });
