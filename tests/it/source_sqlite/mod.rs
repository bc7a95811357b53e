//! Capturing databases that are in use, and what must not be in the copy.

mod redact;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use b2_backup::source::database::Redact;
use b2_backup::source::sqlite::{CaptureOptions, Captured, capture};
use rusqlite::Connection;
use tokio_util::sync::CancellationToken;

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
    assert_eq!(error.code(), "B2_DATABASE_BUSY");
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
