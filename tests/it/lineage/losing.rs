//! A bucket that is not what it was: emptied, another disk, or with another machine's snapshot under a name of ours.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use b2_backup::ambient::{Clock, SystemClock, SystemEntropy};
use b2_backup::error::{Error, Result};
use b2_backup::ops;
use b2_backup::store::folder::FolderStore;
use b2_backup::store::memory::{Fault, MemoryStore, Operation};
use b2_backup::store::{Listing, ObjectKey, ObjectStore, ObjectVersion, Traffic};
use bytes::Bytes;

use super::{comes_back, live, push, state};
use crate::support::machine::Machine;
use crate::support::plain::{copy_all, next_day};
use crate::support::plain_machine::plain_machine;
use crate::support::system::url_of;

/// A push that fails when everything but the manifest is in the bucket.
async fn fails_at_the_manifest(machine: &Machine, store: &MemoryStore) {
    store.set_faults(|call| {
        let (target, message) = ("test".to_owned(), "cut off".to_owned());
        let commit = call.operation == Operation::Put && call.key.ends_with("/manifest");
        if commit { vec![Fault::FailBefore(Error::Network { target, message })] } else { vec![] }
    });
    assert_eq!(machine.push().await.unwrap_err().code(), "B2_NETWORK");
    store.clear_faults();
}

fn packs(store: &MemoryStore) -> Vec<String> {
    store.objects().into_keys().filter(|key| key.starts_with("packs/")).collect()
}

/// What was sent is not there for ever: a snapshot is only finished with what is there now.
#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_was_emptied_before_a_push_goes_on() {
    let (_dir, machine, store) = plain_machine();
    fails_at_the_manifest(&machine, &store).await;
    for key in store.objects().into_keys() {
        store.raw_remove(&key);
    }
    let report = machine.push().await.unwrap();
    assert_eq!(report.resumed, None, "nothing of it can be finished");
    comes_back(&machine, &report.snapshot.unwrap(), &state(&machine)).await;
    assert_eq!(machine.verify(true).await.problems, []);
}

/// A waiting snapshot needs packs of the one that it builds on, too.
#[tokio::test(flavor = "multi_thread")]
async fn packs_of_the_base_that_went_before_a_push_goes_on() {
    for (gone, changed) in [("base", false), ("base", true), ("new", true)] {
        let (_dir, machine, store) = plain_machine();
        let first = push(&machine).await;
        let old = packs(&store);
        next_day(live(&machine), 1);
        fails_at_the_manifest(&machine, &store).await;
        for pack in packs(&store) {
            if old.contains(&pack) == (gone == "base") {
                store.raw_remove(&pack);
            }
        }
        if changed {
            next_day(live(&machine), 2);
        }
        let report = machine.push().await.unwrap();
        assert_eq!(report.resumed, None, "{gone}");
        let second = report.snapshot.unwrap();
        comes_back(&machine, &second, &state(&machine)).await;
        let problems = machine.verify(true).await.problems;
        let harmed = problems.iter().flat_map(|problem| &problem.snapshots);
        assert!(harmed.into_iter().all(|id| *id == first), "{problems:?}");
        assert_eq!(machine.push().await.unwrap().snapshot, None, "{gone}: nothing is left to mend");
    }
}

/// The manifest had arrived, and then its packs went: it is this machine's snapshot, and what it lacks is stored again.
#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_is_there_and_lost_its_packs() {
    let (_dir, machine, store) = plain_machine();
    store.set_faults(|call| {
        let (target, message) = ("test".to_owned(), "no answer".to_owned());
        let commit = call.operation == Operation::Put && call.key.ends_with("/manifest");
        if commit { vec![Fault::FailAfter(Error::Network { target, message })] } else { vec![] }
    });
    assert_eq!(machine.push().await.unwrap_err().code(), "B2_NETWORK");
    store.clear_faults();
    for pack in packs(&store) {
        store.raw_remove(&pack);
    }
    let report = machine.push().await.unwrap();
    assert!(report.resumed.is_some());
    assert_eq!(report.warnings, Vec::<String>::new(), "nobody is taken for a copy");
    comes_back(&machine, &report.snapshot.unwrap(), &state(&machine)).await;
}

/// A bucket in which snapshots were stored and that is empty now is most likely another one.
#[tokio::test(flavor = "multi_thread")]
async fn a_known_bucket_that_is_empty_is_refused() {
    let (_dir, machine, store) = plain_machine();
    push(&machine).await;
    let objects = store.objects();
    for key in objects.keys() {
        store.raw_remove(key);
    }
    next_day(live(&machine), 1);
    let error = machine.push().await.unwrap_err();
    assert_eq!(error.code(), "B2_BUCKET_EMPTY");
    assert!(error.to_string().contains("b2-backup push --new-bucket"), "{error}");
    assert!(store.objects().is_empty(), "nothing was written");
    let report = machine.push_to_new_bucket().await.unwrap();
    let snapshot = report.snapshot.unwrap();
    comes_back(&machine, &snapshot, &state(&machine)).await;
    assert_eq!(machine.push().await.unwrap().warnings, Vec::<String>::new());
    // The old disk is back in the place of the new one: it is another machine's, and what is here is stored again.
    for key in store.objects().keys() {
        store.raw_remove(key);
    }
    for (key, body) in objects {
        store.raw_replace(&key, body);
    }
    next_day(live(&machine), 2);
    let report = machine.push().await.unwrap();
    assert_eq!(report.warnings.len(), 1, "{:?}", report.warnings);
    comes_back(&machine, &report.snapshot.unwrap(), &state(&machine)).await;
    // What was on the other disk is missed here, and nothing else.
    let problems = machine.verify(true).await.problems;
    assert!(problems.iter().all(|it| it.snapshots == [snapshot.as_str()]), "{problems:?}");
}

/// Whoever says that a bucket is new may be right: there this machine is who it is, and it stays so elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_was_never_known_makes_no_other_machine() {
    let (_dir, machine, _store) = plain_machine();
    let before = push(&machine).await;
    let elsewhere = machine.through(Arc::new(MemoryStore::default()));
    let there = elsewhere.push_to_new_bucket().await.unwrap().snapshot.unwrap();
    next_day(live(&machine), 1);
    let report = machine.push().await.unwrap();
    assert_eq!(report.warnings, Vec::<String>::new());
    let of = |id: &str| id.rsplit('-').next().unwrap().to_owned();
    assert_eq!([of(&there), of(&report.snapshot.unwrap())], [of(&before), of(&before)]);
}

/// A folder on a disk that is not mounted is not made anew on the disk below.
#[tokio::test(flavor = "multi_thread")]
async fn a_known_folder_that_is_gone_is_not_made() {
    let (dir, mut machine, _store) = plain_machine();
    let folder = dir.path().join("usb");
    machine.settings.store.bucket = url_of(&folder);
    let open = || FolderStore::open(folder.clone(), "p".into(), Arc::new(SystemEntropy));
    let through = machine.through(Arc::new(open().await.unwrap()));
    assert!(!folder.exists(), "looking makes nothing");
    let first = push(&through).await;
    fs::rename(&folder, dir.path().join("unplugged")).unwrap();
    next_day(live(&machine), 1);
    let through = machine.through(Arc::new(open().await.unwrap()));
    let error = through.push().await.unwrap_err();
    assert_eq!(error.code(), "B2_BUCKET_EMPTY");
    assert!(error.to_string().contains("Is its disk mounted?"), "{error}");
    assert!(!folder.exists());
    // An empty folder at the mount point is no better.
    fs::create_dir(&folder).unwrap();
    let through = machine.through(Arc::new(open().await.unwrap()));
    assert_eq!(through.push().await.unwrap_err().code(), "B2_BUCKET_EMPTY");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    fs::remove_dir(&folder).unwrap();
    fs::rename(dir.path().join("unplugged"), &folder).unwrap();
    let through = machine.through(Arc::new(open().await.unwrap()));
    let second = push(&through).await;
    assert_eq!(through.list().await.snapshots.len(), 2, "{first} {second}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_inside_the_state_is_refused_and_not_made() {
    let (_dir, mut machine, _store) = plain_machine();
    let folder = live(&machine).join("backups");
    machine.settings.store.bucket = url_of(&folder);
    let store = FolderStore::open(folder.clone(), "p".into(), Arc::new(SystemEntropy)).await;
    let error = machine.through(Arc::new(store.unwrap())).push().await.unwrap_err();
    assert_eq!(error.code(), "B2_CONFIG");
    assert!(!folder.exists(), "nothing is left of it");
}

/// A clock that stands.
#[derive(Debug)]
struct Stands(SystemTime);

impl Clock for Stands {
    fn now(&self) -> SystemTime {
        self.0
    }

    fn sleep(&self, duration: Duration) -> futures_util::future::BoxFuture<'static, ()> {
        SystemClock.sleep(duration)
    }
}

/// A store in which a copy of the machine makes its snapshot just before this one's manifest is written.
#[derive(Debug)]
struct Overtaken {
    inner: Arc<dyn ObjectStore>,
    copy: tokio::sync::Mutex<Option<Machine>>,
    /// Whether the copy comes between the look and the PUT.
    between: bool,
}

impl Overtaken {
    async fn overtake(&self, key: &ObjectKey) {
        if key.as_str().ends_with("/manifest")
            && let Some(copy) = self.copy.lock().await.take()
        {
            push(&copy).await;
        }
    }
}

#[async_trait]
impl ObjectStore for Overtaken {
    fn identity(&self) -> String {
        self.inner.identity()
    }

    async fn put(&self, key: &ObjectKey, body: Bytes) -> Result<()> {
        self.overtake(key).await;
        self.inner.put(key, body).await
    }

    async fn put_new(&self, key: &ObjectKey, body: Bytes) -> Result<bool> {
        if self.between {
            self.put(key, body).await.map(|()| true)
        } else {
            self.overtake(key).await;
            self.inner.put_new(key, body).await
        }
    }

    async fn get(&self, key: &ObjectKey, max_bytes: u64) -> Result<Bytes> {
        self.inner.get(key, max_bytes).await
    }

    async fn get_range(&self, key: &ObjectKey, start: u64, length: u64) -> Result<Bytes> {
        self.inner.get_range(key, start, length).await
    }

    async fn get_version(&self, key: &ObjectKey, version: &str, max_bytes: u64) -> Result<Bytes> {
        self.inner.get_version(key, version, max_bytes).await
    }

    async fn list(&self, prefix: &str, delimited: bool) -> Result<Listing> {
        self.inner.list(prefix, delimited).await
    }

    async fn list_versions(&self, prefix: &str) -> Result<Option<Vec<ObjectVersion>>> {
        self.inner.list_versions(prefix).await
    }

    async fn delete(&self, key: &ObjectKey, version: Option<&str>) -> Result<()> {
        self.inner.delete(key, version).await
    }

    fn server_offset_ms(&self) -> i64 {
        self.inner.server_offset_ms()
    }

    fn traffic(&self) -> Traffic {
        self.inner.traffic()
    }
}

/// Two copies of a state make a snapshot of the same name in the same second. None is lost.
#[tokio::test(flavor = "multi_thread")]
async fn two_copies_in_the_same_second() {
    for (kind, between) in
        [("folder", false), ("memory", false), ("memory", true), ("plain", false)]
    {
        let (dir, mut machine, store) = plain_machine();
        machine.clock = Arc::new(Stands(SystemTime::now()));
        let store: Arc<dyn ObjectStore> = match kind {
            "folder" => {
                let path = dir.path().join("bucket");
                Arc::new(
                    FolderStore::open(path, "p".into(), Arc::new(SystemEntropy)).await.unwrap(),
                )
            }
            "plain" => Arc::new(MemoryStore::default().without_versions()),
            _ => store,
        };
        let machine = machine.through(Arc::clone(&store));
        push(&machine).await;
        let copy = dir.path().join("copy");
        copy_all(live(&machine), &copy);
        let clone = machine.blank(copy);
        next_day(live(&machine), 1);
        next_day(live(&clone), 2);
        let overtaken = Overtaken {
            inner: Arc::clone(&store),
            copy: tokio::sync::Mutex::new(Some(clone.clone())),
            between,
        };
        let report = machine.through(Arc::new(overtaken)).push().await.unwrap();
        assert_eq!(report.warnings.len(), 1, "{kind}: {:?}", report.warnings);
        let what = format!("{kind} {between}");
        let snapshots = machine.list().await.snapshots;
        assert_eq!(snapshots.len(), 3, "{what}: {snapshots:?}");
        comes_back(&machine, &report.snapshot.unwrap(), &state(&machine)).await;
        // The copy keeps the name.
        assert_eq!(clone.push().await.unwrap().snapshot, None, "{what}");
        let of_the_copy = clone.list().await.snapshots;
        let last = of_the_copy.iter().rfind(|snapshot| snapshot.this_machine).unwrap();
        comes_back(&clone, &last.id, &state(&clone)).await;
        assert_eq!(machine.verify(true).await.problems, [], "{what}");
    }
}

/// With a key that may not delete, what was written over the copy's snapshot stays: that is said, and how it comes back.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_stays_hidden_is_named() {
    let (dir, mut machine, store) = plain_machine();
    machine.clock = Arc::new(Stands(SystemTime::now()));
    push(&machine).await;
    let copy = dir.path().join("copy");
    copy_all(live(&machine), &copy);
    let clone = machine.blank(copy);
    next_day(live(&machine), 1);
    next_day(live(&clone), 2);
    store.set_faults(|call| match call.operation {
        Operation::Delete => {
            vec![Fault::FailBefore(Error::Capability { message: "may not delete".into() })]
        }
        _ => vec![],
    });
    let inner: Arc<dyn ObjectStore> = Arc::clone(&machine.store);
    let copied = tokio::sync::Mutex::new(Some(clone.clone()));
    let overtaken = Overtaken { inner, copy: copied, between: true };
    let report = machine.through(Arc::new(overtaken)).push().await.unwrap();
    let ours = report.snapshot.unwrap();
    let hidden = report.warnings.iter().find(|text| text.contains("b2-backup undelete")).unwrap();
    let snapshots = machine.list().await.snapshots;
    let named = |id: &String| hidden.contains(&format!("{id}/manifest")) && *id != ours;
    assert!(snapshots.iter().any(|snapshot| named(&snapshot.id)), "{hidden}: {snapshots:?}");
    // Once is enough, and it comes back.
    next_day(live(&machine), 3);
    assert_eq!(machine.push().await.unwrap().warnings, Vec::<String>::new());
    let options = ops::UndeleteOptions { apply: true, ..ops::UndeleteOptions::default() };
    ops::undelete(&machine.session().await, &options).await.unwrap();
    assert_eq!(clone.push().await.unwrap().snapshot, None);
    let of_the_copy = clone.list().await.snapshots;
    let last = of_the_copy.iter().rfind(|snapshot| snapshot.this_machine).unwrap();
    comes_back(&clone, &last.id, &state(&clone)).await;
}
