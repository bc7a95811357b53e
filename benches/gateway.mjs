// Measures what backing up costs a real OpenClaw gateway. How, and what the figures mean: docs/benchmarks.md. Started by
// scripts/bench-gateway.mjs, on OpenClaw's Node.
import { appendFileSync, existsSync, globSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { performance } from 'node:perf_hooks';
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { list, restore } from '../dist/index.js';
import { RecordFile } from '../dist/plugin/record.js';
import { Home } from '../e2e/support/gateway.ts';
import { openRegistry, packForRegistry } from '../e2e/support/registry.ts';
import { restarting } from './gateway-away.mjs';
import { readOptions } from './gateway-options.mjs';
import { startProbed, watchWorker } from './gateway-process.mjs';
import { report } from './gateway-report.mjs';
import { checked, root, tools } from './lib/build.mjs';
import { startProxied } from './lib/servers.mjs';

/** How often each of list and status is asked for. */
const QUESTIONS = 100;
/** How often the bucket is looked at for the snapshot of a stopping gateway, in milliseconds. */
const LOOK_EVERY_MS = 5;
const PREFIX = 'openclaw-backup';
/** Nobody talks to an agent. */
const NO_MODEL = { url: 'http://127.0.0.1:9/v1' };

const options = readOptions();
const out = resolve(
  options.out ??
    join(root, 'benches', 'results', `gateway-${new Date().toISOString().replaceAll(':', '-')}.jsonl`),
);

/** A generated state in the workspace of a home with the plugin, and its empty bucket. */
class Setting {
  constructor(home, server, example) {
    this.home = home;
    this.server = server;
    this.example = example;
    this.generated = join(home.stateDir, 'workspace', 'generated');
    this.restored = join(home.path, 'restored');
    this.place = {
      bucket: server.bucket,
      endpoint: server.endpoint,
      region: 'us-east-1',
      keyId: server.keys.id,
      applicationKey: server.keys.secret,
    };
  }

  /** The library's settings. */
  get settings() {
    return { stateDir: this.home.stateDir, configPath: this.home.configPath, ...this.place };
  }

  /** Of the generated state as it is now. */
  digest(folder = this.generated) {
    return checked(this.example.state, ['digest', folder]).trim().split(' ', 1)[0];
  }

  /** Whether what was restored is the generated state as it is now. Removes it. */
  isRestored() {
    const same = this.digest() === this.digest(join(this.restored, 'workspace', 'generated'));
    rmSync(this.restored, { recursive: true });
    return same;
  }

  /** Manifests in the bucket: a snapshot is committed when its manifest is there. */
  manifests() {
    const folder = join(this.server.bucketFolder, PREFIX);
    return readdirSync(folder).filter((name) => existsSync(join(folder, name, 'manifest')));
  }

  async prepare({ layout, mb }) {
    // The plugin believes that it has just pushed, and is next due in half a year: what is measured begins when it is
    // told to.
    const now = new Date();
    const later = ((now.getUTCMonth() + 6) % 12) + 1;
    this.home.configurePlugin({ ...this.place, schedule: `0 0 1 ${later} *` });
    const at = now.toISOString();
    await new RecordFile(this.home.stateDir).write({
      failures: 0,
      told: [],
      lastRunAt: at,
      lastSuccessAt: at,
    });
    mkdirSync(dirname(this.generated), { recursive: true });
    const shape = ['--seed', '1', '--mb', String(mb), '--layout', layout];
    checked(this.example.state, ['generate', ...shape, '--out', this.generated]);
  }

  /** The agents work for a day. */
  day(seed) {
    checked(this.example.state, ['day', '--seed', String(seed), this.generated]);
    checked('sync', []);
  }
}

/** Idle, a first push, questions, a restore, the preview of a rollback: one gateway, one after the other. */
async function running(setting, record) {
  const { home, settings } = setting;
  const { gateway, probe } = await startProbed(home);
  try {
    await probe.ask('load', { url: libraryOf(home), settings });
    await probe.ask('collect');
    record('idle', await probe.ask('idle', { seconds: options.idle }));

    const pushed = await watchWorker(gateway, () => probe.ask('push'));
    const { result: snapshot, ...figures } = pushed;
    const whole = snapshot.changed && snapshot.skipped.length === 0;
    const { files, bytes, uploadedBytes } = snapshot;
    record('push', { ...figures, files, bytes, uploadedBytes, verify: whole ? 'whole' : 'NOT WHOLE' });

    const operator = await gateway.operator();
    await probe.ask('begin');
    for (let count = 0; count < QUESTIONS; count += 1) {
      await operator.request('b2-backup.list');
      await operator.request('b2-backup.status');
    }
    record('ask', await probe.ask('end'));

    const to = { snapshot: 'latest', to: setting.restored };
    const { result: restored, ...cost } = await probe.ask('restore', { settings, options: to });
    const right = restored.snapshot === snapshot.snapshot && restored.failed.length === 0;
    const same = right && setting.isRestored();
    record('restore', { ...cost, bytes: restored.bytes, verify: same ? 'same' : 'DIFFERENT' });

    setting.day(1);
    const { result: plan, ...preview } = await watchWorker(gateway, () => probe.ask('plan'));
    record('plan', { ...preview, ...plan, verify: plan.entries > 0 ? 'same' : 'NOTHING TO DO' });
    probe.close();
    await gateway.stop();
  } finally {
    await gateway.kill();
  }
}

/** A day's changes, then SIGTERM. */
async function stopping(setting, net, day, record) {
  const { home, server } = setting;
  const { gateway, probe } = await startProbed(home);
  try {
    probe.close();
    setting.day(day);
    const wan = { delay_ms: options.delay, rate: options.rate };
    await server.set(net === 'wan' ? wan : { delay_ms: 0, rate: 0 });
    await server.reset();
    const before = new Set(setting.manifests());

    const since = performance.now();
    const passed = () => Number(((performance.now() - since) / 1000).toFixed(3));
    let ended;
    const end = gateway.stop().finally(() => {
      ended = passed();
    });
    end.catch(() => {});
    const fresh = () => setting.manifests().find((name) => !before.has(name));
    while (fresh() === undefined && ended === undefined) await pause(LOOK_EVERY_MS);
    const committed = passed();
    const snapshot = fresh();
    const { code, signal } = await end;
    const { up, requests } = await server.stats();
    await server.set({ delay_ms: 0, rate: 0 });
    record('stop', {
      net,
      day,
      committed: snapshot === undefined ? null : committed,
      ended,
      status: code ?? signal,
      up,
      requests: Object.values(requests).reduce((sum, count) => sum + count, 0),
      said: /shutdown push[^\n]*/.exec(gateway.log)?.[0] ?? null,
      verify: snapshot === undefined ? 'NO SNAPSHOT' : await checkLast(setting, snapshot),
    });
  } finally {
    await gateway.kill();
  }
}

/** Whether the snapshot of a stopping gateway holds the day's changes. */
async function checkLast(setting, snapshot) {
  const found = (await list(setting.settings)).snapshots.find(({ id }) => id === snapshot);
  if (found?.reason !== 'shutdown') return 'OF ANOTHER PUSH';
  const wanted = { snapshot, to: setting.restored, paths: ['workspace/generated'] };
  const { failed } = await restore(setting.settings, wanted);
  return failed.length === 0 && setting.isRestored() ? 'same' : 'DIFFERENT';
}

/** The package as the gateway has it installed. */
function libraryOf(home) {
  const pattern = 'npm/projects/*/node_modules/@openclaw/b2-backup/dist/index.js';
  const [path, ...more] = globSync(join(home.stateDir, pattern));
  if (path === undefined || more.length > 0) throw new Error(`not one installed package: ${pattern}`);
  return pathToFileURL(path).href;
}

async function measure(like, example, { layout, mb }, record) {
  const work = mkdtempSync(join(tmpdir(), 'b2-bench-'));
  mkdirSync(join(work, 'logs'));
  const server = await startProxied(example, work);
  const home = await Home.create(NO_MODEL, { like });
  try {
    const setting = new Setting(home, server, example);
    await setting.prepare({ layout, mb });
    if (options.away) return await restarting(setting, record);
    await running(setting, record);
    if (mb !== Math.max(...options.sizes)) return;
    for (const [at, net] of options.nets.entries()) await stopping(setting, net, at + 2, record);
  } finally {
    home.remove();
    await server.stop();
    rmSync(work, { recursive: true, force: true });
  }
}

/** A home in which a user has installed the plugin, for all others to be made like. */
async function installed() {
  const tarballs = mkdtempSync(join(tmpdir(), 'b2-registry-'));
  await packForRegistry(tarballs);
  const registry = await openRegistry(tarballs);
  const home = await Home.create(NO_MODEL);
  await home.install(registry);
  await registry.close();
  return home;
}

async function main() {
  const started = performance.now();
  mkdirSync(dirname(out), { recursive: true });
  const example = tools(options.tools);
  const home = await installed();
  try {
    for (const layout of options.layouts) {
      for (const mb of options.sizes) {
        const addon = options.release ? 'release' : 'debug';
        await measure(home.path, example, { layout, mb }, (op, figures) => {
          const line = { at: new Date().toISOString(), addon, layout, mb, op, ...figures };
          const { result, ...kept } = line;
          appendFileSync(out, `${JSON.stringify(kept)}\n`);
          process.stderr.write(`${JSON.stringify(kept)}\n`);
        });
      }
    }
  } finally {
    home.remove();
  }
  process.stderr.write(`results: ${out}, after ${((performance.now() - started) / 1000).toFixed(0)} s\n`);
  process.stdout.write(`${report(out)}\n`);
}

await main();
