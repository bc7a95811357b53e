/** Where and how backups are stored, as a fingerprint: a change is noticed, and no secret is kept for it. */
import { randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto';
import type { Settings } from '../../index.js';

/** So slow that nobody guesses a passphrase by it: 16 MiB and some 30 ms, once at each start. */
const COST: ScryptOptions = { N: 1 << 14, r: 8, p: 1, maxmem: 64 << 20 };
const SALT_BYTES = 16;
const HASH_BYTES = 16;

/** The fingerprint of these settings, under a random salt. */
export async function fingerprint(settings: Settings): Promise<string> {
  const salt = randomBytes(SALT_BYTES);
  return `${salt.toString('hex')}:${(await stretch(settings, salt)).toString('hex')}`;
}

/** Whether a fingerprint was made of these settings. */
export async function isOf(settings: Settings, known: string): Promise<boolean> {
  const [salt = '', hash = ''] = known.split(':');
  const expected = Buffer.from(hash, 'hex');
  const found = await stretch(settings, Buffer.from(salt, 'hex'));
  return expected.length === found.length && timingSafeEqual(expected, found);
}

/** On another thread: agents are at work meanwhile. */
function stretch(settings: Settings, salt: Buffer): Promise<Buffer> {
  const { bucket, endpoint, region, prefix, keyId, applicationKey, passphrase, encrypt } = settings;
  const all = [bucket, endpoint, region, prefix, keyId, applicationKey, passphrase, encrypt];
  const text = JSON.stringify(all.map((one) => one ?? null));
  return new Promise((resolve, reject) => {
    scrypt(text, salt, HASH_BYTES, COST, (error, key) => (error === null ? resolve(key) : reject(error)));
  });
}
