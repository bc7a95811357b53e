// Measures our command line beside restic, rustic and vykar on generated states: to a folder, or through an S3 server
// and a counting proxy on this machine. How, and what the figures mean: docs/benchmarks.md.
import { appendFileSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { loadavg } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { checked, ensureProduct, root, tools } from './lib/build.mjs';
import { folderBytes, timed } from './lib/measure.mjs';
import { availablePeers } from './lib/peers.mjs';
import { medians, table, targets } from './lib/report.mjs';
import { startFolder, startProxied } from './lib/servers.mjs';

const { values } = parseArgs({
  options: {
    mb: { type: 'string', default: '200' },
    layout: { type: 'string', default: 'legacy,db' },
    net: { type: 'string', default: 'lan' },
    runs: { type: 'string', default: '3' },
    days: { type: 'string', default: '0' },
    only: { type: 'string', default: 'ours,restic,rustic,vykar' },
    work: { type: 'string', default: join(root, 'target', 'bench') },
    out: { type: 'string' },
    before: { type: 'string' },
    built: { type: 'boolean', default: false },
    alone: { type: 'boolean', default: false },
    tools: { type: 'string', default: 'debug' },
    delay: { type: 'string', default: '40' },
    rate: { type: 'string', default: '20000000' },
    report: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
  },
});

const HELP = `npm run bench -- [OPTIONS]

  --mb 200             sizes of the states: 5, 30, 50, 200, 500, 5000, separated by commas
  --layout legacy,db   transcripts as files, or everything in SQLite
  --net lan            folder (on this disk), lan (S3 on loopback), wan (as lan, with a pause of --delay ms before each
                       request and --rate bytes/s each way)
  --runs 3             medians of so many
  --days 0             as many days of use, in the first run on the first network
  --only ours,restic,rustic,vykar
  --work DIR           where states and buckets live while it runs (default target/bench)
  --out FILE           JSON lines (default benches/results/TIME.jsonl)
  --before DIR         another build of ours, its dist/ and addon, measured in turns with this one
  --built              measure what is built, and build nothing
  --alone              what is measured goes before all else on the machine (real-time priority; takes root)
  --tools debug        or release: which build of generator, server and proxy (dependencies are optimised in both)
  --report FILE        no run: table and targets of earlier results
`;

/** Others' work does not count then. Each command takes seconds, after which they go on. */
const ALONE = values.alone ? ['chrt', '--rr', '1'] : [];
/** What was written right before a push is read again by the next one: nobody backs a state up that was made this moment. */
const SETTLED_MS = 3000;

/** One peer's turn in one run: everything from the first push to the last restore. */
async function turn(peer, setup) {
  const { work, live, pristine, example, record, net, run } = setup;
  const digest = (folder) =>
    checked(example.state, ['digest', ...peer.digestFlags, folder])
      .trim()
      .split(' ', 1)[0];
  rmSync(live, { recursive: true, force: true });
  // cp keeps modification times to the nanosecond, which Node's own copy does not.
  checked('cp', ['-a', pristine, live]);
  await sleep(SETTLED_MS);
  const home = join(work, 'home');
  const blank = join(work, 'blank');
  const restored = join(work, 'restored');
  // A restore that left nothing to read is a result too, not the end of the measuring.
  const check = (equal) => {
    try {
      return equal() ? 'same' : 'DIFFERENT';
    } catch {
      return 'DIFFERENT';
    }
  };
  const fresh = (...folders) => {
    for (const folder of folders) {
      rmSync(folder, { recursive: true, force: true });
      mkdirSync(folder, { recursive: true });
    }
  };
  fresh(home, blank, restored);
  const server = net === 'folder' ? startFolder(work) : await startProxied(example, work, ALONE);
  try {
    const place = {
      live,
      restored,
      home,
      blank,
      bucket: server.bucket,
      endpoint: server.endpoint,
      folder: server.at,
      keys: server.keys,
    };
    await server.set(
      net === 'wan' ? { delay_ms: values.delay, rate: values.rate } : { delay_ms: 0, rate: 0 },
    );
    const operate = async (op, commands, extra = {}) => {
      checked('sync', []);
      await server.reset();
      const measured = await allTimed(commands, join(work, 'logs', `${peer.name}-${op}`));
      const { requests, up, down, max_in_flight, connections } = await server.stats();
      record({
        peer: peer.name,
        net,
        run,
        op,
        ...extra,
        ...measured,
        load: loadavg()[0],
        alone: values.alone,
        ...(net === 'wan' ? { rate: Number(values.rate) } : {}),
        requests: requests && Object.values(requests).reduce((sum, count) => sum + count, 0),
        kinds: requests,
        up,
        down,
        connections,
        max_in_flight,
        stored: folderBytes(server.bucketFolder),
        ...(extra.verify === undefined ? {} : { verify: measured.status === 0 ? extra.verify() : 'failed' }),
      });
    };
    // Who makes a repository first does so for the first push.
    await operate('first', [...peer.prepare(place), peer.push(place)]);
    await operate('unchanged', [peer.push(place)]);
    checked(example.state, ['day', '--seed', '1', live]);
    await operate('day', [peer.push(place)], { day: 1 });
    await operate('restore', [peer.restore(place)], {
      verify: () => check(() => digest(live) === digest(peer.restoredRoot(place))),
    });
    fresh(blank, restored);
    await operate('one', [peer.one(place)], {
      verify: () => check(() => peer.oneMatches(place)),
    });
    if (run === 0 && setup.days) {
      for (let day = 2; day <= Number(values.days); day += 1) {
        checked(example.state, ['day', '--seed', String(day), live]);
        await operate('day', [peer.push(place)], { day });
      }
    }
  } finally {
    await server.stop();
  }
}

/** Commands one after the other, as one: the first that fails is the last. */
async function allTimed(commands, log) {
  const all = { status: 0, wall: 0, cpu: 0, rss: 0 };
  for (const command of commands) {
    const { status, wall, cpu, rss } = await timed(command, log, ALONE);
    Object.assign(all, { status, wall: all.wall + wall, cpu: all.cpu + cpu, rss: Math.max(all.rss, rss) });
    if (status !== 0) break;
  }
  return { ...all, wall: Number(all.wall.toFixed(3)), cpu: Number(all.cpu.toFixed(2)) };
}

/** What starting Node costs, alone and with the addon: to be taken off our own figures. */
async function startCosts(work, record, runs) {
  const cli = { argv: [process.execPath, join(root, 'dist', 'cli.js'), '--version'], env: process.env };
  const load = `await import(${JSON.stringify(new URL('../index.js', import.meta.url).href)})`;
  const addon = { argv: [process.execPath, '--input-type=module', '-e', load], env: process.env };
  for (let run = 0; run < Math.max(3, runs); run += 1) {
    record({ peer: 'ours', op: 'start', run, ...(await timed(cli, join(work, 'logs', 'start'))) });
    record({
      peer: 'ours',
      op: 'start-addon',
      run,
      ...(await timed(addon, join(work, 'logs', 'start-addon'))),
    });
  }
}

async function main() {
  if (values.help) return process.stdout.write(HELP);
  if (values.report) return report(medians(values.report));
  const work = resolve(values.work);
  const out = resolve(
    values.out ?? join(root, 'benches', 'results', `${new Date().toISOString().replaceAll(':', '-')}.jsonl`),
  );
  mkdirSync(join(work, 'logs'), { recursive: true });
  mkdirSync(dirname(out), { recursive: true });
  const example = tools(values.tools, values.built);
  const wanted = values.only.split(',');
  if (wanted.includes('ours') && !values.built && !ensureProduct()) {
    process.stderr.write('our command line is not built and cannot be here; measuring the peers alone\n');
    wanted.splice(wanted.indexOf('ours'), 1);
  }
  const peers = availablePeers(wanted, values.before && resolve(values.before));
  if (peers.length === 0) throw new Error('nothing to measure: no peer is installed');
  const write = (line) =>
    appendFileSync(out, `${JSON.stringify({ at: new Date().toISOString(), ...line })}\n`);
  for (const { name, provenance } of peers) if (provenance) write({ peer: name, op: 'peer', ...provenance });
  const runs = Number(values.runs);
  if (peers.some((peer) => peer.name === 'ours')) await startCosts(work, write, runs);
  for (const layout of values.layout.split(',')) {
    for (const mb of values.mb.split(',')) {
      const pristine = join(work, `state-${layout}-${mb}`);
      if (!existsSync(pristine)) {
        // Under another name until it is whole, so that an interrupted run leaves no half of a state.
        const making = `${pristine}.making`;
        checked(example.state, ['generate', '--seed', '1', '--mb', mb, '--layout', layout, '--out', making]);
        checked('mv', [making, pristine]);
      }
      const nets = values.net.split(',');
      for (const net of nets) {
        for (let run = 0; run < runs; run += 1) {
          // Peers take turns inside a run, so that a drift of the machine hits all alike.
          for (const peer of peers) {
            const record = (line) => {
              const { verify, ...rest } = line;
              write({ layout, mb: Number(mb), ...rest, ...(verify === undefined ? {} : { verify }) });
              process.stderr.write(
                `${layout} ${mb} MB ${net} run ${run} ${line.peer} ${line.op}: status ${line.status}, ${line.wall} s, CPU ${line.cpu} s, ${line.rss} MB, ${line.requests ?? '-'} requests, up ${((line.up ?? 0) / 1e6).toFixed(2)} MB, down ${((line.down ?? 0) / 1e6).toFixed(2)} MB, stored ${(line.stored / 1e6).toFixed(2)} MB ${verify ?? ''}\n`,
              );
            };
            const days = net === nets[0];
            await turn(peer, { work, live: join(work, 'live'), pristine, example, record, net, run, days });
          }
        }
      }
    }
  }
  process.stderr.write(`results: ${out}\n`);
  report(medians(out));
}

function report(groups) {
  process.stdout.write(`${table(groups)}\n\n${targets(groups)}\n`);
}

await main();
