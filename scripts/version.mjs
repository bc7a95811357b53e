// The version stands in package.json and is repeated in other places. `npm version X` sets them all: it calls this after
// it changed package.json. `--check [TAG]` only compares, also with a tag such as v1.2.3.
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { bin, CommandFailed, failed, isMain, root, run } from './run.mjs';
import { buildAddon } from './setup.mjs';

const read = (path) => readFile(join(root, path), 'utf8');
const IN_CARGO = /^version = "(.*)"$/m;
const IN_LOCK = /^name = "openclaw-b2-backup"\nversion = "(.*)"$/m;

/** Where the version is not that of package.json, as sentences. A `tag`, if not empty, must name it, too. */
export async function mismatches(tag = '') {
  const { version } = JSON.parse(await read('package.json'));
  const found = { ...(tag === '' ? {} : { 'the tag': tag.replace(/^v/, '') }), ...(await places()) };
  const wrong = Object.entries(found)
    .filter(([, other]) => other !== version)
    .map(([place, other]) => `${place} has ${other}, package.json has ${version}`);
  const sections = (await read('CHANGELOG.md')).matchAll(/^## (\S+) ?(.*?)\r?$/gm);
  const section = [...sections].find(([, of]) => of === version);
  if (section === undefined) wrong.push(`CHANGELOG.md has no section ${version}`);
  else if (tag !== '' && section[2] !== '') wrong.push(`CHANGELOG.md says "${section[2]}" of ${version}`);
  return wrong;
}

async function places() {
  const found = {
    'Cargo.toml': IN_CARGO.exec(await read('Cargo.toml'))?.[1],
    'Cargo.lock': IN_LOCK.exec((await read('Cargo.lock')).replaceAll('\r\n', '\n'))?.[1],
    'package-lock.json': JSON.parse(await read('package-lock.json')).packages[''].version,
    // The loader compares the version of the binary's package with it, when asked to.
    'index.js': /bindingPackageVersion !== '(.*?)'/.exec(await read('index.js'))?.[1],
  };
  for (const name of await readdir(join(root, 'npm'))) {
    found[`npm/${name}`] = JSON.parse(await read(`npm/${name}/package.json`)).version;
  }
  return found;
}

async function spread() {
  const { version } = JSON.parse(await read('package.json'));
  await writeFile(
    join(root, 'Cargo.toml'),
    (await read('Cargo.toml')).replace(IN_CARGO, `version = "${version}"`),
  );
  await run(bin('napi'), ['version']);
  // Writes index.js and Cargo.lock.
  await buildAddon();
}

async function main() {
  const { values, positionals } = parseArgs({
    options: { check: { type: 'boolean', default: false } },
    allowPositionals: true,
  });
  if (!values.check) await spread();
  const wrong = await mismatches(values.check ? positionals[0] : '');
  if (wrong.length > 0) throw new CommandFailed(wrong.join('\n'));
}

if (isMain(import.meta.url)) await main().catch(failed);
