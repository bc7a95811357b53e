//! The process is killed before and after every file-system call and every database step of a rollback, and of its
//! recovery. After each the next start ends in exactly the old or exactly the new state.
//!
//! A real process, which aborts: nothing of it is left but what is on disk.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use b2_backup::error::{Error, Result};
use b2_backup::ops::{self, Gateway, Mode, Outcome, RollbackReport, RollbackRequest};

use super::trial::{State, Trial, first_state, second_state, state};
use super::{campaign, in_memory, points};
use crate::support::counted::FailAt;
use crate::support::killed::{KillAt, ambient, machine_in, session};
use crate::support::machine::Machine;
use crate::support::plain::{Content, Item, assert_same, settled};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "is started by other tests, in a process of its own"]
async fn job_that_is_killed() {
    let Ok(job) = std::env::var("B2_TEST_JOB") else { return };
    let dir = PathBuf::from(std::env::var_os("B2_TEST_DIR").unwrap());
    let steps = KillAt::from_parent();
    let mut machine = machine_in(&dir);
    machine.steps = steps.clone();
    if job == "recover" {
        ops::recover(&machine.settings, &ambient(&machine), Gateway::MustBeStopped).await.unwrap();
    } else {
        assert_eq!(roll_back(&machine, &job).await.unwrap().outcome, Outcome::Applied);
    }
    println!("{}", steps.told());
}

/// Rolls back to a snapshot, or undoes the last rollback.
async fn roll_back(machine: &Machine, snapshot: &str) -> Result<RollbackReport> {
    let session = session(machine).await;
    if snapshot == "undo" {
        let plan = ops::plan_undo(&session).await?;
        return ops::undo(&session, &plan.hash).await;
    }
    let request = RollbackRequest {
        snapshot: snapshot.into(),
        paths: vec![],
        mode: Mode::Exact,
        partial: false,
        allow_unauthenticated: false,
    };
    let plan = ops::plan_rollback(&session, &request).await?;
    ops::roll_back(&session, &request, &plan.hash).await
}

/// As soon as the threads of a rollback that has failed have let go of the lock.
async fn recover(machine: &Machine) -> Outcome {
    loop {
        let gateway = Gateway::MustBeStopped;
        match ops::recover(&machine.settings, &ambient(machine), gateway).await {
            Err(Error::Locked { .. }) => tokio::task::yield_now().await,
            done => return done.unwrap().outcome,
        }
    }
}

/// Sets a state up with a snapshot, and lives on. Returns the snapshot and both states.
async fn set_up() -> (Trial, String, State, State) {
    let dir = in_memory();
    let trial = Trial { origin: dir.path().join("origin"), dir };
    let live = trial.live();
    fs::create_dir_all(&live).unwrap();
    fs::create_dir_all(&trial.origin).unwrap();
    first_state(&live);
    let machine = trial.machine();
    let options = ops::PushOptions {
        reason: b2_backup::format::Reason::Manual,
        wait: std::time::Duration::ZERO,
        new_bucket: false,
        accept_missing: vec![],
    };
    let pushed = ops::push(&session(&machine).await, options).await.unwrap();
    second_state(&live);
    trial.keep_as_origin();
    let old = state(&live);
    trial.reset();
    let snapshot = pushed.snapshot.unwrap();
    assert!(trial.run(&snapshot, 0).is_some());
    // What a rollback that nothing disturbs comes to.
    let new = state(&live);
    assert_eq!(old.rows, ["now", "then then 0000 now 0000"]);
    assert_eq!(new.rows, ["then then 0000", "then then 0000"]);
    let paths: BTreeSet<&Vec<u8>> = old.files.keys().chain(new.files.keys()).collect();
    let regular = |item: &Item| matches!(item.content, Content::File(_));
    let changed = paths.into_iter().filter(|path| {
        let (before, after) = (old.files.get(*path), new.files.get(*path));
        before != after && [before, after].into_iter().flatten().any(regular)
    });
    assert!(changed.count() >= 40);
    (trial, snapshot, old, new)
}

/// Finishes what is open, and tells whether the state is then the old one; if not, it must be the new one.
async fn is_old_after(trial: &Trial, old: &State, new: &State, what: &str) -> bool {
    let machine = trial.machine();
    recover(&machine).await;
    let found = state(&trial.live());
    let expected = if found.rows == old.rows { old } else { new };
    assert_same(&found.files, &expected.files, what);
    assert_eq!(found.rows, expected.rows, "{what}");
    assert_eq!(recover(&machine).await, Outcome::Nothing, "{what}");
    expected.rows == old.rows
}

/// Brings the origin of the trials to the moment at which everything is staged.
fn stage(trial: &Trial, snapshot: &str) -> usize {
    trial.reset();
    let steps = trial.run(snapshot, 0).unwrap();
    let staged = |at: usize| {
        trial.reset();
        trial.run(snapshot, at);
        let folders = fs::read_dir(trial.live().join("b2-backup/restore"));
        folders.is_ok_and(|mut folders| {
            folders.any(|folder| folder.unwrap().path().join("phase").exists())
        })
    };
    let (mut before, mut after) = (0, steps);
    while after - before > 1 {
        let middle = before.midpoint(after);
        if staged(middle) { after = middle } else { before = middle }
    }
    // A snapshot that is made in several threads does not take the same number of steps each time.
    while !staged(after) {
        after += 1;
        assert!(after < 2 * steps, "never staged");
    }
    trial.keep_as_origin();
    after
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_staging() {
    let (trial, snapshot, old, new) = set_up().await;
    trial.reset();
    let (mut at, mut kept) = (0, 0);
    loop {
        at += 1;
        trial.reset();
        let ended = trial.run(&snapshot, at);
        assert_eq!(ended, None, "the end before the journal");
        let old = is_old_after(&trial, &old, &new, &format!("killed at step {at}")).await;
        if !old {
            break;
        }
        kept += 1;
    }
    assert!(kept > 100, "{kept}");
    campaign::report("crash", "rollback, killed while staging", &[("points", kept)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_applying() {
    let (trial, snapshot, old, new) = set_up().await;
    stage(&trial, &snapshot);
    trial.reset();
    let steps = trial.run("recover", 0).unwrap();
    assert!(steps > 200, "{steps}");
    for at in 1..=steps {
        trial.reset();
        assert_eq!(trial.run("recover", at), None, "killed at {at} of {steps}");
        let what = format!("killed at step {at} of {steps}");
        assert!(!is_old_after(&trial, &old, &new, &what).await, "{what}");
    }
    campaign::report("crash", "rollback, killed while applying", &[("points", steps as u64)]);
}

/// An undo is killed at each step, from its safety snapshot to its end.
#[tokio::test(flavor = "multi_thread")]
async fn killed_while_undoing() {
    let (trial, snapshot, _, _) = set_up().await;
    trial.reset();
    trial.run(&snapshot, 0).unwrap();
    trial.keep_as_origin();
    let old = state(&trial.live());
    let last = trial.run("undo", 0).unwrap();
    let new = state(&trial.live());
    assert_eq!(new.rows, ["now", "then then 0000 now 0000"]);
    let (mut tried, mut stayed) = (0, 0);
    for at in points(last, 6) {
        trial.reset();
        if trial.run("undo", at).is_some() {
            assert!(at + 8 > last, "{at} of {last} steps were made");
            continue;
        }
        let what = format!("undo, killed at step {at} of {last}");
        stayed += u64::from(is_old_after(&trial, &old, &new, &what).await);
        tried += 1;
    }
    assert!(stayed > 0 && stayed < tried, "{stayed} of {tried}");
    campaign::report("crash", "undo, killed", &[("points", tried)]);
}

/// An error at each step, from the safety snapshot to the end: the state is the old one or the new one, and where all
/// was said to be well, the new one.
#[tokio::test(flavor = "multi_thread")]
async fn failing() {
    let (trial, snapshot, old, new) = set_up().await;
    trial.reset();
    let last = trial.run(&snapshot, 0).unwrap();
    let (mut tried, mut stayed) = (0, 0);
    for at in points(last, 3) {
        trial.reset();
        let steps = FailAt::new(at);
        let mut machine = trial.machine();
        machine.steps = steps.clone();
        let done = roll_back(&machine, &snapshot).await;
        if steps.seen() < at {
            assert!(at + 8 > last, "{at} of {last} steps were made");
            continue;
        }
        let what = format!("an error at step {at} of {last}: {done:?}");
        let is_old = is_old_after(&trial, &old, &new, &what).await;
        match done {
            Ok(_) => assert!(!is_old, "{what}"),
            Err(error) => {
                let codes = ["B2_DISK_FULL", "B2_IO", "B2_ROLLBACK_OPEN"];
                assert!(codes.contains(&error.code()), "{what}");
            }
        }
        stayed += u64::from(is_old);
        tried += 1;
    }
    assert!(stayed > 0 && stayed < tried, "{stayed} of {tried}");
    campaign::report("crash", "rollback, failing", &[("points", tried)]);
}

/// The recovery is killed at each of its steps, from four places of the rollback.
#[tokio::test(flavor = "multi_thread")]
async fn killed_while_recovering() {
    let (trial, snapshot, old, new) = set_up().await;
    stage(&trial, &snapshot);
    trial.reset();
    let steps = trial.run("recover", 0).unwrap();
    let mut trials = 0;
    for first in [steps / 4, steps / 2, steps * 9 / 10] {
        trial.reset();
        assert_eq!(trial.run("recover", first), None);
        let half = trial.dir.path().join("half");
        trial.keep_at(&half);
        let rest = trial.run("recover", 0).unwrap();
        for at in 1..=rest {
            trial.reset_to(&half);
            assert_eq!(trial.run("recover", at), None);
            let what = format!("killed at step {first}, then at {at} of {rest}");
            assert!(!is_old_after(&trial, &old, &new, &what).await, "{what}");
            trials += 1;
        }
        fs::remove_dir_all(half).unwrap();
    }
    assert!(trials > 150, "{trials}");
    campaign::report("crash", "recovery, killed", &[("points", trials)]);
}

/// What is staged and not in place yet.
fn waiting(trial: &Trial) -> Option<PathBuf> {
    let folders = fs::read_dir(trial.live().join("b2-backup/restore")).unwrap();
    let folder = folders.map(|entry| entry.unwrap().path()).find(|path| path.is_dir())?;
    let staged = fs::read_dir(folder.join("new")).ok()?.map(|file| file.unwrap().path());
    staged.filter(|path| path.extension().is_none()).max()
}

/// Something that is staged is damaged when the process was killed: everything goes back, through any kill.
#[tokio::test(flavor = "multi_thread")]
async fn killed_while_turning_back() {
    let (trial, snapshot, old, new) = set_up().await;
    stage(&trial, &snapshot);
    trial.reset();
    let steps = trial.run("recover", 0).unwrap();
    // The last moment at which anything waits: only the configuration is still to come.
    let last = (0..steps).rev().find(|at| {
        trial.reset();
        trial.run("recover", *at);
        waiting(&trial).is_some()
    });
    let mut trials = 0;
    for first in [steps / 3, last.unwrap()] {
        trial.reset();
        assert_eq!(trial.run("recover", first), None);
        fs::write(waiting(&trial).unwrap(), "damaged").unwrap();
        let half = trial.dir.path().join("half");
        trial.keep_at(&half);
        let back = trial.run("recover", 0).unwrap();
        assert!(is_old_after(&trial, &old, &new, "turned back").await);
        for at in 1..=back {
            trial.reset_to(&half);
            assert_eq!(trial.run("recover", at), None);
            let what = format!("killed at step {first}, then going back at {at} of {back}");
            assert!(is_old_after(&trial, &old, &new, &what).await, "{what}");
            trials += 1;
        }
        fs::remove_dir_all(half).unwrap();
    }
    assert!(trials > 150, "{trials}");
    campaign::report("crash", "turning back, killed", &[("points", trials)]);
}

/// A push finds a rollback that was cut off half way: it finishes it first, or, while OpenClaw runs, refuses.
#[tokio::test(flavor = "multi_thread")]
async fn a_push_never_runs_over_one_that_is_half_done() {
    let (trial, snapshot, _old, new) = set_up().await;
    stage(&trial, &snapshot);
    trial.reset();
    let steps = trial.run("recover", 0).unwrap();
    trial.reset();
    assert_eq!(trial.run("recover", steps / 2), None);
    let machine = trial.machine();
    let half = settled(&trial.live());
    let options = ops::PushOptions {
        reason: b2_backup::format::Reason::Manual,
        wait: std::time::Duration::ZERO,
        new_bucket: false,
        accept_missing: vec![],
    };
    let gateway = crate::support::host::running_gateway(&trial.live());
    let refused = ops::push(&session(&machine).await, options.clone()).await.unwrap_err();
    assert_eq!(refused.code(), "B2_ROLLBACK_OPEN");
    assert!(refused.to_string().contains("restart OpenClaw"), "{refused}");
    assert_eq!(recover(&machine).await, Outcome::Waiting);
    drop(gateway);
    fs::remove_dir_all(trial.live().join("tmp")).unwrap();
    assert_same(&settled(&trial.live()), &half, "untouched");
    let pushed = ops::push(&session(&machine).await, options).await.unwrap();
    assert!(pushed.warnings.iter().any(|text| text.contains("is finished now")), "{pushed:?}");
    assert_eq!(state(&trial.live()), new);
    assert!(pushed.snapshot.is_some());
}
