import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { RollbackPlan, RollbackReport } from '../index.js';
import { createEngine, type Engine } from '../ts/engine.ts';
import { BackupError } from '../ts/errors.ts';
import { type Installation, installationOf } from '../ts/installation.ts';
import { recordPath } from '../ts/updates/checked.ts';
import { formatMadeBy, formatUpdate, isNewer, targetOf, updatesIn } from '../ts/updates/history.ts';
import { gatewayPid, type Host, portIn, startService, stopService } from '../ts/updates/host.ts';
import { installCommand, isOurs, isVersion, npmInWords, obstacle, versionOf } from '../ts/updates/install.ts';
import { readJournal, writeJournal } from '../ts/updates/journal.ts';
import { takeTurn } from '../ts/updates/turn.ts';
import { type UndoDeps, undoUpdate } from '../ts/updates/undo.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'b2-updates-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const OLD = '2026.9.5';
const NEW = '2026.9.6';

function snapshot(id: string, hostVersion?: string, more: object = {}) {
  const made = { kind: 'regular', thisMachine: true, authenticated: true };
  const one = { id, ...made, createdAt: `2026-02-${id}T00:00:00Z` };
  return { ...one, ...(hostVersion === undefined ? {} : { hostVersion }), ...more };
}

describe('the updates of a machine', () => {
  const all = [
    snapshot('01', OLD),
    snapshot('02', OLD),
    snapshot('03'),
    snapshot('04', NEW),
    snapshot('05', OLD, { thisMachine: false }),
    snapshot('06', NEW, { kind: 'safety' }),
    snapshot('07', OLD),
  ];

  it('are those between two of its snapshots, and the one that has none yet', () => {
    expect(updatesIn(all).map((update) => [update.snapshot, formatUpdate(update)])).toEqual([
      ['02', 'before the update 2026.9.5 to 2026.9.6'],
      ['04', 'before going back from 2026.9.6 to 2026.9.5'],
    ]);
    expect(updatesIn(all.slice(0, 2), { version: NEW })).toMatchObject([
      { snapshot: '02', from: OLD, to: NEW },
    ]);
    expect(updatesIn(all.slice(0, 2), { version: OLD })).toEqual([]);
  });

  it('tell which OpenClaw was there', () => {
    const schemas = (...versions: number[]) =>
      versions.map((version, at) => ({ path: `agents/${at}/agent/openclaw-agent.sqlite`, version }));
    expect(formatMadeBy({})).toBeUndefined();
    expect(formatMadeBy({ hostVersion: OLD, hostSchemas: [] })).toBe('OpenClaw 2026.9.5');
    expect(formatMadeBy({ hostVersion: OLD, hostInstall: 'git', hostSchemas: schemas(7, 7) })).toBe(
      'OpenClaw 2026.9.5, from a git checkout, with the schemas 7 (agents)',
    );
    const pinned = snapshot('01', OLD, { hostInstall: 'pnpm', hostSchemas: schemas(41) });
    expect(targetOf([pinned, snapshot('02', NEW)], NEW).madeBy).toEqual({
      hostVersion: OLD,
      hostInstall: 'pnpm',
      hostSchemas: schemas(41),
    });
  });

  it('are undone to the last snapshot before', () => {
    expect(targetOf(all.slice(0, 4), NEW)).toMatchObject({ version: OLD, snapshot: '02' });
    // What was saved when an update was undone is the newest of that version.
    expect(targetOf(all, OLD, NEW)).toMatchObject({ version: NEW, snapshot: '06' });
    expect(() => targetOf(all, NEW, '2026.8.1')).toThrow(
      /no snapshot .* of OpenClaw 2026\.8\.1; .*2026\.9\.5, 2026\.9\.6/,
    );
    expect(() => targetOf([snapshot('01')], NEW)).toThrow(/no snapshot says which version/);
  });

  it('are undone one after the other, and never forward', () => {
    const before = snapshot('00', '2026.9.4');
    // After the first undo the newest snapshots are those of the version that was left.
    expect(targetOf([before, ...all.slice(0, 4)], OLD)).toMatchObject({
      version: '2026.9.4',
      snapshot: '00',
    });
    expect(() => targetOf(all.slice(0, 4), OLD)).toThrow(
      /no snapshot of this machine of an OpenClaw older than 2026\.9\.5; there are some of 2026\.9\.5, 2026\.9\.6/,
    );
  });
});

describe('an installation', () => {
  function npmGlobal(version = OLD): Installation {
    const prefix = join(dir, 'prefix');
    const folder = join(prefix, 'lib', 'node_modules', 'openclaw');
    mkdirSync(join(folder, 'dist'), { recursive: true });
    mkdirSync(join(prefix, 'bin'));
    writeFileSync(join(folder, 'openclaw.mjs'), '');
    const manifest = { name: 'openclaw', version, bin: { openclaw: 'openclaw.mjs' } };
    writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest));
    symlinkSync(join(folder, 'openclaw.mjs'), join(prefix, 'bin', 'openclaw'));
    return installationOf([process.execPath, join(prefix, 'bin', 'openclaw')]);
  }

  it('by npm is known by where it lies, and is changed by the npm of its Node', () => {
    const found = npmGlobal();
    expect(found).toMatchObject({ kind: 'npm', prefix: join(dir, 'prefix') });
    expect(found.npm).toMatch(/npm-cli\.js$/);
    expect(versionOf(found)).toBe(OLD);
    expect(installCommand(found, NEW)).toBe(`npm install -g --prefix ${dir}/prefix openclaw@${NEW}`);
  });

  it('is told with each push', async () => {
    const { node, folder } = npmGlobal();
    const runIsolated = vi.fn(async () => ({}) as never);
    const findOpenClaw = (): string[] => [node, join(folder, 'openclaw.mjs')];
    const told = (): unknown => (runIsolated.mock.lastCall as unknown as [{ args: unknown[] }])[0].args[0];
    await createEngine({ runIsolated, findOpenClaw }).push({ stateDir: dir } as never, {});
    expect(told()).toMatchObject({ hostVersion: OLD, hostInstall: 'npm' });
    rmSync(folder, { recursive: true });
    await createEngine({ runIsolated, findOpenClaw }).push({ stateDir: dir } as never, {});
    expect(told()).not.toHaveProperty('hostInstall');
  });

  it('that is half there is none', () => {
    const found = npmGlobal();
    rmSync(join(found.folder, 'dist'), { recursive: true });
    expect(versionOf(found)).toBeUndefined();
    rmSync(found.folder, { recursive: true });
    expect(versionOf(found)).toBeUndefined();
  });

  /** Where each way of installation puts the package, and what changes it. */
  it.each([
    ['git', 'src/openclaw', `git -C FOLDER checkout v${OLD} && cd FOLDER && pnpm install && pnpm build`],
    [
      'pnpm',
      'pnpm/global/5/.pnpm/openclaw@2026.9.6/node_modules/openclaw',
      `pnpm add -g --allow-build=openclaw openclaw@${OLD}`,
    ],
    [
      'pnpm',
      'share/pnpm/global/v11/node_modules/openclaw',
      `pnpm add -g --allow-build=openclaw openclaw@${OLD}`,
    ],
    [
      'pnpm',
      'home/store/v11/links/@/openclaw/2026.9.6/9f314b/node_modules/openclaw',
      `pnpm add -g --allow-build=openclaw openclaw@${OLD}`,
    ],
    ['bun', '.bun/install/global/node_modules/openclaw', `bun add -g --trust openclaw@${OLD}`],
    [
      'container',
      'app',
      `run the image ghcr.io/openclaw/openclaw:${OLD}, or what you build on it, with the same volumes`,
    ],
    ['other', 'opt/openclaw', `install openclaw@${OLD} in place of FOLDER, by whatever installed that one`],
  ])('by %s in %s is changed by whoever installed it', (kind, place, command) => {
    const folder = join(dir, place);
    mkdirSync(kind === 'git' ? join(folder, '.git') : folder, { recursive: true });
    writeFileSync(join(folder, 'openclaw.mjs'), '');
    const inImage = (path: string): boolean => path === join(dir, 'app');
    const found = installationOf([process.execPath, join(folder, 'openclaw.mjs')], inImage);
    expect(found.kind).toBe(kind);
    expect(isOurs(found)).toBe(false);
    expect(installCommand(found, OLD)).toBe(command.replaceAll('FOLDER', folder));
  });

  it('by npm for all users is changed by an administrator', () => {
    const found = npmGlobal();
    const others = (folder: string): boolean => folder !== dirname(found.folder);
    expect(isOurs(found, others)).toBe(false);
    expect(installCommand(found, NEW, others)).toMatch(/^sudo npm install -g /);
    expect(isOurs(found)).toBe(true);
  });

  it('has room for another one', async () => {
    const found = npmGlobal();
    expect(await obstacle(found, OLD, () => 3e8)).toMatchObject({
      code: 'B2_DISK_FULL',
      message: expect.stringMatching(/too little room .*300\.0 MB are free/),
    });
  });

  it.each([
    ['has it', `console.log('${OLD}')`, undefined],
    ['does not have it', '', /cannot be had by npm: the registry does not have it/],
    [
      'cannot be reached',
      "console.error('npm error code ECONNREFUSED'); process.exit(1)",
      /cannot be had by npm: code ECONNREFUSED/,
    ],
  ])('asks the registry before anything is stopped, which %s', async (_what, program, said) => {
    const npm = join(dir, 'npm.mjs');
    writeFileSync(npm, program);
    const why = await obstacle({ ...npmGlobal(), npm }, OLD, () => 2e9);
    if (said === undefined) expect(why).toBeUndefined();
    else expect(why).toMatchObject({ code: 'B2_HOST_REFUSES', message: expect.stringMatching(said) });
  });

  /** As npm 11.19 printed them. */
  it.each([
    [
      `npm error code ECONNREFUSED
npm error syscall connect
npm error errno ECONNREFUSED
npm error FetchError: request to http://127.0.0.1:9/openclaw failed, reason: connect ECONNREFUSED 127.0.0.1:9
npm error     at ClientRequest.<anonymous> (/n/minipass-fetch/lib/index.js:130:14)
npm error   code: 'ECONNREFUSED',
npm error }
npm error
npm error If you are behind a proxy, please make sure that the 'proxy' config is set properly.  See: 'npm help config'
npm error A complete log of this run can be found in: /root/.npm/_logs/debug-0.log`,
      "code ECONNREFUSED; FetchError: request to http://127.0.0.1:9/openclaw failed, reason: connect ECONNREFUSED 127.0.0.1:9; If you are behind a proxy, please make sure that the 'proxy' config is set properly.  See: 'npm help config'",
    ],
    [
      'npm error code ETARGET\nnpm error notarget No matching version',
      'code ETARGET; notarget No matching version',
    ],
    ['', 'npm does not say why'],
    ['killed', 'killed'],
  ])('says in a line what npm said in many (%#)', (out, words) => {
    expect(npmInWords(out)).toBe(words);
  });

  it('takes versions and nothing else', () => {
    for (const right of ['2026.9.5', '2026.7.1-2', '2026.9.1-beta.1']) expect(isVersion(right)).toBe(true);
    for (const wrong of ['latest', '', '2026.9.5; rm', '--x', '2026.9']) expect(isVersion(wrong)).toBe(false);
  });
});

describe('the gateway', () => {
  it('is known by its lock, while its process lives', () => {
    expect(gatewayPid(dir)).toBeUndefined();
    mkdirSync(join(dir, 'tmp', 'openclaw-0'), { recursive: true });
    const lock = join(dir, 'tmp', 'openclaw-0', 'gateway.state.lock');
    writeFileSync(lock, JSON.stringify({ pid: process.pid }));
    expect(gatewayPid(dir)).toBe(process.pid);
    writeFileSync(lock, JSON.stringify({ pid: 2 ** 22 + 1 }));
    expect(gatewayPid(dir)).toBeUndefined();
    writeFileSync(lock, 'x');
    expect(gatewayPid(dir)).toBeUndefined();
  });

  it('is stopped and started by its service manager, by what each version of OpenClaw takes', async () => {
    const [program, calls] = [join(dir, 'openclaw.mjs'), join(dir, 'calls')];
    // One that does not know the option, one that has no service, and one that does it.
    writeFileSync(
      program,
      `import { appendFileSync } from 'node:fs';
       const [answer, ...args] = process.argv.slice(2);
       appendFileSync(${JSON.stringify(calls)}, args.join(' ') + '\\n');
       process.exit(answer === 'none' || (answer === 'old' && args.includes('--force')) ? 1 : 0);`,
    );
    const openclaw = (answer: string): string[] => [process.execPath, program, answer];
    expect(await stopService(openclaw('new'))).toBe(true);
    expect(await stopService(openclaw('old'))).toBe(true);
    expect(await stopService(openclaw('none'))).toBe(false);
    expect(await startService(openclaw('new'))).toBe(true);
    expect(await startService(openclaw('none'))).toBe(false);
    const [force, plain, start] = ['gateway stop --force', 'gateway stop', 'gateway start'];
    expect(readFileSync(calls, 'utf8').trim().split('\n')).toEqual([
      force,
      force,
      plain,
      force,
      plain,
      start,
      start,
    ]);
  });

  it('listens where its configuration says', () => {
    const file = join(dir, 'openclaw.json');
    expect(portIn(file)).toBe(18789);
    writeFileSync(file, '{"gateway":{"port":19001}}');
    expect(portIn(file)).toBe(19001);
  });
});

/** A made-up machine: what is installed, which state is there, and where the power fails. */
class Machine {
  version: string | undefined = NEW;
  state = NEW;
  gateway: string | undefined = NEW;
  readonly said: string[] = [];
  /** So many things happen until the power fails. */
  left = Number.POSITIVE_INFINITY;
  stops = true;
  npm: string | undefined;
  obstacle: BackupError | undefined;
  /** Databases that the snapshot does not have. */
  orphans: string[] = [];
  /** So many looks long an npm of a run before works. */
  npmAtWork = 0;
  pid = 7;
  kind: Installation['kind'] = 'npm';
  folder = '/p/openclaw';
  readonly done: string[] = [];

  act(what: string): void {
    if (this.left-- <= 0) throw new Error('the power failed');
    this.done.push(what);
  }

  deps(attended = false): UndoDeps {
    const entries = (): RollbackPlan['entries'] =>
      this.state === OLD ? [] : ([{ action: 'replace', path: 'openclaw.json' }] as never);
    const engine = {
      list: async () => ({ snapshots: [snapshot('01', OLD), snapshot('02', NEW)], warnings: [] }),
      planRollback: async (_: unknown, { exact, paths }: { exact?: boolean; paths?: string[] }) => {
        // The core refuses a path that is nowhere.
        expect(exact === true ? paths : []).toEqual(exact === true ? this.orphans : []);
        const orphans = this.orphans.map((path) => ({ action: 'delete', path }));
        const planned = exact === true ? orphans : entries();
        return { entries: planned, hash: 'h', warnings: [] } as unknown as RollbackPlan;
      },
      recoverRollback: async () => report('nothing'),
      rollBack: async (
        settings: { hostVersion?: string; openclaw?: string[] },
        { exact, paths }: { exact?: boolean; paths?: string[] },
      ) => {
        if (exact === true) {
          this.act(`remove ${paths}`);
          this.orphans = [];
          return { ...report('applied'), safety: 'another' };
        }
        // The old one is asked whether it takes what comes, and what is saved is the new one's.
        expect(this.version).toBe(OLD);
        expect(this.gateway).toBeUndefined();
        expect(settings).toMatchObject({ hostVersion: NEW, openclaw: ['/n', `${this.folder}/openclaw.mjs`] });
        this.act('restore');
        this.state = OLD;
        return { ...report('applied'), safety: 'safety' };
      },
    } as unknown as Engine;
    const host: Host = {
      installation: () => ({ kind: this.kind, folder: this.folder, node: '/n' }),
      version: ({ folder }) => (folder === this.folder ? this.version : undefined),
      installs: ({ kind }) => kind === 'npm',
      obstacle: async () => this.obstacle,
      lives: () => {
        const lives = this.npmAtWork > 0;
        this.npmAtWork--;
        return lives;
      },
      restored: async () => {},
      install: async (_, version, began) => {
        began({ pid: 9 });
        if (this.npm !== undefined) return this.npm;
        this.version = undefined;
        this.act(`install ${version}`);
        this.version = version;
        return undefined;
      },
      running: () => (this.gateway === undefined ? undefined : this.pid),
      stop: async () => {
        this.act('stop');
        if (this.stops) this.gateway = undefined;
        return this.stops;
      },
      start: async () => {
        this.act('start');
        this.gateway = this.version;
        return true;
      },
      ready: async () => this.gateway !== undefined && this.gateway === this.state,
      calling: ({ node, folder }) => [node, `${folder}/openclaw.mjs`],
    };
    const settings = { stateDir: dir } as UndoDeps['settings'];
    const say = (line: string): void => {
      this.said.push(line);
    };
    return {
      engine,
      settings,
      operation: {},
      host,
      say,
      attended,
      agree: async () => {},
      lookMs: 1,
      patienceMs: 3,
    };
  }
}

function report(outcome: string): RollbackReport {
  return { outcome, failed: [], warnings: [] } as unknown as RollbackReport;
}

const AGAIN = { dryRun: false };

describe('an undo of an update', () => {
  it('stops, installs, restores and starts, in this order', async () => {
    const machine = new Machine();
    mkdirSync(join(dir, 'b2-backup'), { recursive: true });
    writeFileSync(recordPath(dir), JSON.stringify({ update: { version: NEW } }));
    const done = await undoUpdate(machine.deps(), AGAIN);
    expect(JSON.parse(readFileSync(recordPath(dir), 'utf8'))).toEqual({ update: { version: OLD } });
    expect(done).toMatchObject({ from: NEW, to: OLD, snapshot: '01', safety: 'safety', gateway: 'ready' });
    expect(machine.done).toEqual(['stop', `install ${OLD}`, 'restore', 'start']);
    expect(readJournal(dir)).toBeUndefined();
  });

  it('goes on where the old version has another place than the new one, as with pnpm', async () => {
    const machine = new Machine();
    machine.kind = 'pnpm';
    machine.folder = `/p/openclaw@${NEW}/openclaw`;
    // On one line, and nothing is part of the command that somebody copies.
    await expect(undoUpdate(machine.deps(), AGAIN)).rejects.toThrow(
      `now: "pnpm add -g --allow-build=openclaw openclaw@${OLD}". "b2-backup undo-update" goes on`,
    );
    machine.version = OLD;
    machine.folder = `/p/openclaw@${OLD}/openclaw`;
    expect(await undoUpdate(machine.deps(), AGAIN)).toMatchObject({ to: OLD, gateway: 'ready' });
    expect(machine.done).toEqual(['stop', 'restore', 'start']);
  });

  it('changes nothing when it only tells', async () => {
    const machine = new Machine();
    const intent = await undoUpdate(machine.deps(), { dryRun: true });
    expect(intent).toMatchObject({ from: NEW, target: { version: OLD, snapshot: '01' }, running: true });
    expect(machine.done).toEqual([]);
    expect(readJournal(dir)).toBeUndefined();
  });

  it.each([0, 1, 2, 3])('goes on after the power failed at step %d', async (steps) => {
    const machine = new Machine();
    machine.left = steps;
    await expect(undoUpdate(machine.deps(), AGAIN)).rejects.toThrow('the power failed');
    expect(readJournal(dir)).toBeDefined();
    machine.left = Number.POSITIVE_INFINITY;
    const done = await undoUpdate(machine.deps(), AGAIN);
    expect(done).toMatchObject({ to: OLD, gateway: 'ready', safety: 'safety' });
    expect([machine.version, machine.state, machine.gateway]).toEqual([OLD, OLD, OLD]);
    expect(machine.done.filter((what) => what === 'restore')).toHaveLength(1);
    expect(readJournal(dir)).toBeUndefined();
  });

  it('knows which version is newer', () => {
    expect(isNewer('2026.10.1', '2026.9.6')).toBe(true);
    expect(isNewer('2026.9.5', '2026.9.6')).toBe(false);
    expect(isNewer('2026.9.6', '2026.9.6')).toBe(false);
  });

  it.each([0, 1])('turns back where nothing was restored yet, after step %d', async (steps) => {
    const machine = new Machine();
    machine.left = steps;
    await expect(undoUpdate(machine.deps(), AGAIN)).rejects.toThrow('the power failed');
    machine.left = Number.POSITIVE_INFINITY;
    const done = await undoUpdate(machine.deps(), { to: NEW, dryRun: false });
    expect(done).toMatchObject({ turnedBack: true });
    expect([machine.version, machine.state]).toEqual([NEW, NEW]);
    expect(readJournal(dir)).toBeUndefined();
  });

  it('turns back before the restore, and not after it', async () => {
    const machine = new Machine();
    machine.left = 2;
    await expect(undoUpdate(machine.deps(), AGAIN)).rejects.toThrow('the power failed');
    machine.left = 1;
    await expect(undoUpdate(machine.deps(), AGAIN)).rejects.toThrow('the power failed');
    expect(machine.state).toBe(OLD);
    await expect(undoUpdate(machine.deps(), { to: NEW, dryRun: false })).rejects.toThrow(
      /cannot turn back any more/,
    );
    const other = new Machine();
    rmSync(join(dir, 'b2-backup'), { recursive: true });
    other.left = 2;
    await expect(undoUpdate(other.deps(), AGAIN)).rejects.toThrow('the power failed');
    other.left = Number.POSITIVE_INFINITY;
    expect(await undoUpdate(other.deps(), { to: NEW, dryRun: false })).toMatchObject({ turnedBack: true });
    expect([other.version, other.state]).toEqual([NEW, NEW]);
  });

  it('does not go forward, and says how to', async () => {
    const machine = new Machine();
    machine.version = OLD;
    await expect(undoUpdate(machine.deps(), { to: NEW, dryRun: false })).rejects.toMatchObject({
      code: 'B2_USAGE',
      message: expect.stringContaining('b2-backup restore 02'),
    });
    expect(machine.done).toEqual([]);
  });

  it('says what npm said, and goes on once that is over', async () => {
    const machine = new Machine();
    machine.npm = 'ENOSPC';
    await expect(undoUpdate(machine.deps(), AGAIN)).rejects.toMatchObject({
      code: 'B2_HOST_REFUSES',
      message: expect.stringMatching(/ENOSPC.*goes on from here.*--to 2026\.9\.6" turns back/),
    });
    machine.npm = undefined;
    expect(await undoUpdate(machine.deps(), AGAIN)).toMatchObject({ to: OLD });
  });

  it('stops nothing where there is no room for another version', async () => {
    const machine = new Machine();
    machine.obstacle = new BackupError('there is too little room', { code: 'B2_DISK_FULL' });
    await expect(undoUpdate(machine.deps(), AGAIN)).rejects.toMatchObject({ code: 'B2_DISK_FULL' });
    expect(machine.done).toEqual([]);
    expect(readJournal(dir)).toBeUndefined();
    // What somebody else installs is looked after by that.
    machine.kind = 'pnpm';
    expect(await undoUpdate(machine.deps(), { dryRun: true })).toMatchObject({ from: NEW });
  });

  it('asks again before it goes on, and stops nothing', async () => {
    const machine = new Machine();
    machine.left = 0;
    await expect(undoUpdate(machine.deps(), AGAIN)).rejects.toThrow('the power failed');
    machine.left = Number.POSITIVE_INFINITY;
    machine.obstacle = new BackupError('no network', { code: 'B2_HOST_REFUSES' });
    await expect(undoUpdate(machine.deps(), AGAIN)).rejects.toThrow(/^no network\. .* goes on from here/);
    expect(machine.done).toEqual([]);
  });

  it('waits for the npm that a killed run left at work', async () => {
    const machine = new Machine();
    machine.left = 1;
    await expect(undoUpdate(machine.deps(), AGAIN)).rejects.toThrow('the power failed');
    machine.left = Number.POSITIVE_INFINITY;
    machine.npmAtWork = 1_000;
    await expect(undoUpdate(machine.deps(), AGAIN)).rejects.toMatchObject({
      code: 'B2_LOCKED',
      message: expect.stringContaining('process 9'),
    });
    expect(machine.done).toEqual(['stop']);
    machine.npmAtWork = 3;
    expect(await undoUpdate(machine.deps(), AGAIN)).toMatchObject({ to: OLD, gateway: 'ready' });
  });

  it.each([Number.POSITIVE_INFINITY, 3])(
    'takes away databases of the new version, beside which the old one does not start (power for %d steps)',
    async (left) => {
      const machine = Object.assign(new Machine(), { left });
      machine.orphans = ['agents/new/agent/openclaw-agent.sqlite'];
      mkdirSync(join(dir, 'agents', 'new', 'agent'), { recursive: true });
      writeFileSync(join(dir, 'agents', 'new', 'agent', 'openclaw-agent.sqlite'), '');
      if (left === 3) {
        await expect(undoUpdate(machine.deps(), AGAIN)).rejects.toThrow('the power failed');
        machine.left = Number.POSITIVE_INFINITY;
      }
      // What was there before is in the first one.
      expect(await undoUpdate(machine.deps(), AGAIN)).toMatchObject({ to: OLD, safety: 'safety' });
      expect(machine.done).toEqual([
        'stop',
        `install ${OLD}`,
        'restore',
        'remove agents/new/agent/openclaw-agent.sqlite',
        'start',
      ]);
    },
  );

  it('is alone at it', async () => {
    const machine = new Machine();
    const deps = machine.deps();
    let second: unknown;
    const agree = async (): Promise<void> => {
      // While the user thinks.
      second = await undoUpdate(machine.deps(), AGAIN).catch((error: unknown) => error);
    };
    expect(await undoUpdate({ ...deps, agree }, AGAIN)).toMatchObject({ to: OLD });
    expect(second).toMatchObject({
      code: 'B2_LOCKED',
      message: expect.stringContaining(`process ${process.pid}`),
    });
    expect(machine.done).toEqual(['stop', `install ${OLD}`, 'restore', 'start']);
  });

  it('takes over from a run that was killed, also where its number is another process by now', async () => {
    const lock = join(dir, 'b2-backup', 'undo-update.lock');
    for (const left of [
      JSON.stringify({ pid: 2 ** 22 + 1 }),
      JSON.stringify({ pid: process.pid, began: 'another start of this machine 7' }),
      '',
    ]) {
      mkdirSync(join(dir, 'b2-backup'), { recursive: true });
      writeFileSync(lock, left);
      expect(await undoUpdate(new Machine().deps(), AGAIN)).toMatchObject({ to: OLD });
      expect(readdirSync(join(dir, 'b2-backup'))).toEqual([]);
    }
  });

  it('makes nothing where there is no state', () => {
    takeTurn(join(dir, 'nowhere'))();
    expect(readdirSync(dir)).toEqual([]);
  });

  it('does not restore where a supervisor has started the gateway again', async () => {
    const machine = new Machine();
    const deps = machine.deps();
    const install: Host['install'] = async (...args) => {
      const why = await deps.host.install(...args);
      machine.gateway = OLD;
      machine.stops = false;
      return why;
    };
    await expect(undoUpdate({ ...deps, host: { ...deps.host, install } }, AGAIN)).rejects.toThrow(
      /by what supervises it, so that it does not start it again\. "b2-backup/,
    );
    expect([machine.version, machine.state]).toEqual([OLD, NEW]);
  });

  it('waits until a gateway that somebody stopped stays away', async () => {
    const machine = Object.assign(new Machine(), { stops: false });
    const deps = machine.deps(true);
    let looks = 0;
    // Its supervisor starts it again once.
    const running: Host['running'] = () => {
      looks++;
      machine.gateway = looks > 9 || looks === 5 ? undefined : NEW;
      return deps.host.running();
    };
    const host = { ...deps.host, running };
    expect(await undoUpdate({ ...deps, host, patienceMs: 100 }, AGAIN)).toMatchObject({ to: OLD });
    expect(machine.done).toEqual(['stop', `install ${OLD}`, 'restore']);
  });

  it('says that the gateway is another user’s', async () => {
    const machine = Object.assign(new Machine(), { pid: 0, stops: false });
    await expect(undoUpdate(machine.deps(), AGAIN)).rejects.toThrow(
      /by itself, which runs under another user\. Stop/,
    );
  });

  it('does not restore under a gateway that it cannot stop', async () => {
    const machine = new Machine();
    machine.stops = false;
    await expect(undoUpdate(machine.deps(), AGAIN)).rejects.toThrow(
      /does not stop the gateway by itself \(process 7\)/,
    );
    expect([machine.version, machine.state]).toEqual([NEW, NEW]);
    // Somebody does it.
    machine.gateway = undefined;
    expect(await undoUpdate(machine.deps(), AGAIN)).toMatchObject({ to: OLD, gateway: 'by-hand' });
  });

  it('tells the command and waits where npm did not install it', async () => {
    const machine = new Machine();
    machine.kind = 'pnpm';
    const command = `pnpm add -g --allow-build=openclaw openclaw@${OLD}`;
    await expect(undoUpdate(machine.deps(), AGAIN)).rejects.toThrow(command);
    const deps = machine.deps(true);
    const say = (line: string): void => {
      if (line.includes(command)) machine.version = OLD;
    };
    expect(await undoUpdate({ ...deps, say }, AGAIN)).toMatchObject({ to: OLD, gateway: 'ready' });
  });

  it('takes no word that is no version', async () => {
    await expect(undoUpdate(new Machine().deps(), { to: 'latest', dryRun: false })).rejects.toMatchObject({
      code: 'B2_USAGE',
    });
  });

  it('tells another user that it is one, and not that something was cut off', () => {
    const read = (code: string) => (): string => {
      throw Object.assign(new Error(code), { code });
    };
    for (const code of ['EACCES', 'EPERM']) {
      expect(() => readJournal(dir, read(code))).toThrow(
        expect.objectContaining({
          code: 'B2_PERMISSION',
          message: `${dir} is another user's: run b2-backup as the user that OpenClaw runs as, or as root`,
        }),
      );
    }
    expect(() => readJournal(dir, read('EIO'))).toThrow(expect.objectContaining({ code: 'B2_IO' }));
  });

  it('does not guess where its journal is damaged', async () => {
    writeJournal(dir, { step: 'restore' } as never);
    await expect(undoUpdate(new Machine().deps(), AGAIN)).rejects.toMatchObject({ code: 'B2_IO' });
  });
});
