// How long a gateway is away when it restarts, and when it is rolled back in between.
import { randomBytes } from 'node:crypto';
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';
import { rest, startProbed, watchWorker } from './gateway-process.mjs';

/** How often each kind of restart is measured, in turns. */
const ROUNDS = 5;
/** How much of the generated state differs from the snapshot, in bytes. */
const DIFFERS = 5_000_000;
/** Files up to this size are replaced, so that it takes some hundred of them; in bytes. */
const SMALL = 200_000;
const LOOK_EVERY_MS = 10;
const PATIENCE_MS = 120_000;

/** Plain restarts and rollbacks in turns, in one gateway; each state that comes back is compared by digest. */
export async function restarting(setting, record) {
  const { gateway, probe } = await startProbed(setting.home);
  try {
    const { result: pushed } = await probe.ask('push');
    const before = setting.digest();
    for (let round = 1; round <= ROUNDS; round += 1) {
      const plain = away(gateway);
      process.kill(gateway.pid, 'SIGUSR2');
      record('away', { kind: 'plain restart', round, ...(await plain) });
      await rest(probe);

      const differs = spoil(setting.generated);
      const from = gateway.log.length;
      const rollBack = () => probe.ask('rollBack', { snapshot: pushed.snapshot });
      // One worker plans, another makes ready.
      const { result: staged, worker } = await watchWorker(gateway, rollBack, 2);
      const [time] = await Promise.all([
        away(gateway),
        gateway.says(/OpenClaw was rolled back to/, { from, seconds: 120 }),
      ]);
      const verify = setting.digest() === before ? 'same' : 'DIFFERENT';
      record('away', { kind: 'rollback', round, ...time, differs, ...staged, worker, verify });
      await rest(probe);
    }
    probe.close();
    await gateway.stop();
  } finally {
    await gateway.kill();
  }
}

/** Replaces files with as many other bytes until `DIFFERS` bytes are others; returns how many those are. */
function spoil(folder) {
  let differs = 0;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (!entry.isFile() || /sqlite|\.db/.test(entry.name)) continue;
    const { size } = statSync(path);
    if (size > SMALL || differs + size > DIFFERS) continue;
    writeFileSync(path, randomBytes(size));
    differs += size;
  }
  return differs;
}

/** Seconds between the last good answer before the gateway goes away and the first one after. */
async function away({ home }) {
  const { port } = home.readConfig().gateway;
  const since = performance.now();
  let lastGood = since;
  let gone = false;
  while (performance.now() - since < PATIENCE_MS) {
    const good = await ready(port);
    const now = performance.now();
    if (good && gone) return { away: Number(((now - lastGood) / 1000).toFixed(3)) };
    if (good) lastGood = now;
    else gone = true;
    await pause(LOOK_EVERY_MS);
  }
  throw new Error('the gateway did not restart');
}

function ready(port) {
  return new Promise((resolve) => {
    const request = get({ host: '127.0.0.1', port, path: '/readyz', agent: false, timeout: 1000 }, (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200);
    });
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(false));
  });
}
