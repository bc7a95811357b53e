//! The content of databases as SQL, by a SQLite that is not the product's: the system's `sqlite3`, or Python's.
//!
//! A database is copied with its log first, so that looking at it changes nothing of it.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

const MAGIC: &[u8] = b"SQLite format 3\0";

const PYTHON: &str = "import sqlite3,sys\n\
connection = sqlite3.connect(sys.argv[1])\n\
connection.text_factory = bytes\n\
sys.stdout.buffer.write(repr([list(connection.execute('select * from ' + chr(34) + name.decode().replace(chr(34), chr(34) * 2) + chr(34)))\n\
  for (name,) in connection.execute(\"select name from sqlite_master where type='table' order by name\")]).encode())\n";

/// A program with a SQLite of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    Shell,
    Python,
}

/// What this machine has; says so once where it has none.
pub(crate) fn reader() -> Option<Reader> {
    static FOUND: OnceLock<Option<Reader>> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let works = |command: &mut Command| {
            let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        if works(Command::new("sqlite3").args([":memory:", "select 1"])) {
            Some(Reader::Shell)
        } else if works(Command::new("python3").args(["-c", "import sqlite3"])) {
            Some(Reader::Python)
        } else {
            eprintln!(
                "SKIPPED: databases are compared by bytes alone: neither sqlite3 nor python3 is here"
            );
            None
        }
    })
}

/// Whether a file says that it is a database of SQLite.
pub(crate) fn says_so(path: &Path) -> bool {
    fs::read(path).is_ok_and(|bytes| bytes.starts_with(MAGIC))
}

/// The content of a database and its log; `None` where this SQLite cannot read it, or there is no other SQLite.
pub(crate) fn dump(database: &Path) -> Option<Vec<u8>> {
    let reader = reader()?;
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("copy");
    fs::copy(database, &copy).ok()?;
    for log in ["-wal", "-journal"] {
        let mut from = database.as_os_str().to_owned();
        from.push(log);
        let mut to = copy.as_os_str().to_owned();
        to.push(log);
        if Path::new(&from).is_file() {
            fs::copy(&from, &to).ok()?;
        }
    }
    let command = match reader {
        Reader::Shell => {
            let mut command = Command::new("sqlite3");
            command.arg("-bail").arg(&copy).stdin(Stdio::piped());
            command
        }
        Reader::Python => {
            let mut command = Command::new("python3");
            command.arg("-c").arg(PYTHON).arg(&copy).stdin(Stdio::null());
            command
        }
    };
    run(command, reader)
}

fn run(mut command: Command, reader: Reader) -> Option<Vec<u8>> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    if reader == Reader::Shell {
        // The integrity check first: a dump of a broken database may end well, with half of it.
        child.stdin.take().unwrap().write_all(b"PRAGMA integrity_check;\n.dump\n").unwrap();
    }
    let output = child.wait_with_output().unwrap();
    let text = output.stdout;
    let whole = match reader {
        Reader::Shell => {
            text.starts_with(b"ok\n")
                && text.ends_with(b"COMMIT;\n")
                && !text.windows(9).any(|part| part == b"/**** ERR")
        }
        Reader::Python => true,
    };
    (output.status.success() && whole).then_some(text)
}
