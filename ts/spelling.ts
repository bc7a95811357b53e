/** Names that other programs, and Backblaze itself, give to our settings. */

/** Without capitals, hyphens and underscores. */
const OTHERS: Readonly<Record<string, string>> = {
  keyid: 'keyId',
  applicationkeyid: 'keyId',
  b2applicationkeyid: 'keyId',
  accesskeyid: 'keyId',
  accountid: 'keyId',
  applicationkey: 'applicationKey',
  b2applicationkey: 'applicationKey',
  appkey: 'applicationKey',
  secretaccesskey: 'applicationKey',
  secretkey: 'applicationKey',
  bucket: 'bucket',
  bucketname: 'bucket',
  b2bucket: 'bucket',
  region: 'region',
  endpoint: 'endpoint',
  endpointurl: 'endpoint',
  prefix: 'prefix',
  schedule: 'schedule',
  timezone: 'timezone',
  encrypt: 'encrypt',
  encryption: 'encrypt',
  passphrase: 'passphrase',
  password: 'passphrase',
  includesecrets: 'includeSecrets',
  include: 'include',
  exclude: 'exclude',
  keepsnapshots: 'keepSnapshots',
  keepdaily: 'keepDaily',
  keepweekly: 'keepWeekly',
  autorestore: 'autoRestore',
  verifyweeks: 'verifyWeeks',
  drill: 'drill',
  uploadlimit: 'uploadLimit',
};

/** The setting that is meant by a name that is none; undefined where that cannot be told. */
export function meant(name: string): string | undefined {
  const plain = name.toLowerCase().replace(/[-_\s]/g, '');
  return Object.hasOwn(OTHERS, plain) ? OTHERS[plain] : undefined;
}
