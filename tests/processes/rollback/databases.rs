//! What must not travel back in time, on databases of the real host.

use std::fs;
use std::path::Path;

use b2_backup::ops::{Action, Gateway, Outcome};
use rusqlite::Connection;

use super::{Place, applied, count, exactly, lines, to};
use crate::support::host::{
    agent, agent_database, databases, integrity, run, run_into_log, running_gateway, shared, value,
};
use crate::support::plain::write;
use crate::support::system::id_of;

pub(super) fn place() -> Place {
    let place = Place::new();
    databases(&place.live);
    write(&place.live, "openclaw.json", "{}");
    write(&place.live, "workspace/MEMORY.md", "then");
    place
}

/// What was said before the snapshot is there again, what was said after it is not, and the file is the same one:
/// connections that others have to it stay valid.
#[tokio::test(flavor = "multi_thread")]
async fn conversations_come_back_into_the_same_file() {
    let place = place();
    let said = "SELECT group_concat(json_extract(event_json, '$.type') || seq, ' ') FROM transcript_events";
    let database = agent(&place.live, "main");
    let then = value(&database, said);
    assert!(then.contains("message5"), "{then}");
    let snapshot = place.push().await;
    run_into_log(
        &database,
        "DELETE FROM transcript_events WHERE seq > 3;
         INSERT INTO transcript_events (session_id, seq, event_json, created_at) SELECT session_id, 99, '{\"type\":\"late\"}', 5 FROM transcript_events LIMIT 1;",
    );
    write(&place.live, "workspace/MEMORY.md", "now");
    let file = || id_of(&fs::metadata(&database).unwrap());
    let same = file();
    let other = Connection::open_with_flags(&database, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY);
    drop(other);
    let plan = place.plan(&to(&snapshot)).await.unwrap();
    assert_eq!(
        lines(&plan),
        ["replace agents/main/agent/openclaw-agent.sqlite", "replace workspace/MEMORY.md"]
    );
    assert!(plan.entries[0].database && !plan.needs_restart);
    let report = place.roll_back(&to(&snapshot)).await.unwrap();
    applied(&report);
    assert_eq!(value(&database, said), then);
    assert_eq!(file(), same);
    assert_eq!(integrity(&database), "ok");
    assert_eq!(value(&database, "PRAGMA journal_mode"), "wal");
    // And back again.
    applied(&place.undo().await.unwrap());
    assert!(value(&database, said).contains("late99"));
    assert_eq!(integrity(&database), "ok");
}

/// Logins and keys of the live state stay; those of the snapshot are in no copy of it.
#[tokio::test(flavor = "multi_thread")]
async fn secrets_stay_with_the_machine() {
    for include_secrets in [false, true] {
        let mut place = place();
        if include_secrets {
            place.machine.settings.encrypt = true;
            place.machine.settings.include_secrets = true;
        }
        let (shared, agent) = (shared(&place.live), agent(&place.live, "main"));
        let login = |word: &str| {
            run(&shared, &format!(
                "INSERT OR REPLACE INTO device_auth_tokens VALUES ('d', 'operator', 'tok-{word}', '[]', 1);
                 INSERT OR REPLACE INTO secret_store_entries (scope_kind, scope_id, name, value, kind, created_at_ms, updated_at_ms)
                   VALUES ('team', '', 'KEY', 'sec-{word}', 'secret', 1, 1);
                 INSERT OR REPLACE INTO config_machine_state VALUES ('authProfiles.main', '\"auth-{word}\"', 1), ('webPush.vapidKeys', '\"vapid-{word}\"', 1),
                   ('plugins.installedIndex', '{{\"index\":\"{word}\"}}', 1), ('ui.theme', '\"{word}\"', 1);"
            ));
            run(&agent, &format!(
                "INSERT OR REPLACE INTO auth_profile_store VALUES ('primary', '{{\"t\":\"{word}\"}}', 1);
                 INSERT OR REPLACE INTO session_suggestions (id, session_key, author_id, text, created_at, state)
                   SELECT 's-{word}', session_key, 'a', '{word}', 1, 'pending' FROM session_nodes;"
            ));
            write(&place.live, "credentials/oauth.json", word);
        };
        login("then");
        let snapshot = place.push().await;
        login("now");
        // Only one of the two sessions that were suggested for is in the snapshot.
        run(&agent, "INSERT INTO session_nodes (session_key, current_session_id, entry_json, updated_at) VALUES ('agent:main:new', 'x', '{}', 1);
            INSERT INTO session_suggestions (id, session_key, author_id, text, created_at, state) VALUES ('orphan', 'agent:main:new', 'a', 't', 1, 'pending');");
        write(&place.live, "credentials/new.json", "later");
        let plan = place.plan(&exactly(&snapshot)).await.unwrap();
        assert!(plan.entries.iter().all(|entry| !entry.path.starts_with("credentials") || entry.action == Action::Keep));
        applied(&place.roll_back(&exactly(&snapshot)).await.unwrap());
        let kept = [
            (&shared, "SELECT token FROM device_auth_tokens", "tok-now"),
            (&shared, "SELECT value FROM secret_store_entries", "sec-now"),
            (
                &shared,
                "SELECT value_json FROM config_machine_state WHERE state_key = 'authProfiles.main'",
                "\"auth-now\"",
            ),
            (
                &shared,
                "SELECT value_json FROM config_machine_state WHERE state_key = 'webPush.vapidKeys'",
                "\"vapid-now\"",
            ),
            (
                &shared,
                "SELECT value_json FROM config_machine_state WHERE state_key = 'plugins.installedIndex'",
                "{\"index\":\"now\"}",
            ),
            (&agent, "SELECT store_json FROM auth_profile_store", "{\"t\":\"now\"}"),
            (
                &agent,
                "SELECT group_concat(id) FROM session_suggestions WHERE id = 'orphan'",
                "NULL",
            ),
            (&agent, "SELECT count(*) FROM pragma_foreign_key_check", "0"),
            // Everything else is what it was.
            (
                &shared,
                "SELECT value_json FROM config_machine_state WHERE state_key = 'ui.theme'",
                "\"then\"",
            ),
            (&agent, "SELECT count(*) FROM session_nodes", "1"),
        ];
        for (database, sql, expected) in kept {
            assert_eq!(value(database, sql), expected, "{sql} (include_secrets {include_secrets})");
        }
        for database in [&shared, &agent] {
            assert_eq!(integrity(database), "ok");
        }
        assert_eq!(fs::read_to_string(place.live.join("credentials/oauth.json")).unwrap(), "now");
        assert!(place.live.join("credentials/new.json").exists());
    }
}

/// Nothing is sent twice, no process holds a lease that it does not know of, and no turn goes on by itself.
#[tokio::test(flavor = "multi_thread")]
async fn queues_leases_and_running_turns() {
    let place = place();
    let (shared, agent) = (shared(&place.live), agent(&place.live, "main"));
    run(
        &shared,
        "INSERT INTO delivery_queue_entries (queue_name, id, status, entry_json, enqueued_at, updated_at) VALUES ('q', '1', 'pending', '{}', 1, 1);
         INSERT INTO task_runs (task_id, runtime, owner_key, scope_kind, task, status, delivery_status, notify_policy, created_at, started_at)
         VALUES ('b2-running', 'cli', 'k', 'session', 't', 'running', 'pending', 'silent', 1, 2),
                ('b2-queued', 'cli', 'k', 'session', 't', 'queued', 'pending', 'silent', 1, NULL),
                ('b2-done', 'cli', 'k', 'session', 't', 'succeeded', 'pending', 'silent', 1, 2);",
    );
    // Captured from a real gateway in the middle of a turn: this is what the host looks at when it starts.
    assert_eq!(
        value(&agent, "SELECT status || json_extract(entry_json, '$.status') FROM session_nodes"),
        "runningrunning"
    );
    assert_ne!(value(&shared, "SELECT count(*) FROM state_leases"), "0");
    assert_ne!(value(&shared, "SELECT count(*) FROM agent_database_leases"), "0");
    let boot = |id: &str| {
        run(
            &shared,
            &format!(
                "DELETE FROM gateway_boot_lifecycle; INSERT INTO gateway_boot_lifecycle (boot_id, pid, started_at_ms) VALUES ('{id}', 1, 1);"
            ),
        );
    };
    boot("then");
    run(
        &shared,
        "INSERT INTO gateway_restart_intent VALUES ('i', 'restart', 1, 1, NULL, NULL, NULL, 1)",
    );
    let snapshot = place.push().await;
    boot("now");
    run(&shared, "DELETE FROM cron_jobs; DELETE FROM gateway_restart_intent;");
    run(&agent, "DELETE FROM session_nodes");
    applied(&place.roll_back(&to(&snapshot)).await.unwrap());
    // Of a start that never ended the host takes it that it crashed.
    assert_eq!(value(&shared, "SELECT group_concat(boot_id) FROM gateway_boot_lifecycle"), "now");
    assert_eq!(value(&shared, "SELECT count(*) FROM gateway_restart_intent"), "0");
    for table in ["delivery_queue_entries", "state_leases", "agent_database_leases"] {
        assert_eq!(value(&shared, &format!("SELECT count(*) FROM {table}")), "0", "{table}");
    }
    assert_eq!(value(&shared, "SELECT count(*) FROM cron_jobs"), "2");
    // A task that seems to run is work that the host waits for before it restarts.
    assert_eq!(
        value(
            &shared,
            "SELECT group_concat(status || ended_at) FROM (SELECT status, coalesce(ended_at, '') AS ended_at
             FROM task_runs WHERE task_id LIKE 'b2-%' ORDER BY task_id)"
        ),
        "succeeded,lost1,lost2"
    );
    assert_eq!(
        value(&agent, "SELECT status || json_extract(entry_json, '$.status') FROM session_nodes"),
        "donedone"
    );
    assert_eq!((integrity(&shared), integrity(&agent)), ("ok".into(), "ok".into()));
}

/// Another version of the host has fewer columns, and that is no reason not to roll back.
#[tokio::test(flavor = "multi_thread")]
async fn databases_of_other_hosts() {
    for (column, was, is) in [
        ("entry_json", "{\"status\":\"running\"}", "{\"status\":\"done\"}"),
        ("status", "running", "done"),
        ("title", "running", "running"),
    ] {
        let place = Place::new();
        write(&place.live, "openclaw.json", "{}");
        let (shared, agent) = (shared(&place.live), agent(&place.live, "main"));
        for path in [&shared, &agent] {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
        }
        let nodes = format!(
            "CREATE TABLE session_nodes ({column} TEXT); INSERT INTO session_nodes VALUES ('{was}');"
        );
        run(&agent, &nodes);
        run(
            &shared,
            "CREATE TABLE task_runs (task_id TEXT, status TEXT, ended_at INTEGER, started_at INTEGER);
             INSERT INTO task_runs VALUES ('a', 'running', NULL, 7), ('b', 'queued', NULL, NULL), ('c', 'succeeded', NULL, 7);",
        );
        let snapshot = place.push().await;
        run(&agent, "DELETE FROM session_nodes");
        run(&shared, "DELETE FROM task_runs");
        applied(&place.roll_back(&to(&snapshot)).await.unwrap());
        assert_eq!(value(&agent, &format!("SELECT {column} FROM session_nodes")), is);
        let tasks =
            "SELECT group_concat(task_id || status || coalesce(ended_at, '')) FROM task_runs";
        assert_eq!(value(&shared, tasks), "alost7,blost,csucceeded");
    }
}

/// On a machine whose state directory is elsewhere the host looks rows up by other paths.
#[tokio::test(flavor = "multi_thread")]
async fn paths_follow_the_state_directory() {
    let place = place();
    let key =
        |path: &Path| hex::encode(b2_backup::crypto::sha256(path.to_str().unwrap().as_bytes()));
    let old = place.live.canonicalize().unwrap();
    let workspace = old.join("workspace");
    run(&shared(&place.live), &format!(
        "INSERT INTO workspace_setup_state (workspace_key, workspace_path, version) VALUES ('{0}', '{1}', 1), ('other', '/elsewhere', 1);
         INSERT INTO workspace_generated_bootstrap_hashes VALUES ('{0}', 'SOUL.md', 'abc');
         INSERT INTO workspace_path_aliases VALUES ('{0}', '{1}', '{0}', '{1}', 1), ('x', '{2}-beside/w', 'x', '{2}-beside/w', 1);",
        key(&workspace), workspace.display(), old.display()
    ));
    let snapshot = place.push().await;
    let moved = place.dir.path().join("moved");
    fs::create_dir_all(&moved).unwrap();
    let other = Place { live: moved.clone(), machine: place.machine.blank(moved.clone()), ..place };
    // It has been set up: the host made its own shared database.
    databases(&moved);
    run(&shared(&moved), "DELETE FROM cron_jobs");
    applied(&other.roll_back(&to(&snapshot)).await.unwrap());
    let (database, new) = (shared(&moved), moved.canonicalize().unwrap());
    let jobs = format!(
        "SELECT count(*) FROM cron_jobs WHERE store_key = '{}/cron/jobs.json'",
        new.display()
    );
    assert_eq!(value(&database, &jobs), "2");
    assert_eq!(value(&database, "SELECT count(DISTINCT store_key) FROM cron_jobs"), "1");
    let workspace = new.join("workspace");
    for (sql, expected) in [
        (
            "SELECT workspace_path FROM workspace_setup_state WHERE workspace_path <> '/elsewhere'",
            workspace.display().to_string(),
        ),
        (
            "SELECT workspace_key FROM workspace_setup_state WHERE workspace_path <> '/elsewhere'",
            key(&workspace),
        ),
        ("SELECT workspace_key FROM workspace_generated_bootstrap_hashes", key(&workspace)),
        (
            "SELECT alias_key || alias_path FROM workspace_path_aliases WHERE alias_key <> 'x'",
            key(&workspace) + workspace.to_str().unwrap(),
        ),
        (
            "SELECT workspace_key FROM workspace_setup_state WHERE workspace_path = '/elsewhere'",
            "other".into(),
        ),
        (
            "SELECT alias_path FROM workspace_path_aliases WHERE alias_key = 'x'",
            format!("{}-beside/w", old.display()),
        ),
        ("SELECT count(*) FROM pragma_foreign_key_check", "0".into()),
        ("PRAGMA integrity_check", "ok".into()),
    ] {
        assert_eq!(value(&database, sql), expected, "{sql}");
    }
}

/// This plugin, and how the gateway is reached, survive whatever the snapshot says.
#[tokio::test(flavor = "multi_thread")]
async fn our_own_entry_and_the_gateways_address_stay() {
    let place = place();
    let config = place.live.join("openclaw.json");
    let old = r#"{ "gateway": { "port": 1, "auth": { "token": "old" } }, "agents": { "x": 1 }, "plugins": { "allow": ["y"] } }"#;
    fs::write(&config, old).unwrap();
    let snapshot = place.push().await;
    let new = r#"{ "gateway": { "port": 2, "auth": { "token": "new" } }, "plugins": { "entries": { "b2-backup": { "enabled": true } } } }"#;
    fs::write(&config, new).unwrap();
    let plan = place.plan(&to(&snapshot)).await.unwrap();
    assert!(plan.touches.configuration);
    let read = || serde_json::from_slice::<serde_json::Value>(&fs::read(&config).unwrap()).unwrap();
    let expected = serde_json::json!({ "gateway": { "port": 2, "auth": { "token": "new" } }, "agents": { "x": 1 },
        "plugins": { "allow": ["y", "b2-backup"], "entries": { "b2-backup": { "enabled": true } } } });
    applied(&place.roll_back(&to(&snapshot)).await.unwrap());
    assert_eq!(read(), expected);
    applied(&place.undo().await.unwrap());
    assert_eq!(fs::read_to_string(&config).unwrap(), new);
    // A broken one is no live configuration; the host's last good copy is.
    fs::write(place.live.join("openclaw.json.last-good"), new).unwrap();
    fs::write(&config, "{ broken").unwrap();
    applied(&place.roll_back(&to(&snapshot)).await.unwrap());
    assert_eq!(read(), expected);
    applied(&place.undo().await.unwrap());
    assert_eq!(fs::read_to_string(&config).unwrap(), "{ broken");
}

/// Where nothing of the configuration is another one in the end, nothing of it came late either.
#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_stays_as_it_is_is_not_late() {
    let place = place();
    fs::write(place.live.join("openclaw.json"), r#"{ "gateway": { "port": 1 } }"#).unwrap();
    let snapshot = place.push().await;
    let now = r#"{ "gateway": { "port": 2 } }"#;
    fs::write(place.live.join("openclaw.json"), now).unwrap();
    applied(&place.roll_back(&to(&snapshot)).await.unwrap());
    assert_eq!(fs::read_to_string(place.live.join("openclaw.json")).unwrap(), now);
}

/// With OpenClaw running everything waits until it stops; pushes go on meanwhile and say so.
#[tokio::test(flavor = "multi_thread")]
async fn it_waits_for_a_running_gateway() {
    let place = place();
    let snapshot = place.push().await;
    run(&shared(&place.live), "DELETE FROM cron_jobs");
    write(&place.live, "workspace/MEMORY.md", "now");
    let jobs = || value(&shared(&place.live), "SELECT count(*) FROM cron_jobs");
    let gateway = running_gateway(&place.live);
    assert!(place.plan(&to(&snapshot)).await.unwrap().needs_restart);
    let report = place.roll_back(&to(&snapshot)).await.unwrap();
    assert_eq!((report.outcome, jobs()), (Outcome::Waiting, "0".into()));
    assert_eq!(fs::read_to_string(place.live.join("workspace/MEMORY.md")).unwrap(), "now");
    let other = place.roll_back(&to(&snapshot)).await.unwrap_err();
    assert_eq!(other.code(), "B2_ROLLBACK_OPEN");
    assert_eq!(place.recover(Gateway::MustBeStopped).await.unwrap().outcome, Outcome::Waiting);
    // The agent goes on working.
    write(&place.live, "workspace/MEMORY.md", "worked on");
    run(&shared(&place.live), "INSERT INTO config_machine_state VALUES ('late', '1', 1)");
    let pushed = place.machine.push().await.unwrap();
    assert!(pushed.snapshot.is_some());
    assert!(
        pushed.warnings.iter().any(|warning| warning.contains("waits for OpenClaw")),
        "{pushed:?}"
    );
    // Its stop hook.
    // Another process at work is waited for, not passed over.
    let held = b2_backup::local::Local::at(&place.live).lock().unwrap();
    assert_eq!(place.recover(Gateway::AgentsStopped).await.unwrap_err().code(), "B2_LOCKED");
    drop(held);
    let done = place.recover(Gateway::AgentsStopped).await.unwrap();
    assert_eq!((done.outcome.name(), &done.snapshot), ("applied", &Some(snapshot.clone())));
    assert_eq!((&done.id, &done.safety), (&report.id, &report.safety));
    assert_eq!((done.outcome, jobs()), (Outcome::Applied, "2".into()));
    assert_eq!(done.late, ["workspace/MEMORY.md", "state/openclaw.sqlite"]);
    assert_eq!(fs::read_to_string(place.live.join("workspace/MEMORY.md")).unwrap(), "then");
    let old = place.live.join("b2-backup/restore").join(report.id.unwrap()).join("old");
    let kept: Vec<Vec<u8>> =
        fs::read_dir(&old).unwrap().map(|file| fs::read(file.unwrap().path()).unwrap()).collect();
    assert!(kept.contains(&b"worked on".to_vec()), "what came late is not lost");
    drop(gateway);
    assert_eq!(place.recover(Gateway::MustBeStopped).await.unwrap().outcome, Outcome::Nothing);
    // Files alone need no restart.
    let _gateway = running_gateway(&place.live);
    let files = place.roll_back(&super::only(&snapshot, &["workspace"])).await.unwrap();
    assert_eq!(files.outcome, Outcome::Nothing, "nothing to do");
    write(&place.live, "workspace/MEMORY.md", "again");
    applied(&place.roll_back(&super::only(&snapshot, &["workspace"])).await.unwrap());
}

/// A database that came after the snapshot goes with its logs when nobody has it open, and stays otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn databases_that_come_and_go() {
    let place = place();
    let snapshot = place.push().await;
    agent_database(&place.live, "later");
    let later = agent(&place.live, "later");
    run_into_log(&later, "DELETE FROM transcript_events");
    {
        let _gateway = running_gateway(&place.live);
        let plan = place.plan(&exactly(&snapshot)).await.unwrap();
        assert_eq!(count(&plan), [0, 0, 0, 1], "{:?}", lines(&plan));
    }
    let report = place.roll_back(&exactly(&snapshot)).await.unwrap();
    applied(&report);
    assert!(!place.live.join("agents/later").exists());
    applied(&place.undo().await.unwrap());
    assert_eq!(value(&later, "SELECT count(*) FROM transcript_events"), "0");
    assert_eq!(integrity(&later), "ok");
    // One that is not there is put there, and a log of another must not be played into it.
    fs::remove_file(agent(&place.live, "main")).unwrap();
    fs::write(place.live.join("agents/main/agent/openclaw-agent.sqlite-wal"), "of another")
        .unwrap();
    applied(&place.roll_back(&to(&snapshot)).await.unwrap());
    assert_eq!(integrity(&agent(&place.live, "main")), "ok");
    assert_eq!(value(&agent(&place.live, "main"), "SELECT status FROM session_nodes"), "done");
}

/// A live database that is broken is a reason to roll back, not one that stops it.
#[tokio::test(flavor = "multi_thread")]
async fn a_broken_live_database_is_replaced() {
    for damage in ["header", "middle"] {
        let place = place();
        let snapshot = place.push().await;
        let database = agent(&place.live, "main");
        let mut bytes = fs::read(&database).unwrap();
        let whole = bytes.len();
        if damage == "header" {
            bytes[..16].fill(b'x');
        } else {
            bytes[4096..whole / 2].fill(0x55);
        }
        fs::write(&database, &bytes).unwrap();
        let report = place.roll_back(&to(&snapshot)).await.unwrap();
        assert_eq!(report.outcome, Outcome::Applied);
        assert_eq!(integrity(&database), "ok", "{damage}");
        assert_eq!(value(&database, "SELECT status FROM session_nodes"), "done");
        let old = place.live.join("b2-backup/restore").join(report.id.unwrap()).join("old");
        assert!(fs::read_dir(old).unwrap().count() > 0, "what was there is kept");
    }
}
