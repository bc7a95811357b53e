/** An npm registry on loopback that serves tarballs from folders and knows nothing else. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename, join } from 'node:path';
import { pack } from '../../scripts/pack.mjs';
import { project, RUN_MARK, runId } from './host.ts';
import { finish, Program } from './processes.ts';

interface Tarball {
  readonly manifest: { readonly name: string; readonly version: string };
  readonly bytes: Buffer;
  readonly file: string;
}

export class Registry {
  readonly url: string;
  /** Packages that were asked for, in order, whether they are here or not. */
  readonly asked: string[] = [];
  readonly #server: Server;
  readonly #tarballs: Tarball[];
  readonly #hidden = new Set<string>();

  private constructor(server: Server, tarballs: Tarball[]) {
    this.#server = server;
    this.#tarballs = tarballs;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on('request', (request, response) => this.#answer(request, response));
  }

  /** Serves what is in the folders now. */
  static async start(...folders: readonly string[]): Promise<Registry> {
    const paths = folders.flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)));
    const tarballs = await Promise.all(
      paths
        .filter((path) => path.endsWith('.tgz'))
        .map(async (path) => ({
          file: basename(path),
          bytes: readFileSync(path),
          manifest: await readManifest(path),
        })),
    );
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    server.unref();
    return new Registry(server, tarballs);
  }

  /** From now on a package does not exist. */
  hide(name: string): void {
    if (!this.#tarballs.some(({ manifest }) => manifest.name === name))
      throw new Error(`${name} is not here`);
    this.#hidden.add(name);
  }

  show(name: string): void {
    this.#hidden.delete(name);
  }

  /** The `.npmrc` of a home that has no other registry. */
  get npmrc(): string {
    return `registry=${this.url}/\nfund=false\naudit=false\nupdate-notifier=false\n`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const path = decodeURIComponent(new URL(request.url ?? '/', this.url).pathname).slice(1);
    const tarball = this.#tarballs.find(({ file }) => path === `-/${file}`);
    if (tarball !== undefined) {
      response.writeHead(200, { 'content-type': 'application/octet-stream' }).end(tarball.bytes);
      return;
    }
    this.asked.push(path);
    const versions = this.#tarballs.filter(({ manifest }) => manifest.name === path);
    const found = versions.length > 0 && !this.#hidden.has(path);
    response
      .writeHead(found ? 200 : 404, { 'content-type': 'application/json' })
      .end(JSON.stringify(found ? this.#packument(path, versions) : { error: 'Not found' }));
  }

  #packument(name: string, tarballs: readonly Tarball[]): object {
    const versions: Record<string, object> = {};
    let latest = '';
    for (const { manifest, bytes, file } of tarballs) {
      latest = manifest.version;
      versions[latest] = {
        ...manifest,
        dist: {
          tarball: `${this.url}/-/${file}`,
          integrity: `sha512-${createHash('sha512').update(bytes).digest('base64')}`,
          shasum: createHash('sha1').update(bytes).digest('hex'),
        },
      };
    }
    return { name, 'dist-tags': { latest }, versions };
  }
}

async function readManifest(tarball: string): Promise<Tarball['manifest']> {
  const { out } = await succeed('tar', ['-xzOf', tarball, 'package/package.json']);
  return JSON.parse(out) as Tarball['manifest'];
}

/**
 * Packs the package, its platform package and what it depends on into a folder, for {@linkcode Registry.start}.
 * The addon is the one that was built for the tests.
 */
export async function packForRegistry(folder: string): Promise<void> {
  await pack({ to: folder });
  const { dependencies = {} } = JSON.parse(readFileSync(join(project, 'package.json'), 'utf8')) as {
    dependencies?: Record<string, string>;
  };
  for (const name of Object.keys(dependencies)) await packFolder(join(project, 'node_modules', name), folder);
}

/** Packs one package that lies in a folder. */
export async function packFolder(from: string, to: string): Promise<void> {
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
