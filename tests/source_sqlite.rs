//! Capturing databases that are in use, and what must not be in the copy.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as the tests do")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use b2_backup::source::database::Redact;
use b2_backup::source::sqlite::{CaptureOptions, Captured, capture};
use rusqlite::Connection;
use tokio_util::sync::CancellationToken;

const TOKEN: &str = "tok-5d0c1e7b9f-planted";

fn run(
    source: &Path,
    copy: &Path,
    redact: Redact,
    deadline_ms: u64,
) -> b2_backup::error::Result<Captured> {
    let cancel = CancellationToken::new();
    capture(
        source,
        copy,
        &CaptureOptions { redact, deadline: Duration::from_millis(deadline_ms), cancel: &cancel },
    )
}

fn integrity(path: &Path) -> String {
    let connection = Connection::open(path).unwrap();
    connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap()
}

fn count(connection: &Connection, sql: &str) -> i64 {
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// A WAL database whose automatic checkpoints are off, so that rows stay in the log.
fn wal(path: &Path) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch("PRAGMA auto_vacuum=2; PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0")
        .unwrap();
    connection
}

fn contains(path: &Path, needle: &str) -> bool {
    let bytes = std::fs::read(path).unwrap();
    bytes.windows(needle.len()).any(|window| window == needle.as_bytes())
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn rows_that_are_only_in_the_log_are_copied_while_a_write_lock_is_held() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("odd name %23#?.sqlite");
    let writer = wal(&source);
    writer.execute_batch("CREATE TABLE t(x); INSERT INTO t VALUES (1), (2)").unwrap();
    let out = tempfile::tempdir().unwrap();
    let copy = out.path().join("copy");
    writer.execute_batch("BEGIN IMMEDIATE; INSERT INTO t VALUES (3)").unwrap();
    let captured = run(&source, &copy, Redact::None, 2000).unwrap();
    writer.execute_batch("COMMIT").unwrap();
    assert_eq!(captured.page_bytes, 4096);
    assert_eq!(captured.removed_rows, 0);
    assert_eq!(u64::from(captured.pages) * 4096, std::fs::metadata(&copy).unwrap().len());
    assert_eq!(names(out.path()), ["copy"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(count(&Connection::open(&copy).unwrap(), "SELECT count(*) FROM t"), 2);
    assert_eq!(count(&writer, "SELECT count(*) FROM t"), 3);
    assert_eq!(integrity(&copy), "ok");
}

#[test]
fn most_pages_of_the_copy_are_those_of_the_source() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("a.sqlite");
    let writer = wal(&source);
    writer.execute_batch("CREATE TABLE t(x)").unwrap();
    for i in 0..500 {
        writer.execute("INSERT INTO t VALUES (?1)", [format!("{i}-").repeat(200)]).unwrap();
    }
    writer
        .execute_batch("DELETE FROM t WHERE rowid % 5 = 0; PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
    let copy = dir.path().join("copy");
    run(&source, &copy, Redact::None, 2000).unwrap();
    let (a, b) = (std::fs::read(&source).unwrap(), std::fs::read(&copy).unwrap());
    assert_eq!(a.len(), b.len());
    assert_eq!(b[18..20], [2, 2], "the copy is in WAL mode as the source is");
    let different = a.chunks(4096).zip(b.chunks(4096)).filter(|(x, y)| x != y).count();
    assert!(different <= 1, "{different} of {} pages differ", a.len() / 4096);
}

#[test]
fn rollback_journal_databases_wait_for_the_lock_and_give_up() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("old.db");
    let writer = Connection::open(&source).unwrap();
    writer
        .execute_batch("PRAGMA journal_mode=DELETE; CREATE TABLE t(x); INSERT INTO t VALUES (1)")
        .unwrap();
    let copy = dir.path().join("copy");
    writer.execute_batch("BEGIN IMMEDIATE; INSERT INTO t VALUES (2)").unwrap();
    run(&source, &copy, Redact::None, 2000).unwrap();
    assert_eq!(count(&Connection::open(&copy).unwrap(), "SELECT count(*) FROM t"), 1);
    writer.execute_batch("COMMIT; BEGIN EXCLUSIVE").unwrap();
    let second = dir.path().join("second");
    let error = run(&source, &second, Redact::None, 150).unwrap_err();
    assert_eq!(error.code(), "B2_DATABASE");
    assert!(error.to_string().contains("old.db"), "{error}");
    assert!(!second.exists());
    std::thread::scope(|scope| {
        let capture = scope.spawn(|| run(&source, &second, Redact::None, 5000));
        std::thread::sleep(Duration::from_millis(100));
        writer.execute_batch("COMMIT").unwrap();
        capture.join().unwrap().unwrap();
    });
    assert_eq!(count(&Connection::open(&second).unwrap(), "SELECT count(*) FROM t"), 2);
}

#[test]
fn what_is_no_database_is_said_so() {
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("copy");
    let garbage = dir.path().join("garbage.db");
    std::fs::write(&garbage, [b"SQLite format 3\0" as &[u8], &[7; 5000]].concat()).unwrap();
    assert_eq!(run(&garbage, &copy, Redact::None, 500).unwrap_err().code(), "B2_DATABASE");
    assert_eq!(
        run(&dir.path().join("gone"), &copy, Redact::None, 500).unwrap_err().code(),
        "B2_IO"
    );
    let good = dir.path().join("good.db");
    Connection::open(&good).unwrap().execute_batch("CREATE TABLE t(x)").unwrap();
    let cancel = CancellationToken::new();
    cancel.cancel();
    let options =
        CaptureOptions { redact: Redact::None, deadline: Duration::from_secs(1), cancel: &cancel };
    assert_eq!(capture(&good, &copy, &options).unwrap_err().code(), "B2_CANCELLED");
    assert!(!copy.exists());
    std::fs::write(&copy, b"mine").unwrap();
    assert_eq!(run(&good, &copy, Redact::None, 500).unwrap_err().code(), "B2_IO");
    assert_eq!(
        std::fs::read(&copy).unwrap(),
        b"mine",
        "a file of others is neither overwritten nor removed"
    );
}

#[cfg(unix)]
#[test]
fn a_wal_database_whose_shm_cannot_be_made_is_read_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("a #1.sqlite");
    let writer = wal(&source);
    writer.execute_batch("CREATE TABLE t(x); INSERT INTO t VALUES (1)").unwrap();
    writer.close().unwrap();
    assert_eq!(names(dir.path()), ["a #1.sqlite"]);
    // As in a directory that cannot be written to, but for the superuser too.
    std::os::unix::fs::symlink("/nonexistent/x", dir.path().join("a #1.sqlite-shm")).unwrap();
    let out = tempfile::tempdir().unwrap();
    let copy = out.path().join("copy");
    run(&source, &copy, Redact::None, 1000).unwrap();
    assert_eq!(count(&Connection::open(&copy).unwrap(), "SELECT count(*) FROM t"), 1);
    assert_eq!(names(out.path()), ["copy"]);
}

#[cfg(unix)]
#[test]
fn a_log_left_by_a_crash_is_played_back_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let live = dir.path().join("live");
    let crashed = tempfile::tempdir().unwrap();
    let writer = wal(&live);
    writer.execute_batch("CREATE TABLE t(x); INSERT INTO t VALUES (1), (2), (3)").unwrap();
    for (suffix, name) in [("", "w.sqlite"), ("-wal", "w.sqlite-wal")] {
        std::fs::copy(dir.path().join(format!("live{suffix}")), crashed.path().join(name)).unwrap();
    }
    // As in a directory that cannot be written to.
    std::os::unix::fs::symlink("/nonexistent/x", crashed.path().join("w.sqlite-shm")).unwrap();
    let old = Connection::open(dir.path().join("old")).unwrap();
    old.execute_batch("PRAGMA journal_mode=DELETE; PRAGMA cache_size=5; CREATE TABLE t(x); INSERT INTO t VALUES (1)").unwrap();
    old.execute_batch(
        "BEGIN; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
         INSERT INTO t SELECT hex(zeroblob(900)) FROM n; UPDATE t SET x = 'overwritten' WHERE rowid = 1;",
    )
    .unwrap();
    for (suffix, name) in [("", "o.sqlite"), ("-journal", "o.sqlite-journal")] {
        std::fs::copy(dir.path().join(format!("old{suffix}")), crashed.path().join(name)).unwrap();
    }
    let before = names(crashed.path());
    let out = tempfile::tempdir().unwrap();
    for (name, rows) in [("w.sqlite", 3), ("o.sqlite", 1)] {
        let copy = out.path().join(name);
        run(&crashed.path().join(name), &copy, Redact::None, 1000).unwrap();
        assert_eq!(integrity(&copy), "ok");
        assert_eq!(
            count(&Connection::open(&copy).unwrap(), "SELECT count(*) FROM t"),
            rows,
            "{name}"
        );
    }
    assert_eq!(names(crashed.path()), before, "the source is left as it was");
    assert!(names(out.path()).iter().all(|name| !name.ends_with("private")));
}

#[test]
fn a_copy_made_under_four_writers_is_of_one_moment() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("bank.sqlite");
    let setup = wal(&source);
    setup.execute_batch("PRAGMA wal_autocheckpoint=100; CREATE TABLE account(id INTEGER PRIMARY KEY, cents INT, pad)").unwrap();
    for id in 0..2000 {
        setup.execute("INSERT INTO account VALUES (?1, 100, ?2)", (id, "x".repeat(900))).unwrap();
    }
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4_i64)
        .map(|seed| {
            let (stop, source) = (Arc::clone(&stop), source.clone());
            std::thread::spawn(move || {
                let mut connection = Connection::open(source).unwrap();
                connection.busy_timeout(Duration::from_secs(20)).unwrap();
                connection.execute_batch("PRAGMA synchronous=OFF").unwrap();
                let mut n = seed;
                while !stop.load(Ordering::Relaxed) {
                    n = (n * 1_103_515_245 + 12345) & 0x7fff_ffff;
                    let tx = connection
                        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
                        .unwrap();
                    tx.execute("UPDATE account SET cents = cents - 7 WHERE id = ?1", [n % 2000])
                        .unwrap();
                    tx.execute(
                        "UPDATE account SET cents = cents + 7 WHERE id = ?1",
                        [(n / 7) % 2000],
                    )
                    .unwrap();
                    tx.commit().unwrap();
                }
            })
        })
        .collect();
    for round in 0..5 {
        let copy = dir.path().join(format!("copy{round}"));
        run(&source, &copy, Redact::None, 20_000).unwrap();
        assert_eq!(integrity(&copy), "ok");
        assert_eq!(
            count(&Connection::open(&copy).unwrap(), "SELECT sum(cents) FROM account"),
            200_000
        );
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.join().unwrap();
    }
    assert_eq!(count(&setup, "SELECT sum(cents) FROM account"), 200_000);
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
