import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { compare } from '../ts/boot/compare.ts';
import { bootDrill, rootsOf } from '../ts/boot/drill.ts';
import { takeFolder } from '../ts/boot/folder.ts';
import { startTrial } from '../ts/boot/gateway.ts';
import { withoutNetwork } from '../ts/boot/isolation.ts';
import { moved } from '../ts/boot/move.ts';
import { trialConfig } from '../ts/boot/prepare.ts';
import { readBooted, writeBooted } from '../ts/boot/record.ts';
import type { BootJob } from '../ts/boot/types.ts';
import { formatDrill, unproven } from '../ts/plugin/format-proof.ts';
import { DRILLED } from './cli-support.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'b2-boot-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

describe('the configuration of a trial', () => {
  const roots = [
    { from: '/home/u/.openclaw', to: '/t/state' },
    { from: '/home/u/proj', to: '/t/state/.b2-roots/1-proj' },
  ];
  const job = { folder: '/t', roots, home: '/home/u' };
  const config = (workspace: string): Record<string, unknown> =>
    trialConfig([{ id: 'a', workspace, isDefault: true }], {}, job, { port: 1, token: 't' }) as Record<
      string,
      unknown
    >;

  it('has agents work in what was restored, wherever that was', () => {
    const works = (workspace: string): unknown =>
      (config(workspace)['agents'] as { entries: { a: { workspace: string } } }).entries.a.workspace;
    expect(works('/home/u/proj/sub')).toBe('/t/state/.b2-roots/1-proj/sub');
    expect(works('/home/u/.openclaw/workspace')).toBe('/t/state/workspace');
    expect(works('/t/state/workspace')).toBe('/t/state/workspace');
    // OpenClaw had a home of the trial's own when it was asked.
    expect(works('/t/home/proj')).toBe('/t/state/.b2-roots/1-proj');
    // Never a live directory.
    expect(works('/home/u/project')).toBe('/t/empty/a');
    expect(works('/etc')).toBe('/t/empty/a');
  });

  it('takes nothing over that reaches out', () => {
    const raw = { session: { scope: 'global', webhook: 'https://x' }, channels: { telegram: {} }, hooks: {} };
    const made = trialConfig([{ id: 'a' }], raw, job, { port: 1, token: 't' }) as Record<string, unknown>;
    expect(Object.keys(made).sort()).toEqual(
      ['agents', 'cron', 'gateway', 'logging', 'models', 'plugins', 'session', 'update'].sort(),
    );
    expect(made).toMatchObject({
      cron: { enabled: false },
      plugins: { enabled: false },
      session: { scope: 'global', mainKey: undefined },
      gateway: { bind: 'loopback' },
    });
    expect(JSON.stringify(made)).not.toContain('https');
  });
});

describe('paths', () => {
  it('follow the innermost directory', () => {
    const directories = [
      { from: '/a', to: '/x' },
      { from: '/a/b', to: '/y' },
    ];
    expect(moved('/a/b/c', directories)).toBe('/y/c');
    expect(moved('/a/bc', directories)).toBe('/x/bc');
    expect(moved('/ab', directories)).toBeUndefined();
  });

  it('are taken from what a restore tells', () => {
    const told = ['/s -> /t/state', '/p -> /t/state/.b2-roots/1-p'];
    expect(rootsOf(told, '/s', '/t/state')).toEqual([
      { from: '/s', to: '/t/state' },
      { from: '/p', to: '/t/state/.b2-roots/1-p' },
    ]);
    expect(rootsOf([], '/s', '/t/state')).toEqual([{ from: '/s', to: '/t/state' }]);
  });
});

describe('what OpenClaw answers', () => {
  const expected = {
    sessions: [{ key: 'k', sessionId: 'one', last: 'm2' }],
    jobs: [{ id: 'j', name: 'due' }],
    memoryFiles: [{ agent: 'a', name: 'MEMORY.md', content: 'cat' }],
  };
  const right = {
    sessions: new Map([['k', 'one']]),
    messages: new Map([['k', ['m1', 'm2', 'added']]]),
    jobs: new Set(['j']),
    files: new Map([['a/MEMORY.md', 'cat']]),
  };

  it('is what the snapshot says', () => {
    expect(compare(expected, right)).toEqual([]);
  });

  it.each([
    ['a session', { sessions: new Map() }, 'does not show the session k'],
    ['a conversation', { sessions: new Map([['k', 'two']]) }, 'another conversation in the session k'],
    ['a message', { messages: new Map([['k', ['m1']]]) }, 'the last message of the session k'],
    ['an answer', { messages: new Map([['k', new Error('broken')]]) }, 'of the session k: broken'],
    ['a job', { jobs: new Set<string>() }, 'does not see the job "due"'],
    ['a file', { files: new Map() }, 'does not find MEMORY.md of the agent a'],
    ['its content', { files: new Map([['a/MEMORY.md', 'dog']]) }, 'something else in MEMORY.md'],
  ])('lacks %s', (_what, lacking, said) => {
    expect(compare(expected, { ...right, ...lacking })).toEqual([expect.stringContaining(said)]);
  });
});

describe('the folder', () => {
  it('is for its owner alone, and goes', () => {
    const { path, remove } = takeFolder(dir);
    expect(statSync(path).mode & 0o777).toBe(0o700);
    remove();
    expect(existsSync(path)).toBe(false);
  });

  it('is cleared of what a killed run left, with its gateway', async () => {
    const path = join(dir, 'b2-backup', 'boot');
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, 'left'), 'secret');
    // A process that has ended.
    const gone = spawn(process.execPath, ['-e', '']);
    await once(gone, 'exit');
    writeFileSync(join(path, 'owner.pid'), `${gone.pid}`);
    const gateway = sleeper({ OPENCLAW_STATE_DIR: `${path}/state` });
    const other = sleeper({ OPENCLAW_STATE_DIR: `${dir}/live` });
    try {
      await Promise.all([once(gateway, 'spawn'), once(other, 'spawn')]);
      writeFileSync(join(path, 'gateway.pid'), `${gateway.pid}`);
      takeFolder(dir);
      if (process.platform === 'linux') expect(await once(gateway, 'exit')).toEqual([null, 'SIGKILL']);
      expect(existsSync(join(path, 'left'))).toBe(false);
      // The number of a process may be another one's by now.
      writeFileSync(join(path, 'gateway.pid'), `${other.pid}`);
      takeFolder(dir);
      expect(other.exitCode ?? other.signalCode).toBeNull();
    } finally {
      gateway.kill('SIGKILL');
      other.kill('SIGKILL');
    }
  });

  it('is not taken from a run that lives', async () => {
    const { path } = takeFolder(dir);
    const other = sleeper({});
    await once(other, 'spawn');
    writeFileSync(join(path, 'owner.pid'), `${other.pid}`);
    try {
      expect(() => takeFolder(dir)).toThrow(expect.objectContaining({ code: 'B2_LOCKED' }));
    } finally {
      other.kill('SIGKILL');
    }
  });
});

function sleeper(env: NodeJS.ProcessEnv): ChildProcess {
  return spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e6)'], { env: { ...process.env, ...env } });
}

describe('a trial start', () => {
  it('says that there is no OpenClaw, before it restores anything', async () => {
    const engine = { restore: () => Promise.reject(new Error('not to be called')) };
    const trial = bootDrill({ engine, findOpenClaw: () => [] }, { stateDir: dir } as never, 'latest');
    await expect(trial).rejects.toMatchObject({ code: 'B2_HOST_REFUSES' });
    expect(existsSync(join(dir, 'b2-backup'))).toBe(false);
  });

  it('removes what it restored when that fails', async () => {
    const engine = {
      restore: async (_: unknown, { to }: { to: string }) => {
        mkdirSync(to, { recursive: true });
        writeFileSync(join(to, 'secret'), 'x');
        throw new Error('no network');
      },
    };
    const find = (): string[] => [process.execPath, '/nowhere/openclaw.mjs'];
    const trial = bootDrill({ engine, findOpenClaw: find }, { stateDir: dir } as never, 'latest');
    await expect(trial).rejects.toThrow('no network');
    expect(existsSync(join(dir, 'b2-backup', 'boot'))).toBe(false);
  });
});

/** What the guard, or the network of its own, keeps a program from. */
const TRY = `
const net = require('node:net'), dgram = require('node:dgram'), dns = require('node:dns');
const tries = [
  new Promise((done) => net.connect(Number(process.argv[1]), '127.0.0.1').on('connect', () => done('tcp')).on('error', () => done())),
  fetch('http://127.0.0.1:' + process.argv[1] + '/').then(() => 'fetch', () => undefined),
  fetch('http://localhost:' + process.argv[1] + '/').then(() => 'name', () => undefined),
  new Promise((done) => dns.lookup('example.com', (error) => done(error ? undefined : 'dns'))),
  new Promise((done) => dgram.createSocket('udp4').send('x', Number(process.argv[1]), '127.0.0.1', (error) => done(error ? undefined : 'udp'))),
];
Promise.all(tries).then((all) => { console.log(JSON.stringify(all.filter(Boolean))); process.exit(0); });
`;

describe('OpenClaw', () => {
  /** Ends with `words` at its first two starts, and listens at the third. */
  async function tried(words: string): Promise<{ pids: number; problem: string | undefined }> {
    const openclaw = join(dir, 'openclaw.mjs');
    const starts = join(dir, 'starts');
    const program = `import { appendFileSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
appendFileSync(${JSON.stringify(starts)}, '.');
if (readFileSync(${JSON.stringify(starts)}, 'utf8').length < 3) { console.log(${JSON.stringify(words)}); process.exit(1); }
createServer((_, answer) => answer.end()).listen(Number(process.env.PORT), '127.0.0.1');`;
    writeFileSync(openclaw, program);
    const free = createServer().listen(0, '127.0.0.1');
    await once(free, 'listening');
    const { port } = free.address() as AddressInfo;
    free.close();
    await once(free, 'close');
    const job: BootJob = { folder: dir, roots: [], home: dir, openclaw, alone: true, patienceMs: 60_000 };
    let pids = 0;
    const env = { PORT: `${port}` };
    const { gateway, problem } = await startTrial(job, env, { port, token: 't' }, () => pids++);
    await gateway.stop();
    return { pids, problem };
  }

  it('is started again where it gave up because the machine is busy', async () => {
    const busy =
      'Gateway failed to start: state lease heartbeat did not become ready (phase=startup, trigger=timeout)';
    expect(await tried(busy)).toEqual({ pids: 3, problem: undefined });
  });

  it('is not started again where it fails otherwise', async () => {
    const { pids, problem } = await tried('the schema is newer');
    expect(pids).toBe(1);
    expect(problem).toContain('exit status 1 instead of starting: the schema is newer');
  });
});

describe('the network', () => {
  async function reached(
    prefix: readonly string[],
    env: NodeJS.ProcessEnv,
  ): Promise<{ out: string; connections: number }> {
    let connections = 0;
    const server = createServer((socket) => {
      connections++;
      socket.end('HTTP/1.1 204 \r\n\r\n');
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const [program = '', ...args] = [...prefix, process.execPath, '-e', TRY, `${port}`];
    const child = spawn(program, args, {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let out = '';
    child.stdout.on('data', (data) => {
      out += data;
    });
    await once(child, 'close');
    server.close();
    return { out, connections };
  }

  it('is there without either', async () => {
    const { out, connections } = await reached([], {});
    expect(connections).toBe(3);
    expect(JSON.parse(out)).toEqual(expect.arrayContaining(['tcp', 'fetch', 'name', 'udp']));
  });

  it('is kept from OpenClaw by the guard', async () => {
    const guard = new URL('../dist/boot/no-network.js', import.meta.url).href;
    const { out, connections } = await reached([], {
      NODE_OPTIONS: `--import ${guard}`,
      B2_BACKUP_BOOT_PORT: '1',
    });
    expect(connections).toBe(0);
    expect(JSON.parse(out)).toEqual([]);
  });

  it('is not there in a network of its own', async ({ skip }) => {
    const prefix = await withoutNetwork();
    if (prefix === undefined) return skip('this system gives no process a network of its own');
    const { out, connections } = await reached(prefix, {});
    expect(connections).toBe(0);
    // What is sent to nobody is sent.
    expect(JSON.parse(out)).toEqual(['udp']);
  });
});

describe('what is told', () => {
  const boot = {
    ...{ version: '2026.9.6', agents: 2, sessions: 3, messages: 3, jobs: 1, memoryFiles: 1, problems: [] },
    ...{ snapshot: DRILLED.snapshot, alone: true, files: 1, bytes: 1, requests: 1, downloadedBytes: 1 },
    ...{ warnings: [], durationMs: 1 },
  };

  it('names the version that it booted with', () => {
    expect(formatDrill({ ...DRILLED, boot })).toContain(
      'it was booted with OpenClaw 2026.9.6: 2 agents, 3 sessions, 1 job and 1 memory file are as the snapshot says',
    );
    expect(formatDrill({ ...DRILLED, bootSkipped: 'too little memory' })).toContain(
      'it was not booted: too little memory',
    );
    expect(unproven({ ...DRILLED, boot })).toBeUndefined();
  });

  it('is a failure where OpenClaw lacks something', () => {
    const failed = unproven({
      ...DRILLED,
      boot: { ...boot, problems: ['OpenClaw does not show the session k'] },
    });
    expect(failed).toMatchObject({ code: 'B2_HOST_REFUSES' });
    expect(failed?.message).toContain('does not show the session k');
  });

  it('is remembered for the status', () => {
    expect(readBooted(dir)).toBeUndefined();
    const booted = { snapshot: 's', at: '2026-02-19T00:00:00.000Z', version: '2026.9.6' };
    writeBooted(dir, booted);
    expect(readBooted(dir)).toEqual(booted);
    writeFileSync(join(dir, 'b2-backup', 'booted.json'), '{"snapshot":1}');
    expect(readBooted(dir)).toBeUndefined();
  });
});
