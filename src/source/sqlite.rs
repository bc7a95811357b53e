//! Captures databases while others use them, and removes secrets from the captured copy; makes copies fit for a
//! rollback, and writes them back.
//!
//! Only for a process that holds none of these databases open (see `database.rs`). The source is never
//! written to; the copy is page for page, because pages that stay in place are what deduplicates.

mod content;
mod prepare;
mod rows;
mod write_back;

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use tokio_util::sync::CancellationToken;

use super::database::Redact;
use super::private_copy::{PrivateCopy, create_private, logs};
use super::scrub;
use crate::error::{Error, Result};
pub use content::{SharedContent, agent_was_used, shared_content};
pub use prepare::{
    Keep, Moved, check, forget_machine, keep_live, prepare, quick_check, user_version,
};
use rows::{SECRET_SETTINGS, SETTINGS_TABLE, secret_tables};
pub use write_back::write_back;

/// Pages copied between two looks at deadline and cancellation: 4 MiB at the usual page size.
const PAGES_PER_STEP: i32 = 1024;
/// Pause before trying a locked database again.
const RETRY_PAUSE: Duration = Duration::from_millis(20);

/// How to capture.
#[derive(Clone, Copy, Debug)]
pub struct CaptureOptions<'a> {
    /// Which secrets to remove from the copy.
    pub redact: Redact,
    /// How long to go on trying while others lock the database. Copying itself may take as long as it does.
    pub deadline: Duration,
    /// Stops the capture.
    pub cancel: &'a CancellationToken,
}

/// What was captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Captured {
    /// Size of a page, bytes.
    pub page_bytes: u32,
    /// Number of pages.
    pub pages: u32,
    /// Rows with secrets that the copy does not have.
    pub removed_rows: u64,
}

/// Copies the database `source`, as it is at one moment, to the new file `copy` (mode 0600).
///
/// What is committed only in the write-ahead log is in the copy. Writers go on meanwhile. On an error no
/// copy is left behind.
///
/// # Errors
/// `B2_DATABASE_BUSY` when it is locked beyond the deadline; `B2_DATABASE` when it is damaged, or no database;
/// `B2_CANCELLED`; `B2_IO`
/// and its like when `source` is gone, `copy` exists, or the disk is full.
pub fn capture(source: &Path, copy: &Path, options: &CaptureOptions<'_>) -> Result<Captured> {
    std::fs::metadata(source).map_err(|error| Error::io("read", source, error))?;
    create_private(copy)?;
    let captured = copy_pages(source, copy, options).and_then(|()| {
        let removed_rows =
            if options.redact == Redact::None { 0 } else { redact(source, copy, options.redact)? };
        let (page_bytes, pages) = scrub::page_count(copy)?;
        Ok(Captured { page_bytes, pages, removed_rows })
    });
    if captured.is_err() {
        // The error that led here says more than one about an unfinished copy.
        let _unfinished = std::fs::remove_file(copy);
    }
    captured
}

/// How long others may lock a database, and whether somebody wants to stop.
struct Patience<'a> {
    source: &'a Path,
    until: Instant,
    options: &'a CaptureOptions<'a>,
}

impl Patience<'_> {
    fn check(&self) -> Result<()> {
        if self.options.cancel.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// Waits before the next try, since somebody keeps it locked.
    fn wait(&self) -> Result<()> {
        self.check()?;
        if Instant::now() >= self.until {
            let message = match self.options.deadline.as_millis() {
                0 => "somebody keeps it locked".to_owned(),
                deadline => format!("locked for more than {deadline} ms"),
            };
            return Err(Error::DatabaseBusy { path: self.source.to_path_buf(), message });
        }
        std::thread::sleep(RETRY_PAUSE);
        self.check()
    }
}

fn copy_pages(source: &Path, copy: &Path, options: &CaptureOptions<'_>) -> Result<()> {
    let patience = Patience { source, until: Instant::now() + options.deadline, options };
    patience.check()?;
    let (_private, from) = open_pinned(source, copy, &patience)?;
    let failed = |error| failed(source, copy, error);
    let mut to = open(copy, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failed)?;
    // The copy is thrown away on any error, so nothing need protect it while it is made.
    to.execute_batch("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;").map_err(failed)?;
    let backup = Backup::new(&from, &mut to).map_err(failed)?;
    loop {
        patience.check()?;
        match backup.step(PAGES_PER_STEP).map_err(failed)? {
            StepResult::Done => break,
            StepResult::More => {}
            // Busy, Locked, and what SQLite may add: somebody else is at it.
            _ => patience.wait()?,
        }
    }
    drop(backup);
    to.close().map_err(|(_, error)| failed(error))
}

fn open(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(Duration::ZERO)?;
    Ok(connection)
}

/// Begins a read transaction. Without it every commit of others would start the copy over; with it the
/// copy is of this moment.
fn pin(connection: Connection) -> rusqlite::Result<Connection> {
    connection.execute_batch("BEGIN")?;
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(connection)
}

/// Opens the source, pinned. Before it comes the directory that must outlive it, if there is one.
fn open_pinned(
    source: &Path,
    copy: &Path,
    patience: &Patience<'_>,
) -> Result<(Option<PrivateCopy>, Connection)> {
    let read_only = OpenFlags::SQLITE_OPEN_READ_ONLY;
    loop {
        let error = match open(source, read_only).and_then(pin) {
            Ok(connection) => return Ok((None, connection)),
            Err(error) => error,
        };
        match error.sqlite_error_code() {
            Some(
                ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::FileLockingProtocolFailed,
            ) => patience.wait()?,
            // The log of a crashed process needs to be played back, which a reader may not do, or a
            // `-shm` file is needed in a directory that cannot be written to.
            Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly) if !logs(source).is_empty() => {
                match PrivateCopy::new(source, copy)? {
                    Some(private) => {
                        let opened = open(&private.database(), OpenFlags::SQLITE_OPEN_READ_WRITE)
                            .and_then(pin);
                        let connection = opened.map_err(|error| failed(source, copy, error))?;
                        return Ok((Some(private), connection));
                    }
                    None => patience.wait()?,
                }
            }
            // The same without a log: nobody is writing, and the file is all there is.
            Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly) => {
                let uri = immutable_uri(source).ok_or_else(|| failed(source, copy, error))?;
                let opened =
                    open(Path::new(&uri), read_only | OpenFlags::SQLITE_OPEN_URI).and_then(pin);
                return Ok((None, opened.map_err(|error| failed(source, copy, error))?));
            }
            _ => return Err(failed(source, copy, error)),
        }
    }
}

/// Whether SQLite makes anything of a file. One that somebody keeps locked is a database.
#[must_use]
pub fn is_readable(path: &Path) -> bool {
    let opened = open(path, OpenFlags::SQLITE_OPEN_READ_ONLY).and_then(pin);
    !matches!(
        opened.map_err(|error| error.sqlite_error_code()),
        Err(Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt))
    )
}

fn immutable_uri(path: &Path) -> Option<String> {
    use std::fmt::Write as _;
    #[cfg(unix)]
    let bytes = {
        use std::os::unix::ffi::OsStrExt as _;
        path.as_os_str().as_bytes()
    };
    #[cfg(not(unix))]
    let text = format!("/{}", path.to_str()?.replace('\\', "/"));
    #[cfg(not(unix))]
    let bytes = text.as_bytes();
    let mut uri = String::from("file:");
    for byte in bytes {
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
fn failed(source: &Path, copy: &Path, error: rusqlite::Error) -> Error {
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

/// Deletes the secrets from the copy, from its free pages and from the unused parts of its other pages.
fn redact(source: &Path, copy: &Path, kind: Redact) -> Result<u64> {
    // A database in WAL mode would be given a log as soon as it is written to.
    let versions = scrub::replace_file_versions(copy, [1, 1])?;
    let failed = |error| failed(source, copy, error);
    let mut connection = open(copy, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failed)?;
    let (removed, roots) = delete_rows(&mut connection, kind).map_err(failed)?;
    connection.close().map_err(|(_, error)| failed(error))?;
    scrub::scrub(copy, &roots).map_err(|error| match error {
        // The user knows the database, not our copy of it.
        Error::Database { message, .. } => Error::Database { path: source.to_path_buf(), message },
        other => other,
    })?;
    scrub::replace_file_versions(copy, versions)?;
    Ok(removed)
}

fn delete_rows(connection: &mut Connection, kind: Redact) -> rusqlite::Result<(u64, Vec<u32>)> {
    // Nothing in the schema may make a deletion do more than delete.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.execute_batch(
        "PRAGMA trusted_schema=OFF; PRAGMA foreign_keys=OFF; PRAGMA ignore_check_constraints=ON;
         PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF; PRAGMA temp_store=MEMORY; PRAGMA main.secure_delete=ON;",
    )?;
    let transaction = connection.transaction()?;
    let mut removed = 0;
    for table in secret_tables(kind) {
        if is_plain_table(&transaction, table)? {
            removed += transaction.execute(&format!("DELETE FROM main.{table}"), [])?;
        }
    }
    if kind == Redact::Shared && is_plain_table(&transaction, SETTINGS_TABLE)? {
        removed += delete_settings(&transaction)?;
    }
    transaction.commit()?;
    let roots = connection
        .prepare("SELECT rootpage FROM main.sqlite_schema WHERE rootpage > 0")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<u32>>>()?;
    Ok((u64::try_from(removed).unwrap_or(u64::MAX), roots))
}

/// Whether there is such a table, and it is no view and no virtual table.
fn is_plain_table(connection: &Connection, table: &str) -> rusqlite::Result<bool> {
    let sql = "SELECT count(*) FROM main.sqlite_schema WHERE type = 'table' AND name = ?1 AND rootpage > 0";
    connection.query_row(sql, [table], |row| row.get::<_, i64>(0)).map(|count| count > 0)
}

/// Deletes the secret rows of [`SETTINGS_TABLE`]. All rows go and those that stay come back, because a
/// deletion of single rows leaves what they were before earlier updates in the unused part of their page.
fn delete_settings(connection: &Connection) -> rusqlite::Result<usize> {
    let without_rowid = connection.query_row(
        "SELECT wr FROM pragma_table_list(?1) WHERE schema = 'main'",
        [SETTINGS_TABLE],
        |row| row.get::<_, bool>(0),
    )?;
    let mut columns = connection
        .prepare("SELECT name FROM pragma_table_xinfo(?1) WHERE hidden = 0 ORDER BY cid")?
        .query_map([SETTINGS_TABLE], |row| row.get::<_, String>(0))?
        .map(|name| name.map(|name| quoted(&name)))
        .collect::<rusqlite::Result<Vec<String>>>()?;
    let key = connection.query_row(
        "SELECT name FROM pragma_table_xinfo(?1) WHERE name = 'state_key' OR pk = 1 ORDER BY name <> 'state_key'",
        [SETTINGS_TABLE],
        |row| row.get::<_, String>(0),
    )?;
    if !without_rowid {
        columns.push("rowid".to_owned());
    }
    let from: Vec<String> =
        columns.iter().enumerate().map(|(i, column)| format!("{column} AS c{i}")).collect();
    let back: Vec<String> = (0..columns.len()).map(|i| format!("c{i}")).collect();
    let secret: Vec<String> = SECRET_SETTINGS
        .iter()
        .map(|glob| format!("CAST({} AS TEXT) GLOB '{glob}'", quoted(&key)))
        .collect();
    // `IS NOT TRUE`: a row without a key is no secret.
    let kept = format!(
        "CREATE TEMP TABLE b2_kept AS SELECT {} FROM main.{SETTINGS_TABLE} WHERE ({}) IS NOT TRUE",
        from.join(", "),
        secret.join(" OR ")
    );
    connection.execute(&kept, [])?;
    let deleted = connection.execute(&format!("DELETE FROM main.{SETTINGS_TABLE}"), [])?;
    let insert = format!(
        "INSERT INTO main.{SETTINGS_TABLE} ({}) SELECT {} FROM temp.b2_kept ORDER BY {}",
        columns.join(", "),
        back.join(", "),
        if without_rowid { "1".to_owned() } else { format!("c{}", columns.len() - 1) }
    );
    let inserted = connection.execute(&insert, [])?;
    connection.execute_batch("DROP TABLE temp.b2_kept")?;
    Ok(deleted.saturating_sub(inserted))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn uris_are_encoded() {
        use std::os::unix::ffi::OsStrExt as _;
        let path = Path::new(std::ffi::OsStr::from_bytes(b"/a b/%23#?\xff.db"));
        assert_eq!(immutable_uri(path).unwrap(), "file:/a%20b/%2523%23%3F%FF.db?immutable=1");
    }
}
