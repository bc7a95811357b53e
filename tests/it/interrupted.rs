//! Pushes that are cut off at each request: nothing is lost, and little is done twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use b2_backup::store::memory::{Fault, MemoryStore, Operation};
use tempfile::tempdir;

use crate::support::cut::{CutStore, EVERY_WAY, How};
use crate::support::machine;
use crate::support::machine::Machine;
use crate::support::plain::{Picture, assert_same, first_day, next_day, noise, picture, write};

fn packs(store: &MemoryStore) -> BTreeSet<String> {
    store.objects().into_keys().filter(|key| key.starts_with("packs/")).collect()
}

/// What is in the bucket after pushes that nothing disturbed.
const PACKS_AFTER: [usize; 2] = [1, 2];

/// One push that ends at a request; `false` when it made fewer requests than that.
async fn cut_push(machine: &Machine, store: &Arc<MemoryStore>, at: u64, how: How) -> bool {
    let cut = CutStore::new(Arc::clone(store), at, how);
    let through = machine.through(cut.clone());
    tokio::select! {
        pushed = through.push() => match pushed {
            Ok(_) => assert!(!cut.was_reached(), "request {at} {how:?} changed nothing"),
            Err(error) => assert_eq!(error.code(), "B2_NETWORK"),
        },
        () = cut.hangs() => {}
    }
    cut.was_reached()
}

/// Cuts the push of day `day` (0 or 1) at every request in turn. With `busy` the state goes on changing before
/// the next push.
async fn cut_everywhere(day: usize, how: How, busy: bool) {
    for at in 1.. {
        let dir = tempdir().unwrap();
        let live = dir.path().join("state");
        first_day(&live);
        let store = Arc::new(MemoryStore::default());
        let machine = Machine::new(&live, store.clone());
        let mut days: BTreeMap<String, Picture> = BTreeMap::new();
        if day == 1 {
            let first = machine.push().await.unwrap().snapshot.unwrap();
            days.insert(first, picture(&live));
            next_day(&live, 1);
        }
        let what = format!("request {at}, {how:?}, day {day}, busy {busy}");
        let at_the_cut = picture(&live);
        if !cut_push(&machine, &store, at, how).await {
            assert!(at > 3, "a push makes at least three requests");
            return;
        }
        if busy {
            next_day(&live, 2);
        }
        let report = machine.push_after_kill().await.unwrap();
        assert_eq!(report.warnings, Vec::<String>::new(), "{what}");
        days.extend(report.resumed.clone().map(|id| (id, at_the_cut)));
        days.extend(report.snapshot.clone().map(|id| (id, picture(&live))));
        if !busy {
            assert!(report.resumed.is_some() != report.snapshot.is_some(), "{what}: {report:?}");
            assert_eq!(packs(&store).len(), PACKS_AFTER[day], "{what}: something went up twice");
        }
        next_day(&live, 3);
        days.insert(machine.push().await.unwrap().snapshot.unwrap(), picture(&live));

        let blank = machine.blank(dir.path().join("blank"));
        let listed: BTreeSet<String> =
            blank.list().await.snapshots.into_iter().map(|snapshot| snapshot.id).collect();
        assert_eq!(listed, days.keys().cloned().collect(), "{what}");
        let session = blank.session().await;
        for (number, (snapshot, expected)) in days.iter().enumerate() {
            let to = dir.path().join(format!("restored-{number}"));
            let report = machine::restore_with(&session, snapshot, &to).await.unwrap();
            assert_eq!(report.failed, [], "{what}");
            assert_same(&picture(&to), expected, &what);
        }
        assert_eq!(machine.verify(true).await.problems, [], "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn first_push_cut_at_each_request() {
    for how in EVERY_WAY {
        cut_everywhere(0, how, false).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn second_push_cut_at_each_request() {
    for how in EVERY_WAY {
        cut_everywhere(1, how, false).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn second_push_cut_at_each_request_and_the_state_goes_on() {
    for how in EVERY_WAY {
        cut_everywhere(1, how, true).await;
    }
}

/// Cut off at each request again and again, without ever a push in peace: it gets there all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_bad_line_only_delays() {
    let dir = tempdir().unwrap();
    let live = dir.path().join("state");
    first_day(&live);
    let store = Arc::new(MemoryStore::default());
    let machine = Machine::new(&live, store.clone());
    for at in 1..=6 {
        for how in [How::FailAfter, How::FailBefore] {
            cut_push(&machine, &store, at, how).await;
        }
    }
    let report = machine.push().await.unwrap();
    assert_eq!(report.snapshot, None);
    assert_eq!(machine.list().await.snapshots.len(), 1);
    assert_eq!(packs(&store).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_to_the_commit_makes_no_second_snapshot() {
    let dir = tempdir().unwrap();
    let live = dir.path().join("state");
    first_day(&live);
    let store = Arc::new(MemoryStore::default());
    let mut machine = Machine::new(&live, store.clone());
    machine.settings.encrypt = false;
    store.set_faults(|call| {
        let lost = || b2_backup::error::Error::Network {
            target: "test".into(),
            message: "no answer".into(),
        };
        let commit = call.operation == Operation::Put && call.key.ends_with("/manifest");
        if commit { vec![Fault::FailAfter(lost())] } else { vec![] }
    });
    assert_eq!(machine.push().await.unwrap_err().code(), "B2_NETWORK");
    store.clear_faults();
    let before = machine.list().await.snapshots;
    assert_eq!(before.len(), 1);
    store.clear_calls();
    let report = machine.push().await.unwrap();
    assert_eq!(report.snapshot, None);
    assert_eq!(report.resumed.as_deref(), Some(before[0].id.as_str()));
    assert!(store.calls().iter().all(|call| call.operation != Operation::Put));
    assert_eq!(machine.list().await.snapshots, before);
}

/// 48 MB make several packs; what went up before the cut does not go up again.
#[tokio::test(flavor = "multi_thread")]
async fn the_rest_of_a_large_push() {
    const MB: usize = 1 << 20;
    for how in [How::FailBefore, How::HangBefore] {
        let dir = tempdir().unwrap();
        let live = dir.path().join("state");
        for number in 0..12 {
            write(&live, &format!("workspace/{number}.bin"), noise(number, 4 * MB));
        }
        let store = Arc::new(MemoryStore::default());
        let mut machine = Machine::new(&live, store.clone());
        machine.settings.encrypt = false;
        // The listing, the first pack, then the one that does not arrive.
        assert!(cut_push(&machine, &store, 3, how).await);
        let arrived: usize = store.objects().values().map(bytes::Bytes::len).sum();
        assert!(arrived > 12 * MB, "{how:?}: a pack has arrived: {arrived}");
        store.clear_calls();
        let report = machine.push_after_kill().await.unwrap();
        let sent: u64 = store.calls().iter().map(|call| call.bytes).sum();
        let whole = 48 * MB as u64;
        assert!(sent + arrived as u64 <= whole + whole / 50, "{how:?}: {arrived} and then {sent}");
        let to = dir.path().join("restored");
        let snapshot = report.snapshot.or(report.resumed).unwrap();
        let blank = machine.blank(dir.path().join("blank"));
        assert_eq!(blank.restore(&snapshot, &to).await.unwrap().failed, []);
        assert_same(&picture(&to), &picture(&live), "restored");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_at_each_request() {
    for at in 1..=3 {
        let dir = tempdir().unwrap();
        let live = dir.path().join("state");
        first_day(&live);
        let store = Arc::new(MemoryStore::default());
        let mut machine = Machine::new(&live, store.clone());
        machine.settings.encrypt = false;
        let cut = CutStore::new(store.clone(), at, How::HangBefore);
        let mut watched = machine.through(cut.clone());
        watched.cancel = tokio_util::sync::CancellationToken::new();
        let cancelling = async {
            cut.hangs().await;
            watched.cancel.cancel();
        };
        let (pushed, ()) = tokio::join!(watched.push(), cancelling);
        assert_eq!(pushed.unwrap_err().code(), "B2_CANCELLED", "request {at}");
        machine.push_after_kill().await.unwrap();
        let to = dir.path().join("restored");
        machine.restore("latest", &to).await.unwrap();
        assert_same(&picture(&to), &picture(&live), "restored");
        assert_eq!(machine.list().await.snapshots.len(), 1);
    }
    let dir = tempdir().unwrap();
    first_day(dir.path());
    let machine = Machine::new(dir.path(), Arc::new(MemoryStore::default()));
    machine.cancel.cancel();
    assert_eq!(machine.push().await.unwrap_err().code(), "B2_CANCELLED");
}
