/** The calls of B2's native API that a set-up makes. The key goes to Backblaze's own hosts and nowhere else. */
import { BackupError } from '../errors.js';
import { printable } from '../text.js';
import { type Refusal, refused, wrongPair } from './b2-refusal.js';

/** Where the API is. */
export const B2_API_URL = 'https://api.backblazeb2.com';

/** What is outside of this module. */
export interface B2World {
  readonly fetch: typeof fetch;
  /** Base URL; {@linkcode B2_API_URL} but in tests. */
  readonly apiUrl: string;
  /** Milliseconds since 1970, by this computer. */
  readonly now: () => number;
  /** Waits so many milliseconds. */
  readonly sleep: (ms: number, signal: AbortSignal | undefined) => Promise<void>;
  readonly signal?: AbortSignal | undefined;
}

/** What a key may do and where. */
export interface Account {
  readonly accountId: string;
  readonly capabilities: readonly string[];
  /** The buckets that the key is for; undefined for all. One that was deleted has no name. */
  readonly buckets: readonly { readonly id: string; readonly name: string | null }[] | undefined;
  /** What every name must start with; often empty. */
  readonly namePrefix: string;
}

/** A rule by which B2 hides and deletes files. */
export interface LifecycleRule {
  readonly fileNamePrefix: string;
  readonly daysFromHidingToDeleting: number | null;
  readonly daysFromUploadingToHiding: number | null;
}

/** A bucket. */
export interface Bucket {
  readonly bucketId: string;
  readonly bucketName: string;
  /** `allPrivate` or `allPublic`; others are no buckets of the user's. */
  readonly bucketType: string;
  /** Undefined where the key may not see them. */
  readonly lifecycleRules?: readonly LifecycleRule[] | undefined;
  readonly revision?: number | undefined;
}

/** A key that was made. */
export interface MadeKey {
  readonly applicationKeyId: string;
  readonly applicationKey: string;
}

/** Longer than any answer, in bytes. */
const MOST_BYTES = 4 * 1024 * 1024;
/** How long one try may take. */
const TIMEOUT_MS = 30_000;
/** How often a call is tried. */
const TRIES = 4;
/** Between two tries, where B2 does not say how long. */
const PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;
/** A clock that is further off gets every request refused (B2's S3 API, RequestTimeTooSkewed). */
const MOST_SKEW_MS = 15 * 60_000;

/** An authorised key. */
export class B2Session {
  readonly account: Account;
  readonly #world: B2World;
  readonly #apiUrl: string;
  readonly #token: string;

  constructor(world: B2World, account: Account, apiUrl: string, token: string) {
    this.account = account;
    this.#world = world;
    this.#apiUrl = apiUrl;
    this.#token = token;
  }

  may(capability: string): boolean {
    return this.account.capabilities.includes(capability);
  }

  /** The same without the signal that stops it: for what has to be taken back after that. */
  unstoppable(): B2Session {
    return new B2Session({ ...this.#world, signal: undefined }, this.account, this.#apiUrl, this.#token);
  }

  /** The buckets that the key reaches, by name. @throws {BackupError} B2_CAPABILITY */
  async buckets(): Promise<readonly Bucket[]> {
    // A key for certain buckets must name one in the call.
    const filters = this.account.buckets?.map(({ id }) => ({ bucketId: id })) ?? [{}];
    const found: Bucket[] = [];
    for (const filter of filters) {
      const body = { accountId: this.account.accountId, ...filter };
      const how = { doing: 'list buckets', needs: 'listBuckets' };
      const { buckets } = await this.#call<{ buckets: Bucket[] }>('b2_list_buckets', body, how);
      found.push(...buckets);
    }
    return found.sort((a, b) => a.bucketName.localeCompare(b.bucketName));
  }

  /** Makes a private bucket. @throws {BackupError} B2_BUCKET where the name is taken */
  async createBucket(bucketName: string): Promise<Bucket> {
    const body = { accountId: this.account.accountId, bucketName, bucketType: 'allPrivate' };
    const how = { doing: 'make a bucket', needs: 'writeBuckets' };
    return await this.#call<Bucket>('b2_create_bucket', body, how);
  }

  async deleteBucket(bucketId: string): Promise<void> {
    const body = { accountId: this.account.accountId, bucketId };
    await this.#call('b2_delete_bucket', body, { doing: 'delete the bucket', needs: 'deleteBuckets' });
  }

  /** Replaces the rules, unless somebody changed the bucket meanwhile. */
  async setLifecycleRules(
    { bucketId, revision }: Bucket,
    lifecycleRules: readonly LifecycleRule[],
  ): Promise<void> {
    const body = {
      accountId: this.account.accountId,
      bucketId,
      lifecycleRules,
      ...(revision === undefined ? {} : { ifRevisionIs: revision }),
    };
    await this.#call('b2_update_bucket', body, { doing: 'set a lifecycle rule', needs: 'writeBuckets' });
  }

  /** Makes a key for names below `namePrefix` in one bucket. */
  async createKey(request: {
    readonly keyName: string;
    readonly capabilities: readonly string[];
    readonly bucketId: string;
    readonly namePrefix: string;
  }): Promise<MadeKey> {
    const { bucketId, ...rest } = request;
    const body = { accountId: this.account.accountId, ...rest, bucketIds: [bucketId] };
    return await this.#call<MadeKey>('b2_create_key', body, { doing: 'make a key', needs: 'writeKeys' });
  }

  async deleteKey(applicationKeyId: string): Promise<void> {
    await this.#call('b2_delete_key', { applicationKeyId }, { doing: 'delete the key', needs: 'deleteKeys' });
  }

  #call<T>(name: string, body: object, how: { doing: string; needs: string }): Promise<T> {
    const init = {
      method: 'POST',
      headers: { authorization: this.#token, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    };
    return ask<T>(this.#world, `${this.#apiUrl}/b2api/v4/${name}`, init, (refusal) => refused(refusal, how));
  }
}

/** What `b2_authorize_account` answers (version 4). */
interface Authorized {
  readonly accountId: string;
  readonly authorizationToken: string;
  readonly apiInfo: {
    readonly storageApi: {
      readonly apiUrl: string;
      readonly allowed: {
        readonly buckets?: { id: string; name: string | null }[] | null;
        readonly capabilities: string[];
        readonly namePrefix?: string | null;
      };
    };
  };
}

/**
 * Tries a key.
 *
 * @throws {BackupError} B2_CREDENTIALS, B2_CAP_EXCEEDED, B2_CLOCK, B2_NETWORK, or B2_STORE for an answer that is none
 */
export async function authorize(world: B2World, keyId: string, applicationKey: string): Promise<B2Session> {
  const login = Buffer.from(`${keyId}:${applicationKey}`).toString('base64');
  const url = `${world.apiUrl}/b2api/v4/b2_authorize_account`;
  const init = { method: 'GET', headers: { authorization: `Basic ${login}` } };
  const answer = await ask<Authorized>(world, url, init, (refusal) =>
    refusal.status === 401 && ['', 'unauthorized', 'bad_auth_token'].includes(refusal.code)
      ? wrongPair(keyId, applicationKey)
      : refused(refusal, { doing: 'take the key', needs: 'rights' }),
  );
  try {
    const { apiUrl, allowed } = answer.apiInfo.storageApi;
    const account = {
      accountId: answer.accountId,
      capabilities: [...allowed.capabilities],
      buckets: allowed.buckets?.map(({ id, name }) => ({ id, name })),
      namePrefix: allowed.namePrefix ?? '',
    };
    return new B2Session(world, account, ownHost(world, apiUrl), answer.authorizationToken);
  } catch (error) {
    if (error instanceof BackupError) throw error;
    throw strange(url);
  }
}

/** The host that B2 names for further calls, if it is one of Backblaze's. */
function ownHost({ apiUrl }: B2World, named: string): string {
  const { protocol, hostname, origin } = new URL(named);
  if (origin === new URL(apiUrl).origin) return origin;
  if (protocol === 'https:' && hostname.endsWith('.backblazeb2.com')) return origin;
  throw new BackupError(`B2 named the unexpected host ${printable(hostname)}; not sending the key there`, {
    code: 'B2_STORE',
  });
}

/** One call, tried again where B2 is busy. */
async function ask<T>(
  world: B2World,
  url: string,
  init: RequestInit,
  explain: (refusal: Refusal) => BackupError,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    const { status, headers, text } = await once(world, url, init);
    checkClock(world, headers);
    if (status === 200) return parsed<T>(text, url);
    const refusal = { status, ...words(text) };
    const busy = status === 408 || status === 429 || status >= 500;
    if (!busy || attempt === TRIES) throw explain(refusal);
    const seconds = Number(headers.get('retry-after') ?? Number.NaN);
    const wanted = Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : PAUSE_MS * 2 ** (attempt - 1);
    await world.sleep(Math.min(wanted, LONGEST_PAUSE_MS), world.signal);
  }
}

async function once(
  { fetch, signal }: B2World,
  url: string,
  init: RequestInit,
): Promise<{ status: number; headers: Headers; text: string }> {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const either = signal === undefined ? timeout : AbortSignal.any([signal, timeout]);
  try {
    const response = await fetch(url, { ...init, redirect: 'error', signal: either });
    return { status: response.status, headers: response.headers, text: await bounded(response, url) };
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof BackupError) throw error;
    const { host } = new URL(url);
    const why = timeout.aborted ? 'no answer within 30 seconds' : reason(error);
    throw new BackupError(`${host} cannot be reached (${why}): is this computer online, is there a proxy?`, {
      code: 'B2_NETWORK',
      retryable: true,
    });
  }
}

/** Why `fetch` failed: the reason is in its cause. */
function reason(error: unknown): string {
  const { cause, message } = error as { cause?: { code?: unknown; message?: unknown }; message?: unknown };
  return printable(String(cause?.code ?? cause?.message ?? message ?? 'unknown')).slice(0, 100);
}

async function bounded(response: Response, url: string): Promise<string> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of response.body ?? []) {
    length += part.length;
    if (length > MOST_BYTES) throw strange(url);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function checkClock({ now }: B2World, headers: Headers): void {
  const theirs = Date.parse(headers.get('date') ?? '');
  const ahead = now() - theirs;
  if (Number.isNaN(theirs) || Math.abs(ahead) <= MOST_SKEW_MS) return;
  const minutes = Math.round(Math.abs(ahead) / 60_000);
  throw new BackupError(
    `this computer's clock is ${minutes} minutes ${ahead > 0 ? 'fast' : 'slow'}, and B2 refuses such requests: set it`,
    { code: 'B2_CLOCK' },
  );
}

/** Neither the answer nor the parser's message is repeated: they may hold a key. */
function parsed<T>(text: string, url: string): T {
  try {
    return JSON.parse(text) as T;
  } catch {
    throw strange(url);
  }
}

function words(text: string): { code: string; message: string } {
  try {
    const { code, message } = JSON.parse(text) as { code?: unknown; message?: unknown };
    return {
      code: typeof code === 'string' ? code : '',
      message: typeof message === 'string' ? message : '',
    };
  } catch {
    return { code: '', message: '' };
  }
}

function strange(url: string): BackupError {
  return new BackupError(`${new URL(url).host} gave no answer of B2's: is there a proxy in between?`, {
    code: 'B2_STORE',
  });
}
