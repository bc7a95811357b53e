/** The options of `b2-backup setup`. None of them takes a secret: everybody on the machine sees a command line. */
import { BackupError } from '../errors.js';
import type { SetupOptions } from '../setup/world.js';

/** As Node's `parseArgs` wants them. */
export const SETUP_OPTIONS = {
  bucket: { type: 'string' },
  'create-bucket': { type: 'boolean' },
  endpoint: { type: 'string' },
  region: { type: 'string' },
  prefix: { type: 'string' },
  'key-id': { type: 'string' },
  secrets: { type: 'string' },
  'keep-key': { type: 'boolean' },
  'no-lifecycle': { type: 'boolean' },
  'no-passphrase': { type: 'boolean' },
  'no-recovery-code': { type: 'boolean' },
  'secret-refs': { type: 'string' },
  beside: { type: 'boolean' },
  'no-push': { type: 'boolean' },
  replace: { type: 'boolean' },
} as const;

type Name = keyof typeof SETUP_OPTIONS;

/** Their names. */
export const SETUP_NAMES = Object.keys(SETUP_OPTIONS) as readonly Name[];

/** What was said. @throws {BackupError} B2_USAGE */
export function setupOptions(
  values: Readonly<Partial<Record<Name | 'show-code', string | boolean | unknown>>>,
): SetupOptions {
  const text = (name: Name): string | undefined => {
    const value = values[name];
    if (value === '') throw usage(`--${name} needs a value`);
    return typeof value === 'string' ? value : undefined;
  };
  const on = (name: Name | 'show-code'): boolean => values[name] === true;
  if (on('beside') && on('no-push')) throw usage('--beside and --no-push are two different ways');
  return {
    bucket: text('bucket'),
    createBucket: on('create-bucket'),
    endpoint: text('endpoint'),
    region: text('region'),
    prefix: text('prefix')?.replace(/\/+$/, ''),
    keyId: text('key-id'),
    secrets: text('secrets'),
    keepKey: on('keep-key'),
    lifecycle: !on('no-lifecycle'),
    passphrase: !on('no-passphrase'),
    recoveryCode: !on('no-recovery-code'),
    secretRefs: text('secret-refs'),
    beside: on('beside'),
    push: !on('no-push'),
    replace: on('replace'),
    showCode: on('show-code'),
  };
}

function usage(message: string): BackupError {
  return new BackupError(`${message}; see b2-backup help setup`, { code: 'B2_USAGE' });
}
