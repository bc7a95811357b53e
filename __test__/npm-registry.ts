/** An npm registry on loopback that has the given tarballs, and what is published to it. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename, join } from 'node:path';
import { text } from 'node:stream/consumers';

export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly [key: string]: unknown;
}

export interface Registry {
  readonly url: string;
  /** The `.npmrc` of a home that has no other registry. */
  readonly npmrc: string;
  /** Names of packages that were asked for, whether they are here or not. */
  readonly asked: readonly string[];
  /** Names of the tarballs that were fetched. */
  readonly fetched: string[];
  /** `name@version tag`, in the order of publishing. */
  readonly published: string[];
  /** From now on a package does not exist. */
  hide(name: string): void;
  close(): Promise<void>;
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

/** The folders of all packages that a project needs at run time, through all that these need. */
export function dependenciesOf(project: string): readonly string[] {
  const found = new Set<string>();
  const look = (folder: string): void => {
    const { dependencies = {} } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
      dependencies?: Record<string, string>;
    };
    for (const name of Object.keys(dependencies)) {
      // npm has put them all side by side.
      const other = join(project, 'node_modules', name);
      if (found.has(other)) continue;
      found.add(other);
      look(other);
    }
  };
  look(project);
  return [...found];
}

/** What npm sends to publish a version. */
interface Publication {
  readonly name: string;
  readonly 'dist-tags': Readonly<Record<string, string>>;
  readonly versions: Readonly<Record<string, Manifest>>;
}

/** Starts a registry. It publishes for whoever has the `token`. */
export async function startRegistry(tarballs: readonly string[], token?: string): Promise<Registry> {
  const files = new Map(tarballs.map((path) => [basename(path), path]));
  const documents = new Map<string, () => object>();
  const fetched: string[] = [];
  const published: string[] = [];
  const asked: string[] = [];
  const hidden = new Set<string>();
  const server = createServer((request, response) => {
    const name = decodeURIComponent((request.url ?? '/').slice(1).split('?')[0] ?? '');
    const answer = (status: number, body: object): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    };
    if (request.method === 'PUT') {
      if (token === undefined || request.headers.authorization !== `Bearer ${token}`) {
        request.resume().on('end', () => answer(401, { error: 'who are you?' }));
        return;
      }
      text(request)
        .then((body) => {
          const publication = JSON.parse(body) as Publication;
          documents.set(name, () => publication);
          for (const [tag, version] of Object.entries(publication['dist-tags'])) {
            published.push(`${name}@${version} ${tag}`);
          }
          answer(201, { ok: true });
        })
        .catch((error: unknown) => answer(500, { error: String(error) }));
      return;
    }
    const file = files.get(basename(name));
    if (file !== undefined) {
      fetched.push(basename(file));
      response.writeHead(200, { 'content-type': 'application/octet-stream' }).end(readFileSync(file));
      return;
    }
    asked.push(name);
    const document = hidden.has(name) ? undefined : documents.get(name);
    answer(document === undefined ? 404 : 200, document?.() ?? { error: 'not found' });
  });
  const url = (): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  for (const path of tarballs) {
    const manifest = manifestOf(path);
    const { name, version } = manifest;
    const bytes = readFileSync(path);
    const integrity = `sha512-${createHash('sha512').update(bytes).digest('base64')}`;
    const shasum = createHash('sha1').update(bytes).digest('hex');
    documents.set(name, () => {
      const dist = { tarball: `${url()}/-/${basename(path)}`, integrity, shasum };
      return { name, 'dist-tags': { latest: version }, versions: { [version]: { ...manifest, dist } } };
    });
  }
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  server.unref();
  return {
    url: url(),
    npmrc: `registry=${url()}/\nfund=false\naudit=false\nupdate-notifier=false\n`,
    asked,
    fetched,
    published,
    hide: (name) => {
      if (!documents.has(name)) throw new Error(`${name} is not here`);
      hidden.add(name);
    },
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
