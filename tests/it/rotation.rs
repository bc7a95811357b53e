//! The application key is rotated, as it must be after a leak; old snapshots stay readable with the new one.

use std::sync::Arc;

use b2_backup::secret::Secret;
use b2_backup::store::memory::MemoryStore;
use tempfile::tempdir;

use crate::support::machine::Machine;

#[tokio::test(flavor = "multi_thread")]
async fn a_blank_machine_with_the_new_key_reads_snapshots_from_before() {
    let dir = tempdir().unwrap();
    let live = dir.path().join("state");
    std::fs::create_dir_all(&live).unwrap();
    std::fs::write(live.join("a.md"), "before").unwrap();
    let store = Arc::new(MemoryStore::default());
    let mut machine = Machine::new(&live, store);
    machine.settings.passphrase = None;
    machine.settings.store.application_key = Some(Secret::new("old key".into()));
    let before = machine.push().await.unwrap().snapshot.unwrap();
    machine.settings.store.application_key = Some(Secret::new("new key".into()));
    std::fs::write(live.join("a.md"), "after").unwrap();
    machine.push().await.unwrap().snapshot.unwrap();

    let blank = machine.blank(dir.path().join("blank"));
    let to = dir.path().join("restored");
    let report = blank.restore(&before, &to).await.unwrap();
    assert_eq!(report.failed, []);
    assert_eq!(std::fs::read(to.join("a.md")).unwrap(), b"before");
    assert!(blank.list().await.snapshots.iter().all(|snapshot| snapshot.problem.is_none()));
}
