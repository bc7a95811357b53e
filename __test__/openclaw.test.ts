/** Where the OpenClaw is that a rollback asks. */
import { chmod, mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { findOpenClaw } from '../ts/openclaw.ts';
import { temporaryState } from './plugin-support.ts';

it('is the one that this process is, with its Node, or the one in the PATH', async () => {
  const folder = await temporaryState();
  const packaged = join(folder, 'node_modules', 'openclaw');
  await mkdir(join(packaged, 'dist'), { recursive: true });
  const manifest = { name: 'openclaw', bin: { openclaw: 'openclaw.mjs' } };
  await writeFile(join(packaged, 'package.json'), JSON.stringify(manifest));
  const program = join(packaged, 'dist', 'entry.js');
  await writeFile(program, '');
  const bin = join(folder, 'bin');
  await mkdir(bin);
  const own = ['/usr/bin/node', join(packaged, 'openclaw.mjs')];
  expect(findOpenClaw({ program, node: '/usr/bin/node', path: bin })).toEqual(own);
  // A service manager may call it by a link.
  await symlink(program, join(folder, 'link.js'));
  expect(findOpenClaw({ program: join(folder, 'link.js'), node: '/usr/bin/node', path: '' })).toEqual(own);

  const other = join(folder, 'other.js');
  await writeFile(other, '');
  await writeFile(join(folder, 'package.json'), '{"name":"other","bin":{"openclaw":"x"}}');
  expect(findOpenClaw({ program: other, node: 'node', path: `:${bin}` })).toEqual([]);
  await writeFile(join(bin, 'openclaw'), '#!/bin/sh\n');
  await chmod(join(bin, 'openclaw'), 0o700);
  const found = process.platform === 'win32' ? [] : [join(bin, 'openclaw')];
  expect(findOpenClaw({ program: other, node: 'node', path: `:${bin}` })).toEqual(found);
  expect(findOpenClaw({ program: join(folder, 'gone.js'), node: 'node', path: '' })).toEqual([]);
  // As pnpm makes it: a script that names the program.
  for (const called of [
    `"$basedir_abs"/'../node_modules/openclaw/openclaw.mjs'`,
    '"$basedir/../node_modules/openclaw/openclaw.mjs"',
  ]) {
    await writeFile(join(packaged, 'openclaw.mjs'), '');
    await writeFile(join(bin, 'openclaw'), `#!/bin/sh\nbasedir=$(dirname "$0")\nexec node  ${called} "$@"\n`);
    const named = process.platform === 'win32' ? [] : own;
    expect(findOpenClaw({ program: other, node: '/usr/bin/node', path: bin })).toEqual(named);
  }
  // As npm makes it: a script for the Node in the PATH, which a worker has not.
  await rm(join(bin, 'openclaw'));
  await symlink(join(packaged, 'openclaw.mjs'), join(bin, 'openclaw'));
  await writeFile(join(packaged, 'openclaw.mjs'), '#!/usr/bin/env node\n');
  const linked = process.platform === 'win32' ? [] : own;
  expect(findOpenClaw({ program: other, node: '/usr/bin/node', path: bin })).toEqual(linked);
});
