/** An npm registry on loopback that has the given tarballs and nothing else. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename } from 'node:path';

export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly [key: string]: unknown;
}

export interface Registry {
  readonly url: string;
  /** Names of the tarballs that were fetched. */
  readonly fetched: string[];
  close(): void;
}

/** The names of the files in a tarball, without npm's `package/`. */
export function filesOf(tarball: string): string[] {
  const names = execFileSync('tar', ['-tzf', tarball], { encoding: 'utf8' }).trim().split('\n');
  return names.map((name) => name.replace(/^package\//, ''));
}

export function manifestOf(tarball: string): Manifest {
  return JSON.parse(
    execFileSync('tar', ['-xOzf', tarball, 'package/package.json'], { encoding: 'utf8' }),
  ) as Manifest;
}

export async function startRegistry(tarballs: readonly string[]): Promise<Registry> {
  const packages = new Map(tarballs.map((path) => [manifestOf(path).name, path]));
  const files = new Map(tarballs.map((path) => [basename(path), path]));
  const fetched: string[] = [];
  const server = createServer(({ url = '/' }, response) => {
    const name = decodeURIComponent(url.slice(1));
    const file = files.get(basename(name));
    if (file !== undefined) {
      fetched.push(basename(file));
      response.writeHead(200, { 'content-type': 'application/octet-stream' }).end(readFileSync(file));
      return;
    }
    const path = packages.get(name);
    response.writeHead(path === undefined ? 404 : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(path === undefined ? { error: 'not found' } : packument(path)));
  });
  const address = (): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const packument = (path: string): object => {
    const manifest = manifestOf(path);
    const integrity = `sha512-${createHash('sha512').update(readFileSync(path)).digest('base64')}`;
    const dist = { tarball: `${address()}/-/${basename(path)}`, integrity };
    const { name, version } = manifest;
    return { name, 'dist-tags': { latest: version }, versions: { [version]: { ...manifest, dist } } };
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: address(), fetched, close: () => server.close() };
}
