//! Captures databases while others use them, and removes secrets from the captured copy; makes copies fit for a
//! rollback, and writes them back.
//!
//! Only for a process that holds none of these databases open (see `database.rs`). The source is never
//! written to; the copy is page for page, because pages that stay in place are what deduplicates.

mod appendix;
mod connection;
mod content;
mod prepare;
mod redact;
mod rows;
mod write_back;

pub use content::{SharedContent, agent_was_used, shared_content};
pub use prepare::{
    Keep, Moved, check, forget_machine, keep_live, prepare, quick_check, user_version,
};
pub use redact::{kind_by_schema, may_hold_secrets};
pub use write_back::{same_pages, write_back};

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use tokio_util::sync::CancellationToken;

use super::database::Redact;
use super::private_copy::{PrivateCopy, create_private, logs};
use super::scrub;
use crate::error::{Error, Result};

use connection::{RETRY_PAUSE, failed, immutable_uri, open};
use redact::redact;

/// Pages copied between two looks at deadline and cancellation: 4 MiB at the usual page size.
const PAGES_PER_STEP: i32 = 1024;

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
    /// The version of the schema, as the host counts it.
    pub schema: i32,
    /// Rows with secrets that the copy does not have, or not as they were.
    pub removed_rows: u64,
    /// Which secrets were removed.
    pub redacted: Redact,
    /// Whether something lies behind the last page, which is no part of the database: some programs append to one.
    pub appendix: bool,
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
    let captured = copy_pages(source, copy, options).and_then(|appendix| {
        let redacted = match options.redact {
            Redact::BySchema => kind_by_schema(copy).map_err(|error| match error {
                // The user knows the database, not our copy of it.
                Error::Database { message, .. } => {
                    Error::Database { path: source.to_path_buf(), message }
                }
                other => other,
            })?,
            kind => kind,
        };
        let removed_rows =
            if redacted == Redact::None { 0 } else { redact(source, copy, redacted)? };
        let (page_bytes, pages, schema) = scrub::header(copy)?;
        Ok(Captured { page_bytes, pages, schema, removed_rows, redacted, appendix })
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

/// Whether something lies behind the last page is what it returns.
fn copy_pages(source: &Path, copy: &Path, options: &CaptureOptions<'_>) -> Result<bool> {
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
    // As long as the read transaction is open, nobody writes into the file itself. Closing it drops the transaction's locks.
    let behind = appendix::find(source, copy).map_err(|error| Error::io("read", source, error))?;
    drop(from);
    let appendix = behind.is_some();
    drop(behind);
    to.close().map_err(|(_, error)| failed(error))?;
    Ok(appendix)
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
