// `npm run demo`: an OpenClaw state, two days, three pushes, and every snapshot restored and compared.
// Everything happens in ./demo, which is made anew each time.
import { lstat, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { compareTrees, copyTree, directorySize, fileTimes } from './demo-trees.mjs';
import { CommandFailed, failed, root, run } from './run.mjs';
import { setup } from './setup.mjs';

const demo = join(root, 'demo');
const state = join(demo, 'state');
const bucket = join(demo, 'bucket');
const environment = {
  B2_BUCKET: `file://${bucket}`,
  B2_BACKUP_PASSPHRASE: 'correct horse battery staple',
  // The demo is about its own state, whatever this machine is configured for.
  B2_APPLICATION_KEY_ID: '',
  B2_APPLICATION_KEY: '',
  B2_PREFIX: '',
  B2_ENDPOINT: '',
  B2_REGION: '',
  OPENCLAW_STATE_DIR: '',
  OPENCLAW_CONFIG_PATH: '',
};

try {
  await story();
} catch (error) {
  failed(error);
}

async function story() {
  console.log(`This makes an OpenClaw state of about 30 MB in ./demo, backs it up to a folder, lives through a day of
changes, backs up again, and restores each snapshot into an empty directory to compare it file by file.
The first build takes some minutes; cargo shows how far it is.
`);
  await setup();
  await run('cargo', ['build', '--package', 'openclaw_state']);

  await rm(demo, { recursive: true, force: true });
  await mkdir(bucket, { recursive: true });
  await example('generate', '--seed', '1', '--mb', '30', '--layout', 'db', '--out', state);
  await keepSecrets();

  heading('Day 1');
  say(`The state holds ${megabytes(await directorySize(state))}.`);
  const first = await push('first push');
  const kept = [{ ...first, copy: await keep('day-1') }];

  heading('Day 2');
  say('The agents work for a day: transcripts grow, database rows change, files come and go.');
  await example('day', '--seed', '2', state);
  const second = await push('second push');
  kept.push({ ...second, copy: await keep('day-2') });

  heading('Nothing happens');
  const third = await push('third push');
  check(!third.changed && third.snapshot === null, 'a push without changes makes no snapshot');

  heading('What is in the bucket');
  const { output: table } = await cli(state, 'list');
  console.log(table.trimEnd());
  const { snapshots } = await cliJson(state, 'list');
  check(snapshots.length === kept.length, `list shows ${kept.length} snapshots`);
  const health = await cliJson(state, 'verify', '--read-data');
  check(health.problems.length === 0, 'verify --read-data finds every byte in order');
  say(`verify --read-data: ${health.packs} packs, ${megabytes(health.downloadedBytes)} read and checked.`);

  heading('Back from the bucket, on a machine that has nothing but the passphrase');
  for (const [at, snapshot] of kept.entries()) await restore(snapshot, at + 1);

  heading('In short');
  const figures = {
    state: megabytes(second.bytes),
    'stored for both days': megabytes(await directorySize(bucket)),
    'uploaded on day 1': traffic(first),
    'uploaded on day 2': traffic(second),
    'a push without changes': traffic(third),
  };
  for (const [name, value] of Object.entries(figures)) console.log(`  ${name.padEnd(24)} ${value}`);
  console.log('\nEvery snapshot came back as it was.');
}

/** The state's own secrets go along, encrypted, so that the comparison is complete. */
async function keepSecrets() {
  const path = join(state, 'openclaw.json');
  const config = JSON.parse(await readFile(path, 'utf8'));
  config.plugins ??= {};
  config.plugins.entries ??= {};
  config.plugins.entries['b2-backup'] = { enabled: true, config: { includeSecrets: true } };
  await writeFile(path, `${JSON.stringify(config, null, 2)}\n`);
}

async function push(name) {
  const report = await cliJson(state, 'push');
  check(report.skipped.length === 0, `${name}: no file was left out for an error`);
  const what = report.changed ? `snapshot ${report.snapshot}` : 'nothing changed';
  say(`${name}: ${what}, ${report.files} files, ${megabytes(report.bytes)}; uploaded ${traffic(report)}.`);
  return report;
}

/** A copy of the state as it was pushed, and the paths that a push leaves out on purpose. */
async function keep(name) {
  const copy = join(demo, 'kept', name);
  await copyTree(state, copy);
  const { entries } = await cliJson(state, 'push', '--dry-run', '--list');
  const out = entries.filter(({ included }) => !included).map(({ path, reason }) => ({ path, reason }));
  return { path: copy, out, times: await fileTimes(state) };
}

async function restore({ snapshot, copy }, day) {
  const to = join(demo, 'restored', `day-${day}`);
  const report = await cliJson(join(demo, `blank-machine-${day}`), 'restore', snapshot, '--to', to);
  check(report.failed.length === 0, `${snapshot}: every file could be restored`);
  const restored = await stateRoot(report, to);
  const { compared, differences } = await compareTrees(copy.path, restored, copy);
  for (const difference of differences.slice(0, 20)) console.error(`  ${difference}`);
  check(differences.length === 0, `${snapshot}: all files are as on day ${day}`);
  const [then, now] = [await databases(copy.path), await databases(restored)];
  for (const line of then.filter((kept) => !now.includes(kept))) console.error(`  not restored as: ${line}`);
  check(then.length > 0 && then.join() === now.join(), `${snapshot}: all databases are as on day ${day}`);
  say(
    `day ${day}: ${report.files} files, ${megabytes(report.bytes)} restored with ${report.requests} requests in ` +
      `${seconds(report.durationMs)}; ${compared} entries compared, ${then.length} of them databases, all equal; ${copy.out.length} left out on purpose.`,
  );
}

/** The directory inside `to` that the state directory came back as. */
async function stateRoot({ roots }, to) {
  for (const candidate of [...roots.map((path) => join(to, path)), ...roots, to]) {
    try {
      if ((await lstat(join(candidate, 'openclaw.json'))).isFile()) return candidate;
    } catch {
      // Not that one.
    }
  }
  throw new CommandFailed(`there is no openclaw.json in the restored ${to}`);
}

/** One line for each database: path, mode and a hash over all rows. */
async function databases(directory) {
  const { output } = await example('digest', '--list', directory);
  return output.split('\n').filter((line) => line.includes('\tdatabase\t'));
}

function example(...args) {
  return run('cargo', ['run', '--quiet', '--package', 'openclaw_state', '--', ...args], { capture: true });
}

function cli(stateDir, ...args) {
  return run(process.execPath, [join(root, 'dist', 'cli.js'), '--state-dir', stateDir, ...args], {
    env: environment,
    capture: true,
    accept: [0, 3],
  });
}

async function cliJson(stateDir, ...args) {
  const { output } = await cli(stateDir, '--json', ...args);
  return JSON.parse(output);
}

function check(ok, what) {
  if (!ok) throw new CommandFailed(`MISMATCH: not so: ${what}`);
}

function heading(text) {
  console.log(`\n${text}\n${'-'.repeat(text.length)}`);
}

function say(text) {
  console.log(text);
}

function traffic({ uploadedBytes, requests, durationMs }) {
  return `${megabytes(uploadedBytes)} in ${requests} request${requests === 1 ? '' : 's'}, ${seconds(durationMs)}`;
}

function megabytes(bytes) {
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

function seconds(ms) {
  return `${(ms / 1000).toFixed(2)} s`;
}
