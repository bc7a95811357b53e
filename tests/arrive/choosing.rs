//! Which snapshot is taken, and what happens when there is none.

use std::fs;
use std::sync::Arc;

use b2_backup::error::Error;
use b2_backup::ops::ArriveOutcome;
use b2_backup::secret::Secret;
use b2_backup::store::memory::{Fault, MemoryStore};

use super::plain::{assert_same, settled, write};
use super::{Two, arrive, arrived, read};

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_bucket() {
    let two = Two::new();
    let report = arrive(&two.new).await.unwrap();
    assert_eq!((report.outcome, report.warnings.len()), (ArriveOutcome::NoSnapshot, 0));
    // What the original plugin left is not read, and said so.
    two.store.raw_replace("2026-02-19T00-00-00-000Z/manifest.json", "{}");
    let report = arrive(&two.new).await.unwrap();
    assert_eq!((report.outcome, report.warnings.len()), (ArriveOutcome::NoSnapshot, 1));
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
    assert_eq!((report.outcome, report.snapshot), (ArriveOutcome::Staged, Some(sealed)));
    // Of two machines with the same key the one that pushed last. Snapshots are a second apart.
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
    arrived(&machine).await;
    assert_eq!(read(&blank, "workspace/MEMORY.md"), "newer");
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
