//! Somebody else is at it: a locked database, and an OpenClaw whose process cannot be seen.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use b2_backup::ops::{self, Gateway, Outcome};
use b2_backup::source::gateway::running;
use rusqlite::Connection;

use super::clock::TestClock;
use super::host::{databases, run, shared, value};
use super::plain::{assert_same, first_day, write};
use super::{Place, applied, settled, to};

/// A process that holds a database locked until it is dropped.
struct Holder(Child);

impl Holder {
    fn of(database: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "busy::job_that_holds_a_lock", "--ignored", "--nocapture"])
            .env("B2_TEST_DATABASE", database)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(said.map_while(Result::ok).any(|line| line.contains("it is locked")));
        Self(child)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
#[ignore = "is started by other tests, in a process of its own"]
fn job_that_holds_a_lock() {
    let Some(path) = std::env::var_os("B2_TEST_DATABASE") else { return };
    let db = Connection::open(path).unwrap();
    db.execute_batch("BEGIN EXCLUSIVE").unwrap();
    println!("it is locked");
    std::io::stdin().lines().for_each(drop);
}

fn notes(place: &Place) -> PathBuf {
    let database = place.live.join("memory/notes.sqlite");
    fs::create_dir_all(database.parent().unwrap()).unwrap();
    run(&database, "CREATE TABLE t(x); INSERT INTO t VALUES ('then')");
    database
}

/// A database that somebody keeps locked is not broken: nothing is moved away from under them.
#[tokio::test(flavor = "multi_thread")]
async fn a_locked_database_refuses() {
    let mut place = Place::new();
    place.machine.clock = TestClock::ahead(0);
    first_day(&place.live);
    for log in ["DELETE", "WAL"] {
        let database = notes(&place);
        run(&database, &format!("PRAGMA journal_mode={log}"));
        let snapshot = place.push().await;
        run(&database, "UPDATE t SET x = 'now'");
        write(&place.live, "workspace/MEMORY.md", format!("now with {log}"));
        let before = settled(&place.live);
        let holder = Holder::of(&database);
        let refused = place.roll_back(&to(&snapshot)).await.unwrap_err();
        assert_eq!(refused.code(), "B2_DATABASE_BUSY");
        let text = refused.to_string();
        assert!(
            text.contains("notes.sqlite") && text.contains(&holder.0.id().to_string()),
            "{text}"
        );
        drop(holder);
        let mut after = settled(&place.live);
        after.retain(|path, _| !path.ends_with(b"-shm") && !path.ends_with(b"-wal"));
        assert_same(&after, &before, "nothing changed");
        applied(&place.roll_back(&to(&snapshot)).await.unwrap());
        assert_eq!(value(&database, "SELECT x FROM t"), "then");
        fs::remove_file(&database).unwrap();
    }
}

/// One that waits stays as it is, and is carried out once the database is free. A push goes on meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_that_waits_goes_on_waiting() {
    let mut place = Place::new();
    place.machine.clock = TestClock::ahead(0);
    databases(&place.live);
    let snapshot = place.push().await;
    run(&shared(&place.live), "DELETE FROM cron_jobs");
    let gateway = super::host::running_gateway(&place.live);
    assert_eq!(place.roll_back(&to(&snapshot)).await.unwrap().outcome, Outcome::Waiting);
    drop(gateway);
    let holder = Holder::of(&shared(&place.live));
    for gateway in [Gateway::MustBeStopped, Gateway::Stands] {
        assert_eq!(place.recover(gateway).await.unwrap_err().code(), "B2_DATABASE_BUSY");
    }
    drop(holder);
    assert_eq!(place.recover(Gateway::MustBeStopped).await.unwrap().outcome, Outcome::Applied);
    assert_eq!(value(&shared(&place.live), "SELECT count(*) FROM cron_jobs"), "2");
}

/// In a container, say: its number means nothing here, but its lock is seen.
#[tokio::test(flavor = "multi_thread")]
async fn an_openclaw_in_another_namespace_of_processes() {
    let place = Place::new();
    databases(&place.live);
    let snapshot = place.push().await;
    run(&shared(&place.live), "DELETE FROM cron_jobs");
    // The number of a process that is gone.
    let mut gone = Command::new("true").spawn().unwrap();
    gone.wait().unwrap();
    let folder = place.live.join("tmp/openclaw-1000");
    fs::create_dir_all(&folder).unwrap();
    let state = place.live.canonicalize().unwrap();
    let lock = serde_json::json!({ "pid": gone.id(), "stateDir": state, "port": 7 });
    fs::write(folder.join("gateway.state.lock"), lock.to_string()).unwrap();
    let database = folder.join("gateway.state.lock.sqlite");
    fs::write(&database, "").unwrap();
    assert_eq!(running(&place.live), None);
    let holder = Holder::of(&database);
    let found = running(&place.live).unwrap();
    assert_eq!((found.pid, found.port), (Some(holder.0.id()), Some(7)));
    assert_eq!(place.roll_back(&to(&snapshot)).await.unwrap().outcome, Outcome::Waiting);
    assert_eq!(place.recover(Gateway::MustBeStopped).await.unwrap().outcome, Outcome::Waiting);
    assert_eq!(value(&shared(&place.live), "SELECT count(*) FROM cron_jobs"), "0", "untouched");
    drop(holder);
    assert_eq!(place.recover(Gateway::MustBeStopped).await.unwrap().outcome, Outcome::Applied);
    assert!(!ops::discard_waiting(&place.machine.settings).await.unwrap());
}
