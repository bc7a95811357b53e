/** The packages that a user installs, and an npm registry that has them. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { dependenciesOf, type Registry, startRegistry } from '../../__test__/npm-registry.ts';
import { pack } from '../../scripts/pack.mjs';
import { project, RUN_MARK, runId } from './host.ts';
import { finish, Program } from './processes.ts';

export type { Registry };

/** A registry of the packages in a folder, as {@linkcode packForRegistry} leaves them. */
export async function openRegistry(folder: string): Promise<Registry> {
  const names = readdirSync(folder).filter((name) => name.endsWith('.tgz'));
  return await startRegistry(names.map((name) => join(folder, name)));
}

/**
 * Packs the package, its platform package and what it depends on into a folder, for {@linkcode openRegistry}.
 * The addon is the one that was built for the tests.
 */
export async function packForRegistry(folder: string): Promise<void> {
  await pack({ to: folder });
  for (const folderOf of dependenciesOf(project)) await packFolder(folderOf, folder);
}

/** Packs one package that lies in a folder. */
async function packFolder(from: string, to: string): Promise<void> {
  await succeed('npm', ['pack', from, '--ignore-scripts', '--loglevel=error', '--pack-destination', to]);
}

async function succeed(command: string, args: readonly string[]): Promise<{ out: string }> {
  const program = new Program(command, command, args, {
    cwd: project,
    env: { ...process.env, [RUN_MARK]: runId },
  });
  const result = await finish(program);
  if (result.code !== 0) throw new Error(`${command} ${args.join(' ')} failed\n${program.tail()}`);
  return result;
}
