//! Databases that another process holds open while they are backed up: it writes when it is told to, and leaves what is
//! new in the log. A push refuses what its own process holds, and in life it is another one, too.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use rusqlite::Connection;

const DONE: &str = "the job is done";

/// A process with a connection to one database. It is killed when this goes, as a gateway is that leaves its log.
#[derive(Debug)]
pub(crate) struct Holder {
    child: Child,
    asks: ChildStdin,
    says: BufReader<ChildStdout>,
}

impl Holder {
    /// Opens a database in a process of its own.
    pub(crate) fn of(database: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "hold::job_that_holds_a_database", "--ignored", "--nocapture"])
            .env("B2_TEST_DATABASE", database)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (asks, says) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut holder = Self { child, asks, says: BufReader::new(says) };
        holder.wait();
        holder
    }

    /// Has it run a statement, whether that can be done or not.
    pub(crate) fn run(&mut self, sql: &str) {
        writeln!(self.asks, "{sql}").unwrap();
        self.wait();
    }

    fn wait(&mut self) {
        let mut line = String::new();
        while !line.contains(DONE) {
            line.clear();
            assert!(self.says.read_line(&mut line).unwrap() > 0, "the holder ended");
        }
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

#[test]
#[ignore = "is started by another test, in a process of its own"]
fn job_that_holds_a_database() {
    let Some(path) = std::env::var_os("B2_TEST_DATABASE") else { return };
    let connection = Connection::open(path).unwrap();
    // Reading opens it, and its log.
    connection.execute_batch("PRAGMA wal_autocheckpoint = 0; SELECT count(*) FROM t").unwrap();
    println!("{DONE}");
    for line in std::io::stdin().lines() {
        let _refused = connection.execute_batch(&line.unwrap());
        println!("{DONE}");
    }
}
