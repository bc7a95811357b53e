/** A bucket at Backblaze B2: which key, which bucket, a key of its own, and the rule that frees space. */
import { BackupError } from '../errors.js';
import { printable } from '../text.js';
import { type Account, authorize, type B2Session, type Bucket } from './b2-api.js';
import {
  CAPABILITIES,
  canMakeKeys,
  checkKey,
  checkNewName,
  checkPrivate,
  DEFAULT_PREFIX,
  isMaster,
  overlapping,
  prefixFor,
  ruleFor,
} from './key-rights.js';
import {
  type GivenSecrets,
  insist,
  type Made,
  needed,
  type PlaceFields,
  type SetupOptions,
  type SetupWorld,
} from './world.js';

/** What was done at Backblaze. */
export interface AtB2 {
  readonly keyMade: boolean;
  readonly bucketMade: boolean;
  /** The key that was given: backups that are there may have been made with it. */
  readonly givenKey: string;
  /** `added`, `there` (one for these names is there), or `none`. */
  readonly rule: 'added' | 'there' | 'none';
}

/** A key that B2 takes. */
interface Key {
  readonly keyId: string;
  readonly applicationKey: string;
  readonly session: B2Session;
}

/** Finds or makes everything at Backblaze. What was made is noted in `made`. */
export async function chooseB2(
  world: SetupWorld,
  options: SetupOptions,
  made: Made,
): Promise<{ fields: PlaceFields; atB2: AtB2; warnings: string[] }> {
  const key = await insist(world, ['B2_CREDENTIALS', 'B2_CAPABILITY'], (again) =>
    takeKey(world, options, again),
  );
  const { session } = key;
  const prefix = options.prefix ?? prefixFor(session.account.namePrefix);
  const own = await wantsOwnKey(world, options, key, prefix);
  if (!own) checkKey(key.keyId, session.account, prefix);
  const chosen = await insist(world, ['B2_BUCKET', 'B2_CONFIG'], (again) =>
    takeBucket(world, options, session, made, again),
  );
  const { rule, warnings } = await freeSpace(world, options, {
    session,
    bucket: chosen.bucket,
    prefix,
    made,
  });
  const used = own ? await makeKey(world, session, chosen.bucket, prefix, made) : key;
  const { keyId, applicationKey } = used;
  return {
    fields: {
      bucket: chosen.bucket.bucketName,
      keyId,
      applicationKey,
      ...(options.region === undefined ? {} : { region: options.region }),
      ...(prefix === DEFAULT_PREFIX ? {} : { prefix }),
    },
    atB2: { keyMade: own, bucketMade: chosen.made, rule, givenKey: key.applicationKey },
    warnings,
  };
}

/** The key that was given, or typed; tried at once. */
async function takeKey(world: SetupWorld, options: SetupOptions, again: boolean): Promise<Key> {
  const { prompts, given } = world;
  const known: GivenSecrets = again ? {} : { ...given, keyId: options.keyId ?? given.keyId };
  const keyId = (known.keyId ?? (await prompts?.text('Key id (keyID at Backblaze)')))?.trim();
  if (keyId === undefined)
    throw needed('the key id', 'give --key-id, or put keyId into the file of --secrets');
  const key = (known.applicationKey ?? (await prompts?.secret('Application key (it does not show)')))?.trim();
  if (key === undefined) throw needed('the application key', 'put applicationKey into the file of --secrets');
  const session = await authorize(world.b2, keyId, key);
  if (!session.may('listBuckets')) {
    throw new BackupError(
      `the key lacks listBuckets: make one with ${CAPABILITIES.join(', ')} (docs/bucket.md)`,
      { code: 'B2_CAPABILITY' },
    );
  }
  prompts?.done('Backblaze takes the key.');
  return { keyId, applicationKey: key, session };
}

async function wantsOwnKey(
  { prompts }: SetupWorld,
  { keepKey }: SetupOptions,
  { keyId, session }: Key,
  prefix: string,
): Promise<boolean> {
  if (keepKey || !canMakeKeys(session.account)) return false;
  if (prompts === undefined || isMaster(keyId)) return true;
  return prompts.yes(
    `Make a key for this machine that reads and writes below ${prefix}/ and can delete nothing? ` +
      'The one that you gave is then stored nowhere.',
    true,
  );
}

/** What stands for a bucket that is to be made; no bucket can have this name. */
const NEW = ' new';

async function takeBucket(
  world: SetupWorld,
  { bucket: named, createBucket }: SetupOptions,
  session: B2Session,
  made: Made,
  again: boolean,
): Promise<{ bucket: Bucket; made: boolean }> {
  const { prompts } = world;
  const buckets = await session.buckets();
  const mayMake = session.may('writeBuckets') && session.account.buckets === undefined;
  const wanted = again ? undefined : named;
  if (wanted !== undefined) {
    const found = buckets.find(({ bucketName }) => bucketName === wanted);
    if (found !== undefined) {
      checkPrivate(found);
      return { bucket: found, made: false };
    }
    const make =
      createBucket || (mayMake && (await prompts?.yes(`Make the private bucket ${wanted}?`, true)));
    if (make !== true) throw unreachable(wanted, session, buckets);
    return { bucket: await makeBucket(session, wanted, made), made: true };
  }
  if (prompts === undefined)
    throw needed('the bucket', 'give --bucket NAME, with --create-bucket for a new one');
  const choices = buckets
    .filter(({ bucketType }) => bucketType === 'allPrivate' || bucketType === 'allPublic')
    .map((bucket) => ({
      value: bucket.bucketName,
      label: printable(bucket.bucketName),
      ...(bucket.bucketType === 'allPublic' ? { hint: 'public' } : {}),
    }));
  if (mayMake) choices.push({ value: NEW, label: 'Make a new private bucket' });
  if (choices.length === 0) {
    throw new BackupError('the key reaches no bucket, and may make none: make a private one at Backblaze', {
      code: 'B2_BUCKET',
    });
  }
  const [only] = choices;
  const choice =
    choices.length === 1 && only !== undefined ? only.value : await prompts.choose('Which bucket?', choices);
  if (choice === NEW) {
    const initial = `openclaw-backup-${world.random(36 ** 6).toString(36)}`;
    const name = await prompts.text('Its name (nobody else may have it)', { initial });
    return { bucket: await makeBucket(session, name, made), made: true };
  }
  const bucket = buckets.find(({ bucketName }) => bucketName === choice);
  if (bucket === undefined) throw unreachable(choice, session, buckets);
  checkPrivate(bucket);
  return { bucket, made: false };
}

function unreachable(name: string, { account }: B2Session, buckets: readonly Bucket[]): BackupError {
  const names = buckets.map(({ bucketName }) => printable(bucketName)).join(', ');
  const reach =
    account.buckets === undefined ? `it reaches ${names || 'none'}` : `it is limited to ${names || 'one'}`;
  return new BackupError(
    `the key reaches no bucket ${printable(name)}: ${reach}. Take one of these, or make it with --create-bucket`,
    { code: 'B2_BUCKET' },
  );
}

async function makeBucket(session: B2Session, name: string, made: Made): Promise<Bucket> {
  checkNewName(name);
  const bucket = await session.createBucket(name);
  made.add(`bucket ${name}`, () => session.unstoppable().deleteBucket(bucket.bucketId));
  return bucket;
}

async function makeKey(
  { b2, hostname, prompts }: SetupWorld,
  session: B2Session,
  { bucketId }: Bucket,
  prefix: string,
  made: Made,
): Promise<{ keyId: string; applicationKey: string }> {
  const { applicationKeyId: keyId, applicationKey } = await session.createKey({
    keyName: `openclaw-${hostname}`.replace(/[^A-Za-z0-9-]/g, '-').slice(0, 100),
    capabilities: CAPABILITIES,
    bucketId,
    namePrefix: `${prefix}/`,
  });
  made.add(`key ${keyId}`, () => session.unstoppable().deleteKey(keyId));
  checkMade((await authorize(b2, keyId, applicationKey)).account, bucketId, `${prefix}/`);
  prompts?.done('A key for this machine alone is made. It can delete nothing.');
  return { keyId, applicationKey };
}

/** B2 passes over what it does not know in a call: whether the key may do no more than was asked for has to be seen. */
function checkMade({ capabilities, buckets, namePrefix }: Account, bucketId: string, prefix: string): void {
  const known: readonly string[] = CAPABILITIES;
  const small = capabilities.every((name) => known.includes(name)) && namePrefix === prefix;
  if (small && buckets?.length === 1 && buckets[0]?.id === bucketId) return;
  throw new BackupError(
    'B2 made a key that may do more than was asked for: make one at Backblaze, and give it with --keep-key (docs/bucket.md)',
    { code: 'B2_STORE' },
  );
}

/** Gives the bucket the rule that frees space, beside those it has. */
async function freeSpace(
  { prompts }: SetupWorld,
  { lifecycle }: SetupOptions,
  { session, bucket, prefix, made }: { session: B2Session; bucket: Bucket; prefix: string; made: Made },
): Promise<{ rule: AtB2['rule']; warnings: string[] }> {
  const rule = ruleFor(prefix);
  const rules = bucket.lifecycleRules ?? undefined;
  const others = overlapping(rules ?? [], rule);
  if (others.some(({ daysFromUploadingToHiding }) => daysFromUploadingToHiding !== null)) {
    const text =
      `a lifecycle rule of ${printable(bucket.bucketName)} hides files some days after they were uploaded: ` +
      'it will hide snapshots that are in use. Take it away at Backblaze (docs/bucket.md)';
    return { rule: 'there', warnings: [text] };
  }
  if (others.length > 0) return { rule: 'there', warnings: [] };
  const may = session.may('writeBuckets') && rules !== undefined;
  const wanted = lifecycle && may && (await (prompts?.yes(RULE_QUESTION, true) ?? true));
  if (wanted) {
    await session.setLifecycleRules(bucket, [...(rules ?? []), rule]);
    const before = { ...bucket, revision: undefined };
    made.add('a lifecycle rule', () => session.unstoppable().setLifecycleRules(before, rules ?? []));
    return { rule: 'added', warnings: [] };
  }
  const missing = 'no lifecycle rule frees the space of old snapshots: give the bucket one (docs/bucket.md)';
  return { rule: 'none', warnings: lifecycle ? [missing] : [] };
}

const RULE_QUESTION = 'Free the space of what was deleted after 30 days (a lifecycle rule of the bucket)?';
