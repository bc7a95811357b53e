//! The state that is rolled back in trials, before and after, and where they happen.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::support::host::{agent, integrity, run, run_into_log, shared, value};
use crate::support::killed::{kill_at, machine_in};
use crate::support::machine::Machine;
use crate::support::plain::{Picture, copy_all, noise, settled, write};

/// Files of the rollback, of every kind: 40 of them.
pub(crate) fn first_state(live: &Path) {
    // Small ones, of the host's names: each trial copies and checks them. Several pages, so that writing is cut off
    // in the middle, too.
    for (database, table) in
        [(shared(live), "cron_jobs"), (agent(live, "main"), "transcript_events")]
    {
        fs::create_dir_all(database.parent().unwrap()).unwrap();
        run(&database, &format!(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; CREATE TABLE {table}(x); CREATE TABLE state_leases(x);
             INSERT INTO {table} VALUES ('then'), ('then'), (hex(zeroblob(20000))); INSERT INTO state_leases VALUES (1);"
        ));
    }
    write(live, "openclaw.json", "{ gateway: { port: 1 }, agents: { then: 1 } }");
    for number in 0..12 {
        write(live, &format!("workspace/kept/{number}.md"), format!("then {number}"));
        write(
            live,
            &format!("workspace/gone/{}/{number}.md", number % 3),
            format!("then {number}"),
        );
    }
    write(live, "workspace/large.bin", noise(1, 300_000));
    write(live, "workspace/kind/file", "then a file");
    fs::create_dir_all(live.join("workspace/kind/directory")).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("then", live.join("workspace/kind/link")).unwrap();
    write(live, "workspace/same.md", "the same");
}

pub(crate) fn second_state(live: &Path) {
    write(
        live,
        "openclaw.json",
        "{ gateway: { port: 2 }, plugins: { entries: { 'b2-backup': {} } } }",
    );
    for number in 0..12 {
        write(live, &format!("workspace/kept/{number}.md"), format!("now {number}, and longer"));
        write(live, &format!("skills/planted/{number}.md"), format!("planted {number}"));
    }
    fs::remove_dir_all(live.join("workspace/gone")).unwrap();
    write(live, "workspace/large.bin", noise(2, 300_000));
    fs::remove_file(live.join("workspace/kind/file")).unwrap();
    write(live, "workspace/kind/file/inside", "a directory now");
    fs::remove_dir(live.join("workspace/kind/directory")).unwrap();
    write(live, "workspace/kind/directory", "a file now");
    #[cfg(unix)]
    {
        fs::remove_file(live.join("workspace/kind/link")).unwrap();
        std::os::unix::fs::symlink("now", live.join("workspace/kind/link")).unwrap();
    }
    run_into_log(&shared(live), "DELETE FROM cron_jobs; INSERT INTO cron_jobs VALUES ('now')");
    let more = "INSERT INTO transcript_events VALUES ('now'), (hex(zeroblob(30000)))";
    run_into_log(&agent(live, "main"), more);
}

/// What a state is: its files, and what the databases say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) files: Picture,
    pub(crate) rows: Vec<String>,
}

pub(crate) fn state(live: &Path) -> State {
    for database in [shared(live), agent(live, "main")] {
        assert_eq!(integrity(&database), "ok");
    }
    let rows = [(shared(live), "cron_jobs"), (agent(live, "main"), "transcript_events")];
    let text = |table: &str| format!("SELECT group_concat(substr(x, 1, 4), ' ') FROM {table}");
    let rows = rows.iter().map(|(database, table)| value(database, &text(table))).collect();
    let mut files = settled(live);
    // Databases are compared by what they say.
    files.retain(|path, _| !path.ends_with(b".sqlite"));
    if let Some(config) = files.get_mut(&b"openclaw.json"[..]) {
        // It is made anew where settings are kept in it.
        config.mtime = (0, 0);
    }
    State { files, rows }
}

/// Places of a trial: the paths in the state are absolute, so each trial is set up at the same place.
pub(crate) struct Trial {
    pub(crate) dir: TempDir,
    /// What the trials start from.
    pub(crate) origin: PathBuf,
}

impl Trial {
    pub(crate) fn live(&self) -> PathBuf {
        self.dir.path().join("t/state")
    }

    /// The state as it was when the origin was made, with its bucket.
    pub(crate) fn reset(&self) {
        self.reset_to(&self.origin);
    }

    pub(crate) fn reset_to(&self, origin: &Path) {
        replace(&self.dir.path().join("t"), origin);
    }

    pub(crate) fn keep_as_origin(&self) {
        self.keep_at(&self.origin);
    }

    pub(crate) fn keep_at(&self, copy: &Path) {
        replace(copy, &self.dir.path().join("t"));
    }

    pub(crate) fn machine(&self) -> Machine {
        machine_in(&self.dir.path().join("t"))
    }

    /// Runs a job in a process of its own that aborts at a step. How many steps it made, where it did not.
    pub(crate) fn run(&self, job: &str, at: usize) -> Option<usize> {
        kill_at("rollback::job_that_is_killed", job, &self.dir.path().join("t"), at)
    }
}

pub(crate) fn replace(directory: &Path, with: &Path) {
    if directory.exists() {
        fs::remove_dir_all(directory).unwrap();
    }
    copy_all(with, directory);
}
