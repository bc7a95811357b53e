//! Somebody else is at it: a locked database, and an OpenClaw whose process cannot be seen.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use b2_backup::ambient::{Clock, NoFailPoints};
use b2_backup::ops::{Gateway, Outcome};
use futures_util::future::BoxFuture;

use super::trouble::{AtStep, Staged};
use super::{Place, applied, settled, to};
use crate::locker::Locker;
use crate::support::clock::TestClock;
use crate::support::host::{databases, run, shared, value};
use crate::support::plain::{assert_same, first_day, write};

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
        let holder = Locker::of(&database);
        let refused = place.roll_back(&to(&snapshot)).await.unwrap_err();
        assert_eq!(refused.code(), "B2_DATABASE_BUSY");
        let text = refused.to_string();
        assert!(text.contains("notes.sqlite") && text.contains(&holder.id().to_string()), "{text}");
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
    let gateway = crate::support::host::running_gateway(&place.live);
    assert_eq!(place.roll_back(&to(&snapshot)).await.unwrap().outcome, Outcome::Waiting);
    drop(gateway);
    let holder = Locker::of(&shared(&place.live));
    for gateway in [Gateway::MustBeStopped, Gateway::AgentsStopped] {
        assert_eq!(place.recover(gateway).await.unwrap_err().code(), "B2_DATABASE_BUSY");
    }
    drop(holder);
    assert_eq!(place.recover(Gateway::MustBeStopped).await.unwrap().outcome, Outcome::Applied);
    assert_eq!(value(&shared(&place.live), "SELECT count(*) FROM cron_jobs"), "2");
}

/// One that was cut off waits as well, whoever comes across it, and then goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_that_was_cut_off_waits_for_a_locked_database() {
    let mut place = Place::new();
    place.machine.clock = TestClock::ahead(0);
    databases(&place.live);
    let snapshot = place.push().await;
    run(&shared(&place.live), "DELETE FROM cron_jobs");
    place.machine.steps = AtStep::new("open database", 1, || panic!("the process ends here"));
    place.roll_back(&to(&snapshot)).await.unwrap_err();
    place.machine.steps = Arc::new(NoFailPoints);
    let holder = Locker::of(&shared(&place.live));
    for _ in 0..2 {
        let refused = place.roll_back(&to(&snapshot)).await.unwrap_err();
        assert_eq!(refused.code(), "B2_DATABASE_BUSY", "{refused}");
        assert_eq!(place.machine.push().await.unwrap_err().code(), "B2_DATABASE_BUSY");
    }
    drop(holder);
    assert_eq!(place.recover(Gateway::MustBeStopped).await.unwrap().outcome, Outcome::Applied);
    assert_eq!(value(&shared(&place.live), "SELECT count(*) FROM cron_jobs"), "2");
}

/// Does something whenever anybody sleeps, which takes no time.
struct Meanwhile<F>(F);

impl<F> std::fmt::Debug for Meanwhile<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meanwhile")
    }
}

impl<F: Fn() + Send + Sync> Clock for Meanwhile<F> {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        (self.0)();
        Box::pin(std::future::ready(()))
    }
}

/// OpenClaw starts while somebody else is waited for: then it has the databases and its configuration in memory.
#[tokio::test(flavor = "multi_thread")]
async fn an_openclaw_that_starts_meanwhile() {
    let mut place = Place::new();
    databases(&place.live);
    let snapshot = place.push().await;
    run(&shared(&place.live), "DELETE FROM cron_jobs");
    let holder = Arc::new(Mutex::new(None));
    let gateway = Arc::new(Mutex::new(None));
    let (locked, database) = (Arc::clone(&holder), shared(&place.live));
    place.machine.steps =
        Staged::new(&place.live, move || *locked.lock().unwrap() = Some(Locker::of(&database)));
    let (started, live) = (Arc::clone(&gateway), place.live.clone());
    let start = move || {
        let Some(holder) = holder.lock().unwrap().take() else { return };
        *started.lock().unwrap() = Some(crate::support::host::running_gateway(&live));
        drop(holder);
    };
    place.machine.clock = Arc::new(Meanwhile(start));
    let report = place.roll_back(&to(&snapshot)).await.unwrap();
    assert!(gateway.lock().unwrap().is_some(), "somebody was waited for");
    assert_eq!(report.outcome, Outcome::Waiting);
    assert_eq!(value(&shared(&place.live), "SELECT count(*) FROM cron_jobs"), "0", "untouched");
    gateway.lock().unwrap().take();
    assert_eq!(place.recover(Gateway::MustBeStopped).await.unwrap().outcome, Outcome::Applied);
    assert_eq!(value(&shared(&place.live), "SELECT count(*) FROM cron_jobs"), "2");
}

/// In a container, say: its number means nothing here, but its lock is seen.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn an_openclaw_in_another_namespace_of_processes() {
    use b2_backup::source::gateway::running;
    let place = Place::new();
    databases(&place.live);
    let snapshot = place.push().await;
    run(&shared(&place.live), "DELETE FROM cron_jobs");
    // The number of a process that is gone.
    let mut gone = std::process::Command::new("true").spawn().unwrap();
    gone.wait().unwrap();
    let folder = place.live.join("tmp/openclaw-1000");
    fs::create_dir_all(&folder).unwrap();
    let state = place.live.canonicalize().unwrap();
    let lock = serde_json::json!({ "pid": gone.id(), "stateDir": state, "port": 7 });
    fs::write(folder.join("gateway.state.lock"), lock.to_string()).unwrap();
    let database = folder.join("gateway.state.lock.sqlite");
    fs::write(&database, "").unwrap();
    assert_eq!(running(&place.live), None);
    let holder = Locker::of(&database);
    let found = running(&place.live).unwrap();
    assert_eq!((found.pid, found.port), (Some(holder.id()), Some(7)));
    assert_eq!(place.roll_back(&to(&snapshot)).await.unwrap().outcome, Outcome::Waiting);
    assert_eq!(place.recover(Gateway::MustBeStopped).await.unwrap().outcome, Outcome::Waiting);
    assert_eq!(value(&shared(&place.live), "SELECT count(*) FROM cron_jobs"), "0", "untouched");
    drop(holder);
    assert_eq!(place.recover(Gateway::MustBeStopped).await.unwrap().outcome, Outcome::Applied);
    assert!(!b2_backup::ops::discard_waiting(&place.machine.settings).await.unwrap());
}
