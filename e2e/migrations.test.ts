/**
 * Updates of OpenClaw whose migration is cut off by a power failure, each undone. With real versions from the registry, so it runs
 * with `npm run campaign -- updates` alone.
 */
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cases, full, report } from '../__test__/campaign-support.ts';
import { Gateway, Home } from './support/gateway.ts';
import { node24, project, support } from './support/host.ts';
import { Model } from './support/model.ts';
import { type Finished, finish, Program } from './support/processes.ts';

const LONG_MS = 4 * 60 * 60_000;
const PASSPHRASE = 'correct horse battery staple nine';
const NEW = '2026.9.6';
/** Versions from which is updated, and at how many points that is cut off. */
const OLD: readonly (readonly [string, number])[] = [
  ['2026.9.4', cases(0, 50)],
  ['2026.9.5', cases(0, 10)],
  ['2026.7.35', cases(0, 10)],
];
/** Rows of this machine's own that the new version made, and that stay (docs/updates.md). */
const STAYS =
  /^state\/openclaw\.sqlite: \+INSERT INTO "(config_revision_keys|device_identities|gateway_boot_lifecycle)"/;
/** One that keeps conversations in files of lines. */
const LINES = '2026.7.35';

/** A machine on which OpenClaw was installed by something that we do not know, and so is changed by hand. */
class Machine {
  readonly home: Home;
  readonly #installed: Readonly<Record<string, string>>;
  #version: string | undefined;

  constructor(home: Home, installed: Readonly<Record<string, string>>) {
    this.home = home;
    this.#installed = installed;
    for (const folder of ['bin', 'app', 'bucket', 'versions']) mkdirSync(this.at(folder));
    symlinkSync(this.at('app', 'openclaw', 'openclaw.mjs'), this.at('bin', 'openclaw'));
  }

  at(...parts: string[]): string {
    return join(this.home.path, ...parts);
  }

  get package(): string {
    return this.at('app', 'openclaw');
  }

  /** Puts a version in the place of the other one. */
  place(version: string): void {
    if (this.#version === version) return;
    if (this.#version !== undefined) renameSync(this.package, this.at('versions', this.#version));
    const kept = this.at('versions', version);
    const from = this.#installed[version];
    if (!existsSync(kept)) execFileSync('cp', ['-al', `${from}/lib/node_modules/openclaw`, kept]);
    renameSync(kept, this.package);
    this.#version = version;
  }

  /** Starts OpenClaw, says something to the agent, and stops it; gives all that was said. */
  async use(words: string): Promise<string> {
    const gateway = await this.#start();
    try {
      await gateway.agent(`SAY ${words}`, 120);
      return JSON.stringify(await gateway.call('chat.history', { sessionKey: 'agent:main:main' }));
    } finally {
      await gateway.stop();
    }
  }

  /** Where a migration takes long, OpenClaw loses its lease, and says that it wants to be started again. */
  async #start(): Promise<Gateway> {
    const start = (): Promise<Gateway> => Gateway.start(this.home, { openclaw: this.package, seconds: 300 });
    return start().catch((error: unknown) => {
      if (!/lease was lost/.test(`${error}`)) throw error;
      return start();
    });
  }

  /** Starts it for as long as it takes to be ready, or until the power is cut off after so many writes; whether it was. */
  async startUntil(after?: number): Promise<boolean> {
    rmSync(this.at('count'), { force: true });
    const env = { ...this.#counting, ...(after === undefined ? {} : { B2_CUT_AFTER: `${after}` }) };
    try {
      const gateway = await Gateway.start(this.home, { openclaw: this.package, env, seconds: 300 });
      await gateway.stop();
      return false;
    } catch {
      return true;
    }
  }

  /** How many writes it takes until all databases have the new schema. */
  async writes(): Promise<number> {
    if (await this.startUntil()) throw new Error('the new version does not start');
    return readFileSync(this.at('count'), 'utf8').lastIndexOf('V') + 1;
  }

  get #counting(): NodeJS.ProcessEnv {
    return { B2_CUT_COUNT: this.at('count'), NODE_OPTIONS: `--import ${support('cut-off.mjs')}` };
  }

  shell(...args: string[]): Promise<Finished> {
    const env = {
      ...this.home.env,
      PATH: `${this.at('bin')}:${this.home.env['PATH']}`,
      OPENCLAW_STATE_DIR: this.home.stateDir,
      B2_BUCKET: `file://${this.at('bucket')}`,
      B2_BACKUP_PASSPHRASE: PASSPHRASE,
    };
    const program = new Program('b2-backup', node24, [join(project, 'dist', 'cli.js'), ...args], { env });
    return finish(program, { seconds: 500 });
  }

  /** Keeps state and bucket as they are now, and brings them back. */
  keep(): void {
    for (const [name, path] of this.#both) cpSync(path, this.at(name), WHOLE);
  }

  reset(): void {
    for (const [name, path] of this.#both) {
      rmSync(path, { recursive: true });
      cpSync(this.at(name), path, WHOLE);
    }
  }

  get #both(): [string, string][] {
    return [
      ['kept-state', this.home.stateDir],
      ['kept-bucket', this.at('bucket')],
    ];
  }

  /** What is not as it was when it was kept. */
  differences(): { readonly changed: readonly string[]; readonly new: readonly string[] } {
    const args = [support('same-state.py'), this.at('kept-state'), this.home.stateDir];
    return JSON.parse(execFileSync('python3', args, { encoding: 'utf8', maxBuffer: 64 << 20 }));
  }
}

const WHOLE = { recursive: true, verbatimSymlinks: true, preserveTimestamps: true } as const;

let model: Model;
beforeAll(async () => {
  if (full) model = await Model.start();
});
afterAll(() => model?.close());

/** A home that each of the versions takes. */
async function homeFor(old: string): Promise<Home> {
  const home = await Home.create(model);
  if (old !== LINES) return home;
  const { models, ...config } = home.readConfig();
  const { catalogRefresh: _unknown, ...known } = models as { readonly catalogRefresh: unknown };
  home.writeConfig({ ...config, models: known });
  return home;
}

const installed = (): Record<string, string> =>
  JSON.parse(process.env['B2_E2E_OPENCLAW_VERSIONS'] ?? '{}') as Record<string, string>;

describe.runIf(full)('an update that is undone', () => {
  it(
    `gives back conversations that OpenClaw ${LINES} keeps in files of lines, and forth again`,
    async () => {
      const home = await homeFor(LINES);
      const machine = new Machine(home, installed());
      try {
        machine.place(LINES);
        expect(await machine.use('in the old one')).toContain('in the old one');
        const lines = (): string[] =>
          readdirSync(join(home.stateDir, 'agents', 'main', 'sessions')).filter((name) =>
            /^[-0-9a-f]+\.jsonl$/.test(name),
          );
        expect(lines()).toHaveLength(1);
        expect((await machine.shell('push')).code).toBe(0);
        machine.keep();
        machine.place(NEW);
        expect(await machine.use('in the new one')).toMatch(/in the old one.*in the new one/s);
        const told = await machine.shell('undo-update', '--yes');
        expect(told.err).toContain(`install openclaw@${LINES} in place of`);
        machine.place(LINES);
        const undone = await machine.shell('undo-update', '--yes', '--json');
        expect(undone.code, `${undone.out} ${undone.err}`).toBe(0);
        expect(machine.differences().changed.filter((line) => !STAYS.test(line))).toEqual([]);
        const said = await machine.use('in the old one again');
        expect(said).toMatch(/in the old one.*in the old one again/s);
        expect(said).not.toContain('in the new one');
        expect((await machine.shell('push')).code).toBe(0);
        // As docs/updates.md says.
        machine.place(NEW);
        expect(await machine.startUntil()).toBe(false);
        const { safety } = JSON.parse(undone.out) as { readonly safety: string };
        const forth = await machine.shell('restore', safety, '--yes');
        expect(forth.code, forth.err).toBe(0);
        const now = await machine.use('forth again');
        expect(now).toMatch(/in the old one.*in the new one.*forth again/s);
        expect(now).not.toContain('in the old one again');
      } finally {
        home.remove();
      }
    },
    LONG_MS,
  );
});

describe.runIf(full)('a migration that is cut off', () => {
  it.each(OLD)(
    'from %s, is undone at each of %d points',
    async (old, points) => {
      const home = await homeFor(old);
      const machine = new Machine(home, installed());
      const count = { points: 0, 'cut off': 0, undone: 0, used: 0 };
      try {
        writeFileSync(join(home.stateDir, 'notes.txt'), 'mine');
        machine.place(old);
        expect(await machine.use('in the old one')).toContain('in the old one');
        expect((await machine.shell('push')).code).toBe(0);
        machine.keep();
        machine.place(NEW);
        const writes = await machine.writes();
        expect(writes).toBeGreaterThan(0);
        for (let point = 0; point < points; point++) {
          machine.reset();
          machine.place(NEW);
          const after = 1 + Math.floor((point * writes) / points);
          if (await machine.startUntil(after)) count['cut off']++;
          const told = await machine.shell('undo-update', '--yes');
          expect(told.code, `after ${after} of ${writes}: ${told.err}`).not.toBe(0);
          expect(told.err).toContain(`install openclaw@${old} in place of`);
          machine.place(old);
          const undone = await machine.shell('undo-update', '--yes', '--json');
          expect(undone.code, `after ${after} of ${writes}: ${undone.out} ${undone.err}`).toBe(0);
          const { changed } = machine.differences();
          const odd = old === LINES ? changed.filter((line) => !STAYS.test(line)) : changed;
          expect(odd, `after ${after} of ${writes}`).toEqual([]);
          count.undone++;
          if (point % 10 === 0) {
            const said = await machine.use('in the old one again');
            expect(said).toContain('in the old one');
            expect(said).not.toContain('in the new one');
            count.used++;
          }
          count.points++;
        }
      } finally {
        report('updates', `migration from ${old}, cut off`, count);
        home.remove();
      }
    },
    LONG_MS,
  );
});
