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
  if (includeSecrets === true) {
    return (
      'It holds, encrypted, what you wrote in the configuration and workspaces, including keys and tokens, and logins ' +
      "too. This plugin's own keys are never in it."
    );
  }
  return (
    'What you wrote into the configuration and workspaces is in it, encrypted, with the keys and tokens there; ' +
    "this plugin's own keys never are, logins only with includeSecrets."
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

/** Remarks by what they mean for a snapshot. */
export interface SortedRemarks<T> {
  /** The snapshot lacks it. */
  readonly missing: readonly T[];
  /** It stays out on purpose. */
  readonly leftOut: readonly T[];
  /** The snapshot has it. */
  readonly saved: readonly T[];
}

/** Tells what is not in a snapshot from what is in it though not as it should be. */
export function sortRemarks<T extends Pick<FileProblem, 'code' | 'missing'>>(
  all: readonly T[],
): SortedRemarks<T> {
  const there = all.filter((remark) => !remark.missing);
  return {
    missing: all.filter((remark) => remark.missing),
    leftOut: there.filter(isLeftOut),
    saved: there.filter((remark) => !isLeftOut(remark)),
  };
}

/** Whether a file stays out of snapshots on purpose: it may hold secrets that must not be in them. */
export function isLeftOut({ code }: Pick<FileProblem, 'code'>): boolean {
  return code === 'B2_SKIPPED_SECRET';
}
