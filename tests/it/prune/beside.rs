//! What is pruned while another command looks is not said to be lost.

use std::sync::Arc;

use async_trait::async_trait;
use b2_backup::error::Result;
use b2_backup::ops;
use b2_backup::store::{Listing, ObjectKey, ObjectStore, ObjectVersion, Traffic};
use bytes::Bytes;
use tempfile::tempdir;
use tokio::sync::Mutex;

use super::{Life, options};
use crate::support::machine::Machine;

/// A store in which something happens right after the first listing.
#[derive(Debug)]
struct Beside {
    inner: Arc<dyn ObjectStore>,
    then: Mutex<Option<Then>>,
}

#[derive(Debug)]
enum Then {
    /// This machine keeps its newest snapshot only.
    Prune(Machine),
    /// This machine pushes.
    Push(Machine),
}

impl Beside {
    fn machine(machine: &Machine, then: Then) -> Machine {
        let inner = Arc::clone(&machine.store);
        machine.through(Arc::new(Self { inner, then: Mutex::new(Some(then)) }))
    }
}

#[async_trait]
impl ObjectStore for Beside {
    fn identity(&self) -> String {
        self.inner.identity()
    }

    async fn put(&self, key: &ObjectKey, body: Bytes) -> Result<()> {
        self.inner.put(key, body).await
    }

    async fn get(&self, key: &ObjectKey, max_bytes: u64) -> Result<Bytes> {
        self.inner.get(key, max_bytes).await
    }

    async fn get_range(&self, key: &ObjectKey, start: u64, length: u64) -> Result<Bytes> {
        self.inner.get_range(key, start, length).await
    }

    async fn list(&self, prefix: &str, delimited: bool) -> Result<Listing> {
        let listing = self.inner.list(prefix, delimited).await;
        match self.then.lock().await.take() {
            Some(Then::Prune(machine)) => {
                let keep = ops::PruneOptions { more_than_half: true, ..options(1, 0, 0) };
                ops::prune(&machine.session().await, keep).await.unwrap();
            }
            Some(Then::Push(machine)) => drop(machine.push().await.unwrap()),
            None => {}
        }
        listing
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

/// A life of three days; `then` happens while what is looked at was just listed.
async fn lived() -> (Life, String) {
    let mut life = Life::new();
    let ids = life.days(3).await;
    (life, ids[2].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_beside_prune() {
    let (life, _) = lived().await;
    let looking = Beside::machine(&life.machine, Then::Prune(life.machine.clone()));
    let report = looking.verify(true).await;
    assert_eq!((report.problems.as_slice(), report.snapshots), ([].as_slice(), 1));
}

/// Another machine cannot know why a snapshot went; one that its machine pruned is no problem of its.
#[tokio::test(flavor = "multi_thread")]
async fn another_machine_that_looks_beside_prune() {
    let (life, last) = lived().await;
    let dir = tempdir().unwrap();
    let other = life.machine.blank(dir.path().join("other"));
    let looking = Beside::machine(&other, Then::Prune(life.machine.clone()));
    assert_eq!(looking.verify(false).await.problems, []);
    let (life, _) = (lived().await.0, last);
    let other = life.machine.blank(dir.path().join("another"));
    let looking = Beside::machine(&other, Then::Prune(life.machine.clone()));
    let report = looking.restore("latest", &dir.path().join("to")).await.unwrap();
    assert_eq!(report.warnings, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn list_and_status_beside_prune() {
    let (life, last) = lived().await;
    let looking = Beside::machine(&life.machine, Then::Prune(life.machine.clone()));
    let report = looking.list().await;
    assert_eq!(report.warnings, Vec::<String>::new());
    let ids: Vec<_> = report.snapshots.iter().map(|it| (it.id.as_str(), &it.problem)).collect();
    assert_eq!(ids, [(last.as_str(), &None)]);
    let (life, _) = lived().await;
    let looking = Beside::machine(&life.machine, Then::Prune(life.machine.clone()));
    let report = ops::status(&looking.session().await).await.unwrap();
    assert_eq!(report.warnings, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_and_list_beside_a_push() {
    let (life, _) = lived().await;
    life.clock.pass(super::DAY);
    super::next_day(life.live(), 9);
    let looking = Beside::machine(&life.machine, Then::Push(life.machine.clone()));
    assert_eq!(looking.verify(true).await.problems, []);
    life.clock.pass(super::DAY);
    super::next_day(life.live(), 10);
    let looking = Beside::machine(&life.machine, Then::Push(life.machine.clone()));
    let report = looking.list().await;
    assert_eq!(report.warnings, Vec::<String>::new());
    assert!(report.snapshots.iter().all(|it| it.problem.is_none()), "{report:?}");
}
