// `npm run test:gateway`: the package in a real OpenClaw gateway. Set-up, OpenClaw and its Node into `.cache`, then
// the tests in `e2e/`. Further arguments go to vitest (a file, `-t NAME`).
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { cache, node24, openclaw, withoutNode24 } from './npm-cache.mjs';
import { failed, root, run } from './run.mjs';
import { setup } from './setup.mjs';
import { conclude, forget, NONE, vitest } from './suites.mjs';

const name = 'gateway';
const config = join(root, 'vitest.gateway.config.ts');

try {
  await forget(name);
  const reason = withoutNode24();
  if (reason !== undefined) {
    console.log(`Tests in the OpenClaw gateway are skipped: ${reason}.`);
    await conclude(name, [{ name: 'OpenClaw gateway', ok: true, counts: NONE, seconds: 0 }]);
  }
  await setup();
  await rm(join(cache, 'gateway-logs'), { recursive: true, force: true });
  await mkdir(join(cache, 'gateway-logs'));
  await run('cargo', ['build', '--quiet', '--example', 's3_server']);
  const bin = await node24();
  const env = {
    B2_E2E_NODE_BIN: bin,
    B2_E2E_OPENCLAW: await openclaw(bin),
    B2_E2E_CACHE: cache,
    B2_E2E_S3_SERVER: join(
      root,
      'target',
      process.env.CARGO_BUILD_TARGET ?? '',
      'debug',
      'examples',
      's3_server',
    ),
  };
  const options = ['--config', config, ...process.argv.slice(2)];
  await conclude(name, [await vitest('OpenClaw gateway', process.execPath, options, env)]);
} catch (error) {
  failed(error);
}
