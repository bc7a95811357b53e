//! A pack's day of grace, whatever clocks and listings do.

use b2_backup::store::memory::Fault;

use super::*;
use crate::support::guarded::{Guard, Guarded};

/// Packs that wait, and what they are when they go.
async fn waiting() -> Life {
    let mut life = Life::new();
    life.days(6).await;
    let report = life.prune(options(3, 0, 0)).await.unwrap();
    assert!(report.waiting_packs > 0);
    life
}

async fn deleted(life: &Life) -> u64 {
    life.prune(options(3, 0, 0)).await.unwrap().deleted_packs
}

/// It is the server's day: a local clock that jumps, while the server's does not, changes nothing.
/// What was damaged and is needed no more is no worry any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_pack_that_goes_is_forgotten() {
    let mut life = Life::new();
    life.day().await;
    for pack in life.objects("packs/") {
        let mut bytes = life.store.raw_read(&pack).unwrap().to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        life.store.raw_replace(&pack, bytes);
    }
    life.machine.verify(true).await;
    let damaged =
        async |life: &Life| ops::status(&life.machine.session().await).await.unwrap().damaged_packs;
    let bad = damaged(&life).await;
    assert!(bad > 0);
    // Stored again from here.
    life.days(3).await;
    let newest = PruneOptions { more_than_half: true, ..options(1, 0, 0) };
    life.prune(newest).await.unwrap();
    assert_eq!(damaged(&life).await, bad, "it is still there");
    life.clock.pass(DAY);
    assert!(life.prune(newest).await.unwrap().deleted_packs > 0);
    assert_eq!(damaged(&life).await, 0);
    life.all_restore().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_clock_that_jumps_ahead() {
    let life = waiting().await;
    life.clock.pass(400 * DAY);
    life.store.set_server_offset_ms(-400 * DAY * 1000);
    assert_eq!(deleted(&life).await, 0);
    life.store.set_server_offset_ms((DAY - 400 * DAY) * 1000);
    assert!(deleted(&life).await > 0);
    life.all_restore().await;
}

/// It jumps between an answer and the moment it is read; the next answer puts it right. Or it jumps later.
#[tokio::test(flavor = "multi_thread")]
async fn a_local_clock_that_jumps_in_the_middle() {
    let life = waiting().await;
    for jumps in [Operation::List, Operation::Get] {
        let (clock, now) = (life.clock.clone(), life.clock.seconds());
        let mut corrected = false;
        life.store.set_faults(move |call| {
            if call.operation == jumps && !corrected {
                clock.set(now + 100 * DAY);
            } else if call.operation == Operation::Get {
                clock.set(now);
                corrected = true;
            }
            vec![]
        });
        assert_eq!(deleted(&life).await, 0, "{jumps:?}");
        life.store.clear_faults();
        life.clock.set(now);
    }
    life.clock.pass(DAY);
    assert!(deleted(&life).await > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_went_back() {
    let mut life = Life::new();
    life.days(6).await;
    life.clock.pass(50 * DAY);
    assert_eq!(deleted(&life).await, 0);
    life.clock.pass(-50 * DAY);
    assert_eq!(deleted(&life).await, 0, "noted in the future");
    life.clock.pass(DAY - 1);
    assert_eq!(deleted(&life).await, 0, "the day begins when that is noticed");
    life.clock.pass(1);
    assert!(deleted(&life).await > 0);
    life.all_restore().await;
}

/// Another machine restores what is being deleted: its manifest was read just before.
#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_has_begun() {
    let mut life = Life::new();
    let first = life.days(6).await.remove(0);
    let dir = tempdir().unwrap();
    let blank = life.machine.blank(dir.path().join("blank"));
    let (reached, pruned) =
        (Arc::new(tokio::sync::Notify::new()), Arc::new(tokio::sync::Notify::new()));
    let slow = Arc::new(Guarded {
        inner: life.store.clone(),
        guard: Paused { reached: reached.clone(), go: pruned.clone() },
    });
    let to = dir.path().join("to");
    let (restorer, target, id) = (blank.through(slow), to.clone(), first.clone());
    let restoring = tokio::spawn(async move { restorer.restore(&id, &target).await });
    reached.notified().await;
    life.prune(options(3, 0, 0)).await.unwrap();
    life.clock.pass(DAY - 1);
    life.prune(options(3, 0, 0)).await.unwrap();
    pruned.notify_one();
    assert_eq!(restoring.await.unwrap().unwrap().failed, []);
    assert_same(&picture(&to), &life.states[&first], &first);
}

/// Waits before it reads anything of a pack.
#[derive(Debug)]
struct Paused {
    reached: Arc<tokio::sync::Notify>,
    go: Arc<tokio::sync::Notify>,
}

#[async_trait::async_trait]
impl Guard for Paused {
    async fn before_range(&self) {
        self.reached.notify_one();
        self.go.notified().await;
        self.go.notify_one();
    }
}

/// The listing shows a deleted snapshot for a while: that is no clone, and its packs' day begins anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_still_shows_what_was_deleted() {
    let mut life = Life::new();
    life.days(6).await;
    life.store.freeze_listings();
    life.prune(options(3, 0, 0)).await.unwrap();
    let stale = |call: &b2_backup::store::memory::Call| match call.operation {
        Operation::List => vec![Fault::StaleListing],
        _ => vec![],
    };
    life.store.set_faults(stale);
    let report = life.prune(options(3, 0, 0)).await.unwrap();
    assert_eq!((report.snapshots.len(), report.deleted_snapshots), (3, 0));
    let machine = life.machine.list().await.snapshots[0].machine.clone();
    let next = life.day().await;
    assert!(next.ends_with(&machine), "taken for a clone: {next}");
    life.store.clear_faults();
    assert_eq!(life.all_restore().await.len(), 4);
}

/// A snapshot that was deleted is back: a PUT that came late, or an undone deletion.
#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_returns() {
    let mut life = Life::new();
    let ids = life.days(6).await;
    let key = format!("{}/manifest", ids[1]);
    let object = life.store.raw_read(&key).unwrap();
    life.prune(options(3, 0, 0)).await.unwrap();
    life.clock.pass(DAY - 1);
    life.store.raw_replace(&key, object);
    assert_eq!(life.all_restore().await.len(), 4, "its packs have their day");
    life.clock.pass(1);
    life.prune(options(3, 0, 0)).await.unwrap();
    assert_eq!(life.store.raw_read(&key), None);
    let its_packs = life.prune(options(3, 0, 0)).await.unwrap().waiting_packs;
    assert!(its_packs > 0, "a day from when it went");
    life.clock.pass(DAY);
    assert_eq!(deleted(&life).await, its_packs);
    life.all_restore().await;
}

/// Local memory of pruning is lost: packs begin their day again, once there is a newer snapshot.
#[tokio::test(flavor = "multi_thread")]
async fn lost_memory() {
    let mut life = waiting().await;
    for repository in std::fs::read_dir(life.live().join("b2-backup/repositories")).unwrap() {
        std::fs::remove_file(repository.unwrap().path().join("pruning")).unwrap();
    }
    for _ in 0..3 {
        life.clock.pass(2 * DAY);
        assert_eq!(deleted(&life).await, 0, "nobody else may have uploaded them");
    }
    life.day().await;
    assert_eq!(deleted(&life).await, 0);
    life.clock.pass(DAY);
    assert!(deleted(&life).await > 0);
    life.all_restore().await;
}
