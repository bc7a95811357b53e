/** Where the OpenClaw is that works with a state: a rollback asks it whether it would start afterwards. */
import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import process from 'node:process';

/** What it is looked for with. */
export interface Surroundings {
  /** The program that this process runs, as `process.argv[1]`. */
  readonly program: string | undefined;
  /** The Node that runs it. */
  readonly node: string;
  /** The environment's `PATH`. */
  readonly path: string | undefined;
}

/**
 * How OpenClaw is called, program and first arguments: the one that this process is, with the Node that it runs on, or the
 * one in the `PATH`, with that Node, too: a worker has no `PATH`, in which a script would find one. Empty when there is none.
 */
export function findOpenClaw({
  program = process.argv[1],
  node = process.execPath,
  path = process.env['PATH'],
}: Partial<Surroundings> = {}): string[] {
  const own = program === undefined ? undefined : entryOf(program);
  if (own !== undefined) return [node, own];
  // Windows has a script there, which only a shell can run.
  if (process.platform === 'win32') return [];
  for (const folder of (path ?? '').split(delimiter)) {
    const found = join(folder, 'openclaw');
    if (folder === '' || !existsSync(found)) continue;
    const entry = entryOf(found) ?? entryOf(calledBy(found));
    return entry === undefined ? [found] : [node, entry];
  }
  return [];
}

/** The version of an OpenClaw, by how it is called; undefined where it does not say. */
export function openClawVersion([, entry]: readonly string[]): string | undefined {
  if (entry === undefined) return undefined;
  try {
    const text = readFileSync(join(dirname(realpathSync(entry)), 'package.json'), 'utf8');
    const { name, version } = JSON.parse(text) as { name?: unknown; version?: unknown };
    return name === 'openclaw' && typeof version === 'string' ? version : undefined;
  } catch {
    return undefined;
  }
}

/** A script of pnpm is not larger, bytes. */
const MAX_SCRIPT_BYTES = 64 * 1024;

/** The program that a script calls which pnpm made: it makes one for the shell where npm makes a link. */
function calledBy(script: string): string {
  try {
    const real = realpathSync(script);
    if (statSync(real).size > MAX_SCRIPT_BYTES) return script;
    const [, called] = CALLS.exec(readFileSync(real, 'utf8')) ?? [];
    return called === undefined ? script : join(dirname(real), called);
  } catch {
    return script;
  }
}

/** `"$basedir"/'../global/v11/.../openclaw.mjs' "$@"`, or, before pnpm 11, all of it in one pair of quotes. */
const CALLS = /"\$basedir(?:_abs)?(?:"\/'|\/)([^'"\n]+\.mjs)['"] "\$@"/;

/** The entry of the package `openclaw` that a file belongs to. */
function entryOf(file: string): string | undefined {
  try {
    for (let folder = dirname(realpathSync(file)); folder !== dirname(folder); folder = dirname(folder)) {
      const manifest = join(folder, 'package.json');
      if (!existsSync(manifest)) continue;
      const { name, bin } = JSON.parse(readFileSync(manifest, 'utf8')) as {
        name?: unknown;
        bin?: { openclaw?: unknown };
      };
      return name === 'openclaw' && typeof bin?.openclaw === 'string'
        ? join(folder, bin.openclaw)
        : undefined;
    }
  } catch {
    // A program that cannot be looked at is none of ours.
  }
  return undefined;
}
