//! Every reason to stop: nothing is deleted, the reason is said, and all goes on once it is gone.

use b2_backup::crypto::RepoKey;
use b2_backup::error::Error;
use b2_backup::format::SnapshotId;
use b2_backup::repo::{KeyRing, Secrets, Snapshot};
use b2_backup::store::memory::Fault;
use bytes::Bytes;

use super::*;

fn unreachable() -> Fault {
    Fault::FailBefore(Error::Network { target: "s3".into(), message: "gone".into() })
}

/// Five snapshots of which two may go, and packs whose day is over.
async fn ripe() -> Life {
    let mut life = Life::new();
    life.days(8).await;
    assert!(life.prune(options(5, 0, 0)).await.unwrap().waiting_packs > 0);
    life.clock.pass(2 * DAY);
    life
}

async fn refuses(life: &Life, options: PruneOptions) -> Error {
    let before = life.versions().await;
    life.store.clear_calls();
    let error = life.prune(options).await.unwrap_err();
    assert!(!life.store.calls().iter().any(|call| call.operation == Operation::Delete), "{error}");
    life.store.clear_faults();
    assert_eq!(life.versions().await, before, "{error}");
    error
}

async fn stops(life: &Life, words: &str) {
    let error = refuses(life, options(3, 0, 0)).await;
    assert_eq!(error.code(), "B2_PRUNE_STOPPED", "{error}");
    assert!(error.to_string().contains("nothing was deleted"), "{error}");
    assert!(error.to_string().contains(words), "{error}");
}

/// What would have been done all along.
async fn goes_on(life: &Life) {
    let report = life.prune(options(3, 0, 0)).await.unwrap();
    assert_eq!(report.deleted_snapshots, 2);
    assert!(report.deleted_packs > 0);
    life.all_restore().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_question_without_an_answer() {
    let life = ripe().await;
    life.store.clear_calls();
    life.prune(PruneOptions { dry_run: true, ..options(3, 0, 0) }).await.unwrap();
    let questions = life.store.calls().len();
    assert_eq!(questions, 1 + 5 + 2 + 1, "a LIST, manifests, versions of what goes and of packs");
    for which in 0..questions {
        let mut count = 0;
        life.store.set_faults(move |_| {
            count += 1;
            if count == which + 1 { vec![unreachable()] } else { vec![] }
        });
        assert_eq!(refuses(&life, options(3, 0, 0)).await.code(), "B2_NETWORK", "{which}");
    }
    goes_on(&life).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_or_stale_listing() {
    let mut life = ripe().await;
    for empty in [true, false] {
        if !empty {
            life.store.freeze_listings();
            life.day().await;
        }
        life.store.set_faults(move |call| match call.operation {
            Operation::List if empty => vec![Fault::EmptyListing],
            Operation::List => vec![Fault::StaleListing],
            _ => vec![],
        });
        stops(&life, "listing is old").await;
    }
    let report = life.prune(options(3, 0, 0)).await.unwrap();
    assert_eq!(report.deleted_snapshots, 3);
    life.all_restore().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_was_deleted_by_hand() {
    let mut life = ripe().await;
    let newest = life.states.keys().next_back().unwrap().clone();
    life.store.raw_remove(&format!("{newest}/manifest"));
    stops(&life, "deleted by hand").await;
    // The next push notices, too, and puts it right.
    life.clock.pass(DAY);
    next_day(life.live(), 99);
    let report = life.machine.push().await.unwrap();
    life.states.insert(report.snapshot.unwrap(), picture(life.live()));
    let report = life.prune(options(3, 0, 0)).await.unwrap();
    assert_eq!(report.deleted_snapshots, 2);
    life.all_restore().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_cannot_be_read() {
    let life = ripe().await;
    let oldest = life.objects("2026").remove(0);
    let whole = life.store.raw_read(&oldest).unwrap();
    let mut damaged = whole.to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    life.store.raw_replace(&oldest, damaged);
    stops(&life, "B2_DAMAGED").await;
    life.store.raw_replace(&oldest, whole);
    goes_on(&life).await;
}

/// A manifest that only claims to be ours must neither count nor say what is needed.
#[tokio::test(flavor = "multi_thread")]
async fn a_plain_manifest_in_an_encrypted_lineage() {
    let mut life = Life::new();
    life.machine.settings.encrypt = true;
    let ids = life.days(4).await;
    let plain = Life::new();
    let mut plain = Life { day: 50, ..plain };
    let other = plain.day().await;
    let object = plain.store.raw_read(&format!("{other}/manifest")).unwrap();
    let forged = forge(&other, &object, &ids[0], |_| {}).await;
    life.store.raw_replace(&format!("{}/manifest", ids[0]), forged);
    let error = refuses(&life, options(3, 0, 0)).await;
    assert_eq!(error.code(), "B2_PRUNE_STOPPED", "{error}");
    assert!(error.to_string().contains("not encrypted"), "{error}");
}

/// A plain manifest under another name, and with other contents: whoever can write to the bucket can do that.
async fn forge(
    name: &str,
    object: &Bytes,
    to: &str,
    change: impl FnOnce(&mut b2_backup::format::Manifest),
) -> Vec<u8> {
    let cpu = b2_backup::cpu::CpuPool::new(1).unwrap();
    let ring = KeyRing::new(Secrets::default(), cpu);
    let id = SnapshotId::parse(name).unwrap();
    let mut snapshot = Snapshot::open(&ring, &id, object).await.unwrap();
    change(&mut snapshot.manifest);
    let id = SnapshotId::parse(to).unwrap();
    let entropy = b2_backup::ambient::SystemEntropy;
    let key = RepoKey::Plain;
    Snapshot::seal(&snapshot.manifest, &id, &key, snapshot.repository, &[], &entropy).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newest_manifest_that_was_replaced() {
    let life = ripe().await;
    let newest = life.states.keys().next_back().unwrap().clone();
    let key = format!("{newest}/manifest");
    let whole = life.store.raw_read(&key).unwrap();
    let forged = forge(&newest, &whole, &newest, |manifest| manifest.packs.clear()).await;
    life.store.raw_replace(&key, forged);
    stops(&life, "not the one that it made").await;
    life.store.raw_replace(&key, whole);
    goes_on(&life).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_is_listed_and_not_there() {
    let life = ripe().await;
    life.store.freeze_listings();
    let oldest = life.objects("2026").remove(0);
    life.store.raw_remove(&oldest);
    life.store.set_faults(|call| match call.operation {
        Operation::List => vec![Fault::StaleListing],
        _ => vec![],
    });
    stops(&life, "the listing is old").await;
    let report = life.prune(options(3, 0, 0)).await.unwrap();
    assert_eq!(report.deleted_snapshots, 1, "the other was deleted by hand");
    life.all_restore().await;
}

/// A listing that lacks one in the middle: what only it names must stay.
#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_lacks_one_of_many() {
    let life = ripe().await;
    let (name, body) = {
        let name = life.objects("2026").remove(3);
        let body = life.store.raw_read(&name).unwrap();
        (name, body)
    };
    life.store.raw_remove(&name);
    life.store.freeze_listings();
    life.store.raw_replace(&name, body);
    for _ in 0..3 {
        life.store.set_faults(|call| match call.operation {
            Operation::List => vec![Fault::StaleListing],
            _ => vec![],
        });
        life.prune(options(3, 0, 0)).await.unwrap();
        life.store.clear_faults();
        life.clock.pass(2 * DAY);
    }
    assert_eq!(life.all_restore().await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_half() {
    let mut life = Life::new();
    life.days(7).await;
    stops(&life, "4 of the 7 snapshots").await;
    let asked = PruneOptions { more_than_half: true, ..options(3, 0, 0) };
    let told = life.prune(PruneOptions { dry_run: true, ..options(3, 0, 0) }).await.unwrap();
    assert!(told.stop.unwrap().contains("--more-than-half"));
    let told = life.prune(PruneOptions { dry_run: true, ..asked }).await.unwrap();
    assert_eq!((told.stop, told.deleted_snapshots), (None, 4));
    assert_eq!(life.prune(asked).await.unwrap().deleted_snapshots, 4);
    life.all_restore().await;
    // Half of them is not more than half.
    life.days(3).await;
    assert_eq!(life.prune(options(3, 0, 0)).await.unwrap().deleted_snapshots, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_operation_on_the_same_state() {
    let life = ripe().await;
    let _held = b2_backup::local::Local::at(life.live()).lock().unwrap();
    assert_eq!(refuses(&life, options(3, 0, 0)).await.code(), "B2_LOCKED");
}
