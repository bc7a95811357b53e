// What tests of the real command line are run with: an S3 server, and a program that makes and compares states.
import { join } from 'node:path';
import { built, builtExamples, run } from './run.mjs';

/** Builds them where they are missing or old, and gives what `__test__/process-support.ts` expects in the environment. */
export async function processTools() {
  await run('cargo', ['build', '--quiet', '--example', 's3_server']);
  await run('cargo', ['build', '--quiet', '--package', 'openclaw_state']);
  return {
    B2_S3_SERVER: join(builtExamples, 's3_server'),
    B2_OPENCLAW_STATE: join(built, 'openclaw_state'),
  };
}
