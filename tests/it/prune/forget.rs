//! Forgetting a machine that is gone, and one that turns out not to be.

use b2_backup::ops::{ForgetOptions, ForgetReport, PushReport};
use b2_backup::store::memory::Fault;

use super::*;

async fn forget(life: &Life, machine: &str, dry_run: bool) -> Result<ForgetReport> {
    let options = ForgetOptions { machine: machine.to_owned(), dry_run, wait: Duration::ZERO };
    ops::forget(&life.machine.session().await, &options).await
}

/// A machine with six snapshots, and a second one on the same bucket.
async fn two() -> (Life, Life, String) {
    let mut gone = Life::new();
    let ids = gone.days(6).await;
    let mut other = Life::on(gone.store.clone(), gone.clock.clone());
    other.store = gone.store.clone();
    other.day().await;
    let id = ids[0][ids[0].len() - 8..].to_owned();
    (gone, other, id)
}

fn of(life: &Life, machine: &str) -> usize {
    life.store.objects().keys().filter(|key| key.contains(machine)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn its_snapshots_go_at_once_and_its_packs_a_day_later() {
    let (_gone, mut other, id) = two().await;
    let theirs = other.days(2).await;
    let all = other.store.objects();
    let plan = forget(&other, &id, true).await.unwrap();
    assert_eq!((plan.snapshots.len(), plan.deleted_packs), (6, 0));
    assert!(plan.waiting_packs > 0 && plan.waiting_bytes > 0);
    assert_eq!(other.store.objects(), all, "only told");

    let report = forget(&other, &id, false).await.unwrap();
    assert_eq!((report.snapshots, report.waiting_packs), (plan.snapshots, plan.waiting_packs));
    assert_eq!(of(&other, &id), usize::try_from(plan.waiting_packs).unwrap());
    other.clock.pass(DAY - HOUR);
    let early = other.prune(options(10, 0, 0)).await.unwrap();
    assert_eq!((early.deleted_packs, early.waiting_packs), (0, plan.waiting_packs));
    other.clock.pass(HOUR);
    let late = other.prune(options(10, 0, 0)).await.unwrap();
    assert_eq!((late.deleted_packs, late.freed_bytes), (plan.waiting_packs, plan.waiting_bytes));
    assert_eq!(of(&other, &id), 0, "nothing of it is left");
    let nothing = other.prune(options(10, 0, 0)).await.unwrap();
    assert_eq!((nothing.deleted_packs, nothing.waiting_packs), (0, 0));
    assert_eq!(forget(&other, &id, false).await.unwrap_err().code(), "B2_CONFIG");
    assert_eq!(theirs.len(), 2);
    other.all_restore().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn asked_for_once_more_it_is_finished_without_pruning() {
    let (_gone, other, id) = two().await;
    other.clock.pass(2 * DAY);
    forget(&other, &id, false).await.unwrap();
    other.clock.pass(HOUR);
    assert_eq!(forget(&other, &id, false).await.unwrap().deleted_packs, 0);
    other.clock.pass(DAY);
    let report = forget(&other, &id, false).await.unwrap();
    assert!(report.deleted_packs > 0 && report.snapshots.is_empty());
    assert_eq!(of(&other, &id), 0);
    other.all_restore().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_gone_is_not_forgotten() {
    let (gone, other, id) = two().await;
    let own = other.states.keys().next().unwrap();
    for (machine, why) in [
        (&own[own.len() - 8..], "this machine"),
        ("00000000", "nothing"),
        ("nonsense", "no machine"),
    ] {
        let error = forget(&other, machine, false).await.unwrap_err();
        assert_eq!(error.code(), "B2_CONFIG");
        assert!(error.to_string().contains(why), "{error}");
    }
    let mut gone = gone;
    gone.change_and_push(Reason::Manual).await;
    other.clock.pass(20 * HOUR);
    let all = other.store.objects();
    let error = forget(&other, &id, false).await.unwrap_err();
    assert_eq!(error.code(), "B2_PRUNE_STOPPED");
    assert!(error.to_string().contains("20 hours ago"), "{error}");
    // A local clock that jumps makes nobody older.
    other.store.set_server_offset_ms(-400 * DAY * 1000);
    other.clock.pass(400 * DAY);
    assert_eq!(forget(&other, &id, false).await.unwrap_err().code(), "B2_PRUNE_STOPPED");
    assert_eq!(other.store.objects(), all);
}

/// An hour later a machine that was forgotten backs up what has changed.
async fn comes_back(gone: &mut Life, other: &Life) -> PushReport {
    gone.states.clone_from(&other.states);
    gone.clock.pass(HOUR);
    gone.day += 1;
    next_day(gone.live(), gone.day);
    let report = gone.machine.push().await.unwrap();
    gone.states.insert(report.snapshot.clone().unwrap(), picture(gone.live()));
    report
}

/// It was only away for a while.
#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_comes_back_is_left_alone() {
    let (mut gone, other, id) = two().await;
    other.clock.pass(40 * DAY);
    forget(&other, &id, false).await.unwrap();
    let report = comes_back(&mut gone, &other).await;
    assert!(report.warnings[0].contains("gone from the bucket"), "{:?}", report.warnings);
    other.clock.pass(3 * DAY);
    let pruned = other.prune(options(10, 0, 0)).await.unwrap();
    assert_eq!(pruned.deleted_packs, 0);
    assert!(pruned.warnings[0].contains("left alone"), "{:?}", pruned.warnings);
    gone.all_restore().await;
    assert_eq!(other.prune(options(10, 0, 0)).await.unwrap().warnings, Vec::<String>::new());
}

/// Its push had begun before, and its packs arrive while its old ones are being deleted.
#[tokio::test(flavor = "multi_thread")]
async fn young_packs_stay() {
    let (mut gone, other, id) = two().await;
    other.clock.pass(2 * DAY);
    forget(&other, &id, false).await.unwrap();
    other.clock.pass(25 * HOUR);
    // Cut off right before the commit.
    gone.day += 1;
    next_day(gone.live(), gone.day);
    gone.store.set_faults(|call| {
        let lost =
            b2_backup::error::Error::Network { target: "test".into(), message: "cut".into() };
        let commit = call.operation == Operation::Put && call.key.ends_with("/manifest");
        if commit { vec![Fault::FailBefore(lost)] } else { vec![] }
    });
    gone.machine.push().await.unwrap_err();
    gone.store.clear_faults();
    assert!(other.prune(options(10, 0, 0)).await.unwrap().deleted_packs > 0);
    let report = gone.machine.push().await.unwrap();
    gone.states.clone_from(&other.states);
    let id = report.snapshot.or(report.resumed).unwrap();
    gone.states.insert(id, picture(gone.live()));
    gone.all_restore().await;
}

/// A listing that shows nothing says nothing: what came back must not be taken for gone.
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_listing_is_no_proof_that_it_is_gone() {
    let (mut gone, other, id) = two().await;
    other.clock.pass(40 * DAY);
    forget(&other, &id, false).await.unwrap();
    let snapshot = comes_back(&mut gone, &other).await.snapshot.unwrap();
    other.clock.pass(3 * DAY);
    // Each listing of the bucket in turn.
    for number in 1..=3 {
        let mut listed = 0;
        other.store.set_faults(move |call| {
            let whole = call.operation == Operation::List && call.key.is_empty();
            listed += u32::from(whole);
            if whole && listed == number { vec![Fault::EmptyListing] } else { vec![] }
        });
        let _may_stop = other.prune(options(10, 0, 0)).await;
        other.store.clear_faults();
    }
    assert!(gone.all_restore().await.contains(&snapshot));
}

/// What is to go is remembered by the machine, not by its lineage.
#[tokio::test(flavor = "multi_thread")]
async fn it_is_finished_by_a_machine_that_has_another_lineage_by_then() {
    let (_gone, other, id) = two().await;
    other.clock.pass(2 * DAY);
    let mut third = Life::on(other.store.clone(), other.clock.clone());
    third.store = other.store.clone();
    let theirs = third.day().await;
    forget(&other, &id, false).await.unwrap();
    ops::adopt(&other.machine.session().await, &theirs[theirs.len() - 8..]).await.unwrap();
    other.clock.pass(DAY);
    assert!(other.prune(options(10, 0, 0)).await.unwrap().deleted_packs > 0);
    assert_eq!(of(&other, &id), 0);
}
