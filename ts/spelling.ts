/** Names that other programs, and Backblaze itself, give to our settings. */

/** Without capitals, hyphens and underscores. */
const OTHERS: Readonly<Record<string, string>> = {
  applicationkeyid: 'keyId',
  b2applicationkeyid: 'keyId',
  accesskeyid: 'keyId',
  accountid: 'keyId',
  b2applicationkey: 'applicationKey',
  appkey: 'applicationKey',
  secretaccesskey: 'applicationKey',
  secretkey: 'applicationKey',
  bucketname: 'bucket',
  b2bucket: 'bucket',
  endpointurl: 'endpoint',
  encryption: 'encrypt',
  password: 'passphrase',
};

/** Which of `settings` is meant by a name that is none of them; undefined where that cannot be told. */
export function meant(name: string, settings: Iterable<string>): string | undefined {
  const plain = bare(name);
  const own = [...settings].find((setting) => bare(setting) === plain);
  return own ?? (Object.hasOwn(OTHERS, plain) ? OTHERS[plain] : undefined);
}

/**
 * The settings with Backblaze's own spelling of the key id taken for ours, and what to say of it. Only where ours is not
 * set.
 */
export function takeKeyID(given: Record<string, unknown>): {
  readonly file: Record<string, unknown>;
  readonly taken: readonly string[];
} {
  const { keyID, ...file } = given;
  if (keyID === undefined || given['keyId'] !== undefined) return { file: given, taken: [] };
  return { file: { ...file, keyId: keyID }, taken: ['keyID: taken for keyId; write it so'] };
}

function bare(name: string): string {
  return name.toLowerCase().replace(/[-_\s]/g, '');
}
