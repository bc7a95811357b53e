//! Secrets must be nowhere in a redacted copy.

use std::path::{Path, PathBuf};

use b2_backup::source::database::Redact;
use b2_backup::source::sqlite::Captured;
use rusqlite::Connection;

use super::{count, integrity, names, run, wal};

const TOKEN: &str = "tok-5d0c1e7b9f-planted";

fn contains(path: &Path, needle: &str) -> bool {
    let bytes = std::fs::read(path).unwrap();
    bytes.windows(needle.len()).any(|window| window == needle.as_bytes())
}

const SHARED: &[&str] = &[
    "audit_identity_keys",
    "apns_registrations",
    "channel_ingress_events",
    "channel_pairing_requests",
    "clawhub_promotion_claims",
    "config_revision_keys",
    "device_auth_tokens",
    "device_bootstrap_tokens",
    "device_identities",
    "device_pairing_join_codes",
    "device_pairing_paired",
    "gateway_origin_device_tokens",
    "mcp_oauth_pending_authorizations",
    "mcp_oauth_stores",
    "native_hook_relay_bridges",
    "secret_store_entries",
    "web_push_subscriptions",
    "worker_environment_credentials",
];
const AGENT: &[&str] = &["auth_profile_state", "auth_profile_store", "session_suggestions"];

/// A database with the token in every place a secret can be.
fn planted(path: &Path, tables: &[&str]) -> Connection {
    let db = wal(path);
    db.execute_batch(
        "CREATE TABLE keep(id INTEGER PRIMARY KEY, x TEXT); CREATE TABLE log(x);
         CREATE TABLE config_machine_state(state_key TEXT PRIMARY KEY, value_json TEXT NOT NULL, updated_at_ms INT);",
    )
    .unwrap();
    for i in 0..300 {
        db.execute("INSERT INTO keep(x) VALUES (?1)", [format!("kept {i} ").repeat(1 + i % 700)])
            .unwrap();
    }
    for table in tables {
        db.execute_batch(&format!(
            "CREATE TABLE {table}(id TEXT PRIMARY KEY, v TEXT) {};
             CREATE INDEX {table}_v ON {table}(v);
             CREATE TRIGGER {table}_t AFTER DELETE ON {table} BEGIN INSERT INTO log VALUES (old.v); END;",
            if table.len() % 2 == 0 { "WITHOUT ROWID" } else { "" }
        ))
        .unwrap();
        for i in 0..40 {
            let value = format!("{TOKEN} {i}").repeat(1 + i * 10);
            db.execute(&format!("INSERT INTO {table} VALUES (?1, ?2)"), (i.to_string(), value))
                .unwrap();
        }
    }
    let mut setting = db.prepare("INSERT INTO config_machine_state(rowid, state_key, value_json, updated_at_ms) VALUES (?1, ?2, ?3, 5)").unwrap();
    for (rowid, key) in [
        (3, "authProfiles.main"),
        (5, "nodeHost.x"),
        (7, "webPush.vapidKeys"),
        (9, "plugins.installedIndex"),
        (900, "other"),
    ] {
        let value = if rowid < 8 { format!("{TOKEN}{key}") } else { format!("fine {key}") };
        setting.execute((rowid, key, value)).unwrap();
    }
    drop(setting);
    db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    // Old values in the unused part of a page, of a secret row and of one that stays.
    db.execute(
        "UPDATE config_machine_state SET value_json = ?1 WHERE state_key = 'other'",
        [format!("{TOKEN} long old")],
    )
    .unwrap();
    db.execute("UPDATE config_machine_state SET value_json = 'new' WHERE state_key IN ('other', 'nodeHost.x')", []).unwrap();
    // Deleted rows: on the free list, and in pages that other tables use by now.
    db.execute_batch("CREATE TABLE gone(x)").unwrap();
    for i in 0..400 {
        db.execute("INSERT INTO gone VALUES (?1)", [format!("{TOKEN} gone").repeat(1 + i % 400)])
            .unwrap();
    }
    db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE); DELETE FROM gone").unwrap();
    for i in 0..60 {
        db.execute("INSERT INTO keep(x) VALUES (?1)", [format!("late {i} ").repeat(1 + i * 11)])
            .unwrap();
    }
    db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    // And one that is only in the log.
    db.execute(
        &format!("INSERT INTO {} VALUES ('log', ?1)", tables[0]),
        [format!("{TOKEN} in the log")],
    )
    .unwrap();
    db
}

fn check_redacted(dir: &Path, tables: &[&str], redact: Redact) -> (Captured, PathBuf) {
    let source = dir.join("live.sqlite");
    let live = planted(&source, tables);
    let out = dir.join("out");
    std::fs::create_dir(&out).unwrap();
    let plain = dir.join("plain");
    run(&source, &plain, Redact::None, 5000).unwrap();
    assert!(contains(&plain, TOKEN), "the test plants nothing");
    let copy = out.join("copy");
    let captured = run(&source, &copy, redact, 5000).unwrap();
    assert_eq!(names(&out), ["copy"]);
    assert!(!contains(&copy, TOKEN), "the token is still in the copy");
    assert_eq!(std::fs::read(&copy).unwrap()[18..20], [2, 2]);
    assert_eq!(integrity(&copy), "ok");
    let db = Connection::open(&copy).unwrap();
    for table in tables {
        assert_eq!(count(&db, &format!("SELECT count(*) FROM {table}")), 0, "{table}");
    }
    assert_eq!(count(&db, "SELECT count(*) FROM log"), 0, "a trigger ran");
    let all = "SELECT group_concat(id || x, '|') FROM keep";
    let text = |db: &Connection| db.query_row(all, [], |row| row.get::<_, String>(0)).unwrap();
    assert_eq!(text(&db), text(&live));
    (captured, copy)
}

#[test]
fn secrets_of_the_shared_database_are_nowhere_in_the_copy() {
    let dir = tempfile::tempdir().unwrap();
    let (captured, copy) = check_redacted(dir.path(), SHARED, Redact::Shared);
    assert_eq!(captured.removed_rows, 40 * SHARED.len() as u64 + 1 + 3);
    let db = Connection::open(copy).unwrap();
    let rows: Vec<(i64, String, String)> = db
        .prepare("SELECT rowid, state_key, value_json FROM config_machine_state ORDER BY rowid")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let row = |id, key: &str, value: &str| (id, key.to_owned(), value.to_owned());
    assert_eq!(
        rows,
        [row(9, "plugins.installedIndex", "fine plugins.installedIndex"), row(900, "other", "new")]
    );
}

#[test]
fn secrets_of_an_agents_database_are_nowhere_in_the_copy() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path();
    let db_tables = AGENT;
    // The settings table is the shared database's; an agent's has none.
    let live = source.join("live.sqlite");
    drop(planted(&live, db_tables));
    let db = Connection::open(&live).unwrap();
    db.execute_batch("DROP TABLE config_machine_state; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let copy = source.join("copy");
    let captured = run(&live, &copy, Redact::Agent, 5000).unwrap();
    assert_eq!(captured.removed_rows, 121);
    assert!(!contains(&copy, TOKEN));
    assert_eq!(integrity(&copy), "ok");
}

#[test]
fn redaction_leaves_the_other_pages_in_place() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("a.sqlite");
    let db = wal(&source);
    db.execute_batch("CREATE TABLE t(x); CREATE TABLE device_identities(x); INSERT INTO device_identities VALUES ('s')").unwrap();
    for i in 0..3000 {
        db.execute("INSERT INTO t VALUES (?1)", [format!("{i}-").repeat(50)]).unwrap();
    }
    db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let (plain, redacted) = (dir.path().join("plain"), dir.path().join("redacted"));
    run(&source, &plain, Redact::None, 5000).unwrap();
    run(&source, &redacted, Redact::Shared, 5000).unwrap();
    let (a, b) = (std::fs::read(&plain).unwrap(), std::fs::read(&redacted).unwrap());
    let different = a.chunks(4096).zip(b.chunks(4096)).filter(|(x, y)| x != y).count();
    assert!(a.len() == b.len() && different <= 3, "{different} of {}", a.len() / 4096);
}

#[test]
fn a_damaged_database_is_an_error_and_no_panic() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("a.sqlite");
    let db = Connection::open(&source).unwrap();
    db.execute_batch(
        "PRAGMA page_size=512; CREATE TABLE t(x); CREATE INDEX i ON t(x); CREATE TABLE gone(x)",
    )
    .unwrap();
    for i in 0..60 {
        db.execute("INSERT INTO t VALUES (?1)", ["y".repeat(i * 20)]).unwrap();
        db.execute("INSERT INTO gone VALUES (?1)", ["z".repeat(i * 20)]).unwrap();
    }
    db.execute_batch("DROP TABLE gone; DELETE FROM t WHERE rowid % 7 = 0").unwrap();
    drop(db);
    let whole = std::fs::read(&source).unwrap();
    let copy = dir.path().join("copy");
    let (mut random, mut refused) = (7_u64, 0);
    for _ in 0..600 {
        let mut bytes = whole.clone();
        for _ in 0..4 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let at = usize::try_from(random >> 33).unwrap() % bytes.len();
            // Page headers are where it hurts.
            let at = if random & 0x100 == 0 { at } else { at / 512 * 512 + at % 16 };
            bytes[at] = u8::try_from(random >> 25 & 0xff).unwrap();
        }
        std::fs::write(&source, bytes).unwrap();
        match run(&source, &copy, Redact::Shared, 500) {
            Ok(_) => std::fs::remove_file(&copy).unwrap(),
            Err(error) => {
                refused += 1;
                assert!(matches!(error.code(), "B2_DATABASE" | "B2_IO"), "{error}");
                assert!(!copy.exists());
            }
        }
    }
    assert!(refused > 0);
}

#[test]
fn the_host_is_known_by_its_tables_and_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let case = |name: &str, sql: &str| {
        let source = dir.path().join(name);
        Connection::open(&source).unwrap().execute_batch(sql).unwrap();
        let copy = dir.path().join(format!("{name}.copy"));
        let captured = run(&source, &copy, Redact::BySchema, 5000).unwrap();
        (captured.redacted, contains(&copy, TOKEN))
    };
    let rows =
        |table: &str| format!("CREATE TABLE {table}(v); INSERT INTO {table} VALUES ('{TOKEN}');");
    let meta = |role: &str| {
        format!(
            "CREATE TABLE schema_meta(meta_key TEXT, role TEXT); INSERT INTO schema_meta VALUES ('primary', '{role}');"
        )
    };
    let shared = [meta("global"), rows("device_identities")].concat();
    assert_eq!(case("global", &shared), (Redact::Shared, false));
    let agent = [meta("agent"), rows("auth_profile_store")].concat();
    assert_eq!(case("agent", &agent), (Redact::Agent, false));
    let older = [rows("device_auth_tokens"), rows("secret_store_entries")].concat();
    assert_eq!(case("older", &older), (Redact::Shared, false));
    let older = [rows("auth_profile_store"), rows("auth_profile_state")].concat();
    assert_eq!(case("older-agent", &older), (Redact::Agent, false));
    for (name, sql) in [
        ("one-name", rows("device_identities")),
        ("other-meta", [meta("mine"), rows("device_identities")].concat()),
        (
            "view",
            "CREATE VIEW schema_meta AS SELECT 'global' AS role, 1 AS meta_key;".to_owned()
                + &rows("t"),
        ),
    ] {
        assert_eq!(case(name, &sql), (Redact::None, true), "{name}");
    }
}

#[test]
fn what_the_host_takes_out_of_every_backup_is_out() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("live.sqlite");
    let db = wal(&source);
    db.execute_batch(
        "CREATE TABLE plugin_blob_entries(entry_key TEXT, blob BLOB, expires_at INTEGER);
         CREATE TABLE exec_approvals_config(config_key TEXT PRIMARY KEY, raw_json TEXT NOT NULL, has_socket_token INTEGER);",
    )
    .unwrap();
    for i in 0..40_usize {
        let blob = format!("{TOKEN} {i}").repeat(1 + i * 40);
        db.execute("INSERT INTO plugin_blob_entries VALUES ('x', ?1, 5)", [blob]).unwrap();
        db.execute("INSERT INTO plugin_blob_entries VALUES ('y', 'stays', NULL)", []).unwrap();
    }
    let approvals =
        format!(r#"{{"version":1,"socket":{{"path":"/s","token":"{TOKEN}"}},"agents":{{"a":1}}}}"#);
    let none = r#"{"version":1,"agents":{}}"#;
    for (key, json) in [("current", approvals.as_str()), ("none", none), ("broken", TOKEN)] {
        db.execute("INSERT INTO exec_approvals_config VALUES (?1, ?2, 1)", (key, json)).unwrap();
    }
    let copy = dir.path().join("copy");
    let captured = run(&source, &copy, Redact::Shared, 5000).unwrap();
    assert_eq!(captured.removed_rows, 42);
    assert!(!contains(&copy, TOKEN) && integrity(&copy) == "ok");
    let copy = Connection::open(&copy).unwrap();
    assert_eq!(count(&copy, "SELECT count(*) FROM plugin_blob_entries WHERE entry_key = 'y'"), 40);
    let row = |key: &str| {
        let sql =
            "SELECT raw_json, has_socket_token FROM exec_approvals_config WHERE config_key = ?1";
        copy.query_row(sql, [key], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))
            .unwrap()
    };
    assert_eq!(
        row("current"),
        (r#"{"version":1,"socket":{"path":"/s"},"agents":{"a":1}}"#.to_owned(), 0)
    );
    assert_eq!(row("none"), (none.to_owned(), 1));
    assert!(row("broken").0.contains(r#""security":"deny""#));
}
