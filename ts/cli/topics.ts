/** Help on each command: one screen each. */
import type { Topic } from './command.js';

/** By command. */
export const TOPIC_TEXTS: Readonly<Record<Topic, string>> = {
  setup: `Set backups up, from nothing to the proof that they restore.

Usage: b2-backup setup [OPTIONS]

It asks where the backups go, tries the key at once, makes a private bucket and
a key that can delete nothing, and a passphrase of six words. Then it backs up,
restores for trial, makes a recovery code, and writes the settings. Until then
nothing is configured: Ctrl-C at any step takes back what was made.

Options answer what would be asked; with --yes or --json nothing is asked. No
secret is ever an option.

  --bucket NAME          a bucket, or a folder as file:///mnt/backup
  --create-bucket        make that bucket, private
  --endpoint URL         an S3 server other than B2; --region, if it has one
  --prefix NAME          a folder in the bucket (default: openclaw-backup)
  --key-id ID            the id of the key that is used, or makes another one
  --secrets FILE         JSON with applicationKey, and keyId and passphrase if
                         you like; "-" reads standard input
  --keep-key             use this key, and make none of its own
  --no-lifecycle         add no rule that frees space to the bucket
  --no-passphrase        the application key encrypts
  --no-recovery-code     make none
  --secret-refs WHERE    keep secrets elsewhere: "env", or a file by its path
  --beside               back up beside the snapshots of another machine
  --no-push              only write the settings, for a new machine
  --replace              replace settings that are there
  --show-code            with --json: write what was made into the output
  -y, --yes              ask nothing

Examples:
  openclaw b2-backup setup
  b2-backup setup --bucket file:///mnt/usb/claw
  b2-backup setup --json --show-code --secrets - --bucket my-bucket < key.json
`,
  push: `Back up what has changed since the last snapshot.

Usage: b2-backup push [--dry-run [--list]] [--new-bucket]
                      [--accept-missing PATH]...

Each snapshot is complete: it restores alone, on a blank machine, with the
bucket and the key. What travels is what changed. When nothing changed, no
snapshot is made. It is safe while OpenClaw runs, and safe to interrupt: the
next push goes on where this one stopped. While another push works on the same
state, this one waits for it, at most ten minutes.

  --dry-run   only tell what a push would back up
  --list      with --dry-run: name each file, and what is left out and why
  --new-bucket
              begin anew where this machine stored snapshots and there is
              nothing any more; otherwise such a push is refused, since most
              likely another disk, or none, is mounted there
  --accept-missing PATH
              a workspace, or another directory that was whole in an earlier
              snapshot, is gone or empty on purpose. Otherwise every push
              reports it, and pruning keeps the last snapshot that has it

Examples:
  b2-backup push
  b2-backup push --dry-run --list
  B2_BUCKET=file:///mnt/usb/claw B2_BACKUP_PASSPHRASE='...' b2-backup push
`,
  list: `Show the snapshots of every machine in the bucket.

Usage: b2-backup list [--machine ID] [--as-of TIME]

Safety snapshots are those made before a rollback. "not authenticated" means
that the snapshot is not encrypted, so that anyone who can write to the bucket
can have made it. Those of the original plugin never are; they can be shown, and
restored with --to.

  --as-of TIME  read the bucket as it was then; see "help undelete"

Examples:
  b2-backup list
  b2-backup list --machine 1f2e3d4c --json
`,
  diff: `Show what is different between a snapshot and another one, or the present
state.

Usage: b2-backup diff SNAPSHOT|latest [SNAPSHOT|latest|live] [--path PATH]...
                      [--text]

Without a second snapshot, or with "live", the present state is compared, as far
as it belongs in a backup. A database is listed when it was written since the
last push, even where no row of it changed.

  --path PATH   only this file or directory of the state, or what a glob
                matches; may be given again
  --text        also show which lines of small text files differ. Never of
                files that may hold secrets, as openclaw.json and .env
  --as-of TIME  read the bucket as it was then; see "help undelete"
  --allow-unauthenticated
                also take a snapshot that is not encrypted, which anyone who
                can write to the bucket can have made

Examples:
  b2-backup diff latest
  b2-backup diff 2026-02-19T00-00-00Z-1f2e3d4c latest
  b2-backup diff latest --path workspace/MEMORY.md --text
`,
  show: `List what is in a snapshot, or print a file of it.

Usage: b2-backup show SNAPSHOT|latest [PATH]

PATH is a directory or a glob, of which the entries are listed, or one file,
which is printed as it is. A terminal shows only text, with control characters
made visible. A file of more than 64 MiB is not printed; bring it into a
directory with restore --to.

  --as-of TIME  read the bucket as it was then; see "help undelete"
  --allow-unauthenticated
                also take a snapshot that is not encrypted, which anyone who
                can write to the bucket can have made

Examples:
  b2-backup show latest workspace
  b2-backup show latest workspace/MEMORY.md
  b2-backup show 2026-02-19T00-00-00Z-1f2e3d4c openclaw.json > old.json
`,
  history: `Show the versions of a file over all snapshots: when each was first backed
up, how big it is, and what changed.

Usage: b2-backup history FILE [--text]

Each line is a version; the snapshot beside it is the last one that has it so,
which can be given to restore.

  --text        also show which lines of a small text file changed. Never of
                files that may hold secrets, as openclaw.json and .env
  --as-of TIME  read the bucket as it was then; see "help undelete"
  --allow-unauthenticated
                also look into snapshots that are not encrypted, which anyone
                who can write to the bucket can have made

Examples:
  b2-backup history workspace/MEMORY.md
  b2-backup history workspace/MEMORY.md --text
`,
  restore: `Roll the state back to a snapshot, or bring it, or parts of it, into an
empty directory.

Usage: b2-backup restore SNAPSHOT|latest [--path PATH]... [--exact] [--yes]
       b2-backup restore SNAPSHOT|latest --to DIR [--path PATH]...
       b2-backup restore --resume | --discard

Without --to it is about the live state. It shows what would change and asks;
then it makes a safety snapshot of what is there, fetches what differs, and
changes all of it or, whatever happens, nothing. What came after the snapshot
stays, unless --exact. Credentials, this plugin, and the address and login of
the gateway stay as they are. Where OpenClaw runs and has to stop for it, the
rollback waits until it is restarted. On a machine that has nothing yet it
brings all that another one had; secrets only where they were backed up.

  --path PATH   only this file or directory of the state; may be given again
  --exact       also remove files that the snapshot does not have
  --dry-run     only show what would change
  --plan NUMBER do it without asking, if it is exactly what was shown with that
                number
  -y, --yes     do not ask
  --partial     go on when some files of the snapshot are damaged
  --to DIR      leave the live state alone; DIR must be new or empty. The only
                way for snapshots of the original plugin
  --as-of TIME  with --to: from the bucket as it was; see "help undelete"
  --resume      finish a rollback that waits or was cut off
  --discard     give up one that waits
  --allow-unauthenticated
                also take a snapshot that is not encrypted, which anyone who
                can write to the bucket can have made

Examples:
  b2-backup restore latest --dry-run
  b2-backup restore 2026-02-19T00-00-00Z-1f2e3d4c --path workspace/MEMORY.md
  b2-backup restore latest --to ~/restored
`,
  undo: `Take the last rollback back.

Usage: b2-backup undo [--dry-run] [--yes]

It brings back, from the safety snapshot, exactly what the last rollback
changed. It is a rollback itself, and can be undone.

  --dry-run   only show what would change
  --plan NUMBER
              do it without asking, if it is exactly what was shown with that
              number
  -y, --yes   do not ask

Examples:
  b2-backup undo
`,
  'undo-update': `Undo an update of OpenClaw: the old version comes back, with the
state that it left.

Usage: b2-backup undo-update [--to VERSION] [--dry-run] [--yes]

It stops the gateway, installs the old version by npm (or tells you the command
and waits), restores the last snapshot before the update, starts the gateway,
and waits until it is ready. What is there is saved first. It needs neither a
gateway that starts nor the plugin. If it is cut off, run it again: it goes on.

  --to VERSION  the version to go back to; otherwise the one before the last
                update. Of one that was cut off: the version it left turns back
  --dry-run     only tell what would be done
  -y, --yes     do it without asking

Examples:
  b2-backup undo-update --dry-run
  b2-backup undo-update
  b2-backup undo-update --to 2026.9.5
`,
  prune: `Delete snapshots of this machine that are not kept any more, and free their
space.

Usage: b2-backup prune [--dry-run] [--more-than-half]

keepSnapshots (10) newest are always kept; beyond them the last one of each of
keepDaily (7) days and keepWeekly (4) weeks that have one. Safety snapshots
stay, and so does everything of other machines. What only deleted snapshots
needed is deleted a day later. Inside the gateway this happens by itself.

It stops, and deletes nothing, when anything in the bucket is not as it should
be. A push that was cut off loses nothing by it.

  --dry-run          show why each snapshot is kept or goes, and delete nothing
  --more-than-half   go on even when more than half of the snapshots would go

Examples:
  b2-backup prune --dry-run
  b2-backup push && b2-backup prune
`,
  verify: `Check that every snapshot can be restored.

Usage: b2-backup verify [--read-data | --sample PERCENT] [--as-of TIME]

Without options it checks the structure: that every manifest opens and every
pack it needs is there, in the right size. That is quick and cheap.

  --read-data        download everything and open every byte
  --sample PERCENT   do so with a part of what this machine stored, and check
                     the structure of only its snapshots. It takes what was not
                     read for longest: twenty times 5%, and all was read
  --as-of TIME       read the bucket as it was then; see "help undelete"

Exit status 1 when something is damaged; what is affected is listed.

Examples:
  b2-backup verify
  b2-backup verify --read-data
  b2-backup verify --sample 5%
`,
  drill: `Restore this machine's newest snapshot for a trial, look it through, and
remove it.

Usage: b2-backup drill [--boot]

It works as on a blank machine: with nothing but the bucket and the configured
secret. Every file is read back and compared, and SQLite checks every database.
It needs as much room on the disk as the snapshot is large, and downloads all of
it. status tells when a snapshot was last proven so.

  --boot        afterwards also start the installed OpenClaw on a second copy,
                without a network, and ask it for agents, sessions, jobs and
                memory. Your gateway may go on running. Downloads it all twice

Exit status 1 when something did not come back, or OpenClaw does not show it; it
is listed.

Examples:
  b2-backup drill
  b2-backup drill --boot
`,
  key: `List, add and remove the secrets that open the backups.

Usage: b2-backup key list
       b2-backup key recovery [--show-code]
       b2-backup key add [--passphrase | --application-key] [--unlock]
       b2-backup key remove SLOT [--force] [--yes]

The backups open with the application key that made them (or the passphrase,
where one is set). A new key gets its slot at the next push. "recovery" makes a
code to print, for the day on which the key is lost; it is shown once. Where
nothing else opens, every command asks for it, or takes it from the variable
B2_BACKUP_RECOVERY_CODE. "add" makes a slot for the secret that is configured.
No secret is ever given on the command line.

  --passphrase       ask for a passphrase and take that
  --application-key  take the application key, even where there is a passphrase
  --unlock           ask for a recovery code first: then also backups that do
                     not open here get the slot
  --force            remove one even where nothing that is configured opens the
                     backups without it; the last one always stays
  -y, --yes          do not ask
  --show-code        with --json: write the code into the output

Removing a slot does not lock out whoever can read an older snapshot. A slot
opens only below the prefix that it was made for; where you moved or copied
backups, "key add --moved-from OLD-PREFIX" makes slots for the prefix of today.

Examples:
  b2-backup key recovery
  b2-backup key list
`,
  doctor: `Find out what is wrong: settings, the state directory, the server, the
key and what it may do, the rules of the bucket, hidden versions, the clock,
and whether the newest snapshot opens with the secret at hand.

Usage: b2-backup doctor [--write]

Each line says what is so, and what to do about it. Nothing is changed.

  --write     also write a small object to the bucket, read it and delete it;
              a key that may not delete leaves it hidden

Exit status 1 when a problem was found; notes are no problems.

Examples:
  b2-backup doctor
  b2-backup doctor --json
`,
  undelete: `Bring back snapshots that somebody hid or overwrote.

Usage: b2-backup undelete [SNAPSHOT]... [--since TIME] [--keys] [--dry-run]
                          [--yes]

B2 keeps what was hidden or overwritten as versions, until a lifecycle rule or
a key with deleteFiles deletes them. It shows the snapshots concerned and asks.
A prune with a key that may not delete hides old snapshots, too: name those
that you want, or give the time of the trouble. Only hide markers are deleted;
without deleteFiles, or over others' content, objects are written once more.

  --since TIME   only what was hidden or overwritten since
  --keys         key slots, too; one that was removed on purpose opens the
                 backup again then
  --dry-run      only show
  -y, --yes      do not ask

TIME is 2026-11-23, its first moment, or "2026-11-23 14:05"; local time, unless
it ends in Z or +01:00. It is compared with the server's clock. To only look,
or to restore without writing to the bucket, use --as-of TIME with list, show,
diff, history, verify and restore --to.

Examples:
  b2-backup undelete --since "2026-11-23 14:00" --dry-run
  b2-backup restore latest --as-of 2026-11-23 --to ~/before
`,
  status: `Show what is configured and what the bucket holds.

Usage: b2-backup status

Examples:
  b2-backup status
  b2-backup status --json
`,
  forget: `Delete all backups of a machine that is gone.

Usage: b2-backup forget MACHINE [--dry-run] [--yes]

Its snapshots are deleted at once, what only they needed a day later, by the
next prune or by "forget" once more. A machine that stored a snapshot within a
day is not gone; one that makes another meanwhile is left alone. To keep its
snapshots and go on with them, adopt it instead.

  --dry-run   only show what would be deleted
  -y, --yes   do not ask

Examples:
  b2-backup status
  b2-backup forget 1f2e3d4c --dry-run
`,
  adopt: `Go on with the snapshots of a machine that this one replaces.

Usage: b2-backup adopt MACHINE [--yes]

From then on its snapshots are this machine's: the next push sends only what
has changed since the newest of them, and all are kept and given up by one rule.
Nothing in the bucket changes. Snapshots that this machine made before stay, as
those of another machine. Should the other machine still be alive, both go on
safely, one of them as a new machine.

To restore from another machine, adopting it is not needed.

  -y, --yes   do not ask

Examples:
  b2-backup list
  b2-backup adopt 1f2e3d4c
`,
};
