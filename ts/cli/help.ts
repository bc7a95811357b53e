/** Help that teaches: one screen each. */
import type { Topic } from './command.js';
import { TOPIC_TEXTS } from './topics.js';

const GENERAL = `b2-backup backs OpenClaw up to Backblaze B2, S3 or a folder, and brings it back.

Usage: b2-backup COMMAND [OPTIONS]

Commands:
  setup              set backups up: bucket, key, passphrase, and the proof
  push               back up what has changed since the last snapshot
  list               show the snapshots of every machine
  diff SNAPSHOT      show what is different now, or in another snapshot
  show SNAPSHOT      list what is in a snapshot, or print a file of it
  history FILE       show the versions of a file over all snapshots
  restore SNAPSHOT   roll the state back, or restore into an empty directory
  undo               take the last rollback back
  undo-update        go back to the OpenClaw of before an update, and its state
  prune              delete snapshots that are not kept any more
  verify             check that every snapshot can be restored
  drill              restore the newest snapshot for a trial, and remove it
  key                what opens the backups: list, add, remove, recovery
  doctor             find out what is wrong with settings, key or bucket
  undelete           bring back snapshots that somebody hid or overwrote
  status             show what is configured and what the bucket holds
  adopt MACHINE      go on with the snapshots of a machine that is gone
  forget MACHINE     delete the snapshots of a machine that is gone
  help COMMAND       explain a command, with examples

Options for every command:
  --state-dir DIR    the state (default: OPENCLAW_STATE_DIR, then ~/.openclaw)
  --config FILE      the configuration (default: openclaw.json in the state)
  --moved-from NAME  also open what you moved from another prefix: "help key"
  --json             print one JSON document and nothing else
  -q, --quiet        print only problems, and what was asked for
  -h, -V             this help; the version (also --help, --version)

Settings are plugins.entries["b2-backup"].config in the configuration; "setup"
writes them. Outside OpenClaw these override them:
  B2_APPLICATION_KEY_ID  B2_APPLICATION_KEY  B2_BUCKET  B2_BACKUP_PASSPHRASE
  B2_REGION  B2_ENDPOINT  B2_PREFIX  B2_BACKUP_OLD_KEYS (former keys)

Exit status: 0 done, 1 failed, 2 usage, 3 done but for what is listed.
`;

/** The text on a command, or on all. */
export function helpText(topic: Topic | undefined): string {
  return topic === undefined ? GENERAL : TOPIC_TEXTS[topic];
}
