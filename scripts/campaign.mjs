// `npm run campaign`: everything of the campaign that `npm test` runs a part of, for hours. What it counted goes into
// docs/reliability.md with `--write`.
import { appendFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { gatewayEnvironment } from './gateway.mjs';
import { cache, globalOpenclaw, node24, withoutNode24 } from './npm-cache.mjs';
import { processTools } from './process-tools.mjs';
import { CommandFailed, failed, isMain, root, run, works } from './run.mjs';
import { setup } from './setup.mjs';

const HELP = `npm run campaign -- [OPTIONS] [PART...]

  --seed N      where everything random starts (default 1)
  --write       put what was counted into docs/reliability.md, in place of the last results of these parts
  --list        no run: name the parts
`;

const PAGE = join(root, 'docs', 'reliability.md');
const REPORT = join(cache, 'campaign.jsonl');
/** What stands between these lines of the page is written here. */
const MARKS = ['<!-- last results -->', '<!-- end of last results -->'];

/** Tests of a binary of `tests/`, all of them or those whose names hold the filter: `crash`, `it faults::`. */
const rust =
  (...binaries) =>
  async () => {
    for (const binary of binaries) {
      const [name, ...filter] = binary.split(' ');
      await cargoTest('--test', name, '--', '--nocapture', ...filter);
    }
  };

/** A filter that no test is named by any more would pass. */
async function cargoTest(...args) {
  const { output } = await run('cargo', ['test', ...args], { tee: true });
  if (!/[1-9]\d* passed/.test(output)) throw new CommandFailed(`cargo test ${args.join(' ')}: no test ran`);
}

/** The parts, in the order in which they run. */
const PARTS = {
  crash: { what: 'killed and failing at every step', run: rust('crash', 'processes rollback::') },
  faults: { what: 'every fault in every operation', run: rust('it faults::') },
  damage: { what: 'every kind of damage', run: rust('it damage::') },
  hostile: { what: 'a bucket that somebody else writes to', run: rust('it hostile::') },
  bombs: { what: 'small objects that ask for much', run: rust('bombs') },
  properties: { what: 'rules that hold for all inputs', run: rust('it properties::') },
  oracle: {
    what: 'wild states, restored and compared by eyes that are not ours',
    run: rust('oracle'),
  },
  writers: { what: 'capture beside ten writers', run: rust('processes writers::') },
  simulation: {
    what: 'months of a few machines',
    run: () => cargoTest('--test', 'it', '--', 'simulation::', '--ignored', '--nocapture'),
  },
  fuzz: { what: 'inputs made by libFuzzer', run: () => run(process.execPath, ['scripts/fuzz.mjs']) },
  process: { what: 'the command line killed, beside others, and searched for secrets', run: javascript },
  updates: { what: 'OpenClaw started on every fault, and its updates undone', run: updates },
  story: { what: 'a first day in a real browser, whole', run: story },
  supply: { what: 'licences, sources and known holes of what we build on', run: supply },
};

const cargo = (...args) => run('cargo', args);

async function javascript() {
  const env = { B2_REQUIRE_ADDON: '1', ...(await processTools()) };
  const names = ['kills', 'together', 'secrets', 'core-dump', 'laptop'];
  const tests = names.map((name) => `__test__/${name}.test.ts`);
  const program = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  await run(process.execPath, [program, 'run', ...tests], { env });
  if (withoutNode24() !== undefined) return;
  await run(join(await node24(), 'node'), [program, 'run', '__test__/locks.test.ts'], { env });
}

/** Versions of OpenClaw between which updates are cut off. */
const UPDATED = ['2026.7.35', '2026.9.4', '2026.9.5', '2026.9.6'];

/** Tests of `e2e/`, with more in the environment. */
async function gateway(tests, more = {}) {
  const program = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const args = [program, 'run', '--config', join(root, 'vitest.gateway.config.ts'), ...tests];
  await run(process.execPath, args, { env: { ...(await gatewayEnvironment()), ...more } });
}

async function story() {
  if (withoutNode24() === undefined) await gateway(['e2e/whole-story.test.ts']);
}

/** They come from the registry. */
async function updates() {
  if (withoutNode24() !== undefined) return;
  const bin = await node24();
  const versions = {};
  for (const version of UPDATED) versions[version] = await globalOpenclaw(bin, version);
  await gateway(['e2e/updates.test.ts', 'e2e/migrations.test.ts'], {
    B2_E2E_OPENCLAW_VERSIONS: JSON.stringify(versions),
  });
}

/** What there is to check with; the list of known holes comes over the network. */
async function supply() {
  if (!(await works('cargo', ['deny', '--version'])))
    throw new CommandFailed('cargo-deny is missing: cargo install --locked cargo-deny@0.20.0');
  await cargo('deny', '--all-features', 'check', '--hide-inclusion-graph', 'licenses', 'sources', 'bans');
  const unchecked = [];
  const fetched = await run('cargo', ['deny', 'fetch', 'db'], { accept: [0, 1, 101] });
  if (fetched.status === 0) await cargo('deny', '--all-features', 'check', '--disable-fetch', 'advisories');
  else unchecked.push('crates');
  const audit = await run('npm', ['audit', '--omit=dev', '--json'], { capture: true, accept: [0, 1] });
  // A registry that cannot be asked is said in `message`, with no list at all.
  const { vulnerabilities, message } = JSON.parse(audit.output);
  if (vulnerabilities === undefined) {
    console.log(message);
    unchecked.push('npm packages');
  } else if (audit.status !== 0) {
    throw new CommandFailed(`known holes in npm packages: ${Object.keys(vulnerabilities).join(', ')}`);
  }
  const holes =
    unchecked.length === 0 ? 'known holes' : `NOT CHECKED for known holes: ${unchecked.join(' and ')}`;
  console.log(holes);
  const line = { suite: 'supply', part: `licences and sources; ${holes}`, counted: {} };
  await appendFile(REPORT, `${JSON.stringify(line)}\n`);
}

/** Rows of the table for what a part of the campaign counted. */
async function rows(name, seed, seconds) {
  // Not every part counts something.
  const report = await readFile(REPORT, 'utf8').catch(() => '');
  const lines = report.split('\n').filter(Boolean);
  const day = new Date().toISOString().slice(0, 10);
  const how = `${day}, seed ${seed}, ${Math.ceil(seconds / 60)} min`;
  if (lines.length === 0) return [`| ${name} | ${PARTS[name].what} | | ${how} |`];
  // What counted the same is one row: a fault has a cell for each operation.
  const alike = new Map();
  for (const { suite, part, counted } of lines.map((line) => JSON.parse(line))) {
    const numbers = Object.entries(counted).map(([what, number]) => `${number.toLocaleString('en')} ${what}`);
    const key = numbers.join(', ');
    alike.set(key, [...(alike.get(key) ?? []), suite === name ? part : `${suite}: ${part}`]);
  }
  return [...alike]
    .map(
      ([key, parts]) =>
        `| ${name} | ${parts.toSorted().join('; ')} | ${key}${parts.length > 1 ? ' each' : ''} | ${how} |`,
    )
    .toSorted();
}

/** Puts the rows of the parts that ran in the place of their last ones; those of other parts stay. */
async function write(fresh) {
  const page = await readFile(PAGE, 'utf8');
  const [start, end] = MARKS.map((mark) => page.indexOf(mark));
  if (start < 0 || end < start) throw new CommandFailed(`${PAGE} has no place for results`);
  const kept = page.slice(start, end).split('\n');
  const table = Object.keys(PARTS).flatMap(
    (name) => fresh.get(name) ?? kept.filter((line) => line.startsWith(`| ${name} |`)),
  );
  const head = ['| part | what | counted | when |', '|---|---|---|---|'];
  const text = [MARKS[0], '', ...head, ...table, '', ''].join('\n');
  await writeFile(PAGE, page.slice(0, start) + text + page.slice(end));
}

async function campaign() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seed: { type: 'string', default: '1' },
      write: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return console.log(HELP);
  if (values.list) {
    for (const [name, { what }] of Object.entries(PARTS)) console.log(`${name.padEnd(12)}${what}`);
    return;
  }
  const unknown = positionals.find((name) => !(name in PARTS));
  if (unknown !== undefined) throw new CommandFailed(`there is no part "${unknown}" (see --list)`);
  const names = positionals.length > 0 ? positionals : Object.keys(PARTS);
  await setup();
  await mkdir(cache, { recursive: true });
  Object.assign(process.env, {
    B2_CAMPAIGN: 'full',
    B2_CAMPAIGN_SEED: values.seed,
    B2_CAMPAIGN_REPORT: REPORT,
  });
  const ended = [];
  const fresh = new Map();
  for (const name of names) {
    console.log(`\n== ${name}: ${PARTS[name].what}`);
    await rm(REPORT, { force: true });
    const started = Date.now();
    const problem = await PARTS[name].run().then(
      () => undefined,
      (error) => error,
    );
    const seconds = (Date.now() - started) / 1000;
    ended.push({ name, seconds, problem });
    if (problem) continue;
    fresh.set(name, await rows(name, values.seed, seconds));
    // Each at once: what follows takes hours, and may be cut off.
    if (values.write) await write(fresh);
  }
  console.log(`\n${[...fresh.values()].flat().join('\n')}\n`);
  for (const { name, seconds, problem } of ended)
    console.log(
      `${problem ? 'FAILED' : 'ok    '}  ${name.padEnd(12)}${seconds.toFixed(0)} s  ${problem?.message ?? ''}`,
    );
  if (ended.some(({ problem }) => problem))
    throw new CommandFailed(`campaign failed with seed ${values.seed}`);
}

if (isMain(import.meta.url)) await campaign().catch(failed);
