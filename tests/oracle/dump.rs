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
ask = lambda sql: connection.execute(sql).fetchall()\n\
assert ask('pragma integrity_check') == [(b'ok',)]\n\
told = [ask('pragma ' + name) for name in ('user_version', 'application_id', 'encoding')]\n\
told.append(ask('select type, name, sql from sqlite_master order by type, name'))\n\
quoted = lambda name: chr(34) + name.decode().replace(chr(34), chr(34) * 2) + chr(34)\n\
tables = ask(\"select name from sqlite_master where type='table' order by name\")\n\
told.extend(ask('select * from ' + quoted(name)) for (name,) in tables)\n\
sys.stdout.buffer.write(repr(told).encode())\n";

/// The integrity check first: a dump of a broken database may end well, with half of it. And what no dump says.
const ASKED: &[u8] = b"PRAGMA integrity_check;\nPRAGMA user_version;\nPRAGMA application_id;\nPRAGMA encoding;\n.dump\n";

/// A program with a SQLite of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    Shell,
    Python,
}

/// What this machine has.
pub(crate) fn reader() -> Option<Reader> {
    static FOUND: OnceLock<Option<Reader>> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let works = |command: &mut Command| {
            let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        if works(Command::new("sqlite3").args([":memory:", "select 1"])) {
            Some(Reader::Shell)
        } else {
            works(Command::new("python3").args(["-c", "import sqlite3"])).then_some(Reader::Python)
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
        child.stdin.take().unwrap().write_all(ASKED).unwrap();
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
