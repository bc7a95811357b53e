/** What a single setting may be. */
import { isAbsolute } from 'node:path';
import { kind, wrong } from './policy.js';

/** True or false. @throws {BackupError} B2_CONFIG */
export function flag(
  file: Record<string, unknown>,
  field: 'encrypt' | 'includeSecrets',
): boolean | undefined {
  const value = file[field];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'boolean') throw wrong(field, `must be true or false, not ${kind(value)}`);
  return value;
}

/** A list of patterns. @throws {BackupError} B2_CONFIG */
export function list(file: Record<string, unknown>, field: 'include' | 'exclude'): string[] | undefined {
  const value = file[field];
  if (value === undefined || value === null) return undefined;
  if (!Array.isArray(value)) throw wrong(field, `must be a list of patterns, not ${kind(value)}`);
  return value.map((pattern: unknown, index) => {
    if (typeof pattern === 'string' && pattern.trim() !== '') return pattern;
    throw wrong(`${field}[${index}]`, 'must be a pattern such as "workspace/**/*.log"');
  });
}

/** `uploadLimit`. @throws {BackupError} B2_CONFIG */
export function limit(file: Record<string, unknown>): number | undefined {
  const value = file['uploadLimit'];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value <= 0) {
    throw wrong('uploadLimit', 'must be a whole number of bytes per second above 0, such as 2000000');
  }
  return value;
}

/** `machineName`; how long it may be is checked in the core. @throws {BackupError} B2_CONFIG */
export function name(file: Record<string, unknown>): string | undefined {
  const value = file['machineName'];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string') throw wrong('machineName', `must be a name, not ${kind(value)}`);
  return value.trim() === '' ? undefined : value.trim();
}

/** What can be a bucket, or a folder. @throws {BackupError} B2_CONFIG */
export function checkBucket(bucket: string): void {
  if (bucket.startsWith('file:')) {
    if (!bucket.startsWith('file:///')) {
      throw wrong('bucket', 'a folder is written with its full path, as "file:///mnt/backup"');
    }
    return;
  }
  if (bucket.includes('://')) {
    throw wrong(
      'bucket',
      'must be the name of a bucket or a folder as "file:///path"; a server goes into endpoint',
    );
  }
  if (isAbsolute(bucket)) {
    throw wrong('bucket', `must be the name of a bucket; a folder is written as "file://${bucket}"`);
  }
  if (!/^[A-Za-z0-9][A-Za-z0-9.-]{1,61}[A-Za-z0-9]$/.test(bucket)) {
    throw wrong('bucket', 'cannot be a bucket: those have 3 to 63 letters, digits, hyphens and dots');
  }
}

/** What can be a server. @throws {BackupError} B2_CONFIG */
export function checkEndpoint(endpoint: string): void {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  if (url === undefined || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw wrong('endpoint', 'must be a URL such as "https://s3.us-west-004.backblazeb2.com"');
  }
  if (url.username !== '' || url.password !== '') {
    throw wrong('endpoint', 'must not hold a user or password; the key goes into keyId and applicationKey');
  }
}
