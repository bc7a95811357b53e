//! `OpenClaw` starts with what comes back, or it does not come back.

use std::fs;

use super::databases::place;
use super::{applied, to};
use crate::support::host::{agent, run, shared, value};
#[cfg(unix)]
use crate::support::plain::write;

/// A host that has opened the file before does not start where a session is not marked as valid, and a receipt for rows that
/// were written over is none. What an older version of this plugin left behind is put right, too.
#[tokio::test(flavor = "multi_thread")]
async fn the_host_starts_with_the_sessions_that_come_back() {
    const RECEIPT: &str =
        "SELECT count(*) || ifnull(max(canonical_ready), '-') FROM session_key_contract";
    for broken in [false, true] {
        let place = place();
        let agent = agent(&place.live, "main");
        run(
            &agent,
            "INSERT INTO session_key_contract VALUES (1, 'main', '[1,\"main\"]', 1);
                     DELETE FROM session_canonical_validation_pending;",
        );
        if broken {
            run(&agent, "UPDATE session_nodes SET entry_json = entry_json || ' ';
                         INSERT INTO session_nodes (session_key, current_session_id, entry_json, updated_at) VALUES ('agent:main:x', 'x', '{\"sessionId\":\"y\",\"updatedAt\":1}', 1);");
        }
        let valid = "SELECT group_concat(entry_valid || session_key) FROM (SELECT * FROM session_nodes ORDER BY session_key)";
        assert_eq!(
            value(&agent, valid),
            if broken { "0agent:main:main,0agent:main:x" } else { "1agent:main:main" }
        );
        let snapshot = place.push().await;
        run(&agent, "UPDATE session_nodes SET label = 'later'");
        applied(&place.roll_back(&to(&snapshot)).await.unwrap());
        assert_eq!(
            value(&agent, "SELECT status FROM session_nodes WHERE session_key = 'agent:main:main'"),
            "done"
        );
        // What is broken stays so: the host says which, and how to mend it.
        assert_eq!(
            value(&agent, valid),
            if broken { "1agent:main:main,0agent:main:x" } else { "1agent:main:main" }
        );
        if !broken {
            assert_eq!(
                value(&agent, "SELECT count(*) FROM session_canonical_validation_pending"),
                "0"
            );
        }
        assert_eq!(value(&agent, RECEIPT), "1-");
    }
}

/// An OpenClaw that does not start cannot take a rollback back, so it is asked before, about copies.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn what_the_host_would_not_start_with_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    const REFUSAL: &str = r#"{ echo '{"ok":false,"error":{"message":"needs repair"}}'; exit 1; }"#;
    let mut place = place();
    write(&place.live, "openclaw.json", "{ // then\n}");
    let program = place.dir.path().join("openclaw");
    place.machine.settings.openclaw = vec![program.to_str().unwrap().to_owned(), "--mark".into()];
    let live = place.live.canonicalize().unwrap();
    let host = |sessions: &str, database: &str| {
        let script = format!(
            "#!/bin/sh\n[ \"$1\" = --mark ] || exit 9\nlive='{}'\ncase \"$2\" in\nsessions) {sessions};;\ndatabase) {database};;\nesac\nexit 0\n",
            live.display()
        );
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    };
    let agent = agent(&place.live, "main");
    let snapshot = place.push().await;
    run(&agent, "UPDATE session_nodes SET label = 'now'");
    run(&shared(&place.live), "DELETE FROM cron_jobs");
    write(&place.live, "openclaw.json", "{ agents: {} }");

    let before = super::settled(&place.live);
    for (sessions, database) in [
        (format!("[ \"$OPENCLAW_STATE_DIR\" = \"$live\" ] || {REFUSAL}"), ":".to_owned()),
        (":".into(), format!("case \"$4\" in */live.sqlite) ;; *) {REFUSAL};; esac")),
    ] {
        host(&sessions, &database);
        let error = place.roll_back(&to(&snapshot)).await.unwrap_err();
        assert_eq!(error.code(), "B2_HOST_REFUSES");
        assert!(error.to_string().contains("needs repair"), "{error}");
        crate::support::plain::assert_same(
            &super::settled(&place.live),
            &before,
            "nothing changed",
        );
        assert_eq!(fs::read_dir(place.live.join("b2-backup/restore")).unwrap().count(), 0);
    }
    // What it says about the present, too, or what it does not know, keeps nobody from rolling back.
    let warnings = |report: &b2_backup::ops::RollbackReport| report.warnings.join("\n");
    host(REFUSAL, ":");
    let report = place.roll_back(&to(&snapshot)).await.unwrap();
    assert!(warnings(&report).contains("the present one, too: needs repair"), "{report:?}");
    applied(&report);
    host("echo usage; exit 1", ":");
    let report = place.undo().await.unwrap();
    assert!(warnings(&report).contains("could not be tried"), "{report:?}");
    applied(&report);
    // It is shown everything as it will be, and that goes away again.
    host(
        &format!(
            "[ -f \"$OPENCLAW_STATE_DIR/state/openclaw.sqlite\" ] && [ -f \"$OPENCLAW_STATE_DIR/agents/main/agent/openclaw-agent.sqlite\" ] \
             && grep -q then \"$OPENCLAW_CONFIG_PATH\" || {REFUSAL}"
        ),
        &format!("[ -f \"$4\" ] && [ ! -e \"$4-wal\" ] || {REFUSAL}"),
    );
    let report = place.roll_back(&to(&snapshot)).await.unwrap();
    assert_eq!(warnings(&report), "");
    applied(&report);
    for folder in fs::read_dir(place.live.join("b2-backup/restore")).unwrap() {
        assert!(!folder.unwrap().path().join("trial").exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_schema_is_refused_with_the_version_that_is_needed() {
    let mut place = place();
    place.machine.settings.host_version = Some("2027.1.1".into());
    let live = shared(&place.live);
    run(&live, "PRAGMA user_version=19");
    let snapshot = place.push().await;
    run(&live, "PRAGMA user_version=18");
    let before = super::settled(&place.live);
    let error = place.roll_back(&to(&snapshot)).await.unwrap_err();
    assert_eq!(error.code(), "B2_HOST_TOO_OLD");
    let text = error.to_string();
    assert!(text.contains("19") && text.contains("18") && text.contains("2027.1.1"), "{text}");
    crate::support::plain::assert_same(&super::settled(&place.live), &before, "nothing changed");
    assert_eq!(fs::read_dir(place.live.join("b2-backup/restore")).unwrap().count(), 0);
    // An older one is brought up to date by the host when it starts.
    run(&live, "PRAGMA user_version=20");
    applied(&place.roll_back(&to(&snapshot)).await.unwrap());
    assert_eq!(value(&live, "PRAGMA user_version"), "19");
}
