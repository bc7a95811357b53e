//! Ten processes write to databases while pushes capture them: every copy is one that the database once was.
//!
//! The writers move money between accounts and note it in a ledger, in one transaction each, some of them large, some
//! rolled back, with checkpoints in between. Whatever moment a copy is of, the sums agree; a copy that is torn, or that
//! lacks a part of a transaction, has another sum. The last test shows that: it copies the file as a careless tool
//! does, and sees sums that do not agree.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tempfile::tempdir;

use crate::support::campaign;
use crate::support::machine::restore_with;
use crate::support::plain_machine::plain_machine;

const WRITERS: u32 = 10;
const ACCOUNTS: i64 = 400;
/// What each account begins with.
const BALANCE: i64 = 1_000;
/// How many of the writers use the database with a rollback journal; the others use the one with a write-ahead log.
const JOURNAL_WRITERS: u32 = 3;
const LOG: &str = "state/openclaw.sqlite";
const JOURNAL: &str = "workspace/accounts.db";

fn bank(path: &Path, mode: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut database = Connection::open(path).unwrap();
    database.query_row(&format!("PRAGMA journal_mode={mode}"), [], |_| Ok(())).unwrap();
    let making = database.transaction().unwrap();
    making
        .execute_batch(
            "CREATE TABLE account(id INTEGER PRIMARY KEY, balance INTEGER NOT NULL, padding BLOB);
             CREATE TABLE ledger(writer INTEGER, number INTEGER, source INTEGER, target INTEGER, amount INTEGER,
                                 PRIMARY KEY (writer, number));
             CREATE INDEX by_source ON ledger(source);
             CREATE INDEX by_target ON ledger(target);",
        )
        .unwrap();
    for id in 0..ACCOUNTS {
        let row = (id, BALANCE, vec![7_u8; 900]);
        making.execute("INSERT INTO account VALUES (?1, ?2, ?3)", row).unwrap();
    }
    making.commit().unwrap();
}

/// What of a copy does not agree. Nothing, for a copy of one moment.
fn wrong(path: &Path) -> rusqlite::Result<Vec<&'static str>> {
    const RULES: [(&str, &str); 4] = [
        (
            "damaged",
            "SELECT (SELECT group_concat(integrity_check) FROM pragma_integrity_check) = 'ok'",
        ),
        ("the sum", "SELECT sum(balance) = 400 * 1000 AND count(*) = 400 FROM account"),
        (
            "an account and its ledger",
            "SELECT NOT EXISTS (SELECT 1 FROM account a WHERE balance <> 1000
               - coalesce((SELECT sum(amount) FROM ledger WHERE source = a.id), 0)
               + coalesce((SELECT sum(amount) FROM ledger WHERE target = a.id), 0))",
        ),
        (
            "a gap in what a writer did",
            "SELECT NOT EXISTS (SELECT 1 FROM ledger GROUP BY writer HAVING max(number) + 1 <> count(*))",
        ),
    ];
    let database = Connection::open(path)?;
    let mut found = Vec::new();
    for (name, sql) in RULES {
        if !database.query_row(sql, [], |row| row.get::<_, bool>(0))? {
            found.push(name);
        }
    }
    Ok(found)
}

/// xorshift64*, as good as it has to be here.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u32) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        u32::try_from(self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32).unwrap() % end
    }
}

/// Moves money around until the parent ends it.
#[test]
#[ignore = "a writer of the other tests"]
fn writer() {
    let Ok(path) = std::env::var("B2_TEST_DATABASE") else { return };
    let me: u32 = std::env::var("B2_TEST_WRITER").unwrap().parse().unwrap();
    let mut random = Random(campaign::seed().wrapping_mul(1_000_003) + u64::from(me) + 1);
    let mut database = Connection::open(path).unwrap();
    database.busy_timeout(Duration::from_mins(1)).unwrap();
    let mut number = 0;
    for round in 1_u32.. {
        let moving = Transaction::new_unchecked(&database, TransactionBehavior::Immediate).unwrap();
        let moves = if random.below(20) == 0 { 300 } else { 1 + random.below(4) };
        for at in 0..moves {
            let (source, target) = (random.below(400), random.below(400));
            let amount = 1 + random.below(9);
            moving
                .execute(
                    "UPDATE account SET balance = balance - ?2 WHERE id = ?1",
                    (source, amount),
                )
                .unwrap();
            moving
                .execute(
                    "UPDATE account SET balance = balance + ?2 WHERE id = ?1",
                    (target, amount),
                )
                .unwrap();
            let row = (me, number + at, source, target, amount);
            moving.execute("INSERT INTO ledger VALUES (?1, ?2, ?3, ?4, ?5)", row).unwrap();
        }
        if random.below(5) == 0 {
            moving.rollback().unwrap();
        } else {
            moving.commit().unwrap();
            number += moves;
        }
        if round % 40 == me {
            // Busy is an answer too.
            drop(database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())));
        }
        if round == 5 {
            // What the parent waits for.
            println!("writing");
            std::io::stdout().flush().unwrap();
        }
        if random.below(400) == 0 {
            // A new connection: the last one that closes removes the log.
            drop(std::mem::replace(&mut database, Connection::open_in_memory().unwrap()));
            database = Connection::open(std::env::var("B2_TEST_DATABASE").unwrap()).unwrap();
            database.busy_timeout(Duration::from_mins(1)).unwrap();
        }
        // As an agent does: it writes, then works. Without a pause nobody else gets at a rollback journal.
        std::thread::sleep(Duration::from_millis(random.below(12).into()));
    }
}

/// What it prints must find a reader: the runner of tests ends with the first line that does not.
struct Writer {
    child: Child,
    _output: BufReader<ChildStdout>,
}

impl Writer {
    fn start(path: &Path, number: u32) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writers::writer", "--ignored", "--nocapture"])
            .env("B2_TEST_DATABASE", path)
            .env("B2_TEST_WRITER", number.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let writing = output.by_ref().lines().any(|line| line.unwrap().contains("writing"));
        assert!(writing, "writer {number} ended");
        Self { child, _output: output }
    }

    fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.child.kill());
        self.child.wait().unwrap();
    }
}

fn writers(live: &Path) -> Vec<Writer> {
    let of = |number| if number < JOURNAL_WRITERS { live.join(JOURNAL) } else { live.join(LOG) };
    (0..WRITERS).map(|number| Writer::start(&of(number), number)).collect()
}

fn rows(path: &Path) -> i64 {
    let database = Connection::open(path).unwrap();
    database.query_row("SELECT count(*) FROM ledger", [], |row| row.get(0)).unwrap()
}

/// The databases are as they were at one moment in every snapshot, and never at the same one.
#[tokio::test(flavor = "multi_thread")]
async fn every_copy_is_of_one_moment() {
    let (dir, machine, _store) = plain_machine();
    let live = machine.settings.state_dir.clone();
    bank(&live.join(LOG), "WAL");
    bank(&live.join(JOURNAL), "DELETE");
    let mut writing = writers(&live);
    let captures = campaign::cases(25, 200);
    let (mut before, mut moved, mut skipped) = (0, 0, 0);
    for capture in 0..captures {
        let pushed = machine.push().await.unwrap();
        let snapshot = pushed.snapshot.unwrap();
        let to = dir.path().join("restored");
        let session = machine.blank(dir.path().join("blank")).session().await;
        let restored = restore_with(&session, &snapshot, &to).await.unwrap();
        assert!(restored.failed.is_empty(), "{:?}", restored.failed);
        skipped += u64::from(!pushed.skipped.is_empty());
        for path in [LOG, JOURNAL] {
            let copy = to.join(path);
            assert_eq!(wrong(&copy).unwrap(), Vec::<&str>::new(), "capture {capture} of {path}");
        }
        let now = rows(&to.join(LOG));
        moved += u64::from(now > before);
        before = now;
        std::fs::remove_dir_all(&to).unwrap();
    }
    assert!(writing.iter_mut().all(Writer::runs), "a writer has failed");
    drop(writing);
    for path in [LOG, JOURNAL] {
        assert_eq!(wrong(&live.join(path)).unwrap(), Vec::<&str>::new(), "the live {path}");
    }
    assert!(moved > captures / 2, "the writers stood still: {moved} of {captures}");
    campaign::report(
        "host safety",
        "captures beside ten writers",
        &[("captures", captures), ("of another moment", moved), ("put off", skipped)],
    );
}

/// The control: without our care there are wrong copies, and the rules see them.
#[test]
fn a_careless_copy_is_seen() {
    let dir = tempdir().unwrap();
    bank(&dir.path().join(LOG), "WAL");
    bank(&dir.path().join(JOURNAL), "DELETE");
    let _writing = writers(dir.path());
    let copies = 2_000;
    let seen = (0..copies).find(|_| {
        let copy: PathBuf = dir.path().join("copy");
        std::fs::copy(dir.path().join(JOURNAL), &copy).unwrap();
        !matches!(wrong(&copy), Ok(found) if found.is_empty())
    });
    assert!(seen.is_some(), "{copies} careless copies were right");
}
