/** How the OpenClaw of this machine was installed. */
import { existsSync, realpathSync } from 'node:fs';
import { basename, delimiter, dirname, join } from 'node:path';
import process from 'node:process';

/** An installation. Written down, since a cut-off installation may leave nothing to find it by. */
export interface Installation {
  /** `npm`: by `npm install -g`. Others are changed by the user. */
  readonly kind: 'npm' | 'pnpm' | 'bun' | 'git' | 'container' | 'other';
  /** The directory of the package. */
  readonly folder: string;
  /** Node, as it runs OpenClaw. */
  readonly node: string;
  /** Where npm installs to; for `npm`. */
  readonly prefix?: string;
  /** The program of npm, a JavaScript file; for `npm`. */
  readonly npm?: string;
}

/** Where pnpm puts packages: below the folder that installs, in its own folder, or, since pnpm 11, in its store. */
const PNPM = /\/\.pnpm\/|\/pnpm\/|\/store\/v\d+\/links\//;

/** Looks at an installation: `openclaw` is how it is called, program and first argument. */
export function installationOf(
  [node = process.execPath, entry = '']: readonly string[],
  isImage = inImage,
): Installation {
  const folder = dirname(realpathSync(entry));
  const modules = dirname(folder);
  // What is changed in there is gone with the container.
  if (isImage(folder)) return { kind: 'container', folder, node };
  if (existsSync(join(folder, '.git'))) return { kind: 'git', folder, node };
  if (PNPM.test(folder)) return { kind: 'pnpm', folder, node };
  if (folder.includes('/.bun/')) return { kind: 'bun', folder, node };
  const windows = process.platform === 'win32';
  const prefix = windows ? dirname(modules) : dirname(dirname(modules));
  const global = basename(modules) === 'node_modules' && (windows || basename(dirname(modules)) === 'lib');
  // The Node beside it runs it; its npm is the one that installed it.
  const beside = join(prefix, windows ? 'node.exe' : join('bin', 'node'));
  const own = existsSync(beside) ? beside : node;
  const npm = npmOf(own);
  if (!global || npm === undefined) return { kind: 'other', folder, node: own };
  return { kind: 'npm', folder, node: own, prefix, npm };
}

/** How it was installed, in one word, for the record; undefined where nobody can tell. */
export function installKind(openclaw: readonly string[]): Installation['kind'] | undefined {
  try {
    return installationOf(openclaw).kind;
  } catch {
    return undefined;
  }
}

/** Whether a folder came with the image of a container: OpenClaw's own image has it in `/app`. */
function inImage(folder: string): boolean {
  const marks = ['/.dockerenv', '/run/.containerenv'];
  const contained = marks.some((mark) => existsSync(mark)) || 'KUBERNETES_SERVICE_HOST' in process.env;
  return contained && folder === '/app';
}

/** The npm that comes with a Node, or one in the `PATH`. */
function npmOf(node: string): string | undefined {
  const home = dirname(realpathSync(node));
  const beside = [join(home, '..', 'lib', 'node_modules'), join(home, 'node_modules')];
  const program = join('npm', 'bin', 'npm-cli.js');
  const own = beside.map((modules) => join(modules, program)).find((path) => existsSync(path));
  if (own !== undefined) return own;
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const found = folder === '' ? '' : join(folder, 'npm');
    if (found !== '' && existsSync(found)) {
      const real = realpathSync(found);
      if (real.endsWith('npm-cli.js')) return real;
    }
  }
  return undefined;
}
