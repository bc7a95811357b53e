// `npm run bench:gateway`: what backing up costs a real OpenClaw gateway. Set-up, then benches/gateway.mjs on OpenClaw's
// Node, in a temporary folder that is gone afterwards.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { HELP, readOptions } from '../benches/gateway-options.mjs';
import { report } from '../benches/gateway-report.mjs';
import { gatewayEnvironment } from './gateway.mjs';
import { withoutNode24 } from './npm-cache.mjs';
import { CommandFailed, failed, isMain, run } from './run.mjs';
import { setup } from './setup.mjs';

async function benchGateway() {
  const options = readOptions();
  if (options.help) return console.log(HELP);
  if (options.report !== undefined) return console.log(report(options.report));
  const reason = withoutNode24();
  if (reason !== undefined) throw new CommandFailed(reason);
  await setup(...(options.release ? ['--release'] : []));
  const env = await gatewayEnvironment();
  const work = await mkdtemp(join(tmpdir(), 'b2-bench-gateway-'));
  // Ctrl-C ends the benchmark; then there is still the folder to be removed.
  process.on('SIGINT', () => {});
  try {
    const program = ['benches/gateway.mjs', ...process.argv.slice(2)];
    await run(join(env.B2_E2E_NODE_BIN, 'node'), program, { env: { ...env, TMPDIR: work } });
  } finally {
    // What was killed may still be ending.
    await rm(work, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  }
}

if (isMain(import.meta.url)) await benchGateway().catch(failed);
