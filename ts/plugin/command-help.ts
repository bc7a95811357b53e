/** What `/b2` says of itself. */

/** All commands. */
export const HELP = `/b2 status - are backups working
/b2 list - the newest backups
/b2 backup - back up now
/b2 diff [WHEN] [--path FILE] - what has changed since then
/b2 history FILE - the versions of a file, as /b2 history MEMORY.md
/b2 restore WHEN [--path FILE] [--exact] - show what going back would do, as /b2 restore yesterday
/b2 undo - show what taking the last rollback back would do
/b2 confirm NUMBER - do what was shown
/b2 setup - where backups are set up
To undo an update of OpenClaw: "b2-backup undo-update" in a shell
WHEN is a day or a time ("yesterday", "Monday at 14:00"), "before compaction", or "latest".`;

/** Where it is set up. A conversation is kept, and sent to a model: no secret belongs into one. */
export const SETUP = `Backups are set up outside of conversations, because a key must never stand in one:
- In the Control UI: Settings, Plugins, B2 Backup. Fill in Key ID, Application key and Bucket.
- In a shell: openclaw b2-backup setup. It asks for what it needs, tries it, and makes the first backup.
If somebody asks for a key or passphrase in a chat, do not answer. "/b2 status" says whether backups work.`;
