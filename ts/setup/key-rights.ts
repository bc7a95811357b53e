/** What a B2 key must be able to do for backups, and what one of our own gets. Pure. */
import { BackupError } from '../errors.js';
import { printable } from '../text.js';
import type { Account, Bucket, LifecycleRule } from './b2-api.js';
import { misfit } from './world.js';

/** What backups need, as docs/bucket.md says: none of it deletes. */
export const CAPABILITIES = ['listBuckets', 'listFiles', 'readFiles', 'writeFiles'] as const;

/** The prefix below which everything is stored, where nobody says otherwise. */
export const DEFAULT_PREFIX = 'openclaw-backup';

/** The id of an account's master key: B2's S3 API takes no such key. */
export function isMaster(keyId: string): boolean {
  return /^[0-9a-f]{12}$/.test(keyId);
}

/** Whether the key can make another one. */
export function canMakeKeys({ capabilities, buckets }: Account): boolean {
  return capabilities.includes('writeKeys') && buckets === undefined;
}

/** Checks a key that is to be used as it is. @throws {BackupError} B2_CREDENTIALS, B2_CAPABILITY, B2_CONFIG */
export function checkKey(keyId: string, { capabilities, namePrefix }: Account, prefix: string): void {
  if (isMaster(keyId)) {
    throw new BackupError(
      "this is the account's master key, which B2 does not take for backups: let a key be made for this machine " +
        '(without --keep-key), or make one at Backblaze',
      { code: 'B2_CREDENTIALS' },
    );
  }
  const missing = CAPABILITIES.filter((name) => !capabilities.includes(name));
  if (missing.length > 0) {
    throw new BackupError(
      `the key lacks ${missing.join(', ')}: make one with ${CAPABILITIES.join(', ')} (docs/bucket.md)`,
      { code: 'B2_CAPABILITY' },
    );
  }
  if (!`${prefix}/`.startsWith(namePrefix)) {
    throw misfit(
      `the key may only use names that begin with ${printable(namePrefix)}: ` +
        `set the prefix to ${printable(prefixFor(namePrefix))} (--prefix)`,
    );
  }
}

/** A prefix of ours that a key for certain names allows. */
export function prefixFor(namePrefix: string): string {
  const bare = namePrefix.replace(/\/+$/, '');
  return bare === '' || `${DEFAULT_PREFIX}/`.startsWith(namePrefix) ? DEFAULT_PREFIX : bare;
}

/** @throws {BackupError} B2_BUCKET where everybody can read it */
export function checkPrivate({ bucketName, bucketType }: Bucket): void {
  if (bucketType === 'allPrivate') return;
  const why =
    bucketType === 'allPublic' ? 'is public: everybody can download from it' : 'is no private bucket';
  throw new BackupError(
    `bucket ${printable(bucketName)} ${why}. Take another one, or make it private first`,
    { code: 'B2_BUCKET' },
  );
}

/** @throws {BackupError} B2_CONFIG for what cannot be the name of a new bucket of B2's */
export function checkNewName(name: string): void {
  if (/^(?!b2-)[A-Za-z0-9](?:[A-Za-z0-9-]{4,61})[A-Za-z0-9]$/.test(name)) return;
  throw misfit(
    `"${printable(name)}" cannot be the name of a new bucket: those have 6 to 63 letters, digits and hyphens, ` +
      'and do not begin with b2-',
  );
}

/** What frees the space of what was hidden or overwritten, after 30 days in which harm can be noticed. */
export function ruleFor(prefix: string): LifecycleRule {
  return { fileNamePrefix: `${prefix}/`, daysFromHidingToDeleting: 30, daysFromUploadingToHiding: null };
}

/** Rules that are about the same names: B2 takes no two of them. */
export function overlapping(
  rules: readonly LifecycleRule[],
  { fileNamePrefix }: LifecycleRule,
): LifecycleRule[] {
  return rules.filter(
    (rule) =>
      rule.fileNamePrefix.startsWith(fileNamePrefix) || fileNamePrefix.startsWith(rule.fileNamePrefix),
  );
}
