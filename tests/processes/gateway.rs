//! A gateway: another process with a database open in WAL mode, whose rows stay in the log.
#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::allow_attributes, reason = "an expectation would fail where all is used")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use rusqlite::Connection;

/// Says on its output what it has done, and goes when its input ends.
pub(crate) struct Gateway {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Gateway {
    /// Starts it, with 500 committed rows. `lock`: it holds the write lock until its end, and commits a row then.
    /// `leave`: it goes at once. `serve`: it writes when it is told to.
    pub(crate) fn start(database: &Path, job: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "gateway::job_of_a_gateway", "--ignored", "--nocapture"])
            .env("B2_TEST_JOB", job)
            .env("B2_TEST_DATABASE", database)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        let mut gateway = Self { child, said };
        gateway.hear("gateway is ready");
        gateway
    }

    fn hear(&mut self, wanted: &str) {
        let mut line = String::new();
        while !line.contains(wanted) {
            line.clear();
            assert!(self.said.read_line(&mut line).unwrap() > 0, "it ended without {wanted:?}");
        }
    }

    /// Makes one that serves commit a row.
    pub(crate) fn write_row(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"write\n").unwrap();
        self.hear("row is written");
    }

    /// Lets it end, and tells whether all went well for it.
    pub(crate) fn end(mut self) -> bool {
        drop(self.child.stdin.take());
        // Read to its end: the child must not be stopped by a closed pipe.
        let all = std::io::copy(&mut self.said, &mut std::io::sink());
        all.is_ok() && self.child.wait().unwrap().success()
    }
}

#[test]
#[ignore = "is started by other tests, in a process of its own"]
fn job_of_a_gateway() {
    let (Ok(job), Some(path)) =
        (std::env::var("B2_TEST_JOB"), std::env::var_os("B2_TEST_DATABASE"))
    else {
        return;
    };
    let mut db = Connection::open(path).unwrap();
    db.execute_batch(
        "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0;
         CREATE TABLE t(x); INSERT INTO t VALUES ('committed 1');",
    )
    .unwrap();
    for number in 2..=500 {
        db.execute("INSERT INTO t VALUES (?1)", [format!("committed {number}")]).unwrap();
    }
    let commands = std::io::stdin().lines();
    match job.as_str() {
        "serve" => {
            println!("gateway is ready");
            for _write in commands {
                db.execute("INSERT INTO t VALUES ('committed later')", []).unwrap();
                println!("row is written");
            }
        }
        "lock" => {
            let writing =
                db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
            writing.execute("INSERT INTO t VALUES ('uncommitted')", []).unwrap();
            println!("gateway is ready");
            // The write lock is held until the test says so.
            commands.for_each(drop);
            writing.commit().unwrap();
        }
        _ => println!("gateway is ready"),
    }
    // As killed: the log stays behind.
    std::mem::forget(db);
}
