/** Where backups go: B2, another S3 server, or a folder. */
import { accessSync, constants, existsSync, mkdirSync, realpathSync, rmdirSync, statSync } from 'node:fs';
import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { BackupError } from '../errors.js';
import { checkBucket, checkEndpoint } from '../values.js';
import { type AtB2, chooseB2 } from './b2-place.js';
import { DEFAULT_PREFIX } from './key-rights.js';
import {
  type GivenSecrets,
  insist,
  type Made,
  misfit,
  needed,
  type PlaceFields,
  type SetupOptions,
  type SetupWorld,
} from './world.js';

/** Where backups go, and what was done for it. */
export interface Place {
  readonly kind: 'b2' | 's3' | 'folder';
  readonly fields: PlaceFields;
  readonly atB2?: AtB2;
  readonly warnings: readonly string[];
}

/** Asks where, and makes what is needed there. */
export async function choosePlace(world: SetupWorld, options: SetupOptions, made: Made): Promise<Place> {
  const kind = await chooseKind(world, options);
  switch (kind) {
    case 'b2': {
      if (options.bucket !== undefined) checkBucket(options.bucket);
      return { kind, ...(await chooseB2(world, options, made)) };
    }
    case 's3':
      return { kind, fields: await chooseServer(world, options), warnings: [] };
    case 'folder': {
      const bucket = await insist(world, ['B2_CONFIG', 'B2_BUCKET', 'B2_PERMISSION'], (again) =>
        chooseFolder(world, again ? undefined : options.bucket, made),
      );
      return { kind, fields: { bucket, ...prefixOf(options) }, warnings: [] };
    }
  }
}

async function chooseKind(
  { prompts }: SetupWorld,
  { bucket, endpoint }: SetupOptions,
): Promise<Place['kind']> {
  if (bucket?.startsWith('file:') === true) return 'folder';
  if (endpoint !== undefined) return 's3';
  if (bucket !== undefined || prompts === undefined) return 'b2';
  return prompts.choose('Where do the backups go?', [
    { value: 'b2', label: 'Backblaze B2', hint: 'backblaze.com; the first 10 GB are free' },
    { value: 's3', label: 'Another S3 server' },
    { value: 'folder', label: 'A folder', hint: 'another disk, a network drive; or to try it out' },
  ]);
}

/** Only what is not the default stands in the configuration. */
function prefixOf({ prefix }: SetupOptions): { prefix?: string } {
  return prefix === undefined || prefix === DEFAULT_PREFIX ? {} : { prefix };
}

async function chooseServer(world: SetupWorld, options: SetupOptions): Promise<PlaceFields> {
  const { prompts, given } = world;
  const endpoint = options.endpoint ?? (await prompts?.text('Address of the server (https://...)'));
  if (endpoint === undefined) throw needed('the server', 'give --endpoint');
  checkEndpoint(endpoint.includes('://') ? endpoint : `https://${endpoint}`);
  const region =
    options.region ??
    (await prompts?.text('Region (Enter where the server has none)', { optional: true })) ??
    '';
  const known: GivenSecrets = { ...given, keyId: options.keyId ?? given.keyId };
  const keyId = known.keyId ?? (await prompts?.text('Access key id'));
  if (keyId === undefined)
    throw needed('the key id', 'give --key-id, or put keyId into the file of --secrets');
  const key = known.applicationKey ?? (await prompts?.secret('Secret access key (it does not show)'));
  if (key === undefined) throw needed('the key', 'put applicationKey into the file of --secrets');
  const bucket = options.bucket ?? (await prompts?.text('Bucket'));
  if (bucket === undefined) throw needed('the bucket', 'give --bucket NAME');
  checkBucket(bucket);
  return {
    bucket,
    endpoint,
    ...(region === '' ? {} : { region }),
    keyId: keyId.trim(),
    applicationKey: key.trim(),
    ...prefixOf(options),
  };
}

/** A folder as `file:///path`. @throws {BackupError} B2_CONFIG, B2_BUCKET, B2_PERMISSION */
async function chooseFolder(
  { prompts, stateDir, env }: SetupWorld,
  named: string | undefined,
  made: Made,
): Promise<string> {
  const typed = named ?? (await prompts?.text('Which folder? (its full path)'));
  if (typed === undefined) throw needed('the folder', 'give --bucket file:///path');
  const home = env['HOME'] ?? '';
  const path = typed.startsWith('~/') ? join(home, typed.slice(2)) : typed;
  const url = path.startsWith('file:') ? path : isAbsolute(path) ? pathToFileURL(path).href : undefined;
  if (url === undefined) throw misfit('a folder is written with its full path, such as /mnt/backup');
  checkBucket(url);
  const folder = folderOf(url);
  checkFolder(folder, stateDir);
  if (!existsSync(folder)) {
    makeFolder(folder);
    made.add(folder, async () => rmdirSync(folder));
  }
  return url;
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    const { code = 'unknown' } = error as { code?: string };
    throw new BackupError(`${folder} cannot be made (${code}): make it yourself, or take another folder`, {
      code: 'B2_PERMISSION',
    });
  }
}

function folderOf(url: string): string {
  try {
    return resolve(fileURLToPath(url));
  } catch {
    throw misfit('a folder is written as file:///path, with %20 for a space');
  }
}

/** @throws {BackupError} B2_CONFIG, B2_BUCKET, B2_PERMISSION */
function checkFolder(folder: string, stateDir: string): void {
  checkOutside(folder, stateDir);
  const parent = dirname(folder);
  const there = existsSync(folder);
  if (!there && !existsSync(parent)) {
    throw new BackupError(`${parent} does not exist: is the disk mounted? Mount it, or make the directory`, {
      code: 'B2_BUCKET',
    });
  }
  if (!statSync(there ? folder : parent).isDirectory()) {
    throw new BackupError(`${there ? folder : parent} is a file. Take a folder`, { code: 'B2_BUCKET' });
  }
  try {
    accessSync(there ? folder : parent, constants.W_OK | constants.X_OK);
  } catch {
    throw new BackupError(
      `${there ? folder : parent} cannot be written to by this user: change its owner, or take another folder`,
      { code: 'B2_PERMISSION' },
    );
  }
}

/** @throws {BackupError} B2_CONFIG for what would be lost together with the state */
export function checkOutside(path: string, stateDir: string): void {
  if (!isInside(real(path), real(stateDir))) return;
  throw misfit(
    `${path} is inside OpenClaw's state (${stateDir}), and would be lost together with it: take a place elsewhere`,
  );
}

/** Where a path leads, as far as it is there. */
function real(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    const parent = dirname(path);
    return parent === path ? path : join(real(parent), relative(parent, path));
  }
}

function isInside(path: string, directory: string): boolean {
  return path === directory || path.startsWith(directory.endsWith(sep) ? directory : directory + sep);
}
