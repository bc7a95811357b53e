//! Keys that may not delete, and accounts that are full.

use b2_backup::error::Error;
use b2_backup::store::memory::{Call, Fault};

use super::*;
use crate::support::guarded::{Guard, Guarded};

fn refused() -> Fault {
    let message = "the key may not DELETE packs/x (status 403 AccessDenied: not entitled)".into();
    Fault::FailBefore(Error::Capability { message })
}

/// A key without deleteFiles: deleting a version is refused, hiding is not. The store tells them apart by the
/// version that is given, the fault plan by the listing that goes before: so it is done in a store around it.
#[derive(Debug)]
struct NoDelete {
    may_hide: bool,
    refused: std::sync::atomic::AtomicU64,
}

#[async_trait::async_trait]
impl Guard for NoDelete {
    async fn before_delete(&self, version: Option<&str>) -> Result<()> {
        if version.is_some() || !self.may_hide {
            self.refused.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            return Err(Error::Capability { message: "the key may not DELETE".into() });
        }
        Ok(())
    }
}

impl Life {
    fn with_a_key_that_may_not_delete(&self, may_hide: bool) -> (Machine, Arc<Guarded<NoDelete>>) {
        let refused = std::sync::atomic::AtomicU64::new(0);
        let store =
            Arc::new(Guarded { inner: self.store.clone(), guard: NoDelete { may_hide, refused } });
        (self.machine.through(store.clone()), store)
    }
}

async fn prune(machine: &Machine) -> PruneReport {
    ops::prune(&machine.session().await, options(3, 0, 0)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_may_only_hide() {
    let mut life = Life::new();
    let ids = life.days(6).await;
    let (machine, key) = life.with_a_key_that_may_not_delete(true);
    let report = prune(&machine).await;
    assert_eq!((report.deleted_snapshots, report.hidden), (3, 3));
    let refusals = || key.guard.refused.swap(0, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(refusals(), 1, "asked no further");
    assert!(report.warnings[0].contains("daysFromHidingToDeleting: 1"), "{:?}", report.warnings);
    assert_eq!(life.all_restore().await, ids[3..]);
    // Nothing to delete is no sign that it may.
    assert_eq!(prune(&machine).await.warnings, Vec::<String>::new());

    life.clock.pass(DAY);
    let report = prune(&machine).await;
    assert!(report.hidden > 0, "packs");
    assert_eq!((report.deleted_packs, report.freed_bytes), (0, 0), "nothing is free");
    assert_eq!(report.warnings, Vec::<String>::new(), "said once");
    assert_eq!(life.all_restore().await, ids[3..]);
    refusals();
    // Markers do not pile up, and the push is none the worse.
    let versions = life.versions().await;
    let report = prune(&machine).await;
    assert_eq!((report.hidden, life.versions().await), (0, versions));
    for day in [70, 71] {
        next_day(life.live(), day);
        let pushed = machine.push().await.unwrap();
        assert_eq!(pushed.warnings, Vec::<String>::new());
        life.states.insert(pushed.snapshot.unwrap(), picture(life.live()));
        if day == 70 {
            let report = prune(&machine).await;
            assert_eq!((report.hidden, report.warnings), (1, vec![]), "not said again");
        }
    }

    // With a better key everything that was hidden goes for good, and a worse one is told of again.
    let report = life.prune(options(4, 0, 0)).await.unwrap();
    assert!(report.deleted_packs > 0 && report.freed_bytes > 0, "{report:?}");
    assert!(
        !life
            .versions()
            .await
            .iter()
            .any(|(name, _, hidden)| *hidden && name.starts_with("packs/"))
    );
    assert_eq!(prune(&machine).await.warnings.len(), 1);
    life.all_restore().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_may_nothing() {
    let mut life = Life::new();
    let ids = life.days(6).await;
    let before = life.versions().await;
    let (machine, _) = life.with_a_key_that_may_not_delete(false);
    let report = prune(&machine).await;
    assert_eq!((report.deleted_snapshots, report.hidden), (0, 0));
    assert!(report.warnings[0].contains("deleteFiles and writeFiles"), "{:?}", report.warnings);
    life.clock.pass(DAY * 2);
    assert_eq!(prune(&machine).await.deleted_packs, 0);
    assert_eq!(life.versions().await, before);
    assert_eq!(life.all_restore().await, ids);
    // The snapshots that could not go are still this machine's.
    assert_eq!(prune(&machine).await.snapshots.len(), 6);
    assert_eq!(life.prune(options(3, 0, 0)).await.unwrap().deleted_snapshots, 3);
}

/// On a store without versions a refused DELETE has no way round.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_without_versions() {
    let mut life = Life::with(|clock| MemoryStore::new(clock).without_versions());
    let ids = life.days(4).await;
    life.store.set_faults(|call: &Call| match call.operation {
        Operation::Delete => vec![refused()],
        _ => vec![],
    });
    let report = life.prune(options(3, 0, 0)).await.unwrap();
    assert_eq!((report.deleted_snapshots, report.warnings.len()), (0, 1));
    life.store.clear_faults();
    assert_eq!(life.all_restore().await, ids);
}

/// Nothing can be written any more: that is when space has to be freed.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_at_its_cap() {
    let mut life = Life::new();
    let ids = life.days(6).await;
    let full = || Fault::FailBefore(Error::CapExceeded { message: "Storage cap exceeded".into() });
    life.store.set_faults(move |call: &Call| match call.operation {
        Operation::Put => vec![full()],
        _ => vec![],
    });
    next_day(life.live(), 70);
    assert_eq!(life.machine.push().await.unwrap_err().code(), "B2_CAP_EXCEEDED");
    assert_eq!(life.prune(options(3, 0, 0)).await.unwrap().deleted_snapshots, 3);
    life.clock.pass(DAY);
    assert!(life.prune(options(3, 0, 0)).await.unwrap().freed_bytes > 0);
    life.store.clear_faults();
    let resumed = life.machine.push().await.unwrap();
    let resumed = resumed.resumed.or(resumed.snapshot).unwrap();
    life.states.insert(resumed.clone(), picture(life.live()));
    assert_eq!(life.all_restore().await, [&ids[3..], &[resumed]].concat());
}
