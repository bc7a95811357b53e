// What tests of the real command line are run with: an S3 server, and a program that makes and compares states.
import { join } from 'node:path';
import { builtExamples, run } from './run.mjs';

/** Builds them where they are missing or old, and gives what `__test__/process-support.ts` expects in the environment. */
export async function processTools() {
  const tools = { B2_S3_SERVER: 's3_server', B2_OPENCLAW_STATE: 'openclaw_state' };
  const names = Object.values(tools).flatMap((name) => ['--example', name]);
  await run('cargo', ['build', '--quiet', ...names]);
  return Object.fromEntries(Object.entries(tools).map(([key, name]) => [key, join(builtExamples, name)]));
}
