/** What each error means to somebody who never opens a terminal, and what to do about it. Pure. */
import type { ErrorCode } from '../../errors.js';

/** What happened, as a heading without a full stop, and what to do. */
export interface Advice {
  readonly what: string;
  readonly todo: string;
}

const PLACE = 'in the settings of the plugin B2 Backup';
const WAIT = 'Nothing needs to be done: it is tried again by itself.';
const REPORT = 'This is a defect of the plugin: please report it, with the message below.';
const SHELL = 'Whoever looks after this OpenClaw can see more with openclaw b2-backup doctor.';

/** By code. */
export const ADVICE: Readonly<Record<ErrorCode, Advice>> = {
  B2_CONFIG: {
    what: 'A setting is wrong or missing',
    todo: `Correct it ${PLACE}. The message names it.`,
  },
  B2_LOCKED: { what: 'Another process is working on the same state', todo: WAIT },
  B2_CANCELLED: { what: 'The backup was cut short', todo: 'The next one continues it by itself.' },
  B2_NETWORK: {
    what: 'The bucket cannot be reached',
    todo: `Is this machine connected to the internet? It is tried again by itself. If it stays so, check endpoint and region ${PLACE}.`,
  },
  B2_CREDENTIALS: {
    what: 'The key is refused',
    todo: `It may have been deleted, have expired, or be mistyped. Make a new one in your Backblaze account, and put key id and key ${PLACE}.`,
  },
  B2_CAPABILITY: {
    what: 'The key may not do what backups need',
    todo: `Make a key that may read and write files, and put it ${PLACE}.`,
  },
  B2_BUCKET: {
    what: 'There is no such bucket, or the key is for another one',
    todo: `Check the name of the bucket ${PLACE}, and which bucket the key is for.`,
  },
  B2_BUCKET_EMPTY: {
    what: 'The bucket is empty, although backups were stored in it',
    todo: 'Was it emptied, or is a disk not mounted? Nothing was written. If it is to begin anew: openclaw b2-backup push --new-bucket.',
  },
  B2_CAP_EXCEEDED: {
    what: 'A limit of your Backblaze account is reached',
    todo: 'Raise it under Caps & Alerts in the account, or wait until it is reset.',
  },
  B2_CLOCK: {
    what: 'The clock of this machine is wrong',
    todo: 'Set the clock; the next backup then works.',
  },
  B2_STORE: { what: 'The server gives answers that cannot be used', todo: `${WAIT} ${SHELL}` },
  B2_OBJECT_MISSING: {
    what: 'Something that was stored is gone from the bucket',
    todo: 'The next backup stores again what is still here. What else is lost: openclaw b2-backup verify; what can be brought back: openclaw b2-backup undelete.',
  },
  B2_SNAPSHOT_NOT_FOUND: {
    what: 'A snapshot is gone from the bucket',
    todo: 'Did somebody delete it? openclaw b2-backup undelete may bring it back.',
  },
  B2_WRONG_KEY: {
    what: 'The secret does not open the backups that are there',
    todo: `Put the application key or passphrase ${PLACE} with which they were made, or open them with the recovery code.`,
  },
  B2_NEEDS_CHOICE: {
    what: 'Several machines store backups here, and you have to choose',
    todo: 'openclaw b2-backup list shows them; openclaw b2-backup restore SNAPSHOT takes one.',
  },
  B2_RECOVERY_CODE: {
    what: 'The recovery code is not typed as it was printed',
    todo: 'Look at the part that the message names.',
  },
  B2_KEY_SLOT: {
    what: 'A key cannot be added or removed',
    todo: 'The message says why, and what to do first.',
  },
  B2_WEAK_PASSPHRASE: {
    what: 'The passphrase is too easy to guess',
    todo: `Set a longer one ${PLACE}, such as six words that were drawn by lot. What the old one opens stays open.`,
  },
  B2_DAMAGED: {
    what: 'Something that was stored is damaged',
    todo: 'The next backup stores again what is still here. What else is lost: openclaw b2-backup verify --read-data.',
  },
  B2_VERSION: {
    what: 'The backups were written by a newer version of this plugin',
    todo: 'Update the plugin B2 Backup, then restart the gateway.',
  },
  B2_NOT_AUTHENTICATED: {
    what: 'A snapshot is not encrypted, so anybody may have made it',
    todo: 'Only use it when you trust everybody who can write to the bucket.',
  },
  B2_OLD_FORMAT: {
    what: 'A snapshot was made by the original plugin',
    todo: 'It can only be restored into a directory of its own: openclaw b2-backup restore SNAPSHOT --to DIR.',
  },
  B2_DATABASE: { what: 'A database is broken or could not be copied', todo: SHELL },
  B2_DATABASE_BUSY: {
    what: 'A program keeps a database locked',
    todo: 'Close the program that the message names. The next backup tries again.',
  },
  B2_DATABASE_IN_PROCESS: { what: 'A database was open in the wrong place', todo: REPORT },
  B2_TARGET_NOT_EMPTY: {
    what: 'The directory to restore to is not empty',
    todo: 'Give a new or an empty one.',
  },
  B2_UNSAFE_PATH: {
    what: 'A snapshot holds a path that must not be written',
    todo: 'Do not use this snapshot: somebody may have made it to do harm.',
  },
  B2_PLAN_CHANGED: {
    what: 'Things changed since the preview',
    todo: 'Nothing was changed. Make a new preview.',
  },
  B2_ROLLBACK_OPEN: {
    what: 'A rollback is half done',
    todo: 'Restart OpenClaw: it finishes it, or takes it back.',
  },
  B2_PRUNE_STOPPED: {
    what: 'Old snapshots are not deleted',
    todo: 'Nothing was deleted, and nothing is lost. The message says what to do.',
  },
  B2_HOST_TOO_OLD: {
    what: 'This OpenClaw is too old for the snapshot',
    todo: 'Update OpenClaw, then try again.',
  },
  B2_HOST_REFUSES: {
    what: 'OpenClaw would not start with this snapshot',
    todo: 'Nothing was changed. Take another snapshot, or only the files that you miss.',
  },
  B2_DISK_FULL: {
    what: 'A disk is full',
    todo: 'Make room on the disk of this machine, or where the backups go. The next backup continues where this one stopped.',
  },
  B2_PERMISSION: {
    what: 'Something may not be read or written',
    todo: 'Correct the permissions of what the message names, or run OpenClaw as its owner.',
  },
  B2_IO: { what: 'The disk of this machine reports an error', todo: `Look at the message. ${SHELL}` },
  B2_INTERNAL: { what: 'The plugin has failed', todo: REPORT },
  B2_NATIVE_UNAVAILABLE: {
    what: 'The plugin does not run on this machine',
    todo: 'Install it again: openclaw plugins install npm:@openclaw/b2-backup --force --accept-capabilities. The message says what is missing.',
  },
  B2_WORKER_DIED: {
    what: 'The process that reads your files has ended too early',
    todo: 'Often there was too little memory. It is tried again with the next backup.',
  },
  B2_NOT_SET_UP: {
    what: 'Backups are not set up yet',
    todo: `Type openclaw b2-backup setup in a shell: it asks for what it needs. Or fill in Key ID, Application key and Bucket ${PLACE}.`,
  },
  B2_NOT_RUNNING: {
    what: 'The backup service does not run',
    todo: 'Restart the gateway. If it stays so, look at its log.',
  },
  B2_INCOMPLETE: {
    what: 'Backups are made, but something important is not in them',
    todo: 'The message names it. The next backup tries again.',
  },
  B2_UPDATE_LOST: {
    what: 'Something is missing since the update of OpenClaw',
    todo: 'It is in the snapshot from before. In a shell, b2-backup undo-update --dry-run shows what undoing the update would do, and b2-backup undo-update does it. If somebody removed it on purpose, nothing is to be done.',
  },
  B2_NOT_APPROVED: { what: 'A rollback was not approved', todo: 'Nothing was changed.' },
  B2_USAGE: { what: 'That cannot be asked', todo: 'Go back, and choose something from the list.' },
};

/** What keeps a file out of a snapshot, by its code (docs/errors.md): those that a person can do something about. */
export const LACKS: Readonly<Record<string, Advice>> = {
  B2_ROOT_GONE: {
    what: 'A directory that was backed up is gone',
    todo: 'Is its disk mounted? The last snapshot that has it is kept. If it is right so: openclaw b2-backup push --accept-missing, with its path.',
  },
  B2_ROOT_EMPTY: {
    what: 'A directory that was backed up is empty',
    todo: 'Is its disk mounted? The last snapshot that has it is kept. If it is right so: openclaw b2-backup push --accept-missing, with its path.',
  },
  B2_SKIPPED_ROOT: {
    what: 'A workspace is not backed up',
    todo: 'Give the agent another workspace, or correct what the message says.',
  },
  B2_SKIPPED_HOST_DATABASE: {
    what: 'A database of OpenClaw is not backed up',
    todo: 'The message says what keeps it out. The next backup tries again.',
  },
  B2_HOST_DATABASE_AS_BYTES: {
    what: 'A database of OpenClaw is broken',
    todo: 'Its bytes are in the backup, but it would not work when restored. Go back to a snapshot from before it broke.',
  },
};
