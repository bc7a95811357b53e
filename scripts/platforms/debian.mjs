// Programs of Debian's, unpacked into the cache and not installed: nothing of the system changes, and no rights are needed.
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cache } from '../npm-cache.mjs';
import { CommandFailed, run, works } from '../run.mjs';

/** Everything that is fetched or built for other platforms. */
export const home = join(cache, 'platforms');

/**
 * Packages with whatever they need and the system lacks, below `.cache/platforms/NAME`. A later call with other packages
 * starts anew. `alone` takes the packages without what they need.
 */
export async function debian(name, packages, { alone = false } = {}) {
  const folder = join(home, name);
  const marker = join(folder, 'unpacked.json');
  const wanted = JSON.stringify(packages);
  if ((await readFile(marker, 'utf8').catch(() => '')) === wanted) return folder;
  if (!(await works('dpkg-deb', ['--version'])))
    throw new CommandFailed('the tools are packages of Debian, and there is no dpkg-deb here');
  console.log(`fetching ${packages.join(', ')} into .cache/platforms/${name}, once`);
  await rm(folder, { recursive: true, force: true });
  const debs = await fetched(folder, packages, alone);
  for (const deb of debs) await run('dpkg-deb', ['--extract', deb, folder]);
  await rm(join(folder, 'apt'), { recursive: true });
  await writeFile(marker, wanted);
  return folder;
}

/** apt with lists of its own: it needs no rights, and knows nothing of what it fetches. */
async function fetched(folder, packages, alone) {
  const apt = join(folder, 'apt');
  await mkdir(join(apt, 'lists', 'partial'), { recursive: true });
  await mkdir(join(apt, 'cache', 'archives', 'partial'), { recursive: true });
  const options = [
    '--quiet=2',
    `--option=Dir::State::lists=${join(apt, 'lists')}`,
    `--option=Dir::Cache=${join(apt, 'cache')}`,
    '--option=Debug::NoLocking=true',
  ];
  const archives = join(apt, 'cache', 'archives');
  await run('apt-get', [...options, 'update']);
  if (alone) await run('apt-get', [...options, 'download', ...packages], { cwd: archives });
  else {
    const only = ['--yes', '--no-install-recommends', '--download-only'];
    await run('apt-get', [...options, 'install', ...only, ...packages]);
  }
  const names = await readdir(archives);
  return names.filter((file) => file.endsWith('.deb')).map((file) => join(archives, file));
}
