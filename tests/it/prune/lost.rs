//! Snapshots that somebody else deleted or hid: pruning must not finish his work.

use super::*;

/// What is said of them.
fn lost(report: &VerifyReport) -> Vec<&str> {
    let named = report.problems.iter().filter(|problem| problem.code == "B2_OBJECT_MISSING");
    named.flat_map(|problem| &problem.snapshots).map(String::as_str).collect()
}

/// Whoever may write to the bucket may hide the manifests of all but the newest. What they need is in nobody's
/// manifest then, and stays until they are back.
#[tokio::test(flavor = "multi_thread")]
async fn hidden_ones_are_said_and_what_they_need_waits_for_them() {
    let mut life = Life::new();
    let ids = life.days(6).await;
    let manifests: Vec<String> = ids[..5].iter().map(|id| format!("{id}/manifest")).collect();
    let bodies: Vec<_> = manifests.iter().map(|name| life.store.raw_read(name).unwrap()).collect();
    for name in &manifests {
        assert!(life.store.raw_remove(name));
    }

    assert_eq!(lost(&life.machine.verify(false).await), ids[..5]);
    let warned = life.prune(options(10, 0, 0)).await.unwrap().warnings;
    let named = |id: &String| warned.iter().any(|warning| warning.contains(id.as_str()));
    assert!(warned.len() == 5 && ids[..5].iter().all(named), "{warned:?}");
    // Said once by pruning, and by each look at what is stored.
    assert_eq!(life.prune(options(10, 0, 0)).await.unwrap().warnings, Vec::<String>::new());
    assert_eq!(lost(&life.machine.verify(false).await), ids[..5]);

    for _ in 0..10 {
        life.day().await;
        let report = life.prune(options(20, 0, 0)).await.unwrap();
        assert_eq!((report.deleted_packs, report.waiting_packs), (0, 0), "they are kept");
    }
    for (name, body) in manifests.iter().zip(bodies) {
        life.store.raw_replace(name, body);
    }
    let report = life.prune(options(20, 0, 0)).await.unwrap();
    assert_eq!((report.deleted_snapshots, report.waiting_packs), (0, 0));
    assert_eq!(life.all_restore().await.len(), 16);
    assert_eq!(lost(&life.machine.verify(false).await), Vec::<&str>::new());
    // And they go as any other.
    assert_eq!(life.prune(options(10, 0, 0)).await.unwrap().deleted_snapshots, 6);
    life.day().await;
    assert_eq!(life.all_restore().await.len(), 11);
}

/// Whoever deletes snapshots by hand gets their space back a month later.
#[tokio::test(flavor = "multi_thread")]
async fn those_that_stay_away_are_given_up() {
    let mut life = Life::new();
    let ids = life.days(6).await;
    for id in &ids[..5] {
        assert!(life.store.raw_remove(&format!("{id}/manifest")));
    }
    let mut freed = Vec::new();
    for day in 0..34 {
        life.day().await;
        let report = life.prune(options(60, 0, 0)).await.unwrap();
        if report.deleted_packs > 0 {
            freed.push(day);
        }
    }
    // Found on the first day, remembered for thirty; then a newer snapshot is waited for, and a day.
    assert_eq!(freed, [31], "packs went after the month, and all at once");
    assert_eq!(lost(&life.machine.verify(false).await), Vec::<&str>::new());
    assert_eq!(life.all_restore().await.len(), 35);
}
