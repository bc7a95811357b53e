// What a real gateway is run with, by its tests and its benchmark: OpenClaw, its Node and the S3 server.
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { cache, node24, openclaw } from './npm-cache.mjs';
import { builtExamples, run } from './run.mjs';

/** Installs and builds it all where it is missing, and gives what `e2e/support` expects in the environment. */
export async function gatewayEnvironment() {
  const logs = join(cache, 'gateway-logs');
  await rm(logs, { recursive: true, force: true });
  await mkdir(logs, { recursive: true });
  await run('cargo', ['build', '--quiet', '--example', 's3_server']);
  const bin = await node24();
  return {
    B2_E2E_NODE_BIN: bin,
    B2_E2E_OPENCLAW: await openclaw(bin),
    B2_E2E_CACHE: cache,
    B2_E2E_S3_SERVER: join(builtExamples, 's3_server'),
  };
}
