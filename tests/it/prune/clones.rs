//! Two machines with one id, until they notice.

use super::*;
use crate::support::plain::copy_all;

/// Copies the whole state, its local folder too.
fn copy_of(life: &Life) -> Machine {
    let copy = life.dir.path().join("copy");
    copy_all(life.live(), &copy);
    life.machine.blank(copy)
}

async fn prune(machine: &Machine) -> Result<PruneReport> {
    ops::prune(&machine.session().await, options(3, 0, 0)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clone_deletes_nothing_of_the_lineage_that_goes_on() {
    let mut life = Life::new();
    life.days(6).await;
    let clone = copy_of(&life);
    life.day().await;
    let before = life.versions().await;
    for _ in 0..3 {
        let error = prune(&clone).await.unwrap_err();
        assert_eq!(error.code(), "B2_PRUNE_STOPPED");
        assert!(error.to_string().contains("copied to another machine"), "{error}");
        life.clock.pass(2 * DAY);
    }
    assert_eq!(life.versions().await, before);
    // It becomes a machine of its own, and prunes its own.
    for day in 20..26 {
        life.clock.pass(HOUR);
        next_day(&clone.settings.state_dir, day);
        let id = clone.push().await.unwrap().snapshot.unwrap();
        life.states.insert(id, picture(&clone.settings.state_dir));
    }
    assert_eq!(prune(&clone).await.unwrap().deleted_snapshots, 3);
    assert_eq!(life.prune(options(5, 0, 0)).await.unwrap().deleted_snapshots, 2);
    life.clock.pass(DAY);
    prune(&clone).await.unwrap();
    life.prune(options(5, 0, 0)).await.unwrap();
    assert_eq!(life.all_restore().await.len(), 8);
}

/// Both prune before either pushes: they agree, or find what the other did.
#[tokio::test(flavor = "multi_thread")]
async fn both_prune_before_they_part() {
    let mut life = Life::new();
    let ids = life.days(6).await;
    let clone = copy_of(&life);
    life.prune(options(4, 0, 0)).await.unwrap();
    assert_eq!(prune(&clone).await.unwrap().deleted_snapshots, 1);
    assert_eq!(life.prune(options(4, 0, 0)).await.unwrap().snapshots.len(), 3);
    assert_eq!(life.all_restore().await, ids[3..]);
    let next = life.day().await;
    assert_eq!(life.all_restore().await.last(), Some(&next));
}

/// One sleeps with packs uploaded and its snapshot not committed; the other must not take them for rubbish, as
/// long as the sleeper may still commit.
#[tokio::test(flavor = "multi_thread")]
async fn a_sleeper_in_the_middle_of_a_push() {
    for pushes in [false, true] {
        let mut life = Life::new();
        life.days(3).await;
        let clone = copy_of(&life);
        next_day(life.live(), 9);
        // The packs get there, the manifest does not.
        life.store.set_faults(|call| {
            let manifest = call.operation == Operation::Put && call.key.ends_with("/manifest");
            let error =
                b2_backup::error::Error::Network { target: "s3".into(), message: "cut".into() };
            if manifest { vec![b2_backup::store::memory::Fault::FailBefore(error)] } else { vec![] }
        });
        assert_eq!(life.machine.push().await.unwrap_err().code(), "B2_NETWORK");
        life.store.clear_faults();
        for day in 30..34 {
            if pushes {
                next_day(&clone.settings.state_dir, day);
                let id = clone.push().await.unwrap().snapshot.unwrap();
                life.states.insert(id, picture(&clone.settings.state_dir));
            }
            ops::prune(&clone.session().await, options(9, 0, 0)).await.unwrap();
            life.clock.pass(2 * DAY);
        }
        // It wakes up.
        let report = life.machine.push().await.unwrap();
        assert_eq!(report.warnings.len(), usize::from(pushes), "{:?}", report.warnings);
        let id = report.resumed.or(report.snapshot).unwrap();
        life.states.insert(id.clone(), picture(life.live()));
        assert!(life.all_restore().await.contains(&id));
        let orphans = life.objects("packs/").len();
        // What the sleeper left behind goes, once nobody can name it any more.
        let report = ops::prune(&clone.session().await, options(9, 0, 0)).await;
        assert_eq!(report.is_ok(), pushes, "the lineage is the sleeper's now, or the clone's");
        assert!(life.objects("packs/").len() <= orphans);
        life.all_restore().await;
    }
}

/// Where encryption is switched off or on, the machine goes on as another: packs of two lineages never lie together,
/// and neither is pruned for the other.
#[tokio::test(flavor = "multi_thread")]
async fn encryption_that_is_switched() {
    let mut life = Life::new();
    let plain = life.days(3).await;
    life.machine.settings.encrypt = true;
    let mut sealed = Vec::new();
    for day in 20..24 {
        life.clock.pass(DAY);
        next_day(life.live(), day);
        let report = life.machine.push().await.unwrap();
        assert_eq!(report.warnings.len(), usize::from(day == 20), "{:?}", report.warnings);
        sealed.push(report.snapshot.unwrap());
    }
    let machine = |id: &str| id[id.len() - 8..].to_owned();
    assert_ne!(machine(&plain[0]), machine(&sealed[0]));
    let report = life.prune(options(2, 0, 0)).await.unwrap();
    assert_eq!((report.snapshots.len(), report.others), (4, 3));
    life.clock.pass(DAY);
    life.prune(options(2, 0, 0)).await.unwrap();
    // And back: nothing of either is this machine's now.
    life.machine.settings.encrypt = false;
    assert_eq!(life.prune(options(1, 0, 0)).await.unwrap().snapshots.len(), 0);
    let listed: Vec<String> =
        life.machine.list().await.snapshots.into_iter().map(|s| s.id).collect();
    assert_eq!(listed, [&plain[..], &sealed[2..]].concat());
    assert_eq!(life.machine.verify(true).await.problems, []);
}

/// A machine that replaces another prunes what that one left behind, packs of its last, unfinished push too.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_machine_left() {
    let mut life = Life::new();
    let ids = life.days(6).await;
    let dead = ids[0][ids[0].len() - 8..].to_owned();
    next_day(life.live(), 9);
    life.store.set_faults(|call| {
        let manifest = call.operation == Operation::Put && call.key.ends_with("/manifest");
        let error = b2_backup::error::Error::Network { target: "s3".into(), message: "cut".into() };
        if manifest { vec![b2_backup::store::memory::Fault::FailBefore(error)] } else { vec![] }
    });
    assert_eq!(life.machine.push().await.unwrap_err().code(), "B2_NETWORK");
    life.store.clear_faults();
    let mut heir = Life::on(life.store.clone(), life.clock.clone());
    heir.states.clone_from(&life.states);
    heir.store = life.store.clone();
    ops::adopt(&heir.machine.session().await, &dead).await.unwrap();
    // The dead one might wake up, as long as nobody else has pushed.
    for _ in 0..3 {
        assert_eq!(heir.prune(options(9, 0, 0)).await.unwrap().deleted_packs, 0);
        heir.clock.pass(2 * DAY);
    }
    heir.day = 30;
    let next = heir.day().await;
    assert!(next.ends_with(&dead));
    let report = heir.prune(options(4, 0, 0)).await.unwrap();
    assert_eq!(report.deleted_snapshots, 3);
    heir.clock.pass(DAY);
    heir.prune(options(4, 0, 0)).await.unwrap();
    assert_eq!(heir.all_restore().await, [&ids[3..], &[next]].concat());
    let needed = heir.machine.verify(false).await.packs;
    assert_eq!(heir.objects("packs/").len() as u64, needed, "nothing is left that nobody needs");
}
