//! Days of use, pushed each night; every snapshot restored on a blank machine.

use std::sync::Arc;

use b2_backup::store::memory::MemoryStore;
use tempfile::tempdir;

use crate::elsewhere::{day_elsewhere, generate_elsewhere};
use crate::state::{Layout, digest};
use crate::support::machine::Machine;

/// Twelve pushes with a day of use between them; then each snapshot comes back, on a machine that has nothing.
async fn twelve_days(layout: Layout) {
    let dir = tempdir().unwrap();
    let live = dir.path().join("state");
    generate_elsewhere(&live, 5, layout);
    let store = Arc::new(MemoryStore::default());
    let machine = Machine::new(&live, store);
    let mut days = Vec::new();
    for number in 1..=12 {
        let report = machine.push().await.unwrap();
        assert_eq!(report.skipped, [], "day {number}");
        let again = machine.push().await.unwrap();
        assert_eq!(again.snapshot, None, "day {number}: nothing changed since");
        // The listing and the newest manifest; and `keys/`, where files are so young that they are read again.
        assert!(again.requests <= 3, "{}", again.requests);
        days.push((report.snapshot.unwrap(), digest(&live, true).unwrap().to_string()));
        day_elsewhere(&live, number);
    }
    let listed = machine.list().await;
    assert_eq!(listed.snapshots.len(), 12);
    assert!(
        listed.snapshots.iter().all(|snapshot| snapshot.authenticated && snapshot.this_machine)
    );
    for (number, (snapshot, expected)) in days.iter().enumerate() {
        let blank = machine.blank(dir.path().join(format!("blank-{number}")));
        let to = dir.path().join(format!("restored-{number}"));
        let report = blank.restore(snapshot, &to).await.unwrap();
        assert_eq!(report.failed, [], "{snapshot}");
        assert_eq!(&digest(&to, false).unwrap().to_string(), expected, "day {number}");
        assert!(!blank.settings.state_dir.exists(), "reading must not create a state directory");
    }
    let verified = machine.verify(true).await;
    assert_eq!(verified.problems, []);
    assert_eq!(verified.snapshots, 12);
}

/// A folder inside the state would be backed up into itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_inside_the_state_is_refused() {
    let dir = tempdir().unwrap();
    let live = dir.path().join("state");
    std::fs::create_dir(&live).unwrap();
    let mut machine = Machine::new(&live, Arc::new(MemoryStore::default()));
    machine.settings.store.bucket = format!("file://{}/backups", live.display());
    let error = machine.push().await.unwrap_err();
    assert_eq!(error.code(), "B2_CONFIG");
    assert!(error.to_string().contains("choose one outside"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn twelve_days_legacy() {
    twelve_days(Layout::Legacy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twelve_days_databases() {
    twelve_days(Layout::Db).await;
}
