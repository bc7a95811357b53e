//! Which snapshot is the newest where clocks are wrong.

use std::sync::Arc;

use b2_backup::ops;
use b2_backup::store::memory::MemoryStore;
use tempfile::tempdir;

use super::{live, push, state};
use crate::support::clock::TestClock;
use crate::support::machine::Machine;
use crate::support::plain::{assert_same, first_day, next_day, picture, write};
use crate::support::plain_machine::plain_machine;
#[cfg(unix)]
use crate::support::system::make_pipe;

const HOUR: i64 = 3600;
const YEAR: i64 = 365 * 24 * HOUR;

/// A push with the clock ahead, which the server's answers tell.
async fn push_ahead(machine: &Machine, store: &MemoryStore, ahead: i64) -> String {
    let mut wrong = machine.clone();
    wrong.clock = TestClock::ahead(ahead);
    store.set_server_offset_ms(-ahead * 1000);
    let snapshot = push(&wrong).await;
    store.set_server_offset_ms(0);
    snapshot
}

/// Restores `latest` on a machine that has nothing; returns what it was and what was said.
async fn latest(machine: &Machine) -> (String, Vec<String>) {
    let dir = tempdir().unwrap();
    let to = dir.path().join("restored");
    let report = machine.blank(dir.path().join("blank")).restore("latest", &to).await.unwrap();
    assert_same(&picture(&to), &state(machine), "latest");
    (report.snapshot, report.warnings)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_push_with_the_clock_a_year_ahead() {
    let (_dir, machine, store) = plain_machine();
    let first = push(&machine).await;
    next_day(live(&machine), 1);
    let odd = push_ahead(&machine, &store, YEAR).await;
    // It is the newest as long as there is no other, and that is said.
    let (taken, warnings) = latest(&machine).await;
    assert_eq!(taken, odd);
    assert!(warnings.iter().any(|told| told.contains("cannot be right")), "{warnings:?}");
    next_day(live(&machine), 2);
    let third = push(&machine).await;
    assert_eq!(latest(&machine).await, (third.clone(), vec![]));
    // On this machine, too.
    let dir = tempdir().unwrap();
    let report = machine.restore("latest", &dir.path().join("to")).await.unwrap();
    assert_eq!(report.snapshot, third);

    let list = machine.list().await;
    let ids: Vec<&str> = list.snapshots.iter().map(|snapshot| snapshot.id.as_str()).collect();
    assert_eq!(ids, [&first, &odd, &third]);
    let doubts: Vec<bool> = list.snapshots.iter().map(|it| it.doubt.is_some()).collect();
    assert_eq!(doubts, [false, true, false]);
    assert!(list.warnings.iter().any(|told| told.starts_with(&odd)), "{:?}", list.warnings);
    let status = ops::status(&machine.session().await).await.unwrap();
    assert!(status.warnings.iter().any(|told| told.starts_with(&odd)), "{:?}", status.warnings);
    assert_eq!(status.machines[0].last_snapshot.as_ref(), Some(&third));
}

/// Between machines the server knows which came last, whatever their clocks say.
#[tokio::test(flavor = "multi_thread")]
async fn a_machine_whose_clock_is_ahead_is_not_the_newest() {
    let (dir, ahead, _) = plain_machine();
    let server = TestClock::ahead(0);
    let store = Arc::new(MemoryStore::new(server.clone()));
    let ahead = ahead.through(store.clone());
    push_ahead(&ahead, &store, 20 * HOUR).await;
    let other = ahead.blank(dir.path().join("other"));
    first_day(live(&other));
    write(live(&other), "workspace/MEMORY.md", "made later");
    server.set_ahead(1);
    let last = push(&other).await;
    assert_eq!(latest(&other).await, (last.clone(), vec![]));
    let all = ahead.list().await;
    assert_eq!(all.snapshots.last().unwrap().id, last);
}

/// Stored again much later than it was made: somebody copied it, or puts an old one in the place of a new one.
#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_was_stored_at_another_time() {
    let (_dir, machine, store) = plain_machine();
    let copied = MemoryStore::new(TestClock::ahead(40 * 24 * HOUR));
    let snapshot = push(&machine).await;
    for (key, body) in store.objects() {
        copied.raw_replace(&key, body);
    }
    let mut later = machine.through(Arc::new(copied));
    later.clock = TestClock::ahead(40 * 24 * HOUR);
    let (taken, warnings) = latest(&later).await;
    assert_eq!(taken, snapshot);
    assert!(warnings.iter().any(|told| told.contains("do not agree")), "{warnings:?}");
}

/// As a push stores it when a disk is not mounted, or one with nothing but what cannot be saved.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_of_nothing_is_not_the_latest() {
    let (dir, mut machine, _store) = plain_machine();
    let first = push(&machine).await;
    machine.settings.exclude = vec!["**".to_owned()];
    let nothing = push(&machine).await;
    machine.settings.exclude.clear();
    let told = [format!("{nothing} is passed over: there is no file in it")];
    assert_eq!(latest(&machine).await, (first.clone(), told.to_vec()));
    // Nor where another machine has nothing else, and stored it last.
    let other = machine.blank(dir.path().join("other"));
    std::fs::create_dir_all(live(&other)).unwrap();
    make_pipe(&live(&other).join("pipe"));
    let pipe = push(&other).await;
    let (taken, warnings) = latest(&machine).await;
    assert_eq!(taken, first);
    assert_eq!(warnings[..1], told);
    assert!(warnings[1].starts_with(&pipe), "{warnings:?}");
    // Where there is nothing else, it is taken, and said.
    let to = dir.path().join("to");
    let alone = other.restore("latest", &to).await.unwrap();
    assert_eq!(alone.snapshot, pipe);
    assert!(alone.warnings.iter().any(|told| told.contains("there is no file in")), "{alone:?}");
}
