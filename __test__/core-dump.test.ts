/** What a crash leaves on disk: nothing of a process that holds keys. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../e2e/support/until.ts';
import { CLI } from './addon-support.ts';
import { Person, processesCanRun, Running, Server } from './process-support.ts';

/** A server that takes everything and answers nothing. */
const SILENT = `
  const server = require('node:net').createServer((socket) => socket.resume().on('error', () => {}));
  server.listen(0, '127.0.0.1', () => console.log(server.address().port));
  process.stdin.resume().on('end', () => process.exit());
`;

/** Whether the tests themselves may raise the limit; some containers do not let them. */
const mayDump =
  process.platform === 'linux' &&
  !/^Max core file size +\S+ +0 /m.test(readFileSync('/proc/self/limits', 'utf8'));

describe.skipIf(!processesCanRun)('no core dump is left (needs Linux, the addon and the tools)', () => {
  let folder: string;
  let server: Server;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'b2-dumps-'));
    server = await Server.start(join(folder, 'buckets'));
  });
  afterAll(async () => {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Runs a program that may leave dumps, which go into its working directory where the system writes them itself. */
  function dumping(cwd: string, env: NodeJS.ProcessEnv, ...command: readonly string[]) {
    mkdirSync(cwd);
    return spawn('bash', ['-c', 'ulimit -c unlimited; exec "$0" "$@"', ...command], {
      cwd,
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
  }

  it.each([
    { host: 'the command', signal: 'SIGABRT' },
    { host: 'the command', signal: 'SIGSEGV' },
    { host: 'the gateway', signal: 'SIGABRT' },
    { host: 'the gateway', signal: 'SIGSEGV' },
  ] as const)('by a push of $host that is ended by $signal', async ({ host, signal }) => {
    const place = join(folder, `${host} ${signal}`);
    mkdirSync(place);
    const control = join(place, 'control');
    const sleeping = dumping(control, { PATH: process.env['PATH'] }, 'sleep', '60');
    await until('sleep to run', () =>
      readFileSync(`/proc/${sleeping.pid}/cmdline`, 'utf8').startsWith('sleep'),
    );
    sleeping.kill(signal);
    await once(sleeping, 'exit');
    const written = /^[^|@/]+$/.test(readFileSync('/proc/sys/kernel/core_pattern', 'utf8').trim());
    expect(readdirSync(control).length, 'without us there is one').toBe(written && mayDump ? 1 : 0);

    // It works until the bucket answers, which this one never does.
    const silent = spawn(process.execPath, ['-e', SILENT], { stdio: ['pipe', 'pipe', 'inherit'] });
    const [port] = (await once(silent.stdout, 'data')) as [Buffer];
    const endpoint = `http://127.0.0.1:${port.toString().trim()}`;
    const who = new Person(join(place, 'somebody'), server, { B2_ENDPOINT: endpoint, ENDPOINT: endpoint });
    writeFileSync(join(who.state, 'MEMORY.md'), 'remember the milk');
    const cwd = join(place, 'worker');
    const program = host === 'the command' ? [CLI, 'push', '--json'] : ['--input-type=module', '-e', GATEWAY];
    const parent = dumping(cwd, who.env, process.execPath, ...program);
    let out = '';
    parent.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text;
    });
    // The command pushes by itself; the gateway has a worker for it.
    const alone = host === 'the command';
    const pushing = await until('the push to hold the secrets', () => {
      const found = who.processes().find((pid) => alone === (pid === parent.pid));
      return found !== undefined && existsSync(join(who.state, 'b2-backup', 'lock')) ? found : undefined;
    });
    expect(coreLimit(pushing)).toBe(mayDump ? '1 1' : '0 0');
    expect(Number.parseInt(readFileSync(`/proc/${pushing}/coredump_filter`, 'utf8'), 16)).toBe(0);
    if (host === 'the gateway' && mayDump) {
      expect(coreLimit(parent.pid), 'its own').toBe('unlimited unlimited');
    }
    expect(Running.signal(pushing, signal)).toBe(true);
    await once(parent, 'close');
    if (alone) {
      expect([parent.signalCode, out]).toEqual([signal, '']);
    } else {
      const said = JSON.parse(out) as object;
      expect(said).toMatchObject({ code: 'B2_WORKER_DIED', message: expect.stringContaining(signal) });
    }
    expect(out).not.toContain(server.keys.applicationKey);
    expect(readdirSync(cwd)).toEqual([]);
    silent.stdin.end();
    await once(silent, 'exit');
  });
});

/** The limits of a process on core dumps: the one that counts, and how far it may raise it. */
function coreLimit(pid: number | undefined): string | undefined {
  const [, now, most] =
    /^Max core file size +(\S+) +(\S+)/m.exec(readFileSync(`/proc/${pid}/limits`, 'utf8')) ?? [];
  return `${now} ${most}`;
}

/** A host that uses the library, as the gateway does. */
const GATEWAY = `
  import { push } from ${JSON.stringify(new URL('../dist/index.js', import.meta.url).href)};
  const { OPENCLAW_STATE_DIR: stateDir, ENDPOINT: endpoint, B2_APPLICATION_KEY: applicationKey } = process.env;
  const settings = { stateDir, endpoint, applicationKey, keyId: 'id', bucket: 'backups', region: 'us-east-1' };
  push(settings).catch(({ code, message }) => console.log(JSON.stringify({ code, message })));
`;
