// `node scripts/fuzz.mjs [--runs N] [--merge] [TARGET...]`: the targets of tests/fuzz under libFuzzer, on stable Rust.
//
// Each begins with its corpus and takes N inputs (a million), 512 MiB and 10 seconds an input at most. A find is
// printed in hexadecimal, kept in fuzz/finds/, and ends this with an error. With --merge the corpus becomes the fewest
// inputs that reach what all of them do.
import { spawn } from 'node:child_process';
import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { CommandFailed, failed, hostTarget, isMain, root, run } from './run.mjs';

const RUNS = 1_000_000;
const RSS_MB = 512;
const INPUT_BYTES = 4096;
const SECONDS_PER_INPUT = 10;
/** What a corpus may take in the repository, as text: the shortest inputs stay. */
const CORPUS_BYTES = 16 * 1024;
/** What cargo-fuzz asks of a nightly compiler, in the words of a stable one: counters and comparisons. */
const COVERAGE = [
  '-Cpasses=sancov-module',
  ...['level=4', 'inline-8bit-counters', 'pc-table', 'trace-compares'].map(
    (option) => `-Cllvm-args=-sanitizer-coverage-${option}`,
  ),
  '--cfg fuzzing',
].join(' ');

const corpusFolder = join(root, 'tests', 'fuzz', 'corpus');
const finds = join(root, 'fuzz', 'finds');

/** Names in the one list there is. */
async function allTargets() {
  const list = await readFile(join(root, 'tests', 'fuzz', 'targets', 'mod.rs'), 'utf8');
  return [...list.matchAll(/^ +(?:Target \{ )?name: "([a-z-]+)"/gm)].map(([, name]) => name);
}

async function build() {
  const target = hostTarget();
  await run('cargo', ['build', '--release', '--locked', '--target', target], {
    cwd: join(root, 'fuzz'),
    env: { RUSTFLAGS: COVERAGE },
  });
  return join(root, 'fuzz', 'target', target, 'release', 'fuzz');
}

async function unpack(name, folder) {
  await mkdir(folder, { recursive: true });
  const text = await readFile(join(corpusFolder, `${name}.hex`), 'utf8').catch(() => '');
  for (const [number, line] of text.split('\n').slice(0, -1).entries()) {
    await writeFile(join(folder, `kept-${number}`), Buffer.from(line, 'hex'));
  }
}

async function pack(name, folder) {
  const lines = new Set();
  for (const file of await readdir(folder)) lines.add((await readFile(join(folder, file))).toString('hex'));
  const sorted = [...lines].sort((a, b) => a.length - b.length || (a < b ? -1 : 1));
  let bytes = 0;
  const kept = sorted.filter((line) => {
    bytes += line.length + 1;
    return bytes <= CORPUS_BYTES;
  });
  await mkdir(corpusFolder, { recursive: true });
  await writeFile(join(corpusFolder, `${name}.hex`), kept.map((line) => `${line}\n`).join(''));
  return kept.length;
}

/** Runs one target; its figures, and the input that it failed at. */
async function fuzz(program, name, { runs, merge, seed, work }) {
  const [kept, found, merged] = ['kept', 'found', 'merged'].map((part) => join(work, name, part));
  await unpack(name, kept);
  for (const folder of [found, merged, finds]) await mkdir(folder, { recursive: true });
  const env = { B2_FUZZ_TARGET: name };
  const limits = [`-rss_limit_mb=${RSS_MB}`, `-max_len=${INPUT_BYTES}`, `-timeout=${SECONDS_PER_INPUT}`];
  // The seeds come first: libFuzzer looks into its folders before the first input.
  await run(program, ['-runs=0', found], { env: { ...env, B2_FUZZ_SEEDS: kept }, capture: true, tee: false });
  const started = Date.now();
  const options = [
    `-runs=${runs}`,
    `-seed=${seed}`,
    '-print_final_stats=1',
    `-artifact_prefix=${finds}/${name}-`,
  ];
  const { status, output } = await quiet(program, [...options, ...limits, found, kept], env);
  const figure = (label) => Number(new RegExp(`stat::${label}: +(\\d+)`).exec(output)?.[1] ?? 0);
  const figures = {
    inputs: figure('number_of_executed_units'),
    seconds: Math.round((Date.now() - started) / 1000),
    peak_mb: figure('peak_rss_mb'),
    slowest_seconds: figure('slowest_unit_time_sec'),
    finds: status === 0 ? 0 : 1,
  };
  if (status !== 0) console.error(output.split('\n').slice(-60).join('\n'));
  if (merge && status === 0) {
    await quiet(program, ['-merge=1', ...limits, merged, kept, found], env);
    figures.corpus = await pack(name, merged);
  }
  return figures;
}

/** libFuzzer talks on the error stream, much. */
async function quiet(program, args, env) {
  const log = [];
  const child = spawn(program, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    log.push(text);
    // What was found lately is at the end.
    if (log.length > 4000) log.splice(0, 2000);
  });
  const status = await new Promise((resolve, reject) => child.once('error', reject).once('close', resolve));
  return { status, output: log.join('') };
}

function options() {
  const { values, positionals } = parseArgs({
    options: { runs: { type: 'string', default: String(RUNS) }, merge: { type: 'boolean', default: false } },
    allowPositionals: true,
  });
  const runs = Number(values.runs);
  if (!Number.isSafeInteger(runs) || runs < 1) throw new CommandFailed('--runs needs a number');
  return { runs, merge: values.merge, targets: positionals };
}

async function main() {
  const { runs, merge, targets } = options();
  const known = await allTargets();
  const wrong = targets.find((name) => !known.includes(name));
  if (wrong !== undefined) throw new CommandFailed(`no target ${wrong}; there are ${known.join(', ')}`);
  const seed = Number(process.env.B2_CAMPAIGN_SEED ?? 1);
  const program = await build();
  const work = await mkdtemp(join(tmpdir(), 'b2-fuzz-'));
  let bad = 0;
  try {
    for (const name of targets.length > 0 ? targets : known) {
      const counted = await fuzz(program, name, { runs, merge, seed, work });
      bad += counted.finds > 0 || counted.inputs < runs ? 1 : 0;
      const line = JSON.stringify({ suite: 'fuzz', part: name, seed, counted });
      console.log(line);
      const report = process.env.B2_CAMPAIGN_REPORT;
      if (report !== undefined) await appendFile(report, `${line}\n`);
    }
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  if (bad > 0) throw new CommandFailed(`${bad} targets failed; their inputs are in fuzz/finds/`);
}

if (isMain(import.meta.url)) await main().catch(failed);
