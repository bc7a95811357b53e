// The S3 server and the counting proxy before it.
import { spawn } from 'node:child_process';
import { mkdirSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

// As B2 draws them: a key that may be somebody's own words is stretched for eight times as long.
const KEYS = { id: 'AKIATEST00000000', secret: 'K005Nb1vQ0xDzYw3mJk8RtUeLsHc7aPg' };
const BUCKET = 'bench-bucket';

/** Starts a program that prints where it listens and ends when its standard input closes. */
async function start([command, ...args], log, pattern) {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', openSync(log, 'a')] });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const match = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) =>
      reject(new Error(`${command} ended with ${code} before it listened; see ${log}`)),
    );
    createInterface({ input: child.stdout }).on('line', (line) => {
      const found = pattern.exec(line);
      if (found) resolve(found);
    });
  });
  const stop = async () => {
    child.stdin.end();
    const timer = setTimeout(() => child.kill('SIGKILL'), 5000);
    await ended;
    clearTimeout(timer);
  };
  return { match, stop };
}

/** An empty folder to store in. Nobody counts requests and bytes there; `at` is where it is. */
export function startFolder(work) {
  const at = join(work, 'server');
  rmSync(at, { recursive: true, force: true });
  mkdirSync(at, { recursive: true });
  const nothing = async () => ({});
  const stop = async () => rmSync(at, { recursive: true, force: true });
  return { at, bucketFolder: at, keys: KEYS, set: nothing, reset: nothing, stats: nothing, stop };
}

/** An empty bucket behind the proxy. */
export async function startProxied(example, work, alone = []) {
  const folder = join(work, 'server');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const log = (name) => join(work, 'logs', `${name}.log`);
  const server = await start(
    [
      ...alone,
      example.server,
      '--root',
      folder,
      '--port',
      '0',
      '--access-key',
      KEYS.id,
      '--secret-key',
      KEYS.secret,
      '--bucket',
      BUCKET,
    ],
    log('server'),
    /^listening (\S+)/,
  );
  const proxy = await start(
    [...alone, example.proxy, '127.0.0.1:0', server.match[1], '127.0.0.1:0'],
    log('proxy'),
    /^listening (\S+) admin (\S+)/,
  );
  const [, address, admin] = proxy.match;
  const ask = async (path) => (await fetch(`http://${admin}${path}`)).json();
  return {
    endpoint: `http://${address}`,
    bucket: BUCKET,
    bucketFolder: join(folder, BUCKET),
    keys: KEYS,
    set: (settings) => ask(`/set?${new URLSearchParams(settings)}`),
    reset: () => ask('/reset'),
    stats: () => ask('/stats'),
    stop: async () => {
      await proxy.stop();
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
