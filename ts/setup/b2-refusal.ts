/** What B2's native API refuses, as errors of ours. Pure. */
import { BackupError, type ErrorCode } from '../errors.js';
import { printable } from '../text.js';

/** What the API answers when it refuses. */
export interface Refusal {
  readonly status: number;
  /** B2's own word, such as `duplicate_bucket_name`; empty where none came. */
  readonly code: string;
  readonly message: string;
}

/** As much of B2's words as a message takes, in characters. */
const LONGEST = 300;

/** Refusals that are not about the key, by B2's code. */
const KNOWN: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  duplicate_bucket_name: [
    'B2_BUCKET',
    'that bucket name is taken: all users of Backblaze share one set of names. Take a longer one',
  ],
  too_many_buckets: [
    'B2_BUCKET',
    'the account has as many buckets as it may have: delete one at Backblaze, or take one that is there',
  ],
  bad_bucket_id: ['B2_BUCKET', 'the bucket is gone: somebody deleted it meanwhile. Take another one'],
  conflict: ['B2_BUCKET', 'somebody changed the bucket at the same moment; try again'],
  email_not_verified: ['B2_CREDENTIALS', 'Backblaze wants the e-mail address of the account verified first'],
  no_payment_history: ['B2_CREDENTIALS', 'Backblaze wants a payment on the account first'],
};

/** Makes an error of a refusal. `doing` says what was tried, as in "make a bucket"; `needs` names the capability. */
export function refused(
  { status, code, message }: Refusal,
  { doing, needs }: { readonly doing: string; readonly needs: string },
): BackupError {
  const said = printable(message).slice(0, LONGEST);
  if (code.endsWith('cap_exceeded') || /cap exceeded/i.test(message)) {
    return new BackupError(`the account is at its cap (Caps & Alerts at Backblaze): ${said}`, {
      code: 'B2_CAP_EXCEEDED',
    });
  }
  const known = KNOWN[code];
  if (known !== undefined) return new BackupError(known[1], { code: known[0] });
  if (status === 401 && code === 'unauthorized') {
    return new BackupError(`the key may not ${doing}: it lacks ${needs}`, { code: 'B2_CAPABILITY' });
  }
  if (status === 401) {
    return new BackupError(
      `B2 does not take the key any more (${printable(code)}): was it deleted just now?`,
      { code: 'B2_CREDENTIALS' },
    );
  }
  if (status === 408 || status === 429 || status >= 500) {
    return new BackupError(`B2 is busy and could not ${doing} (status ${status}): try again in a minute`, {
      code: 'B2_NETWORK',
      retryable: true,
    });
  }
  const what = [`status ${status}`, printable(code).slice(0, 60), said].filter((part) => part !== '');
  return new BackupError(`B2 would not ${doing}: ${what.join(' ')}`, { code: 'B2_STORE' });
}

/** B2 does not say which of the two is wrong. Their form often does. */
export function wrongPair(keyId: string, applicationKey: string): BackupError {
  return new BackupError(
    `B2 does not know this pair of key id and key: mistyped, deleted or expired. ${byForm(keyId, applicationKey)}`,
    { code: 'B2_CREDENTIALS' },
  );
}

/** An application key as B2 makes them. */
const KEY = /^K\d{3}\S{25,}$/;

function byForm(keyId: string, applicationKey: string): string {
  if (KEY.test(keyId)) return 'What was given as key id looks like a key: they may be the wrong way round';
  if (!/^[0-9a-f]{12}$|^[0-9a-zA-Z]{25}$/.test(keyId)) {
    return `A key id has 25 letters and digits (12 for the master key); this one has ${keyId.length} characters`;
  }
  const master = keyId.length === 12;
  if (!master && !KEY.test(applicationKey)) {
    return (
      'A key begins with K and three digits and has 31 characters; ' +
      `this one has ${applicationKey.length} characters`
    );
  }
  return 'Backblaze shows a key once, when it is made: make a new one under Application Keys if in doubt';
}
