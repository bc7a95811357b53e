// `npm run pack`: the npm packages as tarballs in .cache/packed. What is published is what this makes.
//
// The main package names its platform packages as optional dependencies only here. In package.json they would make
// every `npm install` in a clone ask the registry for packages of a version that is not published yet, and `npm ci`
// refuse the lock file.
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { CommandFailed, failed, isMain, root, run } from './run.mjs';
import { setup } from './setup.mjs';

const packed = join(root, '.cache', 'packed');

/**
 * Packs the main package and the platform package of this machine; gives their paths. Packs what is built, except
 * that `release` makes the release build of the addon first.
 */
export async function pack({ release = false, to = packed } = {}) {
  if (release) await setup('--release');
  const platforms = await readPlatforms();
  const here = platforms.find(fitsHere);
  if (here === undefined)
    throw new CommandFailed(`no platform package fits ${process.platform} ${process.arch}`);
  const [main, platform] = await packInto(to, platforms, [here], undefined);
  return { main, platform };
}

/**
 * Packs one package with the addon of this machine in it, for whoever tries a clone: it needs no registry that has the
 * platform package. Gives its path.
 */
export async function packLocal({ to = join(packed, 'local') } = {}) {
  const here = (await readPlatforms()).find(fitsHere);
  if (here === undefined)
    throw new CommandFailed(`no platform package fits ${process.platform} ${process.arch}`);
  return await staged(to, (stage) => packMain(to, stage, [], {}, [here.manifest.main]));
}

/**
 * Packs the main package and all platform packages, whose binaries `napi artifacts` has put beside `index.js`.
 * `repository`, an https URL, goes into each package: the registry wants it to be where the provenance says that the
 * package was built.
 */
export async function packAll({ to = packed, repository } = {}) {
  const platforms = await readPlatforms();
  const [main, ...others] = await packInto(to, platforms, platforms, repository);
  return { main, platforms: others };
}

async function packInto(to, platforms, wanted, repository) {
  const source =
    repository === undefined ? {} : { repository: { type: 'git', url: `git+${repository}.git` } };
  return await staged(to, async (stage) => {
    const paths = [await packMain(to, stage, platforms, source)];
    for (const platform of wanted) paths.push(await packPlatform(to, stage, platform, source));
    return paths;
  });
}

/** Does `work` with a folder to put packages together in. Older ones go away. */
async function staged(to, work) {
  await mkdir(to, { recursive: true });
  const prefix = tarballPrefix((await readManifest(root)).name);
  for (const old of await readdir(to)) {
    if (old.startsWith(prefix) && old.endsWith('.tgz')) await rm(join(to, old));
  }
  const stage = await mkdtemp(join(to, 'stage-'));
  try {
    return await work(stage);
  } finally {
    await rm(stage, { recursive: true, force: true });
  }
}

/** `binaries` are further files of the root that go into it. */
async function packMain(to, stage, platforms, source, binaries = []) {
  const manifest = await readManifest(root);
  const folder = join(stage, 'main');
  for (const path of await contents(manifest)) await copy(join(root, path), join(folder, path));
  for (const path of binaries) await copyBuilt(join(root, path), join(folder, path));
  // OpenClaw and npm show all of it on the page of the plugin: what its user needs, not what who builds it does.
  await copy(join(root, 'assets', 'README.md'), join(folder, 'README.md'));
  await writeManifest(folder, {
    ...manifest,
    ...source,
    files: [...manifest.files, ...binaries],
    optionalDependencies: {
      ...manifest.optionalDependencies,
      ...Object.fromEntries(platforms.map(({ manifest: { name } }) => [name, manifest.version])),
    },
  });
  return npmPack(folder, to);
}

async function packPlatform(to, stage, { name, manifest }, source) {
  const folder = join(stage, name);
  await copy(join(root, 'npm', name), folder);
  await copy(join(root, 'LICENSE'), join(folder, 'LICENSE'));
  await copyBuilt(join(root, manifest.main), join(folder, manifest.main));
  await writeManifest(folder, { ...manifest, ...source });
  return npmPack(folder, to);
}

/** The files that npm packs. An entry of `files` that is not there yet is an error: npm would leave it out silently. */
async function contents({ files, bin, main, types }) {
  const { output } = await run('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { capture: true });
  const paths = JSON.parse(output)[0].files.map(({ path }) => path);
  for (const entry of [...files, ...Object.values(bin), main, types]) {
    const name = entry.replace(/^\.\//, '').replace(/\/$/, '');
    if (!paths.some((path) => path === name || path.startsWith(`${name}/`))) {
      throw new CommandFailed(
        `${name} is listed in package.json and not there: npm run setup builds what is missing`,
      );
    }
  }
  return paths;
}

async function npmPack(folder, to) {
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', to, folder];
  const { output } = await run('npm', args, { capture: true });
  return join(to, JSON.parse(output)[0].filename);
}

async function readPlatforms() {
  const names = (await readdir(join(root, 'npm'))).sort();
  return Promise.all(
    names.map(async (name) => ({ name, manifest: await readManifest(join(root, 'npm', name)) })),
  );
}

function fitsHere({ manifest: { os, cpu, libc } }) {
  return (
    os.includes(process.platform) && cpu.includes(process.arch) && (libc ?? [libcHere()]).includes(libcHere())
  );
}

function libcHere() {
  if (process.platform !== 'linux') return undefined;
  return process.report.getReport().header.glibcVersionRuntime === undefined ? 'musl' : 'glibc';
}

/** `@scope/name` is packed as `scope-name-VERSION.tgz`. */
function tarballPrefix(name) {
  return `${name.replace('@', '').replace('/', '-')}-`;
}

async function readManifest(folder) {
  return JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
}

async function writeManifest(folder, manifest) {
  await writeFile(join(folder, 'package.json'), `${JSON.stringify(manifest, undefined, 2)}\n`);
}

/** Copies a binary that somebody has to have built. */
async function copyBuilt(from, to) {
  try {
    await copy(from, to);
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
    throw new CommandFailed(`${basename(from)} is not built: npm run setup builds the one of this machine`);
  }
}

async function copy(from, to) {
  await mkdir(dirname(to), { recursive: true });
  await cp(from, to, { recursive: true });
}

async function main() {
  const { values } = parseArgs({
    options: {
      release: { type: 'boolean', default: false },
      all: { type: 'boolean', default: false },
      local: { type: 'boolean', default: false },
      repository: { type: 'string' },
    },
  });
  const { release, all, local, repository } = values;
  if (local) return console.log(await packLocal());
  if (all && release)
    throw new CommandFailed('--release builds for this machine only; --all packs what is there');
  const {
    main: first,
    platform,
    platforms = [platform],
  } = all ? await packAll({ repository }) : await pack({ release });
  // In the order of publishing: who installs the main package must find the others there already.
  for (const path of [...platforms, first]) console.log(path);
}

if (isMain(import.meta.url)) await main().catch(failed);
