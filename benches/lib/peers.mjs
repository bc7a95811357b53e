// What is measured: our command line, restic and rustic, each as commands for the same steps.
//
// A place is { live, restored, home, blank, bucket, endpoint, keys }: `home` holds what a machine keeps between pushes,
// `blank` is another machine's, which has seen nothing.
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, join } from 'node:path';
import process from 'node:process';
import { root } from './build.mjs';

const REGION = 'us-east-1';
const PASSWORD = 'pw-pw-pw';
const ONE = join('workspace', 'MEMORY.md');
// What our backup leaves out, so that all carry the same bytes.
const EXCLUDED_TOPS = ['credentials', 'media', 'extensions', 'devices', 'identity', 'b2-backup'];
const EXCLUDED_NAMES = ['auth-profiles.json', '*.lock', '*.tmp', '*-wal', '*-shm'];

/** A small environment: what the developer has set must not change the figures. */
function environment(home, more) {
  const kept = ['PATH', 'LANG', 'TMPDIR'].filter((name) => process.env[name] !== undefined);
  return {
    ...Object.fromEntries(kept.map((name) => [name, process.env[name]])),
    HOME: home,
    XDG_CACHE_HOME: join(home, 'cache'),
    ...more,
  };
}

function find(name, ...folders) {
  for (const folder of [...folders, ...(process.env.PATH ?? '').split(delimiter)]) {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return join(folder, name);
    } catch {
      // Not there; the next folder may have it.
    }
  }
  return undefined;
}

const same = (a, b) => existsSync(b) && readFileSync(a).equals(readFileSync(b));

function ours() {
  const cli = join(root, 'dist', 'cli.js');
  const run = (place, home, ...args) => ({
    argv: [process.execPath, cli, ...args],
    cwd: home,
    env: environment(home, {
      B2_BUCKET: place.bucket,
      B2_ENDPOINT: place.endpoint,
      B2_REGION: REGION,
      B2_APPLICATION_KEY_ID: place.keys.id,
      B2_APPLICATION_KEY: place.keys.secret,
    }),
  });
  const restore = (place, ...more) =>
    run(
      place,
      place.blank,
      'restore',
      'latest',
      '--json',
      '--state-dir',
      join(place.blank, 'state'),
      '--to',
      place.restored,
      ...more,
    );
  // The command says in which folder below --to it has put the state.
  const restoredRoot = ({ restored }) =>
    [restored, ...readdirSync(restored).map((name) => join(restored, name))].find((folder) =>
      existsSync(join(folder, 'workspace')),
    ) ?? restored;
  return {
    name: 'ours',
    digestFlags: [],
    prepare: () => [],
    push: (place) => run(place, place.home, 'push', '--json', '--state-dir', place.live),
    restore,
    restoredRoot,
    one: (place) => restore(place, '--path', ONE),
    oneMatches: (place) => same(join(place.live, ONE), join(restoredRoot(place), ONE)),
  };
}

function restic(program) {
  const run = (place, home, ...args) => ({
    argv: [program, ...args],
    env: environment(home, {
      AWS_ACCESS_KEY_ID: place.keys.id,
      AWS_SECRET_ACCESS_KEY: place.keys.secret,
      AWS_DEFAULT_REGION: REGION,
      RESTIC_REPOSITORY: `s3:${place.endpoint}/${place.bucket}`,
      RESTIC_PASSWORD: PASSWORD,
    }),
  });
  const excludes = (live) => [
    ...EXCLUDED_TOPS.flatMap((top) => ['--exclude', join(live, top)]),
    ...EXCLUDED_NAMES.flatMap((name) => ['--exclude', name]),
  ];
  const restore = (place, ...more) =>
    run(place, place.blank, 'restore', 'latest', '-q', '--target', place.restored, ...more);
  const restoredRoot = (place) => join(place.restored, place.live);
  return {
    name: 'restic',
    // It copies the databases' main files as they lie.
    digestFlags: ['--no-wal'],
    prepare: (place) => [run(place, place.home, 'init', '-q')],
    push: (place) => run(place, place.home, 'backup', '-q', ...excludes(place.live), place.live),
    restore,
    restoredRoot,
    one: (place) => restore(place, '--include', join(place.live, ONE)),
    oneMatches: (place) => same(join(place.live, ONE), join(restoredRoot(place), ONE)),
  };
}

function rustic(program) {
  const profile = (place, home) => `[global]
no-progress = true
log-level = "warn"
[repository]
repository = "opendal:s3"
password = "${PASSWORD}"
cache-dir = "${join(home, 'cache', 'rustic')}"
[repository.options]
bucket = "${place.bucket}"
root = "/"
endpoint = "${place.endpoint}"
region = "${REGION}"
access_key_id = "${place.keys.id}"
secret_access_key = "${place.keys.secret}"
`;
  const run = (place, home, ...args) => {
    mkdirSync(home, { recursive: true });
    writeFileSync(join(home, 'rustic.toml'), profile(place, home), { mode: 0o600 });
    return { argv: [program, '-P', join(home, 'rustic'), ...args], env: environment(home, {}) };
  };
  const globs = (live) => [
    ...EXCLUDED_TOPS.flatMap((top) => ['--glob', `!${join(live, top)}`]),
    ...EXCLUDED_NAMES.flatMap((name) => ['--glob', `!${name}`]),
  ];
  const oneRestored = (place) => join(place.restored, 'MEMORY.md');
  return {
    name: 'rustic',
    digestFlags: ['--no-wal'],
    prepare: (place) => [run(place, place.home, 'init')],
    push: (place) => run(place, place.home, 'backup', ...globs(place.live), place.live),
    restore: (place) => run(place, place.blank, 'restore', `latest:${place.live}`, place.restored),
    restoredRoot: (place) => place.restored,
    one: (place) => run(place, place.blank, 'restore', `latest:${join(place.live, ONE)}`, oneRestored(place)),
    oneMatches: (place) => same(join(place.live, ONE), oneRestored(place)),
  };
}

/** The wanted peers that are installed here. */
export function availablePeers(wanted) {
  const known = {
    ours: () => ours(),
    restic: () => wrap(restic, find('restic')),
    rustic: () => wrap(rustic, find('rustic', '/opt/peers/bin')),
  };
  return wanted.flatMap((name) => {
    const make = known[name];
    if (make === undefined)
      throw new Error(`there is no peer ${name}; there are ${Object.keys(known).join(', ')}`);
    const peer = make();
    if (peer === undefined) process.stderr.write(`${name} is not installed; left out\n`);
    return peer === undefined ? [] : [peer];
  });
}

function wrap(make, program) {
  return program === undefined ? undefined : make(program);
}
