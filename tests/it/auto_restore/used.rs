//! Nothing comes where something of a user's is.

use std::fs;
use std::path::Path;

use b2_backup::ops::{AutoRestoreOutcome, Outcome};

use super::{Two, arrive, arrived, read, recover};
use crate::support::host::{agent, agent_database, run, shared};
use crate::support::plain::{assert_same, settled, write};

type Use = (&'static str, fn(&Path), &'static str);

const USES: &[Use] = &[
    (
        "a conversation",
        |state| agent_database(state, "main"),
        "agents/main/agent/openclaw-agent.sqlite",
    ),
    (
        "a table of a newer host",
        |state| {
            empty_agent(state);
            run(&agent(state, "main"), "CREATE TABLE diary(x); INSERT INTO diary VALUES (1)");
        },
        "agents/main/agent/openclaw-agent.sqlite",
    ),
    (
        "a transcript of an older host",
        |state| write(state, "agents/main/sessions/one.jsonl", "{}\n"),
        "agents/main/sessions/one.jsonl",
    ),
    ("memory", |state| write(state, "workspace/MEMORY.md", "mine"), "workspace/MEMORY.md"),
    (
        "memory of an older host",
        |state| write(state, "memory/main.sqlite", "x"),
        "memory/main.sqlite",
    ),
    (
        "a file of the host that was changed",
        |state| write(state, "workspace/AGENTS.md", "host's rules, and mine"),
        "workspace/AGENTS.md",
    ),
    ("another workspace", |state| write(state, "workspace-x/a.md", "x"), "workspace-x/a.md"),
    (
        "a commit",
        |state| write(state, "workspace/.git/objects/12/34", "object"),
        "workspace/.git/HEAD",
    ),
    (
        "a job",
        |state| {
            run(&shared(state), "UPDATE cron_jobs SET declaration_key = NULL");
        },
        "state/openclaw.sqlite",
    ),
    #[cfg(unix)]
    (
        "a job in a database that a link leads to",
        |state| {
            run(&shared(state), "UPDATE cron_jobs SET declaration_key = NULL");
            let elsewhere = state.with_file_name("elsewhere");
            fs::rename(state.join("state"), &elsewhere).unwrap();
            std::os::unix::fs::symlink(elsewhere, state.join("state")).unwrap();
        },
        "state/openclaw.sqlite",
    ),
    (
        "a file with the name of a log",
        |state| write(state, "workspace/trip-journal", "a diary"),
        "workspace/trip-journal",
    ),
];

/// An agent's database without a word in it.
fn empty_agent(state: &Path) {
    agent_database(state, "main");
    let list = "SELECT group_concat('DELETE FROM ' || name, ';') FROM sqlite_schema WHERE type = 'table' AND rootpage > 0
        AND name NOT GLOB '*_fts_*' AND name NOT GLOB 'sqlite_*' AND name <> 'schema_meta'";
    let path = agent(state, "main");
    let sql = crate::support::host::value(&path, list);
    run(&path, &format!("PRAGMA foreign_keys=OFF; {sql}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_it_is() {
    for (what, make, path) in USES {
        let two = Two::new();
        two.old.push().await.unwrap();
        two.store.clear_calls();
        let here = two.here();
        make(&here);
        let before = settled(&here);
        let report = arrive(&two.new).await.unwrap();
        assert_eq!(
            (report.outcome, report.used.as_deref()),
            (AutoRestoreOutcome::Used, Some(*path)),
            "{what}"
        );
        assert_eq!((report.requests, two.store.calls().len()), (0, 0), "{what}");
        assert_same(&settled(&here), &before, what);
        // Backups go on as they would without any of this.
        assert!(two.new.push().await.unwrap().snapshot.is_some(), "{what}");
        assert_eq!(arrive(&two.new).await.unwrap().outcome, AutoRestoreOutcome::NotNew);
    }
}

/// Logins, and an agent that nobody spoke to, are no content. They stay.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_no_content() {
    let two = Two::new();
    two.old.push().await.unwrap();
    let here = two.here();
    empty_agent(&here);
    run(&agent(&here, "main"), "INSERT INTO auth_profile_store VALUES ('primary', '\"mine\"', 1)");
    write(&here, "agents/main/sessions/sessions.json", "{}");
    write(&here, "credentials/oauth.json", "mine");
    write(&here, "skills/mine/SKILL.md", "my own");
    arrived(&two.new).await;
    assert_ne!(super::said(&here, "main"), "0");
    let store = "SELECT store_json FROM auth_profile_store";
    assert_eq!(crate::support::host::value(&agent(&here, "main"), store), "\"mine\"");
    assert_eq!(read(&here, "credentials/oauth.json"), "mine");
    // Nothing but what the host made is ever replaced.
    assert_eq!(read(&here, "skills/mine/SKILL.md"), "my own");
    assert_eq!(read(&here, "workspace/MEMORY.md"), "remember the milk");
}

/// Somebody begins to work between staging and the moment at which it would be carried out.
#[tokio::test(flavor = "multi_thread")]
async fn used_meanwhile() {
    for (what, make, path) in USES {
        let two = Two::new();
        two.old.push().await.unwrap();
        let here = two.here();
        assert_eq!(arrive(&two.new).await.unwrap().outcome, AutoRestoreOutcome::Staged);
        make(&here);
        let before = settled(&here);
        let report = recover(&two.new).await;
        assert_eq!(report.outcome, Outcome::GivenUp, "{what}");
        assert!(report.problem.unwrap().contains(path), "{what}");
        assert!(report.arrival.is_some(), "{what}");
        assert_same(&settled(&here), &before, what);
        assert_eq!(recover(&two.new).await.outcome, Outcome::Nothing, "{what}");
        assert_eq!(arrive(&two.new).await.unwrap().outcome, AutoRestoreOutcome::Used, "{what}");
        assert!(two.new.push().await.unwrap().snapshot.is_some(), "{what}");
    }
}

/// The restart does not come, and somebody begins to work: the next push must not wait for it.
#[tokio::test(flavor = "multi_thread")]
async fn used_before_a_restart_that_does_not_come() {
    let two = Two::new();
    let snapshot = two.old.push().await.unwrap().snapshot;
    assert_eq!(arrive(&two.new).await.unwrap().outcome, AutoRestoreOutcome::Staged);
    assert_eq!(arrive(&two.new).await.unwrap().outcome, AutoRestoreOutcome::Waiting);
    write(&two.here(), "workspace/MEMORY.md", "mine");
    let report = arrive(&two.new).await.unwrap();
    assert_eq!((report.outcome, report.snapshot), (AutoRestoreOutcome::Used, snapshot));
    assert_eq!(recover(&two.new).await.outcome, Outcome::Nothing);
    assert!(two.new.push().await.unwrap().snapshot.is_some());
    assert_eq!(read(&two.here(), "workspace/MEMORY.md"), "mine");
}

/// What was tried and put back is not tried again and again.
#[tokio::test(flavor = "multi_thread")]
async fn put_back_once() {
    let two = Two::new();
    two.old.push().await.unwrap();
    let here = two.here();
    assert_eq!(arrive(&two.new).await.unwrap().outcome, AutoRestoreOutcome::Staged);
    let before = settled(&here);
    let restore = here.join("b2-backup/restore");
    let folder = fs::read_dir(&restore).unwrap().next().unwrap().unwrap().path();
    let staged = fs::read_dir(folder.join("new")).unwrap().map(|file| file.unwrap().path());
    let largest = staged.max_by_key(|path| path.metadata().unwrap().len()).unwrap();
    fs::write(largest, "damaged").unwrap();
    assert_eq!(recover(&two.new).await.outcome, Outcome::RolledBack);
    assert_same(&settled(&here), &before, "put back");
    assert_eq!(arrive(&two.new).await.unwrap().outcome, AutoRestoreOutcome::Failed);
    assert!(two.new.push().await.unwrap().snapshot.is_some());
    assert_eq!(arrive(&two.new).await.unwrap().outcome, AutoRestoreOutcome::NotNew);
}
