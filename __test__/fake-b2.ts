/** B2's native API on loopback, as far as a set-up uses it. It keeps keys, buckets and rules, and refuses what B2 refuses. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { Bucket, LifecycleRule } from '../ts/setup/b2-api.ts';

/** A key of the account. */
export interface Key {
  readonly id: string;
  readonly secret: string;
  readonly capabilities: readonly string[];
  /** Ids of the buckets that it is for; all where none are named. */
  readonly buckets?: readonly string[];
  readonly namePrefix?: string;
}

/** Everything that B2 lets a key do that makes others. */
export const EVERYTHING = [
  'listKeys',
  'writeKeys',
  'deleteKeys',
  'listBuckets',
  'writeBuckets',
  'deleteBuckets',
  'listFiles',
  'readFiles',
  'writeFiles',
  'deleteFiles',
];

export const ACCOUNT = 'aa9865d6f000';
/** The account's first key; it may do everything. */
export const KEY: Key = {
  id: '004aa9865d6f0000000000001',
  secret: 'K004abcdefghijklmnopqrstuvwxyz0',
  capabilities: EVERYTHING,
};

interface Body {
  readonly bucketId?: string;
  readonly bucketIds?: readonly string[];
  readonly bucketName?: string;
  readonly bucketType?: string;
  readonly lifecycleRules?: readonly LifecycleRule[];
  readonly ifRevisionIs?: number;
  readonly keyName?: string;
  readonly capabilities?: readonly string[];
  readonly namePrefix?: string;
  readonly applicationKeyId?: string;
}

class Refused extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message = code) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** The server. */
export class FakeB2 {
  readonly keys = new Map<string, Key>([[KEY.id, KEY]]);
  readonly buckets = new Map<string, Bucket>();
  /** Names that other accounts have. */
  readonly taken = new Set<string>();
  url = '';
  /** What was called, in order. */
  readonly calls: string[] = [];
  /** Milliseconds that its clock is ahead. */
  ahead = 0;
  /** How many calls are answered with "busy" first. */
  busy = 0;
  /** How many buckets an account may have. */
  most = 100;
  /** What is answered to a call, in place of what would be. */
  instead: Readonly<Record<string, readonly [status: number, body: string]>> = {};
  /** Whether it passes over what a new key is to be limited to, as a version of the API that calls it otherwise would. */
  generous = false;
  /** Whether there is nothing in a bucket. */
  isEmpty: (name: string) => boolean = () => true;
  readonly #tokens = new Map<string, Key>();
  readonly #server: Server;
  #next = 1;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<FakeB2> {
    const server = createServer((request, response) => void fake.#answer(request, response));
    const fake = new FakeB2(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    fake.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return fake;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  #number(): number {
    this.#next += 1;
    return this.#next;
  }

  addKey(key: Omit<Key, 'id' | 'secret'>): Key {
    const number = this.#number();
    const made = {
      ...key,
      id: `004${ACCOUNT}${String(number).padStart(10, '0')}`,
      secret: `K004${String(number).padStart(27, 'x')}`,
    };
    this.keys.set(made.id, made);
    return made;
  }

  addBucket(bucketName: string, parts: Partial<Bucket> = {}): Bucket {
    const bucketId = `b${this.#number()}`;
    const bucket = {
      bucketId,
      bucketName,
      bucketType: 'allPrivate',
      lifecycleRules: [],
      revision: 1,
      ...parts,
    };
    this.buckets.set(bucketId, bucket);
    return bucket;
  }

  bucket(name: string): Bucket | undefined {
    return [...this.buckets.values()].find(({ bucketName }) => bucketName === name);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const name = (request.url ?? '').split('/').at(-1) ?? '';
    this.calls.push(name);
    const body = await text(request);
    const send = (status: number, content: string, headers: Record<string, string> = {}): void => {
      const date = new Date(Date.now() + this.ahead).toUTCString();
      response.writeHead(status, { 'content-type': 'application/json', date, ...headers }).end(content);
    };
    const instead = this.instead[name];
    if (instead !== undefined) return send(...instead);
    if (this.busy > 0) {
      this.busy -= 1;
      return send(503, JSON.stringify({ status: 503, code: 'service_unavailable', message: 'busy' }), {
        'retry-after': '7',
      });
    }
    try {
      send(200, JSON.stringify(this.#call(name, request.headers.authorization ?? '', body)));
    } catch (error) {
      const { status = 500, code = 'internal_error', message } = error as Partial<Refused>;
      send(status, JSON.stringify({ status, code, message }));
    }
  }

  #call(name: string, authorization: string, text: string): object {
    if (name === 'b2_authorize_account') return this.#authorize(authorization);
    const key = this.#tokens.get(authorization);
    if (key === undefined) throw new Refused(401, 'bad_auth_token');
    const body = JSON.parse(text) as Body;
    const may = (capability: string): void => {
      if (!key.capabilities.includes(capability)) throw new Refused(401, 'unauthorized');
    };
    switch (name) {
      case 'b2_list_buckets':
        may('listBuckets');
        return { buckets: this.#listed(key, body) };
      case 'b2_create_bucket':
        may('writeBuckets');
        return this.#createBucket(body);
      case 'b2_update_bucket':
        may('writeBuckets');
        return this.#updateBucket(body);
      case 'b2_delete_bucket':
        may('deleteBuckets');
        if (!this.isEmpty(this.#known(body).bucketName))
          throw new Refused(400, 'cannot_delete_non_empty_bucket');
        this.buckets.delete(this.#known(body).bucketId);
        return {};
      case 'b2_create_key':
        may('writeKeys');
        return this.#createKey(body);
      case 'b2_delete_key':
        may('deleteKeys');
        this.keys.delete(body.applicationKeyId ?? '');
        return {};
      default:
        throw new Refused(400, 'bad_request', `no such call: ${name}`);
    }
  }

  #authorize(authorization: string): object {
    const [id = '', secret = ''] = Buffer.from(authorization.replace('Basic ', ''), 'base64')
      .toString()
      .split(':');
    const key = this.keys.get(id);
    if (key === undefined || key.secret !== secret) throw new Refused(401, 'unauthorized');
    const token = `token-${this.#number()}`;
    this.#tokens.set(token, key);
    const buckets = key.buckets?.map((bucket) => ({
      id: bucket,
      name: this.buckets.get(bucket)?.bucketName ?? null,
    }));
    const { capabilities, namePrefix = null } = key;
    const allowed = { capabilities, namePrefix, buckets: buckets ?? null };
    const storageApi = { apiUrl: this.url, s3ApiUrl: this.url, allowed };
    return { accountId: ACCOUNT, authorizationToken: token, apiInfo: { storageApi } };
  }

  /** A key for certain buckets must name one of them. */
  #listed(key: Key, { bucketId }: Body): Bucket[] {
    if (key.buckets === undefined) return [...this.buckets.values()];
    if (bucketId === undefined || !key.buckets.includes(bucketId)) throw new Refused(401, 'unauthorized');
    return [...this.buckets.values()].filter((bucket) => bucket.bucketId === bucketId);
  }

  #known({ bucketId = '' }: Body): Bucket {
    const bucket = this.buckets.get(bucketId);
    if (bucket === undefined) throw new Refused(400, 'bad_bucket_id');
    return bucket;
  }

  #createBucket({ bucketName = '', bucketType = '' }: Body): Bucket {
    if (!/^[A-Za-z0-9-]{6,63}$/.test(bucketName)) throw new Refused(400, 'bad_request', 'invalid bucketName');
    if (this.taken.has(bucketName) || this.bucket(bucketName))
      throw new Refused(400, 'duplicate_bucket_name');
    if (this.buckets.size >= this.most) throw new Refused(400, 'too_many_buckets');
    return this.addBucket(bucketName, { bucketType });
  }

  #updateBucket(body: Body): Bucket {
    const bucket = this.#known(body);
    const { lifecycleRules = [], ifRevisionIs } = body;
    if (ifRevisionIs !== undefined && ifRevisionIs !== bucket.revision) throw new Refused(409, 'conflict');
    const changed = { ...bucket, lifecycleRules, revision: (bucket.revision ?? 0) + 1 };
    this.buckets.set(bucket.bucketId, changed);
    return changed;
  }

  #createKey({ capabilities = [], bucketIds, namePrefix, keyName = '' }: Body): object {
    if (!/^[A-Za-z0-9-]{1,100}$/.test(keyName)) throw new Refused(400, 'bad_request', 'invalid keyName');
    const key = this.addKey({
      capabilities,
      ...(bucketIds === undefined || this.generous ? {} : { buckets: bucketIds }),
      ...(namePrefix === undefined ? {} : { namePrefix }),
    });
    return { applicationKeyId: key.id, applicationKey: key.secret };
  }
}
