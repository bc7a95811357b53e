/** A bucket on a real S3 server on loopback that checks signatures, and the command line to look into it. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ListReport, SnapshotInfo } from '../../index.js';
import { Gate } from './gate.ts';
import { environment, project, s3ServerProgram } from './host.ts';
import { type Finished, finish, Program } from './processes.ts';

const KEY_ID = 'test-key-id';
const APPLICATION_KEY = 'test-application-key';

export class Bucket {
  /** The plugin's settings for this bucket. */
  readonly settings: Readonly<Record<'keyId' | 'applicationKey' | 'bucket' | 'endpoint' | 'region', string>>;
  /** What the plugin has to pass to get there. */
  readonly gate: Gate;
  readonly #folder: string;
  readonly #server: Program;

  private constructor(folder: string, server: Program, gate: Gate) {
    this.#folder = folder;
    this.#server = server;
    this.gate = gate;
    this.settings = {
      keyId: KEY_ID,
      applicationKey: APPLICATION_KEY,
      bucket: 'backups',
      endpoint: `http://${gate.address}`,
      region: 'us-east-1',
    };
  }

  static async start(): Promise<Bucket> {
    const folder = mkdtempSync(join(tmpdir(), 'b2-bucket-'));
    for (const name of ['buckets', 'home/tmp']) mkdirSync(join(folder, name), { recursive: true });
    const keys = ['--access-key', KEY_ID, '--secret-key', APPLICATION_KEY];
    const args = ['--root', join(folder, 'buckets'), ...keys, '--bucket', 'backups'];
    const env = environment(join(folder, 'home'));
    const server = new Program('s3_server', s3ServerProgram, args, { env, input: true });
    const [, address = ''] = await server.says(/listening (\S+)/);
    return new Bucket(folder, server, await Gate.before(address));
  }

  /** Runs `b2-backup ARGS` as somebody who has nothing but the bucket and its keys. */
  async b2Backup(...args: string[]): Promise<Finished> {
    return await this.#command(environment(join(this.#folder, 'home')), args);
  }

  /** Runs `b2-backup ARGS` in a shell of the machine that `home` is, without OpenClaw's help. */
  async inShellOf(home: { readonly env: NodeJS.ProcessEnv }, ...args: string[]): Promise<Finished> {
    return await this.#command(home.env, args);
  }

  async #command(machine: NodeJS.ProcessEnv, args: readonly string[]): Promise<Finished> {
    const { keyId, applicationKey, bucket, endpoint, region } = this.settings;
    const env = {
      ...machine,
      B2_APPLICATION_KEY_ID: keyId,
      B2_APPLICATION_KEY: applicationKey,
      B2_BUCKET: bucket,
      B2_ENDPOINT: endpoint,
      B2_REGION: region,
    };
    const cli = join(project, 'dist', 'cli.js');
    const program = new Program(`b2-backup ${args.join(' ')}`, process.execPath, [cli, ...args], { env });
    return await finish(program);
  }

  /** The snapshots, as `b2-backup list --json` gives them. */
  async snapshots(): Promise<readonly SnapshotInfo[]> {
    const { out, err, code } = await this.b2Backup('list', '--json');
    if (code !== 0) throw new Error(`b2-backup list ended with ${code}: ${out}${err}`);
    return (JSON.parse(out) as ListReport).snapshots;
  }

  async close(): Promise<void> {
    await this.gate.close();
    await this.#server.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
