// What is measured: our command line, restic, rustic and vykar, each as commands for the same steps.
//
// A place is { live, restored, home, blank, keys } and either { folder } or { bucket, endpoint }: `home` holds what a
// machine keeps between pushes, `blank` is another machine's, which has seen nothing.
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { spawnSync } from 'node:child_process';
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

/** Our command line, as it lies built in a directory: `dist/` and the addon. */
function ours(name, product) {
  const cli = join(product, 'dist', 'cli.js');
  const run = (place, home, ...args) => ({
    argv: [process.execPath, cli, ...args],
    cwd: home,
    env: environment(home, {
      B2_APPLICATION_KEY: place.keys.secret,
      ...(place.folder === undefined
        ? {
            B2_BUCKET: place.bucket,
            B2_ENDPOINT: place.endpoint,
            B2_REGION: REGION,
            B2_APPLICATION_KEY_ID: place.keys.id,
          }
        : { B2_BUCKET: `file://${place.folder}` }),
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
    name,
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
      RESTIC_REPOSITORY: place.folder ?? `s3:${place.endpoint}/${place.bucket}`,
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
repository = "${place.folder ?? 'opendal:s3'}"
password = "${PASSWORD}"
cache-dir = "${join(home, 'cache', 'rustic')}"
${
  place.folder === undefined
    ? `[repository.options]
bucket = "${place.bucket}"
root = "/"
endpoint = "${place.endpoint}"
region = "${REGION}"
access_key_id = "${place.keys.id}"
secret_access_key = "${place.keys.secret}"
`
    : ''
}`;
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

/** By its documentation (0.19); it restores no single file, so that one is the whole. */
function vykar(program) {
  const config = (place, home) => `cache_dir: "${join(home, 'cache', 'vykar')}"
encryption:
  passphrase: "${PASSWORD}"
compression:
  algorithm: "zstd"
repositories:
  - url: "${place.folder ?? `s3+${place.endpoint}/${place.bucket}/vykar`}"
${
  place.folder === undefined
    ? `    region: "${REGION}"
    access_key_id: "${place.keys.id}"
    secret_access_key: "${place.keys.secret}"
    allow_insecure_http: true
`
    : ''
}sources:
  - label: "state"
    path: "${place.live}"
exclude_patterns:
${[...EXCLUDED_TOPS.map((top) => `/${top}/`), ...EXCLUDED_NAMES].map((name) => `  - "${name}"\n`).join('')}`;
  const run = (place, home, ...args) => {
    mkdirSync(home, { recursive: true });
    const file = join(home, 'vykar.yaml');
    writeFileSync(file, config(place, home), { mode: 0o600 });
    return { argv: [program, '--config', file, ...args], env: environment(home, {}) };
  };
  const restore = (place) => run(place, place.blank, 'restore', 'latest', place.restored);
  return {
    name: 'vykar',
    digestFlags: ['--no-wal'],
    prepare: (place) => [run(place, place.home, 'init')],
    push: (place) => run(place, place.home, 'backup'),
    restore,
    restoredRoot: (place) => place.restored,
    one: restore,
    oneMatches: (place) => same(join(place.live, ONE), join(place.restored, ONE)),
  };
}

/** What a peer is and where it came from: its own word, and that of the system's package. */
function provenance(program) {
  const said = (command, ...args) => {
    const { status, stdout } = spawnSync(command, args, { encoding: 'utf8' });
    return status === 0 ? stdout.trim().split('\n', 1)[0] : undefined;
  };
  const owner = said('dpkg-query', '--search', program)?.split(':', 1)[0];
  const built = owner && said('dpkg-query', '--show', owner)?.replace('\t', ' ');
  return {
    version: said(program, 'version') ?? said(program, '--version'),
    program,
    package: built === undefined ? 'of no Debian package' : `Debian's ${built}`,
  };
}

/** The wanted peers that are installed here, and another build of ours, if one is given. */
export function availablePeers(wanted, before) {
  const known = {
    ours: () => ours('ours', root),
    before: () => ours('before', before),
    restic: () => wrap(restic, find('restic')),
    rustic: () => wrap(rustic, find('rustic', '/opt/peers/bin')),
    vykar: () => wrap(vykar, find('vykar', '/opt/peers/bin')),
  };
  return [...wanted, ...(before === undefined ? [] : ['before'])].flatMap((name) => {
    const make = known[name];
    if (make === undefined)
      throw new Error(`there is no peer ${name}; there are ${Object.keys(known).join(', ')}`);
    const peer = make();
    if (peer === undefined) process.stderr.write(`${name} is not installed; left out\n`);
    return peer === undefined ? [] : [peer];
  });
}

function wrap(make, program) {
  return program === undefined ? undefined : { ...make(program), provenance: provenance(program) };
}
