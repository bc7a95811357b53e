/** A machine with a gateway on it whose pushes are real: the addon, its worker, a folder as the bucket. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { createEngine, type Engine } from '../ts/engine.ts';
import { createIsolate } from '../ts/isolate.ts';
import type { Operation } from '../ts/operation.ts';
import type { Backup } from '../ts/plugin/backup.ts';
import { type PageModel, pageModel } from '../ts/plugin/page/model.ts';
import type { Standing } from '../ts/plugin/page/verdict.ts';
import { theBackup } from '../ts/plugin/rpc.ts';
import { createService } from '../ts/plugin/service.ts';
import { CLI } from './addon-support.ts';
import { FakeHost, TestClock } from './plugin-support.ts';
import { PATIENT } from './support.ts';

/** What happens, and what the page then says first: how things stand, its title, and the code behind it. */
export type Outcome = readonly [
  what: string,
  arrange: (machine: Machine) => Promise<unknown>,
  standing: Standing,
  title: RegExp,
  code?: string,
];

export const PASSPHRASE = 'tulip granite orbit velvet mango';

const engine: Engine = createEngine({
  runIsolated: createIsolate({ workerPath: join(dirname(CLI), 'worker.js') }),
  findOpenClaw: () => [],
});

/** See above. It backs up nothing until {@linkcode Machine.start} is called. */
export class Machine {
  readonly folder: string;
  readonly stateDir: string;
  readonly bucket: string;
  readonly clock: TestClock;
  /** The plugin's settings. */
  config: Record<string, unknown>;
  /** Which OpenClaw the gateway is. */
  version: string | undefined;
  /** The one that was started last. */
  host: FakeHost | undefined;
  /** From now on pushes begin and do not end. */
  holdsPushes = false;
  readonly #engine: Engine;

  constructor(parts: Partial<Engine> = {}) {
    this.folder = mkdtempSync(join(tmpdir(), 'b2-page-'));
    // A push that the stop gave up waiting for may still write.
    const remove = () => rmSync(this.folder, { recursive: true, force: true });
    onTestFinished(() => vi.waitFor(remove, PATIENT), PATIENT.timeout);
    this.stateDir = join(this.folder, 'state');
    this.bucket = join(this.folder, 'bucket');
    mkdirSync(this.bucket);
    this.write('openclaw.json', '{}');
    this.write('workspace/MEMORY.md', 'The user likes tea.\n');
    this.config = { bucket: `file://${this.bucket}`, passphrase: PASSPHRASE, autoRestore: false };
    // Local time and that of files are one: what is stored now was not stored in the future.
    this.clock = new TestClock(new Date().toISOString());
    const push: Engine['push'] = (settings, options, operation) =>
      this.holdsPushes ? untilStopped(operation) : engine.push(settings, options, operation);
    this.#engine = { ...engine, push, ...parts };
  }

  write(path: string, text: string): void {
    mkdirSync(dirname(join(this.stateDir, path)), { recursive: true });
    writeFileSync(join(this.stateDir, path), text);
  }

  /** What the gateway shall remember from before. */
  remember(record: object): void {
    this.write('b2-backup/gateway.json', JSON.stringify(record));
  }

  /** Starts the gateway, which backs up at once, and waits until that has ended. */
  async start(): Promise<this> {
    await this.begin();
    await vi.waitUntil(() => this.backup.activity.running === undefined, PATIENT);
    return this;
  }

  /** Starts it without waiting. */
  async begin(): Promise<void> {
    const host = new FakeHost(this.stateDir, this.config);
    host.version = this.version;
    this.host = host;
    const service = createService(host.api, { engine: this.#engine, clock: this.clock, restart: () => {} });
    await service.start(host.context);
    onTestFinished(() => service.stop(host.context));
    this.stop = async () => service.stop(host.context);
  }

  stop: () => Promise<void> = async () => {};

  get backup(): Backup {
    return theBackup();
  }

  /** Backs up once more. A failure is what the page is to tell. */
  async push(): Promise<void> {
    await this.backup.push().catch(() => {});
  }

  /** Waits until the next snapshot gets another time than the newest: their names have seconds. */
  async nextSecond(): Promise<void> {
    const [, day, ...clock] =
      /(\d{4}-\d\d-\d\dT)(\d\d)-(\d\d)-(\d\d)Z/.exec(this.objects('manifest').at(-1) ?? '') ?? [];
    const newest = day === undefined ? '' : `${day}${clock.join(':')}`;
    await vi.waitUntil(() => new Date().toISOString().slice(0, 19) > newest, PATIENT);
  }

  /** The files in the bucket of which the path has `part` in it. */
  objects(part: string): string[] {
    return readdirSync(this.bucket, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .filter((path) => path.includes(part))
      .sort();
  }

  /** What the page says once the bucket has answered. */
  async model(): Promise<PageModel> {
    this.backup.view.changed();
    return vi.waitUntil(async () => {
      const facts = await this.backup.view.facts();
      return facts.asking ? undefined : pageModel(facts);
    }, PATIENT);
  }
}

function untilStopped({ signal }: Operation = {}): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

/** What holds of everything that the page says. */
function isHonest({ verdict, last, proof }: PageModel): void {
  if (verdict.standing === 'works') {
    expect(last).toBeDefined();
    expect(proof.restoredAt).toBeDefined();
    expect(verdict.problem).toBeUndefined();
  } else expect(verdict.title).not.toMatch(/backups work$/);
  if (verdict.standing === 'broken' || verdict.standing === 'attention') expect(verdict.todo).toMatch(/\.$/);
}

/** A test for each: what the page really says. */
export function verdicts(outcomes: readonly Outcome[]): void {
  for (const [what, arrange, standing, title, code] of outcomes) {
    it(`when ${what}`, async () => {
      const machine = new Machine();
      await arrange(machine);
      const model = await machine.model();
      expect({ standing: model.verdict.standing, code: model.verdict.problem?.code }).toEqual({
        standing,
        code,
      });
      expect(model.verdict.title).toMatch(title);
      isHonest(model);
    });
  }
}
