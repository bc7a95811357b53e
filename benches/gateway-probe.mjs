// Measures inside the gateway's process. NODE_OPTIONS loads it there before OpenClaw; it listens on the socket that
// B2_BENCH_SOCKET names and answers each line of JSON with another. In between it does nothing.
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { isMainThread } from 'node:worker_threads';

const RESOLUTION_MS = 1;
/** What the timer of the histogram needs to run at least once. */
const TICKS_MS = 5 * RESOLUTION_MS;
/** V8 keeps pages that a collection has freed for some seconds before it gives them back. */
const GIVE_BACK_MS = 10_000;
/** Where all instances of the plugin find the running backup: ts/plugin/shared.ts. */
const BACKUP = Symbol.for('openclaw.b2-backup');

let measuring;
let library;

const commands = {
  pid: () => process.pid,
  /** Processor time that all threads have used so far, in milliseconds. */
  cpu: () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  },
  /** What the plugin knows without asking the bucket; null while its service does not run. */
  plugin: () => globalThis[BACKUP]?.status({ bucket: false }) ?? null,
  /** Loads the installed package and its addon, for `restore`. */
  load: async ({ url, settings }) => {
    library = await import(url);
    return library.status(settings);
  },
  /** What OpenClaw's start has left as garbage would hide what is added: the heap would grow into it. */
  collect: async () => {
    setFlagsFromString('--expose-gc');
    runInNewContext('gc')();
    await pause(GIVE_BACK_MS);
  },
  begin,
  end,
  idle: ({ seconds }) => measured(() => pause(seconds * 1000)),
  /** What the tool and `/b2 backup` do. */
  push: () => measured(async () => (await globalThis[BACKUP].push()).report),
  /** What the tool shows before it rolls back. */
  plan: () =>
    measured(async () => {
      const { entries, bytes } = await globalThis[BACKUP].rollbacks.plan({ snapshot: 'latest' });
      return { entries: entries.length, bytes };
    }),
  /** What the tool does after the owner's approval; the gateway restarts two seconds later. */
  rollBack: async ({ snapshot }) => {
    const { rollbacks } = globalThis[BACKUP];
    const since = performance.now();
    const plan = await rollbacks.plan({ snapshot });
    const report = await rollbacks.carryOut(plan.hash, {});
    const sum = (database) =>
      plan.entries.filter((entry) => entry.database === database).reduce((bytes, entry) => bytes + entry.bytes, 0);
    return {
      result: {
        outcome: report.outcome,
        staged: Number(((performance.now() - since) / 1000).toFixed(3)),
        fileBytes: sum(false),
        databaseBytes: sum(true),
        downloaded: report.downloadedBytes,
        requests: report.requests,
      },
    };
  },
  restore: ({ settings, options }) =>
    measured(() => library.restore(settings, options, { onProgress: () => {} })),
};

async function measured(action) {
  await begin();
  const result = await action();
  return { ...(await end()), result };
}

async function begin() {
  // Makes VmHWM begin anew.
  writeFileSync('/proc/self/clear_refs', '5');
  const rss = resident('VmRSS');
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  // It notes the time between two runs of its timer: a stall before the first would be lost.
  await pause(TICKS_MS);
  measuring = { delay, rss, thread: thread(), since: performance.now() };
}

async function end() {
  const { delay, rss, thread: before, since } = measuring;
  const seconds = (performance.now() - since) / 1000;
  // The timer that notes a stall runs after it.
  await pause(TICKS_MS);
  delay.disable();
  const after = thread();
  return {
    seconds: Number(seconds.toFixed(3)),
    samples: delay.count,
    p50: milliseconds(delay.percentile(50)),
    p99: milliseconds(delay.percentile(99)),
    p999: milliseconds(delay.percentile(99.9)),
    max: milliseconds(delay.max),
    ran: milliseconds(after.ran - before.ran),
    waited: milliseconds(after.waited - before.waited),
    rss,
    peak: resident('VmHWM'),
  };
}

/** How long the main thread has had a processor and has waited for one, in nanoseconds. */
function thread() {
  const [ran, waited] = readFileSync('/proc/self/schedstat', 'utf8').split(' ').map(Number);
  return { ran, waited };
}

const milliseconds = (nanoseconds) => Number((nanoseconds / 1e6).toFixed(3));

/** In MB. */
function resident(field) {
  const [, kilobytes] = new RegExp(`^${field}:\\s*(\\d+) kB$`, 'm').exec(
    readFileSync('/proc/self/status', 'utf8'),
  );
  return Number(((Number(kilobytes) * 1024) / 1e6).toFixed(1));
}

function listen(socket) {
  const server = createServer((connection) => {
    // The gateway ends as if nobody was connected.
    connection.unref();
    connection.on('error', () => {});
    createInterface({ input: connection }).on('line', async (line) => {
      let answer;
      try {
        const { command, ...given } = JSON.parse(line);
        answer = { result: (await commands[command](given)) ?? null };
      } catch (error) {
        answer = { error: error.stack ?? String(error) };
      }
      connection.write(`${JSON.stringify(answer)}\n`);
    });
  });
  server.listen(socket).unref();
}

// The gateway's threads load this too, and are not what is measured; what it starts must not load it.
if (isMainThread) {
  const { B2_BENCH_SOCKET: socket } = process.env;
  delete process.env.B2_BENCH_SOCKET;
  delete process.env.NODE_OPTIONS;
  listen(socket);
}
