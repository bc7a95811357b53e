//! The process is killed before and after every file-system call and every database step of a rollback, and of its
//! recovery. After each the next start ends in exactly the old or exactly the new state.
//!
//! A real process, which aborts: nothing of it is left but what is on disk.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use b2_backup::error::{Error, Result};
use b2_backup::ops::{self, Gateway, Mode, Outcome, RollbackReport, RollbackRequest};
use tempfile::TempDir;

use super::counted::FailAt;
use super::host::{agent, integrity, run, run_into_log, shared, value};
use super::killed::{KillAt, ambient, kill_at, machine_in, session};
use super::machine::Machine;
use super::plain::{Content, Item, Picture, assert_same, copy_all, noise, settled, write};
use super::{campaign, in_memory, points};

/// Files of the rollback, of every kind: 40 of them.
fn first_state(live: &Path) {
    // Small ones, of the host's names: each trial copies and checks them. Several pages, so that writing is cut off
    // in the middle, too.
    for (database, table) in
        [(shared(live), "cron_jobs"), (agent(live, "main"), "transcript_events")]
    {
        fs::create_dir_all(database.parent().unwrap()).unwrap();
        run(&database, &format!(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; CREATE TABLE {table}(x); CREATE TABLE state_leases(x);
             INSERT INTO {table} VALUES ('then'), ('then'), (hex(zeroblob(20000))); INSERT INTO state_leases VALUES (1);"
        ));
    }
    write(live, "openclaw.json", "{ gateway: { port: 1 }, agents: { then: 1 } }");
    for number in 0..12 {
        write(live, &format!("workspace/kept/{number}.md"), format!("then {number}"));
        write(
            live,
            &format!("workspace/gone/{}/{number}.md", number % 3),
            format!("then {number}"),
        );
    }
    write(live, "workspace/large.bin", noise(1, 300_000));
    write(live, "workspace/kind/file", "then a file");
    fs::create_dir_all(live.join("workspace/kind/directory")).unwrap();
    std::os::unix::fs::symlink("then", live.join("workspace/kind/link")).unwrap();
    write(live, "workspace/same.md", "the same");
}

fn second_state(live: &Path) {
    write(
        live,
        "openclaw.json",
        "{ gateway: { port: 2 }, plugins: { entries: { 'b2-backup': {} } } }",
    );
    for number in 0..12 {
        write(live, &format!("workspace/kept/{number}.md"), format!("now {number}, and longer"));
        write(live, &format!("skills/planted/{number}.md"), format!("planted {number}"));
    }
    fs::remove_dir_all(live.join("workspace/gone")).unwrap();
    write(live, "workspace/large.bin", noise(2, 300_000));
    fs::remove_file(live.join("workspace/kind/file")).unwrap();
    write(live, "workspace/kind/file/inside", "a directory now");
    fs::remove_dir(live.join("workspace/kind/directory")).unwrap();
    write(live, "workspace/kind/directory", "a file now");
    fs::remove_file(live.join("workspace/kind/link")).unwrap();
    std::os::unix::fs::symlink("now", live.join("workspace/kind/link")).unwrap();
    run_into_log(&shared(live), "DELETE FROM cron_jobs; INSERT INTO cron_jobs VALUES ('now')");
    let more = "INSERT INTO transcript_events VALUES ('now'), (hex(zeroblob(30000)))";
    run_into_log(&agent(live, "main"), more);
}

/// What a state is: its files, and what the databases say.
#[derive(Debug, PartialEq, Eq)]
struct State {
    files: Picture,
    rows: Vec<String>,
}

fn state(live: &Path) -> State {
    for database in [shared(live), agent(live, "main")] {
        assert_eq!(integrity(&database), "ok");
    }
    let rows = [(shared(live), "cron_jobs"), (agent(live, "main"), "transcript_events")];
    let text = |table: &str| format!("SELECT group_concat(substr(x, 1, 4), ' ') FROM {table}");
    let rows = rows.iter().map(|(database, table)| value(database, &text(table))).collect();
    let mut files = settled(live);
    // Databases are compared by what they say.
    files.retain(|path, _| !path.ends_with(b".sqlite"));
    if let Some(config) = files.get_mut(&b"openclaw.json"[..]) {
        // It is made anew where settings are kept in it.
        config.mtime = (0, 0);
    }
    State { files, rows }
}

/// Places of a trial: the paths in the state are absolute, so each trial is set up at the same place.
struct Trial {
    dir: TempDir,
    /// What the trials start from.
    origin: PathBuf,
}

impl Trial {
    fn live(&self) -> PathBuf {
        self.dir.path().join("t/state")
    }

    /// The state as it was when the origin was made, with its bucket.
    fn reset(&self) {
        self.reset_to(&self.origin);
    }

    fn reset_to(&self, origin: &Path) {
        replace(&self.dir.path().join("t"), origin);
    }

    fn keep_as_origin(&self) {
        self.keep_at(&self.origin);
    }

    fn keep_at(&self, copy: &Path) {
        replace(copy, &self.dir.path().join("t"));
    }

    fn machine(&self) -> Machine {
        machine_in(&self.dir.path().join("t"))
    }

    /// Runs a job in a process of its own that aborts at a step. How many steps it made, where it did not.
    fn run(&self, job: &str, at: usize) -> Option<usize> {
        kill_at("rollback::job_that_is_killed", job, &self.dir.path().join("t"), at)
    }
}

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
        return ops::stage_undo(&session, &plan.hash).await;
    }
    let request = RollbackRequest {
        snapshot: snapshot.into(),
        paths: vec![],
        mode: Mode::Exact,
        partial: false,
        allow_unauthenticated: false,
    };
    let plan = ops::plan_rollback(&session, &request).await?;
    ops::stage_rollback(&session, &request, &plan.hash).await
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

fn replace(directory: &Path, with: &Path) {
    if directory.exists() {
        fs::remove_dir_all(directory).unwrap();
    }
    copy_all(with, directory);
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
    };
    let gateway = super::host::running_gateway(&trial.live());
    let refused = ops::push(&session(&machine).await, options).await.unwrap_err();
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
