//! Databases under any name, what only looks like one, and what lies beside them.

use std::fs;
use std::path::Path;
use std::time::Duration;

use b2_backup::ops::{self, ShowOptions, is_incomplete};
use rusqlite::Connection;
use tempfile::tempdir;

use super::{codes, empty_machine};
use crate::locker::Locker;
use crate::support::clock::TestClock;
use crate::support::machine::Machine;
use crate::support::plain::{broken, noise, write};
use crate::support::system::make_pipe;

/// The files of a database whose process was killed: `rows` rows, all but the first only in the log.
fn database_with_log(at: &Path, rows: u32) {
    let made = tempdir().unwrap();
    let path = made.path().join("made");
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; CREATE TABLE t (x); INSERT INTO t VALUES (0);
             PRAGMA wal_checkpoint(TRUNCATE);",
        )
        .unwrap();
    for row in 1..rows {
        connection.execute("INSERT INTO t VALUES (?1)", [row]).unwrap();
    }
    fs::create_dir_all(at.parent().unwrap()).unwrap();
    for suffix in ["", "-wal", "-shm"] {
        let name = |path: &Path| format!("{}{suffix}", path.display());
        fs::copy(name(&path), name(at)).unwrap();
    }
}

fn rows(database: &Path) -> u32 {
    let connection = Connection::open(database).unwrap();
    let check: String =
        connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    connection.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap()
}

async fn names(machine: &Machine) -> Vec<String> {
    let options =
        ShowOptions { snapshot: "latest".into(), path: None, allow_unauthenticated: false };
    let shown = ops::show(&machine.session().await, &options).await.unwrap();
    let files = shown.entries.iter().filter(|entry| entry.kind.name() == "file");
    files.map(|entry| format!("{}{}", entry.path, if entry.database { " *" } else { "" })).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_under_another_name_comes_back_whole() {
    let (dir, machine) = empty_machine();
    let live = machine.settings.state_dir.clone();
    for name in ["app.db3", "places.data", "x.sqlite"] {
        database_with_log(&live.join("workspace").join(name), 5);
    }
    assert_eq!(machine.push().await.unwrap().skipped, []);
    let expected = ["workspace/app.db3 *", "workspace/places.data *", "workspace/x.sqlite *"];
    assert_eq!(names(&machine).await, expected, "without logs");
    let to = dir.path().join("to");
    assert_eq!(machine.restore("latest", &to).await.unwrap().warnings, Vec::<String>::new());
    for name in ["app.db3", "places.data", "x.sqlite"] {
        assert_eq!(rows(&to.join("workspace").join(name)), 5, "{name}");
    }

    // What changes only in the log is a change.
    assert_eq!(machine.push().await.unwrap().snapshot, None);
    let more = tempdir().unwrap();
    database_with_log(&more.path().join("app.db3"), 7);
    let log = "app.db3-wal";
    fs::copy(more.path().join(log), live.join("workspace").join(log)).unwrap();
    fs::copy(more.path().join("app.db3"), live.join("workspace/app.db3")).unwrap();
    assert!(machine.push().await.unwrap().snapshot.is_some());
    let to = dir.path().join("again");
    machine.restore("latest", &to).await.unwrap();
    assert_eq!(rows(&to.join("workspace/app.db3")), 7);

    // And the user sees what is left out, and why.
    let plan = ops::plan(&machine.session().await).await.unwrap();
    let out = plan.entries.iter().find(|entry| entry.path == "workspace/places.data-wal").unwrap();
    assert_eq!(out.reason.as_deref(), Some("log of a database, contained in its copy"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_database_keeps_its_log() {
    let (dir, machine) = empty_machine();
    let live = machine.settings.state_dir.clone();
    // Encrypted databases have the names, and another content.
    let pairs = ["vault.db", "vault.db-wal", "vault.db-shm", "notes.db3", "notes.db3-journal"];
    for (seed, name) in (1..).zip(pairs) {
        write(&live, &format!("workspace/{name}"), noise(seed, 5000));
    }
    // Nobody knows whose log it is, unless its name tells.
    write(&live, "workspace/alone-wal", "alone");
    write(&live, "workspace/gone.sqlite-wal", "of nothing");
    assert_eq!(machine.push().await.unwrap().skipped, []);
    assert_eq!(machine.push().await.unwrap().snapshot, None);
    let to = dir.path().join("to");
    machine.restore("latest", &to).await.unwrap();
    for name in pairs.into_iter().chain(["alone-wal"]) {
        let name = Path::new("workspace").join(name);
        assert_eq!(fs::read(to.join(&name)).unwrap(), fs::read(live.join(&name)).unwrap());
    }
    assert!(!to.join("workspace/gone.sqlite-wal").exists());

    // A change of the log alone is one.
    write(&live, "workspace/vault.db-wal", noise(9, 6000));
    assert!(machine.push().await.unwrap().snapshot.is_some());
    let to = dir.path().join("again");
    machine.restore("latest", &to).await.unwrap();
    assert_eq!(fs::read(to.join("workspace/vault.db-wal")).unwrap(), noise(9, 6000));
    assert_eq!(fs::read(to.join("workspace/vault.db")).unwrap(), noise(1, 5000));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_sqlite_cannot_read_is_stored_as_bytes_with_its_logs() {
    let (dir, machine) = empty_machine();
    let live = machine.settings.state_dir.clone();
    let name = |suffix: &str| format!("workspace/b.sqlite{suffix}");
    write(&live, &name(""), broken(1));
    write(&live, &name("-wal"), noise(2, 5000));
    write(&live, &name("-journal"), noise(3, 700));
    write(&live, &name("-shm"), noise(4, 300));
    write(&live, "workspace/magic only", "SQLite format 3\0");
    let expected = [
        ("workspace/b.sqlite", "B2_DATABASE_AS_BYTES"),
        ("workspace/magic only", "B2_DATABASE_AS_BYTES"),
    ];

    let report = machine.push().await.unwrap();
    assert_eq!(codes(&report.skipped), expected);
    assert!(!is_incomplete(&report.skipped));
    for _ in 0..2 {
        let again = machine.push().await.unwrap();
        assert_eq!((again.snapshot, codes(&again.skipped)), (None, expected.to_vec()));
    }
    let same = |to: &Path| {
        for suffix in ["", "-wal", "-journal"] {
            let (came, was) = (fs::read(to.join(name(suffix))), fs::read(live.join(name(suffix))));
            assert!(came.unwrap() == was.unwrap(), "{suffix}");
        }
        assert!(!to.join(name("-shm")).exists());
    };
    let to = dir.path().join("to");
    let restored = machine.restore("latest", &to).await.unwrap();
    assert_eq!((restored.incomplete, codes(&restored.remarks)), (false, expected.to_vec()));
    same(&to);

    write(&live, &name("-wal"), noise(5, 6000));
    let changed = machine.push().await.unwrap();
    assert_eq!((changed.snapshot.is_some(), codes(&changed.skipped)), (true, expected.to_vec()));
    let to = dir.path().join("again");
    machine.restore("latest", &to).await.unwrap();
    same(&to);

    // Once it can be read again it is a database as any other.
    fs::remove_file(live.join(name("-journal"))).unwrap();
    database_with_log(&live.join(name("")), 3);
    fs::remove_file(live.join("workspace/magic only")).unwrap();
    assert_eq!(machine.push().await.unwrap().skipped, []);
    assert_eq!(names(&machine).await, ["workspace/b.sqlite *"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_the_host_that_cannot_be_read_is_a_failure_and_its_bytes_are_sealed_or_stay()
{
    let (dir, mut machine) = empty_machine();
    let live = machine.settings.state_dir.clone();
    write(&live, "workspace/a.md", "a");
    write(&live, "state/openclaw.sqlite", broken(1));
    write(&live, "state/openclaw.sqlite-wal", noise(2, 5000));
    let open = machine.push().await.unwrap();
    assert_eq!(codes(&open.skipped), [("state/openclaw.sqlite", "B2_SKIPPED_HOST_DATABASE")]);
    assert!(open.skipped[0].failure().is_some() && is_incomplete(&open.skipped));
    assert_eq!(names(&machine).await, ["workspace/a.md"]);

    machine.settings.encrypt = true;
    let sealed = machine.push().await.unwrap();
    assert_eq!(codes(&sealed.skipped), [("state/openclaw.sqlite", "B2_HOST_DATABASE_AS_BYTES")]);
    assert!(sealed.skipped[0].failure().is_some());
    let to = dir.path().join("to");
    machine.restore("latest", &to).await.unwrap();
    assert_eq!(fs::read(to.join("state/openclaw.sqlite")).unwrap(), broken(1));
    assert_eq!(fs::read(to.join("state/openclaw.sqlite-wal")).unwrap(), noise(2, 5000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_copy_of_a_database_of_the_host_is_sealed_or_stays() {
    let (dir, mut machine) = empty_machine();
    let live = machine.settings.state_dir.clone();
    write(&live, "workspace/a.md", "a");
    let made = dir.path().join("made");
    Connection::open(&made)
        .unwrap()
        .execute_batch(
            "CREATE TABLE auth_profile_store (x); CREATE TABLE auth_profile_state (x);
             INSERT INTO auth_profile_store VALUES ('tok-planted');",
        )
        .unwrap();
    let whole = fs::read(&made).unwrap();
    // The header is no header; the page of the schema is none; a table is none.
    let broken = [("header", 21), ("schema", 100), ("table", 4096)];
    for (name, at) in broken {
        let mut bytes = whole.clone();
        bytes[at] = 77;
        write(&live, &format!("workspace/{name}.bak"), bytes);
    }
    let open = machine.push().await.unwrap();
    let paths = broken.map(|(name, _)| format!("workspace/{name}.bak"));
    let expected: Vec<_> = paths.iter().map(|path| (path.as_str(), "B2_DATABASE")).collect();
    assert_eq!(codes(&open.skipped), expected);
    assert_eq!(names(&machine).await, ["workspace/a.md"]);

    machine.settings.encrypt = true;
    machine.push().await.unwrap();
    let to = dir.path().join("to");
    machine.restore("latest", &to).await.unwrap();
    for path in paths {
        assert_eq!(fs::read(to.join(&path)).unwrap(), fs::read(live.join(&path)).unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_the_name_of_a_log_stays_out_as_a_file_of_secrets_does() {
    let (_dir, mut machine) = empty_machine();
    let live = machine.settings.state_dir.clone();
    let files = [".env.db", ".gnupg/x.db"].map(|name| format!("workspace/{name}"));
    for name in &files {
        write(&live, name, "no database");
        write(&live, &format!("{name}-journal"), "KEY=planted");
    }
    write(&live, "workspace/a.db", "no database");
    write(&live, "workspace/a.db-journal", "of mine");
    let report = machine.push().await.unwrap();
    let mut expected: Vec<String> =
        files.iter().flat_map(|name| [name.clone(), format!("{name}-journal")]).collect();
    expected.sort();
    let expected: Vec<_> =
        expected.iter().map(|name| (name.as_str(), "B2_SKIPPED_SECRET")).collect();
    assert_eq!(codes(&report.skipped), expected);
    assert_eq!(names(&machine).await, ["workspace/a.db", "workspace/a.db-journal"]);
    machine.settings.encrypt = true;
    assert_eq!(machine.push().await.unwrap().skipped, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_database_is_waited_for_a_moment_and_named() {
    let (_dir, mut machine) = empty_machine();
    let live = machine.settings.state_dir.clone();
    let clock = TestClock::ahead(0);
    machine.clock = std::sync::Arc::<TestClock>::clone(&clock);
    write(&live, "workspace/a.md", "a");
    let names_of = ["state/openclaw.sqlite", "workspace/a.sqlite", "workspace/b.sqlite"];
    let mut lockers = Vec::new();
    for name in names_of {
        let database = live.join(name);
        fs::create_dir_all(database.parent().unwrap()).unwrap();
        Connection::open(&database).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
        lockers.push(Locker::of(&database));
    }
    let report = machine.push().await.unwrap();
    // Others sleep, too, for other times.
    let pause = Duration::from_millis(100);
    let waited: Duration = clock.sleeps().into_iter().filter(|sleep| *sleep == pause).sum();
    assert!(waited >= Duration::from_secs(10) && waited < Duration::from_secs(20), "{waited:?}");
    assert_eq!(
        codes(&report.skipped),
        [
            ("state/openclaw.sqlite", "B2_SKIPPED_HOST_DATABASE"),
            ("workspace/a.sqlite", "B2_DATABASE_BUSY"),
            ("workspace/b.sqlite", "B2_DATABASE_BUSY"),
        ]
    );
    assert!(report.snapshot.is_some(), "the rest is saved");
    drop(lockers);
    assert_eq!(machine.push().await.unwrap().skipped, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_content_is_named_unless_it_goes_with_its_process() {
    let (_dir, machine) = empty_machine();
    let live = machine.settings.state_dir.clone();
    write(&live, "workspace/a.md", "a");
    make_pipe(&live.join("workspace/pipe"));
    write(&live, "workspace/.git/HEAD", "ref: refs/heads/main");
    make_pipe(&live.join("workspace/.git/pipe.lock"));
    let _socket = std::os::unix::net::UnixListener::bind(live.join("workspace/s")).unwrap();
    let report = machine.push().await.unwrap();
    assert_eq!(codes(&report.skipped), [("workspace/pipe", "B2_SKIPPED_SPECIAL")]);
    let plan = ops::plan(&machine.session().await).await.unwrap();
    let out = plan.entries.iter().filter(|entry| !entry.included);
    let out: Vec<_> = out.map(|entry| (entry.path.as_str(), entry.reason.as_deref())).collect();
    assert!(out.contains(&("workspace/s", Some("socket"))), "{out:?}");
    assert!(out.contains(&("workspace/.git/pipe.lock", Some("lock file of git"))), "{out:?}");
}

/// Some programs append something of their own to a database: SQLite does not see it, so no copy of its has it.
#[tokio::test(flavor = "multi_thread")]
async fn what_lies_behind_the_last_page_comes_back() {
    use std::io::Write as _;
    let (dir, machine) = empty_machine();
    let live = machine.settings.state_dir.clone();
    fs::create_dir(live.join("workspace")).unwrap();
    let path = |name: &str| live.join("workspace").join(name);
    for name in ["app.db", "kept.db", "plain.db"] {
        let connection = Connection::open(path(name)).unwrap();
        connection.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1)").unwrap();
    }
    let append = |name: &str, bytes: &[u8]| {
        let mut file = fs::OpenOptions::new().append(true).open(path(name)).unwrap();
        file.write_all(bytes).unwrap();
    };
    append("app.db", b"a signature");
    // Space that SQLite keeps ready.
    append("kept.db", &[0; 9000]);
    let report = machine.push().await.unwrap();
    assert_eq!(codes(&report.skipped), [("workspace/app.db", "B2_DATABASE_AS_BYTES")]);
    assert!(!is_incomplete(&report.skipped));
    assert_eq!(codes(&machine.push().await.unwrap().skipped), codes(&report.skipped));
    let to = dir.path().join("to");
    machine.restore("latest", &to).await.unwrap();
    let same = |name: &str| {
        fs::read(to.join("workspace").join(name)).unwrap() == fs::read(path(name)).unwrap()
    };
    assert!(same("app.db"));
    for name in ["app.db", "kept.db", "plain.db"] {
        assert_eq!(rows(&to.join("workspace").join(name)), 1, "{name}");
    }
}
