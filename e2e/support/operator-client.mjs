// An operator's connection to the gateway, by OpenClaw's own client, for `operator.ts`: a request a line on
// standard input, answers and events a line on standard output. Runs on OpenClaw's Node.
import { createRequire } from 'node:module';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const { B2_E2E_OPENCLAW: host, B2_E2E_URL: url, B2_E2E_TOKEN: token, B2_E2E_SCOPES: scopes } = process.env;
const resolve = createRequire(pathToFileURL(`${host}/package.json`)).resolve;
const { GatewayClient } = await import(pathToFileURL(resolve('openclaw/plugin-sdk/gateway-runtime')).href);

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

const client = new GatewayClient({
  url,
  token,
  role: 'operator',
  scopes: scopes.split(' '),
  clientName: 'gateway-client',
  clientDisplayName: 'b2-backup tests',
  mode: 'backend',
  platform: process.platform,
  caps: ['tool-events', 'approvals', 'plugin-approvals'],
  onHelloOk: (hello) => say({ hello }),
  onEvent: ({ event, payload }) => say({ event, payload }),
  onConnectError: (error) => say({ trouble: error.message }),
  onClose: (code, reason) => say({ trouble: `closed: ${code} ${reason}` }),
});
client.start();

createInterface({ input: process.stdin })
  .on('line', async (line) => {
    const { id, method, params } = JSON.parse(line);
    try {
      say({ id, result: (await client.request(method, params)) ?? null });
    } catch (error) {
      say({ id, error: error.message });
    }
  })
  .on('close', () => {
    client.stop();
    process.exit(0);
  });
