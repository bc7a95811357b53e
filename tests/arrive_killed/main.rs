//! The process is killed before and after every step of arriving. The next start goes on or begins anew: never is a
//! half of it taken for something of the user's.
//!
//! A test binary of its own: a process that is being started holds the locks of others for a moment.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers may panic as the tests do"
)]
#![expect(clippy::clone_on_ref_ptr, reason = "a counter becomes a `dyn` one on the way")]

#[path = "../rollback/host.rs"]
mod host;
#[path = "../support/machine.rs"]
mod machine;
#[path = "../support/plain.rs"]
mod plain;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use b2_backup::ambient::Steps;
use b2_backup::ops::{self, ArriveOutcome, Gateway, Outcome};
use b2_backup::store::StoreConfig;
use b2_backup::store::memory::MemoryStore;

use host::{agent, integrity, run, shared, value};
use machine::Machine;
use plain::{copy_all, write};
use tempfile::{tempdir, tempdir_in};

/// Ends the process at a step; counts them otherwise.
#[derive(Debug)]
struct KillAt {
    at: usize,
    seen: AtomicUsize,
}

impl Steps for KillAt {
    fn step(&self, _name: &'static str) {
        if self.seen.fetch_add(1, Ordering::SeqCst) + 1 == self.at {
            std::process::abort();
        }
    }
}

fn machine_in(dir: &Path) -> Machine {
    let mut machine = Machine::new(&dir.join("state"), Arc::new(MemoryStore::default()));
    machine.settings.encrypt = false;
    let bucket = format!("file://{}", dir.join("bucket").display());
    machine.settings.store = StoreConfig { bucket, prefix: "p".into(), ..StoreConfig::default() };
    machine
}

/// An ambient that goes to the folder that the settings name.
fn ambient(machine: &Machine) -> ops::Ambient {
    ops::Ambient { store: None, ..machine.ambient() }
}

/// What a start of the gateway does, and then its stop.
async fn start_and_stop(machine: &Machine) -> (Outcome, ArriveOutcome, Outcome) {
    let recover = || async {
        let done = ops::recover(&machine.settings, &ambient(machine), Gateway::Stands).await;
        done.unwrap().outcome
    };
    let before = recover().await;
    let session = ops::Session::open(machine.settings.clone(), ambient(machine)).await.unwrap();
    let arrived = ops::arrive(&session).await.unwrap().outcome;
    (before, arrived, recover().await)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "is started by other tests, in a process of its own"]
async fn job_that_is_killed() {
    let Some(dir) = std::env::var_os("B2_TEST_DIR").map(PathBuf::from) else { return };
    let at = std::env::var("B2_TEST_AT").unwrap().parse().unwrap();
    let steps = Arc::new(KillAt { at, seen: AtomicUsize::new(0) });
    let mut machine = machine_in(&dir);
    machine.steps = steps.clone();
    start_and_stop(&machine).await;
    println!("steps made: {}", steps.seen.load(Ordering::SeqCst));
}

/// Runs the job in a process that aborts at a step. How many steps it made, where it did not.
fn kill_at(dir: &Path, at: usize) -> Option<usize> {
    let done = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "job_that_is_killed", "--ignored", "--nocapture"])
        .env("B2_TEST_AT", at.to_string())
        .env("B2_TEST_DIR", dir)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    let steps = said.lines().find_map(|line| line.split("steps made: ").nth(1)?.parse().ok());
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(steps.is_some() || done.status.code().is_none(), "{said}{errors}");
    steps
}

/// Small databases of the host's names: each trial copies and checks them.
fn small(state: &Path, job: &str, agents: &[&str]) {
    fs::create_dir_all(state.join("state")).unwrap();
    run(&shared(state), &format!(
        "PRAGMA journal_mode=WAL; CREATE TABLE cron_jobs(store_key TEXT, job_id TEXT, declaration_key TEXT);
         CREATE TABLE workspace_generated_bootstrap_hashes(workspace_key TEXT, filename TEXT, sha256 TEXT);
         CREATE TABLE config_machine_state(state_key TEXT PRIMARY KEY, value_json TEXT); {job}"
    ));
    for id in agents {
        fs::create_dir_all(agent(state, id).parent().unwrap()).unwrap();
        run(
            &agent(state, id),
            "PRAGMA journal_mode=WAL; CREATE TABLE transcript_events(x); INSERT INTO transcript_events VALUES ('said')",
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_anywhere() {
    let memory = Path::new("/dev/shm");
    let dir = if memory.is_dir() { tempdir_in(memory) } else { tempdir() }.unwrap();
    let dir = dir.path();
    let (origin, trial) = (dir.join("origin"), dir.join("t"));
    let used = dir.join("used/state");
    fs::create_dir_all(&origin).unwrap();
    small(&used, "INSERT INTO cron_jobs VALUES ('x', 'mine', NULL)", &["main", "work"]);
    write(&used, "openclaw.json", "{ agents: { then: 1 } }");
    for number in 0..4 {
        write(&used, &format!("workspace/{number}.md"), format!("file {number}"));
    }
    let mut other = machine_in(&dir.join("used"));
    let bucket = format!("file://{}", origin.join("bucket").display());
    other.settings.store = StoreConfig { bucket, prefix: "p".into(), ..StoreConfig::default() };
    let session = ops::Session::open(other.settings.clone(), ambient(&other)).await.unwrap();
    let options = machine::push_options(b2_backup::format::Reason::Manual);
    ops::push(&session, options).await.unwrap();
    let blank = origin.join("state");
    small(&blank, "INSERT INTO config_machine_state VALUES ('plugins.installedIndex', 'new')", &[]);
    write(&blank, "openclaw.json", "{ gateway: { port: 2 } }");
    write(&blank, "workspace/BOOTSTRAP.md", "introduce yourself");
    let reset = || {
        if trial.exists() {
            fs::remove_dir_all(&trial).unwrap();
        }
        copy_all(&origin, &trial);
    };
    reset();
    let steps = kill_at(&trial, 0).unwrap();
    assert!(steps > 150, "{steps}");
    let state = trial.join("state");
    let whole = || {
        assert_eq!(value(&shared(&state), "SELECT job_id FROM cron_jobs"), "mine");
        let index = "SELECT value_json FROM config_machine_state";
        assert_eq!(value(&shared(&state), index), "new");
        for id in ["main", "work"] {
            assert_eq!(value(&agent(&state, id), "SELECT x FROM transcript_events"), "said");
            assert_eq!(integrity(&agent(&state, id)), "ok");
        }
        assert_eq!(fs::read_to_string(state.join("workspace/3.md")).unwrap(), "file 3");
        assert!(!state.join("workspace/BOOTSTRAP.md").exists());
        let config: serde_json::Value =
            serde_json::from_slice(&fs::read(state.join("openclaw.json")).unwrap()).unwrap();
        let expected = serde_json::json!({ "agents": { "then": 1 }, "gateway": { "port": 2 } });
        assert_eq!(config, expected);
    };
    whole();
    let (mut anew, mut gone_on) = (0, 0);
    for at in 1..=steps {
        reset();
        assert_eq!(kill_at(&trial, at), None, "killed at {at} of {steps}");
        let machine = machine_in(&trial);
        match start_and_stop(&machine).await {
            (Outcome::Nothing, ArriveOutcome::Staged, Outcome::Applied) => anew += 1,
            (Outcome::Applied, ArriveOutcome::NotNew, Outcome::Nothing) => gone_on += 1,
            // The very last: it was done.
            (Outcome::Nothing, ArriveOutcome::NotNew, Outcome::Nothing) => {}
            other => panic!("killed at {at} of {steps}: {other:?}"),
        }
        whole();
        let session =
            ops::Session::open(machine.settings.clone(), ambient(&machine)).await.unwrap();
        let pushed = ops::push(&session, options).await.unwrap();
        assert!(pushed.snapshot.is_some(), "killed at {at} of {steps}");
    }
    assert!(anew > 50 && gone_on > 50, "{anew} {gone_on}");
}
