/** Secrets that open backups, in words. Pure. */
import type { StatusReport } from '../index.js';
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
