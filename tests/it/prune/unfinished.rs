//! Pushes and prunes that were cut off.

use super::*;
use crate::support::cut::{CutStore, EVERY_WAY, How};
use crate::support::plain;

/// Pushes through a store that is cut off at one request.
async fn cut_push(life: &Life, at: u64, how: How) -> bool {
    let store = CutStore::new(life.store.clone(), at, how);
    let machine = life.machine.through(store.clone());
    let pushing = tokio::spawn(async move { machine.push().await.is_ok() });
    tokio::select! {
        () = store.hangs() => {}
        () = async { while !pushing.is_finished() { tokio::task::yield_now().await; } } => {}
    }
    if pushing.is_finished() {
        pushing.await.unwrap()
    } else {
        pushing.abort();
        false
    }
}

async fn prune_after_kill(life: &Life, keep: u32) -> PruneReport {
    loop {
        match life.prune(options(keep, 0, 0)).await {
            Err(b2_backup::error::Error::Locked { .. }) => tokio::task::yield_now().await,
            done => return done.unwrap(),
        }
    }
}

/// Wherever a push ends: what waits in its spool is not touched, however long it waits.
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_push() {
    for at in 2..6 {
        for how in [How::HangBefore, How::HangAfter] {
            let mut life = Life::new();
            life.days(4).await;
            next_day(life.live(), 9);
            if cut_push(&life, at, how).await {
                continue;
            }
            for _ in 0..3 {
                prune_after_kill(&life, 9).await;
                life.clock.pass(2 * DAY);
            }
            let before = life.objects("packs/");
            let report = life.machine.push_after_kill().await.unwrap();
            assert_eq!(report.warnings, Vec::<String>::new(), "{at} {how:?}");
            let id = report.resumed.or(report.snapshot).unwrap();
            life.states.insert(id, picture(life.live()));
            assert_eq!(life.all_restore().await.len(), 5, "{at} {how:?}");
            // Nothing that had been uploaded was thrown away and made again.
            let after = life.objects("packs/");
            assert!(before.iter().all(|pack| after.contains(pack)), "{at} {how:?}");
        }
    }
}

/// Wherever a prune ends: what is listed restores, and the next one finishes it.
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_prune() {
    let mut life = Life::new();
    life.days(6).await;
    life.prune(options(5, 0, 0)).await.unwrap();
    life.clock.pass(DAY);
    let local = life.dir.path().join("local");
    plain::copy_all(&life.live().join("b2-backup"), &local);
    let (store, states) = (life.store.clone(), life.states.clone());
    let mut cuts = 0;
    for at in 1.. {
        let mut done = false;
        for how in EVERY_WAY {
            let there = Arc::new(store.fork());
            let cut = CutStore::cut_named(there.clone(), &store, at, how);
            let machine = life.machine.through(cut.clone());
            let pruning = tokio::spawn(async move {
                ops::prune(&machine.session().await, options(3, 0, 0)).await.is_ok()
            });
            tokio::select! {
                () = cut.hangs() => {}
                () = async { while !pruning.is_finished() { tokio::task::yield_now().await; } } => {}
            }
            if pruning.is_finished() {
                done = pruning.await.unwrap();
            } else {
                pruning.abort();
                let _ = pruning.await;
            }
            cuts += 1;

            let whole = CutStore::named(there.clone(), &store);
            let machine = life.machine.through(whole.clone());
            all_restore(&machine, &states).await;
            // What this machine deletes itself is not lost.
            assert_eq!(machine.verify(false).await.problems, [], "{at} {how:?}");
            let session = machine.session().await;
            let report = ops::prune(&session, options(3, 0, 0)).await.unwrap();
            assert_eq!(report.warnings, Vec::<String>::new(), "{at} {how:?}");
            assert_eq!(report.snapshots.iter().filter(|one| !one.reasons.is_empty()).count(), 3);
            assert_eq!(all_restore(&machine, &states).await.len(), 3, "{at} {how:?}");
            life.clock.pass(DAY);
            assert_eq!(ops::prune(&session, options(3, 0, 0)).await.unwrap().waiting_packs, 0);
            let needed = there.objects().keys().filter(|key| key.starts_with("packs/")).count();
            all_restore(&machine, &states).await;
            assert_eq!(
                needed as u64,
                machine.verify(false).await.packs,
                "{at} {how:?}: rubbish is left"
            );
            // No sign of a clone.
            next_day(life.live(), 50 + cuts);
            assert_eq!(
                machine.push().await.unwrap().warnings,
                Vec::<String>::new(),
                "{at} {how:?}"
            );
            life.clock.pass(-DAY);
            std::fs::remove_dir_all(life.live().join("b2-backup")).unwrap();
            plain::copy_all(&local, &life.live().join("b2-backup"));
        }
        if done {
            break;
        }
    }
    assert!(cuts > 30, "{cuts}");
}

/// The commit got there, its answer did not: what the next push builds on is not the newest in the bucket.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_was_lost() {
    let mut life = Life::new();
    life.days(2).await;
    life.clock.pass(DAY);
    next_day(life.live(), 9);
    life.store.set_faults(|call| {
        let manifest = call.operation == Operation::Put && call.key.ends_with("/manifest");
        let error = b2_backup::error::Error::Network { target: "s3".into(), message: "cut".into() };
        if manifest { vec![b2_backup::store::memory::Fault::FailAfter(error)] } else { vec![] }
    });
    assert_eq!(life.machine.push().await.unwrap_err().code(), "B2_NETWORK");
    life.store.clear_faults();
    let report = life.prune(options(1, 0, 0)).await.unwrap();
    let why: Vec<String> = kept(&report).into_iter().map(|(_, why)| why).collect();
    assert_eq!(why, ["newest 2", "newest 1"]);
    let resumed = life.machine.push().await.unwrap();
    assert_eq!(resumed.warnings, Vec::<String>::new());
    life.states.insert(resumed.resumed.unwrap(), picture(life.live()));
    assert_eq!(life.all_restore().await.len(), 2);
    assert_eq!(life.prune(options(1, 0, 0)).await.unwrap().deleted_snapshots, 1);
    life.all_restore().await;
}
