//! Everything comes, and what belongs to the machine stays.

use std::fs;

use b2_backup::ops::{self, AutoRestoreOutcome, Mode, Outcome, RollbackRequest};

use super::{Two, arrive, arrived, read, recover, said};
use crate::support::host::{agent, integrity, run, shared, value};
use crate::support::plain::{assert_same, settled, write};

#[tokio::test(flavor = "multi_thread")]
async fn a_new_machine_is_given_everything() {
    let mut two = Two::new();
    two.old.settings.machine_name = Some("anna-laptop".into());
    let (there, here) = (two.there(), two.here());
    run(
        &shared(&there),
        "INSERT OR REPLACE INTO config_machine_state VALUES ('ui.theme', '\"dark\"', 1), ('plugins.installedIndex', '\"old\"', 1);",
    );
    let snapshot = two.old.push().await.unwrap().snapshot.unwrap();
    let before = settled(&here);

    let report = arrive(&two.new).await.unwrap();
    assert_eq!(report.outcome, AutoRestoreOutcome::Staged);
    assert_eq!(report.snapshot.as_ref(), Some(&snapshot));
    let arrival = report.arrival.clone().unwrap();
    assert_eq!(arrival.from, there.canonicalize().unwrap().display().to_string());
    assert_eq!(arrival.machine_name.as_deref(), Some("anna-laptop"));
    assert_eq!(arrival.logins, ["model provider anthropic:default", "channel whatsapp"]);
    assert!(arrival.runs.iter().any(|name| name == "skills/mine"), "{:?}", arrival.runs);
    assert!(arrival.by_itself && !arrival.with_secrets && arrival.files >= 8, "{arrival:?}");
    assert!(report.downloaded_bytes > 0 && report.requests > 0);
    assert_same(&settled(&here), &before, "staging touches nothing");
    // Asked again, it is ready already.
    let again = arrive(&two.new).await.unwrap();
    assert_eq!((again.outcome, again.id), (AutoRestoreOutcome::Waiting, report.id.clone()));

    let applied = recover(&two.new).await;
    assert_eq!(applied.outcome, Outcome::Applied);
    assert_eq!((applied.id, applied.safety), (report.id, None));
    assert_eq!(applied.arrival, Some(arrival));

    // Conversations, of both agents, and jobs under the path that they are looked up by here.
    for id in ["main", "work"] {
        assert_eq!(said(&here, id), said(&there, id));
        assert_eq!(integrity(&agent(&here, id)), "ok");
    }
    let root = here.canonicalize().unwrap();
    let jobs = "SELECT group_concat(job_id) FROM (SELECT job_id FROM cron_jobs ORDER BY job_id)";
    assert_eq!(value(&shared(&here), jobs), value(&shared(&there), jobs));
    let keys = "SELECT group_concat(DISTINCT store_key) FROM cron_jobs";
    assert_eq!(value(&shared(&here), keys), format!("{}/cron/jobs.json", root.display()));
    // What is installed here, and who may come in, is of here; other settings come.
    let setting = |key: &str| {
        let sql = format!("SELECT value_json FROM config_machine_state WHERE state_key = '{key}'");
        value(&shared(&here), &sql)
    };
    assert_eq!(setting("plugins.installedIndex"), "{\"index\":\"new\"}");
    assert_eq!(setting("ui.theme"), "\"dark\"");
    assert_eq!(value(&shared(&here), "SELECT token FROM device_auth_tokens"), "tok-new");
    // Files: the user's rules take the place of the host's, whose introduction goes.
    assert_eq!(read(&here, "workspace/AGENTS.md"), "my rules");
    assert_eq!(read(&here, "workspace/MEMORY.md"), "remember the milk");
    assert_eq!(read(&here, "workspace/.git/HEAD"), "ref: refs/heads/main");
    assert_eq!(read(&here, "workspace/.git/objects/ab/cdef"), "an object");
    assert_eq!(read(&here, "workspace-work/plan.md"), "the plan");
    for gone in ["workspace/BOOTSTRAP.md", "workspace/SOUL.md", "credentials/oauth.json"] {
        assert!(!here.join(gone).exists(), "{gone}");
    }
    assert_eq!(read(&here, "openclaw.json.bak"), "{ before: 1 }");
    let config: serde_json::Value = json5::from_str(&read(&here, "openclaw.json")).unwrap();
    let path = |below: &str| format!("{}/{below}", root.display());
    assert_eq!(config["gateway"], serde_json::json!({ "port": 2, "auth": { "token": "new" } }));
    assert_eq!(config["plugins"]["entries"]["b2-backup"]["config"]["bucket"], "new");
    assert_eq!(config["agents"]["defaults"]["workspace"], path("workspace"));
    assert_eq!(config["agents"]["entries"]["work"]["agentDir"], path("agents/work/agent"));
    let profiles = config["auth"]["profiles"].as_object().unwrap();
    assert_eq!(profiles.keys().collect::<Vec<_>>(), ["anthropic:default", "mock:here"]);

    // It is over, and the machine goes on with the backups that it was given.
    assert_eq!(arrive(&two.new).await.unwrap().outcome, AutoRestoreOutcome::NotNew);
    assert_eq!(recover(&two.new).await.outcome, Outcome::Nothing);
    let undo = ops::plan_undo(&two.new.session().await).await.unwrap_err();
    assert!(undo.to_string().contains("there was nothing before"), "{undo}");
    let pushed = two.new.push().await.unwrap().snapshot.unwrap();
    assert_eq!(pushed.rsplit('-').next(), snapshot.rsplit('-').next());
    assert_eq!(arrive(&two.new).await.unwrap().outcome, AutoRestoreOutcome::NotNew);
    let restored = two.dir.path().join("restored");
    two.new.restore(&pushed, &restored).await.unwrap();
    assert_eq!(read(&restored, "workspace/MEMORY.md"), "remember the milk");
}

/// A snapshot of a machine that had nothing is no reason to begin again and again.
#[tokio::test(flavor = "multi_thread")]
async fn it_happens_once() {
    let two = Two::new();
    let there = two.there();
    fs::remove_dir_all(&there).unwrap();
    fs::create_dir_all(&there).unwrap();
    super::blank_state(&there);
    write(&there, "skills/mine/SKILL.md", "a skill");
    two.old.push().await.unwrap();
    arrived(&two.new).await;
    assert_eq!(read(&two.here(), "skills/mine/SKILL.md"), "a skill");
    assert_eq!(arrive(&two.new).await.unwrap().outcome, AutoRestoreOutcome::NotNew);
}

/// Where secrets are backed up, a new machine gets them; it keeps those that it has.
#[tokio::test(flavor = "multi_thread")]
async fn secrets_come_where_there_are_none() {
    let mut two = Two::new();
    for machine in [&mut two.old, &mut two.new] {
        machine.settings.encrypt = true;
    }
    two.old.settings.include_secrets = true;
    let (there, here) = (two.there(), two.here());
    let login = |state: &std::path::Path, name: &str, word: &str| {
        run(&shared(state), &format!(
            "INSERT OR REPLACE INTO secret_store_entries (scope_kind, scope_id, name, value, kind, created_at_ms, updated_at_ms)
               VALUES ('team', '', 'KEY', 'sec-{word}', 'secret', 1, 1);
             INSERT OR REPLACE INTO config_machine_state VALUES ('authProfiles.{name}', '\"{word}\"', 1), ('plugins.installedIndex', '\"{word}\"', 1);"
        ));
    };
    login(&there, "main", "old");
    login(&there, "both", "old");
    login(&here, "both", "new");
    run(&shared(&here), "DELETE FROM secret_store_entries");
    run(&agent(&there, "main"), "INSERT INTO auth_profile_store VALUES ('primary', '\"old\"', 1)");
    write(&there, "credentials/both.json", "old");
    write(&here, "credentials/both.json", "new");
    two.old.push().await.unwrap();
    let report = arrived(&two.new).await;
    assert!(report.arrival.unwrap().with_secrets);
    assert_eq!(read(&here, "credentials/oauth.json"), "old login");
    assert_eq!(read(&here, "credentials/both.json"), "new");
    let setting = |key: &str| {
        let sql = format!("SELECT value_json FROM config_machine_state WHERE state_key = '{key}'");
        value(&shared(&here), &sql)
    };
    assert_eq!(setting("authProfiles.main"), "\"old\"");
    assert_eq!(setting("authProfiles.both"), "\"new\"");
    assert_eq!(setting("plugins.installedIndex"), "\"new\"");
    assert_eq!(value(&shared(&here), "SELECT value FROM secret_store_entries"), "sec-old");
    assert_eq!(value(&shared(&here), "SELECT token FROM device_auth_tokens"), "tok-new");
    let profile = "SELECT group_concat(store_key) FROM auth_profile_store";
    assert_eq!(value(&agent(&here, "main"), profile), "primary");
}

/// `b2-backup restore latest` on a machine with nothing but a directory, and on one where OpenClaw was set up.
#[tokio::test(flavor = "multi_thread")]
async fn by_hand() {
    let two = Two::new();
    run(
        &shared(&two.there()),
        "INSERT OR REPLACE INTO config_machine_state VALUES ('plugins.installedIndex', '\"old\"', 1);",
    );
    let snapshot = two.old.push().await.unwrap().snapshot.unwrap();
    let request = RollbackRequest {
        snapshot: "latest".into(),
        paths: vec![],
        mode: Mode::Overlay,
        partial: false,
        allow_unauthenticated: false,
    };
    let bare = two.dir.path().join("carol/.openclaw");
    fs::create_dir(two.dir.path().join("carol")).unwrap();
    for (machine, state) in [(two.new.clone(), two.here()), (two.new.blank(bare.clone()), bare)] {
        let session = machine.session().await;
        let plan = ops::plan_rollback(&session, &request).await.unwrap();
        let request = RollbackRequest { snapshot: plan.snapshot.clone(), ..request.clone() };
        let report = ops::roll_back(&session, &request, &plan.hash).await.unwrap();
        assert_eq!((report.outcome, &report.snapshot), (Outcome::Applied, &snapshot));
        assert!(report.arrival.is_some_and(|arrival| !arrival.by_itself));
        assert!(report.safety.is_some());
        assert_eq!(read(&state, "workspace/MEMORY.md"), "remember the milk");
        assert_eq!(said(&state, "work"), said(&two.there(), "work"));
        assert!(!state.join("workspace/BOOTSTRAP.md").exists());
        let root = state.canonicalize().unwrap();
        let config: serde_json::Value = json5::from_str(&read(&state, "openclaw.json")).unwrap();
        let workspace = format!("{}/workspace", root.display());
        assert_eq!(config["agents"]["defaults"]["workspace"], workspace);
        // What is installed on the other machine is not installed here.
        let index = "SELECT count(*) FROM config_machine_state WHERE value_json = '\"old\"'";
        assert_eq!(value(&shared(&state), index), "0");
        assert_eq!(arrive(&machine).await.unwrap().outcome, AutoRestoreOutcome::NotNew);
    }
}
