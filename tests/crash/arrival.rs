//! The process is killed before and after every step of arriving. The next start goes on or begins anew: never is a
//! half of it taken for something of the user's.

use std::fs;
use std::path::{Path, PathBuf};

use b2_backup::ops::{self, AutoRestoreOutcome, Gateway, Outcome};
use b2_backup::store::StoreConfig;

use super::{campaign, in_memory};
use crate::support::host::{agent, integrity, run, shared, value};
use crate::support::killed::{KillAt, ambient, machine_in};
use crate::support::machine::Machine;
use crate::support::plain::{copy_all, write};

/// What a start of the gateway does, and then its stop.
async fn start_and_stop(machine: &Machine) -> (Outcome, AutoRestoreOutcome, Outcome) {
    let recover = || async {
        let done = ops::recover(&machine.settings, &ambient(machine), Gateway::AgentsStopped).await;
        done.unwrap().outcome
    };
    let before = recover().await;
    let session = crate::support::killed::session(machine).await;
    let arrived = ops::auto_restore(&session).await.unwrap().outcome;
    (before, arrived, recover().await)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "is started by other tests, in a process of its own"]
async fn job_that_is_killed() {
    let Some(dir) = std::env::var_os("B2_TEST_DIR").map(PathBuf::from) else { return };
    let steps = KillAt::from_parent();
    let mut machine = machine_in(&dir);
    machine.steps = steps.clone();
    start_and_stop(&machine).await;
    println!("{}", steps.told());
}

fn kill_at(dir: &Path, at: usize) -> Option<usize> {
    crate::support::killed::kill_at("arrival::job_that_is_killed", "arrive", dir, at)
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
    let dir = in_memory();
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
    let session = crate::support::killed::session(&other).await;
    let options = crate::support::machine::push_options(b2_backup::format::Reason::Manual);
    ops::push(&session, options.clone()).await.unwrap();
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
            json5::from_str(&fs::read_to_string(state.join("openclaw.json")).unwrap()).unwrap();
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
            (Outcome::Nothing, AutoRestoreOutcome::Staged, Outcome::Applied) => anew += 1,
            (Outcome::Applied, AutoRestoreOutcome::NotNew, Outcome::Nothing) => gone_on += 1,
            // The very last: it was done.
            (Outcome::Nothing, AutoRestoreOutcome::NotNew, Outcome::Nothing) => {}
            other => panic!("killed at {at} of {steps}: {other:?}"),
        }
        whole();
        let session = crate::support::killed::session(&machine).await;
        let pushed = ops::push(&session, options.clone()).await.unwrap();
        assert!(pushed.snapshot.is_some(), "killed at {at} of {steps}");
    }
    assert!(anew > 50 && gone_on > 50, "{anew} {gone_on}");
    campaign::report("crash", "arrival, killed", &[("points", steps as u64)]);
}
