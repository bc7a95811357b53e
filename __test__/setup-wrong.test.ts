/** What people type wrongly, or have wrongly: each is answered with what to do, and nothing is configured. */
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { addon } from './addon-support.ts';
import { KEY } from './fake-b2.ts';
import { Place } from './setup-support.ts';

const WORDS = 'tulip granite orbit velvet mango';
const OWN = ['listBuckets', 'listFiles', 'readFiles', 'writeFiles'];
const GIVEN = { keyId: KEY.id, applicationKey: KEY.secret, passphrase: WORDS };

let place: Place;
beforeEach(async () => {
  place = await Place.make();
});
afterEach(() => place.remove());

interface Wrong {
  readonly line?: string;
  /** What is on standard input. */
  readonly secrets?: object | string;
  readonly env?: NodeJS.ProcessEnv;
}

/** What is wrong: how it comes about, the code, and the words that say what to do. */
const CASES: readonly [string, (place: Place) => Wrong | Promise<Wrong>, string, RegExp][] = [
  [
    'the key id of nobody',
    () => ({ secrets: { ...GIVEN, keyId: '004aa9865d6f0000000000077' } }),
    'B2_CREDENTIALS',
    /does not know this pair.*make a new one under Application Keys/,
  ],
  [
    'a key id with a character missing',
    () => ({ secrets: { ...GIVEN, keyId: KEY.id.slice(1) } }),
    'B2_CREDENTIALS',
    /A key id has 25 letters and digits.*this one has 24/,
  ],
  [
    'half of a key',
    () => ({ secrets: { ...GIVEN, applicationKey: 'K004abc' } }),
    'B2_CREDENTIALS',
    /begins with K and three digits and has 31 characters; this one has 7/,
  ],
  [
    'key id and key the wrong way round',
    () => ({ secrets: { ...GIVEN, keyId: KEY.secret, applicationKey: KEY.id } }),
    'B2_CREDENTIALS',
    /the wrong way round/,
  ],
  [
    'the master key, kept',
    ({ b2 }) => {
      b2.keys.set('aa9865d6f000', { ...KEY, id: 'aa9865d6f000' });
      b2.addBucket('my-bucket');
      return { line: '--keep-key', secrets: { ...GIVEN, keyId: 'aa9865d6f000' } };
    },
    'B2_CREDENTIALS',
    /master key.*without --keep-key/,
  ],
  [
    'a key without listBuckets',
    ({ b2 }) => {
      const { bucketId } = b2.addBucket('my-bucket');
      const key = b2.addKey({ capabilities: OWN.slice(1), buckets: [bucketId] });
      return { secrets: { ...GIVEN, keyId: key.id, applicationKey: key.secret } };
    },
    'B2_CAPABILITY',
    /lacks listBuckets: make one with listBuckets, listFiles, readFiles, writeFiles/,
  ],
  [
    'a key that cannot write',
    ({ b2 }) => {
      const { bucketId } = b2.addBucket('my-bucket');
      const key = b2.addKey({ capabilities: OWN.slice(0, 3), buckets: [bucketId] });
      return { secrets: { ...GIVEN, keyId: key.id, applicationKey: key.secret } };
    },
    'B2_CAPABILITY',
    /lacks writeFiles: make one with/,
  ],
  [
    'a key for another bucket',
    ({ b2 }) => {
      const { bucketId } = b2.addBucket('other-bucket');
      b2.addBucket('my-bucket');
      const key = b2.addKey({ capabilities: OWN, buckets: [bucketId] });
      return { secrets: { ...GIVEN, keyId: key.id, applicationKey: key.secret } };
    },
    'B2_BUCKET',
    /no bucket my-bucket: it is limited to other-bucket/,
  ],
  [
    'a key for other names',
    ({ b2 }) => {
      const { bucketId } = b2.addBucket('my-bucket');
      const key = b2.addKey({ capabilities: OWN, buckets: [bucketId], namePrefix: 'photos/' });
      return { line: '--prefix claw', secrets: { ...GIVEN, keyId: key.id, applicationKey: key.secret } };
    },
    'B2_CONFIG',
    /names that begin with photos\/: set the prefix to photos \(--prefix\)/,
  ],
  ['a bucket that is not there', () => ({}), 'B2_BUCKET', /no bucket my-bucket.*--create-bucket/],
  [
    'the name of somebody else',
    ({ b2 }) => {
      b2.taken.add('my-bucket');
      return { line: '--create-bucket' };
    },
    'B2_BUCKET',
    /name is taken.*Take a longer one/,
  ],
  [
    'a name that no bucket can have',
    () => ({ line: '--bucket b2-mine --create-bucket' }),
    'B2_CONFIG',
    /"b2-mine" cannot be the name.*6 to 63 letters, digits and hyphens/,
  ],
  [
    'as many buckets as there may be',
    ({ b2 }) => {
      b2.most = 0;
      return { line: '--create-bucket' };
    },
    'B2_BUCKET',
    /as many buckets as it may have: delete one/,
  ],
  [
    'a public bucket',
    ({ b2 }) => {
      b2.addBucket('my-bucket', { bucketType: 'allPublic' });
      return {};
    },
    'B2_BUCKET',
    /my-bucket is public.*Take another one, or make it private/,
  ],
  [
    'a new key that is for all buckets',
    ({ b2 }) => {
      b2.generous = true;
      return { line: '--create-bucket' };
    },
    'B2_STORE',
    /may do more than was asked for.*--keep-key/,
  ],
  [
    'an account at its cap',
    ({ b2 }) => {
      const refused = { status: 403, code: 'transaction_cap_exceeded', message: 'Transaction cap exceeded' };
      b2.instead = { b2_authorize_account: [403, JSON.stringify(refused)] };
      return {};
    },
    'B2_CAP_EXCEEDED',
    /at its cap \(Caps & Alerts/,
  ],
  [
    'no network',
    (there) => {
      there.b2.close();
      return {};
    },
    'B2_NETWORK',
    /cannot be reached \(ECONNREFUSED\): is this computer online, is there a proxy/,
  ],
  [
    'a hotel that answers everything',
    ({ b2 }) => {
      b2.instead = { b2_authorize_account: [200, '<html>Welcome! Room number?</html>'] };
      return {};
    },
    'B2_STORE',
    /gave no answer of B2's: is there a proxy/,
  ],
  [
    'an answer that sends the key elsewhere',
    ({ b2 }) => {
      const storageApi = { apiUrl: 'https://evil.example', allowed: { capabilities: OWN } };
      const answer = { accountId: 'a', authorizationToken: 't', apiInfo: { storageApi } };
      b2.instead = { b2_authorize_account: [200, JSON.stringify(answer)] };
      return {};
    },
    'B2_STORE',
    /unexpected host evil\.example; not sending the key there/,
  ],
  [
    'a clock that is slow',
    ({ b2 }) => {
      b2.ahead = 3_600_000;
      return {};
    },
    'B2_CLOCK',
    /clock is 60 minutes slow.*set it/,
  ],
  [
    'the wrong passphrase for what is there',
    async (there) => {
      const bucket = there.folder('disk');
      const other = await Place.make();
      await other.setup(`--json --secrets - --bucket ${bucket}`, {
        input: JSON.stringify({ passphrase: WORDS }),
      });
      other.remove();
      const wrong = 'copper lantern walrus pebble quartz';
      return { line: `--bucket ${bucket}`, secrets: { passphrase: wrong } };
    },
    'B2_WRONG_KEY',
    /backups in .* already, which the passphrase does not open: put their passphrase.*another --prefix/,
  ],
  [
    'the backups of another machine',
    async (there) => {
      const bucket = there.folder('disk');
      const other = await Place.make();
      await other.setup(`--json --secrets - --bucket ${bucket}`, {
        input: JSON.stringify({ passphrase: WORDS }),
      });
      other.remove();
      return { line: `--bucket ${bucket}`, secrets: { passphrase: WORDS } };
    },
    'B2_NEEDS_CHOICE',
    /another machine.*--beside backs this one up beside them; --no-push only writes/,
  ],
  [
    'a passphrase that would be guessed',
    (there) => ({ line: `--bucket ${there.folder('disk')}`, secrets: { passphrase: 'Sommer2026!' } }),
    'B2_WEAK_PASSPHRASE',
    /five words/,
  ],
  [
    'a folder without a passphrase',
    (there) => ({ line: `--no-passphrase --bucket ${there.folder('disk')}`, secrets: {} }),
    'B2_CONFIG',
    /a folder brings no key to encrypt with: it needs a passphrase/,
  ],
  [
    'a folder inside the state',
    (there) => ({ line: `--bucket ${there.folder('state/backups')}` }),
    'B2_CONFIG',
    /inside OpenClaw's state.*take a place elsewhere/,
  ],
  [
    'a folder inside the state, by a link',
    (there) => {
      symlinkSync(there.state, join(there.directory, 'link'));
      return { line: `--bucket ${there.folder('link/backups')}` };
    },
    'B2_CONFIG',
    /inside OpenClaw's state/,
  ],
  [
    'a file in the place of a folder',
    (there) => {
      there.write('disk', 'a file');
      return { line: `--bucket ${there.folder('disk')}` };
    },
    'B2_BUCKET',
    /disk is a file\. Take a folder/,
  ],
  [
    'a disk that is not mounted',
    (there) => ({ line: `--bucket ${there.folder('usb/claw')}` }),
    'B2_BUCKET',
    /does not exist: is the disk mounted/,
  ],
  [
    'a folder that nobody can make',
    () => ({ line: '--bucket file:///proc/claw' }),
    'B2_PERMISSION',
    /\/proc\/claw cannot be (made|written).*take another folder/,
  ],
  [
    'a path in the place of a URL',
    () => ({ line: '--bucket /mnt/backup' }),
    'B2_CONFIG',
    /a folder is written as "file:\/\/\/mnt\/backup"/,
  ],
  [
    'a server that is no URL',
    () => ({ line: '--endpoint ftp://nas' }),
    'B2_CONFIG',
    /endpoint.*must be a URL such as/,
  ],
  [
    'a configuration that does not parse',
    (there) => {
      writeFileSync(there.config, '{\n  gateway: {\n');
      return { line: `--bucket ${there.folder('disk')}` };
    },
    'B2_CONFIG',
    /openclaw\.json.*not valid JSON5/,
  ],
  [
    'a configuration with something else in our place',
    (there) => {
      writeFileSync(there.config, '{ plugins: { entries: [] } }');
      return { line: `--bucket ${there.folder('disk')}` };
    },
    'B2_CONFIG',
    /plugins\.entries must be an object; put that right first/,
  ],
  [
    'a configuration that a deployment system writes',
    () => ({ env: { OPENCLAW_CONFIG_READONLY: '1' } }),
    'B2_CONFIG',
    /another program manages openclaw\.json: put the settings there/,
  ],
  [
    'backups that are set up already',
    (there) => {
      writeFileSync(
        there.config,
        '{ plugins: { entries: { "b2-backup": { config: { bucket: "mine" } } } } }',
      );
      return {};
    },
    'B2_USAGE',
    /backups go to mine already; nothing was changed\. --replace/,
  ],
  [
    'a setting that stays and with which the gateway backs up nothing',
    (there) => {
      writeFileSync(
        there.config,
        '{ plugins: { entries: { "b2-backup": { config: { schedule: "every day", keepDaily: "x" } } } } }',
      );
      return { line: `--bucket ${there.folder('disk')}` };
    },
    'B2_CONFIG',
    /schedule: is neither.*keepDaily: must be a whole number/,
  ],
  ['no bucket', () => ({ line: '--prefix x' }), 'B2_USAGE', /the bucket is not known.*--bucket NAME/],
  ['no key', () => ({ secrets: { passphrase: WORDS } }), 'B2_USAGE', /the key id is not known.*--key-id/],
  [
    'half of the secrets',
    () => ({ secrets: { ...GIVEN, applicationKey: undefined } }),
    'B2_USAGE',
    /--secrets/,
  ],
  [
    'secrets that are no JSON',
    () => ({ secrets: 'K004secret' }),
    'B2_USAGE',
    /standard input must hold one JSON object/,
  ],
  [
    'secrets by another name',
    () => ({ secrets: { password: 'x' } }),
    'B2_USAGE',
    /keyId, applicationKey and passphrase/,
  ],
  [
    'a file for secrets in the state',
    (there) => ({
      line: `--bucket ${there.folder('disk')} --secret-refs ${join(there.state, 'secrets.json')}`,
    }),
    'B2_CONFIG',
    /inside OpenClaw's state/,
  ],
  [
    'a file for secrets that holds something else',
    (there) => ({
      line: `--bucket ${there.folder('disk')} --secret-refs ${there.write('other.txt', 'not mine')}`,
    }),
    'B2_CONFIG',
    /holds no JSON object: take another file/,
  ],
];

describe.skipIf(addon === undefined)('setup says what to do about', () => {
  it.each(CASES)('%s', async (what, make, code, message) => {
    const { line = '', secrets = GIVEN, env = {} } = await make(place);
    const before = place.text();
    const named = line.includes('--bucket') || what === 'no bucket' ? '' : '--bucket my-bucket';
    const input = typeof secrets === 'string' ? secrets : JSON.stringify(secrets);
    const { exit, out, err } = await place.setup(`--json --secrets - ${named} ${line}`, {
      input,
      env,
    });
    expect(err).toBe('');
    expect(JSON.parse(out)).toMatchObject({ ok: false, code, message: expect.stringMatching(message) });
    expect(exit).toBe(code === 'B2_USAGE' ? 2 : 1);
    expect(place.text()).toBe(before);
    for (const secret of [KEY.secret, WORDS, 'K004secret', 'Sommer2026']) expect(out).not.toContain(secret);
    // No key is left that nobody has a use for.
    const made = [...place.b2.keys.values()].filter(({ namePrefix }) => namePrefix === 'openclaw-backup/');
    expect(made).toEqual([]);
  });

  it.skipIf(process.getuid?.() === 0 || process.platform === 'win32')(
    'a folder of somebody else',
    async () => {
      const folder = join(place.directory, 'theirs');
      mkdirSync(folder);
      chmodSync(folder, 0o500);
      const { out } = await place.setup(`--json --secrets - --bucket ${place.folder('theirs')}`, {
        input: JSON.stringify(GIVEN),
      });
      expect(JSON.parse(out)).toMatchObject({
        code: 'B2_PERMISSION',
        message: expect.stringMatching(/cannot be written to.*change its owner, or take another folder/),
      });
    },
  );
});
