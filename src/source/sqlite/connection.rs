//! Connections to databases, and what their errors mean.

use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::error::Error;
use crate::source::Path;

/// Pause before trying a locked database again.
pub(super) const RETRY_PAUSE: Duration = Duration::from_millis(20);

pub(super) fn open(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(Duration::ZERO)?;
    Ok(connection)
}

pub(super) fn immutable_uri(path: &Path) -> Option<String> {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt as _;
        uri(path.as_os_str().as_bytes())
    }
    #[cfg(not(unix))]
    uri(path.to_str()?.as_bytes())
}

/// SQLite decodes it to just these bytes. Windows' backslashes are encoded, too: a path of Windows begins with no slash
/// then, and none of `\\?\C:\` is taken for a host.
fn uri(path: &[u8]) -> Option<String> {
    use std::fmt::Write as _;
    // Two slashes right behind the scheme would name a host.
    let mut uri = String::from(if path.starts_with(b"//") { "file://" } else { "file:" });
    for byte in path {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                uri.push(char::from(*byte));
            }
            _ => write!(uri, "%{byte:02X}").ok()?,
        }
    }
    uri.push_str("?immutable=1");
    Some(uri)
}

/// What SQLite says, with the file it is about: only a full disk is about the copy.
pub(super) fn failed(source: &Path, copy: &Path, error: rusqlite::Error) -> Error {
    if error.sqlite_error_code() == Some(ErrorCode::DiskFull) {
        return Error::DiskFull { action: "write", path: copy.to_path_buf() };
    }
    let busy = Some(ErrorCode::DatabaseBusy) == error.sqlite_error_code()
        || Some(ErrorCode::DatabaseLocked) == error.sqlite_error_code();
    if busy {
        let message = "somebody keeps it locked".to_owned();
        return Error::DatabaseBusy { path: source.to_path_buf(), message };
    }
    let message = match error {
        // Without the text of the statement, which is of no use to the user.
        rusqlite::Error::SqlInputError { error, msg, .. } => format!("{msg} ({error})"),
        other => other.to_string(),
    };
    Error::Database { path: source.to_path_buf(), message }
}

/// Whether there is such a table, and it is no view and no virtual table.
pub(super) fn is_plain_table(connection: &Connection, table: &str) -> rusqlite::Result<bool> {
    let sql = "SELECT count(*) FROM main.sqlite_schema WHERE type = 'table' AND name = ?1 AND rootpage > 0";
    connection.query_row(sql, [table], |row| row.get::<_, i64>(0)).map(|count| count > 0)
}

pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_encoded() {
        for (path, encoded) in [
            (&b"/a b/%23#?\xff.db"[..], "file:/a%20b/%2523%23%3F%FF.db?immutable=1"),
            (br"C:\a\b.db", "file:C%3A%5Ca%5Cb.db?immutable=1"),
            (br"\\?\C:\b.db", "file:%5C%5C%3F%5CC%3A%5Cb.db?immutable=1"),
            (b"//nas/b.db", "file:////nas/b.db?immutable=1"),
            (br"\\?\UNC\nas\b.db", "file:%5C%5C%3F%5CUNC%5Cnas%5Cb.db?immutable=1"),
        ] {
            assert_eq!(uri(path).unwrap(), encoded);
        }
    }

    #[test]
    fn sqlite_opens_what_a_uri_says() {
        let dir = tempfile::tempdir().unwrap();
        // On Windows this is a path that begins with `\\?\`.
        let path = dir.path().canonicalize().unwrap().join("a b#%.db");
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE here (x)").unwrap();
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        let opened = open(Path::new(&immutable_uri(&path).unwrap()), flags).unwrap();
        assert!(is_plain_table(&opened, "here").unwrap());
    }
}
