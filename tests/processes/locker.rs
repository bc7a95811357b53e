//! A process that keeps a database locked, as somebody else's.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rusqlite::Connection;

const DATABASE: &str = "B2_TEST_LOCKS";

/// Keeps it locked until it is dropped.
pub(crate) struct Locker(Child);

impl Locker {
    /// Of the binary that this module is in, under this name.
    pub(crate) fn of(database: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "locker::job_that_holds_a_lock", "--ignored", "--nocapture"])
            .env(DATABASE, database)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(said.map_while(Result::ok).any(|line| line.contains("it is locked")));
        Self(child)
    }

    /// Its process.
    #[allow(dead_code, reason = "each test binary uses a part")]
    #[allow(clippy::allow_attributes, reason = "an expectation would fail where all is used")]
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Locker {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
#[ignore = "is started by other tests, in a process of its own"]
fn job_that_holds_a_lock() {
    let Some(path) = std::env::var_os(DATABASE) else { return };
    let db = Connection::open(path).unwrap();
    db.execute_batch("BEGIN EXCLUSIVE").unwrap();
    println!("it is locked");
    std::io::stdin().lines().for_each(drop);
}
