/** How another version of OpenClaw is installed, in the way in which the one that is here was. */
import { execFile } from 'node:child_process';
import { accessSync, constants, existsSync, readdirSync, readFileSync, rmSync, statfsSync } from 'node:fs';
import { basename, delimiter, dirname, join } from 'node:path';
import process from 'node:process';
import { BackupError } from '../errors.js';
import type { Installation } from '../installation.js';
import { formatBytes } from '../text.js';
import { type Process, processOf } from './turn.js';

/** A version that npm takes, and nothing else: it becomes part of a command. */
const VERSION = /^\d{4}\.\d{1,2}\.\d{1,3}(-[0-9A-Za-z.-]{1,40})?$/;
/** How long npm may take, milliseconds. */
const PATIENCE_MS = 20 * 60_000;
/** How long the registry may take to say whether it has a version, milliseconds. */
const ASK_MS = 60_000;
/** So much of what npm says goes into a message, lines and characters. */
const MOST_LINES = 4;
const MOST_CHARS = 400;
/** So many bytes are free where npm installs: 2026.9.6 takes 580 MB, and npm puts it beside the one that is there. */
const ROOM_BYTES = 1_000_000_000;
/** The first npm that asks which packages may run scripts: 11.16. */
const ASKS = [11, 16] as const;

/** Whether it is a version of OpenClaw. */
export function isVersion(text: string): boolean {
  return VERSION.test(text);
}

/** Whether this process may change it by itself; others are changed by the user. */
export function isOurs({ kind, folder }: Installation, mayWrite = canWrite): boolean {
  // npm moves the old one away, and puts the new one in its place.
  return kind === 'npm' && mayWrite(dirname(folder));
}

function canWrite(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** The version that is there; undefined where there is none, or half of one. */
export function versionOf({ folder }: Pick<Installation, 'folder'>): string | undefined {
  try {
    const { name, version, bin } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
      name?: unknown;
      version?: unknown;
      bin?: { openclaw?: unknown };
    };
    const whole =
      name === 'openclaw' &&
      typeof bin?.openclaw === 'string' &&
      existsSync(join(folder, bin.openclaw)) &&
      existsSync(join(folder, 'dist'));
    return whole && typeof version === 'string' ? version : undefined;
  } catch {
    return undefined;
  }
}

/** How OpenClaw is called. */
export function calling({ node, folder }: Installation): string[] {
  return [node, join(folder, 'openclaw.mjs')];
}

/** The command that installs a version, for people. */
export function installCommand(installation: Installation, version: string, mayWrite = canWrite): string {
  const { kind, folder, prefix } = installation;
  switch (kind) {
    case 'npm':
      return `${isOurs(installation, mayWrite) ? '' : 'sudo '}npm install -g --prefix ${prefix} openclaw@${version}`;
    case 'pnpm':
      return `pnpm add -g --allow-build=openclaw openclaw@${version}`;
    case 'bun':
      return `bun add -g --trust openclaw@${version}`;
    case 'git':
      return `git -C ${folder} checkout v${version} && cd ${folder} && pnpm install && pnpm build`;
    case 'container':
      return `run the image ghcr.io/openclaw/openclaw:${version}, or what you build on it, with the same volumes`;
    case 'other':
      return `install openclaw@${version} in place of ${folder}, by whatever installed that one`;
  }
}

/** Installs a version by npm. Says what npm said where it did not work. Can be repeated, once that npm has ended. */
export async function install(
  installation: Installation,
  version: string,
  began: (process: Process) => void = () => {},
): Promise<string | undefined> {
  const { node, npm, prefix, folder } = installation;
  if (npm === undefined || prefix === undefined) return 'it was not installed by npm';
  const env = environmentOf(installation);
  const told = await run(node, [npm, '--version'], env);
  const [major = 0, minor = 0] = told.out.trim().split('.').map(Number);
  const asks = major > ASKS[0] || (major === ASKS[0] && minor >= ASKS[1]);
  const args = [
    ...[npm, 'install', '--global', '--prefix', prefix, '--no-audit', '--no-fund', '--loglevel=error'],
    ...(asks ? ['--allow-scripts=openclaw'] : []),
    `openclaw@${version}`,
  ];
  // What an npm that was killed moved away is in the way of the next one.
  sweep(folder);
  const { code, out } = await run(node, args, env, PATIENCE_MS, (pid) => began(processOf(pid)));
  if (code === 0 && versionOf(installation) === version) return undefined;
  return code === 0 ? `npm says that it is installed, and it is not in ${folder}` : npmInWords(out);
}

function environmentOf({ node }: Installation): NodeJS.ProcessEnv {
  return { ...process.env, PATH: [dirname(node), process.env['PATH']].join(delimiter) };
}

/** What npm says went wrong, without stacks and without the names of fields, in one line. */
export function npmInWords(out: string): string {
  const said = out.split('\n').flatMap((line) => {
    const [, text = ''] = /^npm (?:error|ERR!)\s?(.*)$/.exec(line) ?? [];
    const known = /^(syscall|errno|path|cause|dest)\b|^\s+\w+:? |^\s*([{}^]|$)|complete log of this run/.test(
      text,
    );
    return known ? [] : [text.trim()];
  });
  const text = said.length === 0 ? out.trim() : said.slice(0, MOST_LINES).join('; ');
  return text === '' ? 'npm does not say why' : text.slice(0, MOST_CHARS);
}

/** Why npm would not get far; undefined where nothing is known to be in the way. */
export async function obstacle(
  installation: Installation,
  version: string,
  free = freeBytes,
): Promise<BackupError | undefined> {
  const { folder, node, npm = '' } = installation;
  const bytes = free(dirname(folder));
  if (bytes < ROOM_BYTES) {
    return new BackupError(
      `there is too little room for another OpenClaw beside ${folder}: ${formatBytes(bytes)} are free, and it takes ${formatBytes(ROOM_BYTES)}`,
      { code: 'B2_DISK_FULL' },
    );
  }
  const args = [npm, 'view', `openclaw@${version}`, 'version', '--loglevel=error', '--fetch-retries=0'];
  const { code, out } = await run(node, args, environmentOf(installation), ASK_MS);
  if (code === 0 && out.includes(version)) return undefined;
  const why = code === 0 ? 'the registry does not have it' : npmInWords(out);
  return new BackupError(`OpenClaw ${version} cannot be had by npm: ${why}`, { code: 'B2_HOST_REFUSES' });
}

function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}

function sweep(folder: string): void {
  const modules = dirname(folder);
  if (!existsSync(modules)) return;
  for (const name of readdirSync(modules)) {
    if (name.startsWith(`.${basename(folder)}-`))
      rmSync(join(modules, name), { recursive: true, force: true });
  }
}

/** Runs a program to its end, and gives what it said. */
export function run(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
  timeout = PATIENCE_MS,
  began: (pid: number) => void = () => {},
): Promise<{ readonly code: number; readonly out: string }> {
  return new Promise((resolve) => {
    const { pid } = execFile(
      program,
      [...args],
      { env, timeout, maxBuffer: 64 << 20 },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
        resolve({ code, out: `${stdout}${stderr}` });
      },
    );
    if (pid !== undefined) began(pid);
  });
}
