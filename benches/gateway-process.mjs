// A gateway with the probe in it, and what can be seen of its processes from outside.
import { readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { Gateway } from '../e2e/support/gateway.ts';

const PROBE = new URL('./gateway-probe.mjs', import.meta.url).href;
/** How often the worker's memory is looked at, in milliseconds; it lives for a second or more. */
const LOOK_EVERY_MS = 20;
/** A gateway at rest uses less than this of a second, in milliseconds of processor time, so many seconds in a row. */
const REST_CPU_MS = 50;
const REST_SECONDS = 3;
const PATIENCE_MS = 120_000;

/** Starts a gateway; returns when it has done what it does after its start, and no push is under way. */
export async function startProbed(home) {
  const socket = join(home.path, 'probe');
  rmSync(socket, { force: true });
  const env = { NODE_OPTIONS: `--import=${PROBE}`, B2_BENCH_SOCKET: socket };
  const gateway = await Gateway.start(home, { env });
  try {
    const probe = await Probe.connect(socket);
    if ((await probe.ask('pid')) !== gateway.pid) throw new Error('the gateway has started itself again');
    await gateway.says(/b2-backup: backing up/);
    // What the last stop has cut off is finished first.
    await gateway.until('to have backed up', async () => {
      const { running, lastFailure } = await probe.ask('plugin');
      if (lastFailure !== undefined) throw new Error(lastFailure.message);
      return running === undefined;
    });
    await rest(probe);
    return { gateway, probe };
  } catch (error) {
    await gateway.kill();
    throw error;
  }
}

/** Waits until the gateway has nothing to do. */
export async function rest(probe) {
  const deadline = performance.now() + PATIENCE_MS;
  for (let quiet = 0; quiet < REST_SECONDS; ) {
    if (performance.now() > deadline) throw new Error('the gateway does not come to rest');
    const before = await probe.ask('cpu');
    await pause(1000);
    quiet = (await probe.ask('cpu')) - before < REST_CPU_MS ? quiet + 1 : 0;
  }
}

/** The other end of gateway-probe.mjs. One command at a time. */
class Probe {
  #connection;
  #answers;

  constructor(connection) {
    this.#connection = connection;
    this.#answers = createInterface({ input: connection })[Symbol.asyncIterator]();
  }

  static async connect(socket) {
    const connection = connect(socket);
    await new Promise((resolve, reject) => connection.once('connect', resolve).once('error', reject));
    return new Probe(connection);
  }

  async ask(command, given = {}) {
    this.#connection.write(`${JSON.stringify({ command, ...given })}\n`);
    const { value, done } = await this.#answers.next();
    if (done) throw new Error(`the gateway ended during ${command}`);
    const { error, result } = JSON.parse(value);
    if (error !== undefined) throw new Error(`${command} in the gateway: ${error}`);
    return result;
  }

  close() {
    this.#connection.destroy();
  }
}

/** Runs `action` and gives the peak memory in MB of the workers that the gateway started for it. */
export async function watchWorker(gateway, action, workers = 1) {
  const peaks = new Map();
  const look = () => {
    for (const pid of children(gateway.pid)) {
      const peak = workerPeak(pid);
      if (peak !== undefined) peaks.set(pid, peak);
    }
  };
  const timer = setInterval(look, LOOK_EVERY_MS);
  try {
    const result = await action();
    if (peaks.size !== workers) throw new Error(`the gateway had ${peaks.size} workers, not ${workers}`);
    return { ...result, worker: Math.max(...peaks.values()) };
  } finally {
    clearInterval(timer);
  }
}

function children(pid) {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);
}

function workerPeak(pid) {
  try {
    if (!/\/dist\/worker\.js\0$/.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8'))) return undefined;
    const [, kilobytes] = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return kilobytes === undefined ? undefined : Number(((Number(kilobytes) * 1024) / 1e6).toFixed(1));
  } catch {
    // It has ended; what was seen last stands.
    return undefined;
  }
}
