/** Secrets that open backups, and those that are in them, in words. Pure. */
import type { FileProblem, Settings, StatusReport } from '../index.js';
import { printable } from './text.js';

const WORDS: Readonly<Record<string, string>> = {
  'application-key': 'application key',
  passphrase: 'passphrase',
  'recovery-code': 'recovery code',
};

/** The kind of a secret as people say it. */
export function secretInWords(kind: string): string {
  return WORDS[kind] ?? printable(kind);
}

/** Which secrets a snapshot holds, in one sentence: docs/what-is-saved.md. */
export function secretsInside({
  encrypt,
  includeSecrets,
}: Pick<Settings, 'encrypt' | 'includeSecrets'>): string {
  if (encrypt === false) {
    return (
      'Nothing is encrypted: known files of keys and values that OpenClaw calls secrets stay out, and whatever else ' +
      'holds one can be read by everybody who reaches the bucket.'
    );
  }
  const logins = includeSecrets === true ? 'and so are logins' : 'logins only with includeSecrets';
  return (
    'What you wrote into the configuration and workspaces is in it, encrypted, with the keys and tokens there; ' +
    `this plugin's own keys never are, ${logins}.`
  );
}

/** What to say while one lost key would be the end of all backups; nothing otherwise. `command` is what is typed. */
export function onlyApplicationKey(
  { opensWith }: Pick<StatusReport, 'opensWith'>,
  command: string,
): readonly string[] {
  if (opensWith.length === 0 || opensWith.some((kind) => kind !== 'application-key')) return [];
  return [
    'only the B2 application key opens these backups: if it is lost together with this machine, nobody can read ' +
      `them again. "${command} key recovery" makes a recovery code to print and keep`,
  ];
}

/** Whether a file stays out of snapshots on purpose: it may hold secrets, and nothing is encrypted. */
export function isLeftOut({ code }: Pick<FileProblem, 'code'>): boolean {
  return code === 'B2_SKIPPED_SECRET';
}
