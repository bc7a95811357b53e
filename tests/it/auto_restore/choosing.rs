//! Which snapshot is taken, and what happens when there is none.

use std::fs;
use std::sync::Arc;

use b2_backup::error::Error;
use b2_backup::ops::AutoRestoreOutcome;
use b2_backup::secret::Secret;
use b2_backup::store::memory::{Fault, MemoryStore, Operation};

use super::{Two, arrive, arrived, read};
use crate::support::clock::TestClock;
use crate::support::plain::{assert_same, settled, write};

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_bucket() {
    let two = Two::new();
    let report = arrive(&two.new).await.unwrap();
    assert_eq!((report.outcome, report.warnings.len()), (AutoRestoreOutcome::NoSnapshot, 0));
    // What the original plugin left is not read, and said so.
    two.store.raw_replace("2026-02-19T00-00-00-000Z/manifest.json", "{}");
    let report = arrive(&two.new).await.unwrap();
    assert_eq!((report.outcome, report.warnings.len()), (AutoRestoreOutcome::NoSnapshot, 1));
    assert!(report.warnings[0].contains("original plugin"));
    // The first push is like any other.
    assert!(two.new.push().await.unwrap().snapshot.is_some());
}

/// The newest that is authenticated, of whatever machine: one that anybody can have made is passed over.
#[tokio::test(flavor = "multi_thread")]
async fn the_newest_that_is_authenticated() {
    let mut two = Two::new();
    two.old.settings.encrypt = true;
    two.new.settings.encrypt = true;
    write(&two.there(), "workspace/MEMORY.md", "sealed");
    let sealed = two.old.push().await.unwrap().snapshot.unwrap();
    let third = two.dir.path().join("eve/.openclaw");
    fs::create_dir_all(&third).unwrap();
    super::used_state(&third);
    write(&third, "workspace/MEMORY.md", "planted");
    let mut plain = two.old.blank(third.clone());
    plain.settings.encrypt = false;
    let planted = plain.push().await.unwrap().snapshot.unwrap();
    let report = arrive(&two.new).await.unwrap();
    assert_eq!((report.outcome, report.snapshot), (AutoRestoreOutcome::Staged, Some(sealed)));
    // Where two machines with the same key are in use, nobody but the user knows which this one is to be.
    let other = two.dir.path().join("fay/.openclaw");
    fs::create_dir_all(&other).unwrap();
    super::used_state(&other);
    write(&other, "workspace/MEMORY.md", "newer");
    let mut newer = two.old.blank(other);
    newer.clock = Arc::new(Later);
    newer.push().await.unwrap();
    let blank = two.dir.path().join("gil/.openclaw");
    fs::create_dir_all(&blank).unwrap();
    super::blank_state(&blank);
    let machine = two.new.blank(blank.clone());
    let before = settled(&blank);
    let error = arrive(&machine).await.unwrap_err();
    assert_eq!(error.code(), "B2_NEEDS_CHOICE");
    assert!(error.to_string().contains("b2-backup restore SNAPSHOT"), "{error}");
    for snapshot in machine.list().await.snapshots.iter().filter(|it| it.authenticated) {
        assert!(error.to_string().contains(&snapshot.id), "{error}");
    }
    assert_same(&settled(&blank), &before, "untouched");
    // Only planted ones: nothing comes.
    let only = Arc::new(MemoryStore::default());
    for (key, body) in two.store.objects() {
        if key.contains(planted.as_str()) || key.contains(planted.rsplit('-').next().unwrap()) {
            only.raw_replace(&key, body);
        }
    }
    let here = two.dir.path().join("hal/.openclaw");
    fs::create_dir_all(&here).unwrap();
    super::blank_state(&here);
    let before = settled(&here);
    let machine = two.new.blank(here.clone()).through(only);
    assert_eq!(arrive(&machine).await.unwrap_err().code(), "B2_NOT_AUTHENTICATED");
    assert_same(&settled(&here), &before, "untouched");
}

/// An hour later.
#[derive(Debug)]
struct Later;

impl b2_backup::ambient::Clock for Later {
    fn now(&self) -> std::time::SystemTime {
        std::time::SystemTime::now() + std::time::Duration::from_hours(1)
    }

    fn sleep(&self, duration: std::time::Duration) -> futures_util::future::BoxFuture<'static, ()> {
        b2_backup::ambient::SystemClock.sleep(duration)
    }
}

/// A key that opens nothing: it is said, the machine goes on with backups under its own key, and nothing is harmed.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key() {
    let mut two = Two::new();
    two.old.settings.encrypt = true;
    two.new.settings.encrypt = true;
    two.old.push().await.unwrap();
    two.new.settings.passphrase = Some(Secret::new("another".into()));
    let before = settled(&two.here());
    assert_eq!(arrive(&two.new).await.unwrap_err().code(), "B2_WRONG_KEY");
    assert_same(&settled(&two.here()), &before, "untouched");
    // Corrected before the first push, it is found.
    two.new.settings.passphrase.clone_from(&two.old.settings.passphrase);
    arrived(&two.new).await;
}

/// Without a connection nothing is decided: the next time it is looked for again.
#[tokio::test(flavor = "multi_thread")]
async fn no_connection() {
    let two = Two::new();
    two.old.push().await.unwrap();
    two.store.set_faults(|_| {
        let (target, message) = ("bucket".to_owned(), "no route".to_owned());
        vec![Fault::FailBefore(Error::Network { target, message })]
    });
    let error = arrive(&two.new).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    two.store.clear_faults();
    arrived(&two.new).await;
}

/// A damaged pack costs no half of a restore: it is said, and nothing is touched.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_snapshot() {
    let two = Two::new();
    two.old.push().await.unwrap();
    let packs: Vec<String> =
        two.store.objects().into_keys().filter(|key| key.contains("packs/")).collect();
    let largest = packs.iter().max_by_key(|key| two.store.raw_read(key).unwrap().len()).unwrap();
    let mut body = two.store.raw_read(largest).unwrap().to_vec();
    for byte in &mut body[1000..3000] {
        *byte ^= 0x55;
    }
    two.store.raw_replace(largest, body);
    let before = settled(&two.here());
    assert_eq!(arrive(&two.new).await.unwrap_err().code(), "B2_DAMAGED");
    assert_same(&settled(&two.here()), &before, "untouched");
    let folder = two.here().join("b2-backup/restore");
    assert!(fs::read_dir(folder).unwrap().next().is_none(), "nothing is left of it");
    assert!(two.new.push().await.unwrap().snapshot.is_some());
}

const DAY: i64 = 24 * 3600;

/// A machine that stored nothing for long while another one did is gone: the other one comes.
#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_is_long_gone_leaves_no_doubt() {
    let two = Two::new();
    let clock = TestClock::ahead(-31 * DAY);
    let store = Arc::new(MemoryStore::new(clock.clone()));
    let third = two.dir.path().join("eve/.openclaw");
    fs::create_dir_all(&third).unwrap();
    super::used_state(&third);
    write(&third, "workspace/MEMORY.md", "long ago");
    let mut gone = two.old.blank(third).through(store.clone());
    gone.clock = clock.clone();
    gone.push().await.unwrap();
    clock.set_ahead(0);
    write(&two.there(), "workspace/MEMORY.md", "now");
    two.old.through(store.clone()).push().await.unwrap();
    arrived(&two.new.through(store)).await;
    assert_eq!(read(&two.here(), "workspace/MEMORY.md"), "now");
}

/// A snapshot whose times cannot be never comes by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_from_the_future() {
    let mut two = Two::new();
    two.old.clock = TestClock::ahead(365 * DAY);
    let snapshot = two.old.push().await.unwrap().snapshot.unwrap();
    let before = settled(&two.here());
    let error = arrive(&two.new).await.unwrap_err();
    assert_eq!(error.code(), "B2_NEEDS_CHOICE");
    assert!(error.to_string().contains(&snapshot), "{error}");
    assert!(error.to_string().contains("cannot be right"), "{error}");
    assert_same(&settled(&two.here()), &before, "untouched");
}

/// A new machine goes on with the backups that it was restored from: what is there is not stored again. Should the old
/// one still live, it becomes a machine of its own, and nothing of either is lost.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_restored_is_not_stored_again() {
    let two = Two::new();
    for number in 0..20 {
        let noise = crate::support::plain::noise(number, 50_000);
        write(&two.there(), &format!("workspace/{number}.bin"), noise);
    }
    let first = two.old.push().await.unwrap();
    assert!(first.uploaded_bytes > 1_000_000);
    let machine = |id: &str| id.rsplit('-').next().unwrap().to_owned();
    let first = first.snapshot.unwrap();
    // Three new machines, one after the other, each given what the last one had.
    let mut last = first.clone();
    let mut states = vec![two.old.clone()];
    for number in 0..3 {
        let state = two.dir.path().join(format!("new-{number}/.openclaw"));
        fs::create_dir_all(&state).unwrap();
        super::blank_state(&state);
        let new = two.new.blank(state.clone());
        arrived(&new).await;
        let report = new.push().await.unwrap();
        assert!(report.uploaded_bytes < 300_000, "{number}: {}", report.uploaded_bytes);
        let told = report.warnings.iter().filter(|told| told.contains("goes on with the backups"));
        assert_eq!(told.count(), 1, "{:?}", report.warnings);
        let snapshot = report.snapshot.unwrap();
        assert_eq!(machine(&snapshot), machine(&first), "{number}");
        last = snapshot;
        states.push(new);
    }
    // All of the old ones are alive after all.
    for (number, old) in states.iter().enumerate() {
        write(&old.settings.state_dir, "workspace/still.md", format!("here {number}"));
        let report = old.push().await.unwrap();
        let snapshot = report.snapshot.unwrap();
        let is_last = number + 1 == states.len();
        assert_eq!(
            machine(&snapshot) == machine(&last),
            is_last,
            "{number}: {:?}",
            report.warnings
        );
        let to = two.dir.path().join(format!("to-{number}"));
        let blank = two.new.blank(two.dir.path().join(format!("blank-{number}")));
        assert_eq!(blank.restore(&snapshot, &to).await.unwrap().failed, []);
        assert_eq!(read(&to, "workspace/still.md"), format!("here {number}"));
    }
    assert_eq!(two.old.verify(true).await.problems, []);
}

/// What a new machine goes on with is told by the first push that comes to its end.
#[tokio::test(flavor = "multi_thread")]
async fn what_it_goes_on_with_is_told_after_a_push_that_failed() {
    let two = Two::new();
    two.old.push().await.unwrap();
    arrived(&two.new).await;
    write(&two.here(), "workspace/MEMORY.md", "new here");
    two.store.set_faults(|call| {
        let (target, message) = ("test".to_owned(), "cut off".to_owned());
        let fails = call.operation == Operation::Put && call.key.ends_with("/manifest");
        if fails { vec![Fault::FailBefore(Error::Network { target, message })] } else { vec![] }
    });
    assert_eq!(two.new.push().await.unwrap_err().code(), "B2_NETWORK");
    two.store.clear_faults();
    for told in [1, 0] {
        let warnings = two.new.push().await.unwrap().warnings;
        let goes_on = warnings.iter().filter(|text| text.contains("goes on with the backups"));
        assert_eq!(goes_on.count(), told, "{warnings:?}");
    }
}

/// Where the old machine has made another snapshot since, it lives: the new one begins a lineage of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_lives_keeps_its_lineage() {
    let two = Two::new();
    let first = two.old.push().await.unwrap().snapshot.unwrap();
    arrived(&two.new).await;
    write(&two.there(), "workspace/MEMORY.md", "I live");
    let second = two.old.push().await.unwrap().snapshot.unwrap();
    let report = two.new.push().await.unwrap();
    let own = report.snapshot.unwrap();
    assert_ne!(own.rsplit('-').next(), first.rsplit('-').next());
    write(&two.there(), "workspace/MEMORY.md", "I live on");
    let third = two.old.push().await.unwrap();
    assert_eq!(third.warnings, Vec::<String>::new(), "{second}");
}
