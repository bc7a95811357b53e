//! Which lineage goes on from what: buckets, machines and local folders that change under a push.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use b2_backup::ambient::Clock;
use b2_backup::store::memory::{Fault, MemoryStore, Operation};
use tempfile::tempdir;

mod adopting;
mod losing;
mod secrets;
mod times;

use crate::support::cut::{CutStore, How};
use crate::support::machine::Machine;
use crate::support::plain::{Picture, assert_same, copy_all, next_day, noise, picture, write};
use crate::support::plain_machine::plain_machine;

async fn push(machine: &Machine) -> String {
    machine.push().await.unwrap().snapshot.unwrap()
}

fn live(machine: &Machine) -> &Path {
    &machine.settings.state_dir
}

fn state(machine: &Machine) -> Picture {
    picture(live(machine))
}

/// Restores on a machine that has nothing, and compares.
async fn comes_back(machine: &Machine, snapshot: &str, expected: &Picture) {
    let dir = tempdir().unwrap();
    let blank = machine.blank(dir.path().join("blank"));
    let to = dir.path().join("restored");
    let report = blank.restore(snapshot, &to).await.unwrap();
    assert_eq!(report.failed, [], "{snapshot}");
    assert_same(&picture(&to), expected, snapshot);
}

/// Bytes sent since the calls were cleared.
fn sent(store: &MemoryStore) -> u64 {
    store.calls().iter().map(|call| call.bytes).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newest_snapshot_that_was_deleted_by_hand() {
    let (_dir, machine, store) = plain_machine();
    push(&machine).await;
    next_day(live(&machine), 1);
    let second = push(&machine).await;
    store.raw_remove(&format!("{second}/manifest"));
    let kept: Vec<String> = store.objects().into_keys().collect();
    store.clear_calls();
    let report = machine.push().await.unwrap();
    assert!(report.warnings[0].contains("deleted by hand"), "{:?}", report.warnings);
    assert!(sent(&store) > 30_000, "everything again: {}", sent(&store));
    let third = report.snapshot.unwrap();
    assert_ne!(third, second, "a name is never used twice");
    // It needs nothing of what was there before.
    for old in store.objects().keys().filter(|key| key.starts_with("packs/") && kept.contains(key))
    {
        store.raw_remove(old);
    }
    comes_back(&machine, &third, &state(&machine)).await;
    assert_eq!(machine.push().await.unwrap().warnings, Vec::<String>::new());
}

/// Files that did not change point into packs of the newest snapshot. When such a pack is lost, and is noticed,
/// they are read and stored again: a backup must not stop because an older one was damaged.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_pack_is_stored_again_from_what_is_here() {
    let (_dir, machine, store) = plain_machine();
    push(&machine).await;
    let packs: Vec<String> =
        store.objects().into_keys().filter(|key| key.starts_with("packs/")).collect();
    for pack in &packs {
        store.raw_remove(pack);
    }
    for repository in fs::read_dir(live(&machine).join("b2-backup/repositories")).unwrap() {
        fs::remove_dir_all(repository.unwrap().path().join("footers")).unwrap();
    }
    next_day(live(&machine), 1);
    let second = push(&machine).await;
    comes_back(&machine, &second, &state(&machine)).await;
    assert_eq!(machine.push().await.unwrap().snapshot, None, "nothing is left to mend");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_or_empty_listing_loses_nothing() {
    let (_dir, machine, store) = plain_machine();
    store.freeze_listings();
    let mut days = vec![(push(&machine).await, state(&machine))];
    for (day, empty) in [(1, false), (2, true), (3, false)] {
        next_day(live(&machine), day);
        store.set_faults(move |call| match (call.operation, empty) {
            (Operation::List, true) => vec![Fault::EmptyListing],
            (Operation::List, false) => vec![Fault::StaleListing],
            _ => vec![],
        });
        store.clear_calls();
        let report = machine.push().await.unwrap();
        store.clear_faults();
        assert_eq!(report.warnings, Vec::<String>::new(), "day {day}");
        assert!(sent(&store) < 25_000, "day {day}: {}", sent(&store));
        days.push((report.snapshot.unwrap(), state(&machine)));
    }
    for (snapshot, expected) in &days {
        comes_back(&machine, snapshot, expected).await;
    }
    assert_eq!(machine.list().await.snapshots.len(), days.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clone_goes_on_as_a_machine_of_its_own() {
    let (dir, machine, _store) = plain_machine();
    let mut days = vec![(push(&machine).await, state(&machine))];
    let copy = dir.path().join("copy");
    copy_all(live(&machine), &copy);
    let clone = machine.blank(copy);
    for day in 1..=3 {
        next_day(live(&machine), day);
        next_day(live(&clone), day + 10);
        days.push((push(&machine).await, state(&machine)));
        let report = clone.push().await.unwrap();
        assert_eq!(report.warnings.len(), usize::from(day == 1), "{:?}", report.warnings);
        days.push((report.snapshot.unwrap(), state(&clone)));
    }
    let machines: std::collections::BTreeSet<String> =
        machine.list().await.snapshots.into_iter().map(|snapshot| snapshot.machine).collect();
    assert_eq!(machines.len(), 2);
    for (snapshot, expected) in &days {
        comes_back(&machine, snapshot, expected).await;
    }
    assert_eq!(machine.verify(true).await.problems, []);
}

/// A legacy-named trap: the original took what the old bucket had for stored in the new one.
#[tokio::test(flavor = "multi_thread")]
async fn another_bucket_is_not_assumed_to_hold_anything() {
    let (_dir, machine, _store) = plain_machine();
    push(&machine).await;
    let other = Arc::new(MemoryStore::default());
    let moved = machine.through(other.clone());
    let snapshot = push(&moved).await;
    assert!(sent(&other) > 30_000);
    comes_back(&moved, &snapshot, &state(&machine)).await;
    // And back again: what the first bucket is known to hold still counts.
    assert_eq!(machine.push().await.unwrap().snapshot, None);
}

/// Plain and sealed packs are kept apart, under two machine ids. That is no copied machine, and is not told as one.
#[tokio::test(flavor = "multi_thread")]
async fn a_switch_of_encryption_is_told_as_such() {
    let (_dir, plain, _store) = plain_machine();
    let mut sealed = plain.clone();
    sealed.settings.encrypt = true;
    let mut earlier = push(&plain).await;
    for (day, machine, told) in [
        (1, &sealed, "`encrypt` was false and is true"),
        (2, &plain, "`encrypt` was true and is false"),
        (3, &sealed, "`encrypt` was false and is true"),
    ] {
        next_day(live(machine), day);
        let report = machine.push().await.unwrap();
        let snapshot = report.snapshot.unwrap();
        let (old, new) =
            (earlier.rsplit('-').next().unwrap(), snapshot.rsplit('-').next().unwrap());
        assert_ne!(old, new);
        let [warning] = &report.warnings[..] else { panic!("{:?}", report.warnings) };
        assert!(warning.contains(told), "{warning}");
        assert!(warning.contains(&format!("as machine {new}")), "{warning}");
        assert!(warning.contains(&format!("b2-backup forget {old}")), "{warning}");
        next_day(live(machine), day + 10);
        assert_eq!(machine.push().await.unwrap().warnings, [""; 0], "once");
        earlier = snapshot;
    }
}

/// Where somebody else made snapshots under this machine's id, a switch does not hide that.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_switches_encryption_is_still_a_copy() {
    let (dir, machine, _store) = plain_machine();
    push(&machine).await;
    let copy = dir.path().join("copy");
    copy_all(live(&machine), &copy);
    next_day(live(&machine), 1);
    push(&machine).await;
    let mut clone = machine.blank(copy);
    clone.settings.encrypt = true;
    next_day(live(&clone), 2);
    let warnings = clone.push().await.unwrap().warnings;
    assert!(warnings.iter().any(|told| told.contains("copied to another machine")), "{warnings:?}");
}

/// A clone that is noticed in one bucket must not make the packs of the old machine its own in another.
#[tokio::test(flavor = "multi_thread")]
async fn a_clone_that_returns_to_another_bucket() {
    let (dir, machine, _store) = plain_machine();
    let other = Arc::new(MemoryStore::default());
    push(&machine).await;
    push(&machine.through(other.clone())).await;
    let copy = dir.path().join("copy");
    copy_all(live(&machine), &copy);
    next_day(live(&machine), 1);
    push(&machine.through(other.clone())).await;
    let clone = machine.blank(copy);
    push(&clone.through(other.clone())).await;
    next_day(live(&clone), 11);
    let snapshot = push(&clone).await;
    comes_back(&clone, &snapshot, &state(&clone)).await;
    assert_eq!(clone.verify(true).await.problems, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_local_folder() {
    let (_dir, mut machine, store) = plain_machine();
    machine.settings.encrypt = true;
    let (first, first_state) = (push(&machine).await, state(&machine));
    fs::remove_dir_all(live(&machine).join("b2-backup")).unwrap();
    next_day(live(&machine), 1);
    let report = machine.push().await.unwrap();
    assert_eq!(report.warnings, Vec::<String>::new());
    let second = report.snapshot.unwrap();
    comes_back(&machine, &first, &first_state).await;
    comes_back(&machine, &second, &state(&machine)).await;
    let keys = |store: &MemoryStore| {
        store.objects().into_keys().filter(|key| key.starts_with("keys/")).count()
    };
    assert_eq!(keys(&store), 1, "the passphrase still opens the first repository");
}

/// Every file of the local folder, cut or changed, one at a time and all at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_local_folder() {
    fn files(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { files(&path, found) } else { found.push(path) }
        }
    }
    fn damage(path: &Path, how: usize) {
        let mut bytes = fs::read(path).unwrap();
        let length = bytes.len();
        match how {
            0 => bytes.clear(),
            1 => bytes.truncate(1),
            2 => bytes.truncate(8),
            3 => bytes.truncate(length / 2),
            4 => bytes.truncate(length.saturating_sub(1)),
            5 => bytes.iter_mut().skip(length / 2).take(1).for_each(|byte| *byte ^= 1),
            6 => bytes.extend_from_slice(b"more"),
            _ => return fs::remove_file(path).unwrap(),
        }
        fs::write(path, bytes).unwrap();
    }
    let (dir, machine, store) = plain_machine();
    let (first, first_state) = (push(&machine).await, state(&machine));
    let mut names = Vec::new();
    files(&live(&machine).join("b2-backup"), &mut names);
    names.retain(|name| !name.ends_with("lock"));
    assert!(names.len() >= 5, "{names:?}");
    let mut cases: Vec<Vec<PathBuf>> = names.iter().map(|name| vec![name.clone()]).collect();
    cases.push(names);
    for (number, case) in cases.iter().enumerate() {
        for how in 0..8 {
            let copy = dir.path().join(format!("copy-{number}-{how}"));
            copy_all(live(&machine), &copy);
            for path in case {
                damage(&copy.join(path.strip_prefix(live(&machine)).unwrap()), how);
            }
            let what = format!("{case:?}, damage {how}");
            // The memory of a bucket goes by its identity, so the fork must answer to the same one.
            let fork = Arc::new(store.fork());
            let damaged = Machine { store: CutStore::named(fork, &store), ..machine.blank(copy) };
            write(live(&damaged), "workspace/new.md", "new");
            let snapshot = damaged.push().await.unwrap_or_else(|error| panic!("{what}: {error}"));
            let to = dir.path().join(format!("restored-{number}-{how}"));
            let blank = damaged.blank(dir.path().join("blank"));
            let report = blank.restore(&snapshot.snapshot.unwrap(), &to).await.unwrap();
            assert_eq!(report.failed, [], "{what}");
            assert_same(&picture(&to), &state(&damaged), &what);
            assert_eq!(damaged.verify(true).await.problems, [], "{what}");
            assert!(damaged.list().await.snapshots.len() == 2, "{what}");
            fs::remove_dir_all(&to).unwrap();
            blank.restore(&first, &to).await.unwrap();
            assert_same(&picture(&to), &first_state, &what);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_pushes_at_the_same_moment() {
    let (_dir, machine, store) = plain_machine();
    let cut = CutStore::new(store, 1, How::HangBefore);
    let slow = machine.through(cut.clone());
    tokio::select! {
        done = slow.push() => panic!("{done:?}"),
        () = async {
            cut.hangs().await;
            let error = machine.push().await.unwrap_err();
            assert_eq!(error.code(), "B2_LOCKED");
            assert!(error.to_string().contains("state"), "{error}");
        } => {}
    }
    machine.push_after_kill().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_without_changes_makes_two_requests() {
    let (_dir, machine, store) = plain_machine();
    push(&machine).await;
    store.clear_calls();
    let report = machine.push().await.unwrap();
    assert_eq!((report.snapshot, report.resumed, report.files), (None, None, 5));
    // A listing, and the newest manifest.
    assert_eq!(store.calls().len(), 2, "{:?}", store.calls());
    assert!(store.calls().iter().all(|call| call.bytes == 0));
}

/// The bound of docs/format.md: at most 7 requests, and 32 KiB above the file's own compressed bytes.
#[tokio::test(flavor = "multi_thread")]
async fn one_small_change_among_many_files_costs_little() {
    let (_dir, mut machine, store) = plain_machine();
    machine.settings.encrypt = true;
    for number in 0..5000_u64 {
        let path = format!("workspace/{}/file-{number}.md", number % 40);
        write(live(&machine), &path, noise(number, 200));
    }
    push(&machine).await;
    for (path, size) in [("workspace/7/file-7.md", 3000), ("workspace/39/new.md", 10)] {
        write(live(&machine), path, noise(99, size));
        store.clear_calls();
        push(&machine).await;
        assert!(store.calls().len() <= 7, "{:?}", store.calls());
        assert!(sent(&store) <= size as u64 + (32 << 10), "{path}: {}", sent(&store));
    }
}

/// A clock that says what the test wants.
#[derive(Debug)]
struct SetClock(std::time::SystemTime);

impl Clock for SetClock {
    fn now(&self) -> std::time::SystemTime {
        self.0
    }
    fn sleep(
        &self,
        _duration: std::time::Duration,
    ) -> futures_util::future::BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_names_no_two_snapshots_alike() {
    let (_dir, mut machine, _store) = plain_machine();
    let mut days = Vec::new();
    for (day, seconds) in [(1, 1000), (2, 1000), (3, 10), (4, 999), (5, 10), (6, 1001), (7, 1000)] {
        next_day(live(&machine), day);
        let now = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_800_000_000 + seconds);
        machine.clock = Arc::new(SetClock(now));
        days.push((push(&machine).await, state(&machine)));
    }
    let names: std::collections::BTreeSet<&String> = days.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), days.len(), "{days:?}");
    for (snapshot, expected) in &days {
        comes_back(&machine, snapshot, expected).await;
    }
}
