// `npm run test:gateway`: the package in a real OpenClaw gateway. Set-up, OpenClaw and its Node into `.cache`, then
// the tests in `e2e/`. Further arguments go to vitest (a file, `-t NAME`).
import { join } from 'node:path';
import process from 'node:process';
import { gatewayEnvironment } from './gateway.mjs';
import { withoutNode24 } from './npm-cache.mjs';
import { failed, root } from './run.mjs';
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
  const env = await gatewayEnvironment();
  const options = ['--config', config, ...process.argv.slice(2)];
  await conclude(name, [await vitest('OpenClaw gateway', process.execPath, options, env)]);
} catch (error) {
  failed(error);
}
