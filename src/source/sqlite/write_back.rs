//! Writing a database into a live one: the file stays the same, so connections that others have stay valid.

use std::fs::File;
use std::io::Read as _;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::connection::{RETRY_PAUSE, failed, immutable_uri, open};
use crate::ambient::{FailPoints, announced};
use crate::error::{Error, Result};
use crate::source::open_plain;

/// Pages written between two looks at the deadline: 1 MiB at the usual page size.
const PAGES_PER_STEP: i32 = 256;

/// Bytes of the header that say how a file is used and how often it was written, and nothing of what is in it: journal
/// modes, change counter, and the version that wrote it (SQLite's file format, 1.3).
const COUNTERS: [Range<usize>; 3] = [18..20, 24..28, 92..100];
/// How much of a file is looked at at once.
const READ_BYTES: u64 = 1 << 20;

/// Whether two databases at rest have the same pages.
///
/// # Errors
/// The system's.
pub fn same_pages(one: &Path, other: &Path) -> std::io::Result<bool> {
    let (mut one, mut other) = (open_plain(one)?, open_plain(other)?);
    let mut read = |first: bool| -> std::io::Result<[Vec<u8>; 2]> {
        let part = |file: &mut File| {
            let mut bytes = Vec::new();
            file.take(READ_BYTES).read_to_end(&mut bytes)?;
            let header = COUNTERS.into_iter().filter(|_| first);
            header.for_each(|range| bytes.get_mut(range).into_iter().for_each(|it| it.fill(0)));
            Ok::<_, std::io::Error>(bytes)
        };
        Ok([part(&mut one)?, part(&mut other)?])
    };
    let mut first = true;
    loop {
        match read(first)? {
            [one, other] if one != other => return Ok(false),
            [end, _] if end.is_empty() => return Ok(true),
            _ => first = false,
        }
    }
}

/// Makes the content of the live database `live` that of the file `from`, in one transaction: whoever looks, and
/// whatever happens meanwhile, it is the old or the new content; after an error it is the old. `from` must be at
/// rest.
///
/// # Errors
/// `B2_DATABASE_BUSY` when others lock it beyond the deadline; `B2_DATABASE` when it is damaged, or when its pages have
/// another size; `B2_DISK_FULL`.
pub fn write_back(
    from: &Path,
    live: &Path,
    deadline: Duration,
    steps: &dyn FailPoints,
) -> Result<()> {
    let until = Instant::now() + deadline;
    let failed = |error| failed(live, live, error);
    let source = open_at_rest(from).map_err(failed)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let mut to = announced(steps, "open database", live, || open(live, flags).map_err(failed))?;
    let backup = Backup::new(&source, &mut to).map_err(failed)?;
    loop {
        let step = || backup.step(PAGES_PER_STEP).map_err(failed);
        match announced(steps, "write database", live, step)? {
            StepResult::Done => break,
            StepResult::More => {}
            _ if Instant::now() < until => std::thread::sleep(RETRY_PAUSE),
            _ => {
                let message = format!("locked for more than {} ms", deadline.as_millis());
                return Err(Error::DatabaseBusy { path: live.to_path_buf(), message });
            }
        }
    }
    drop(backup);
    // Nothing that fails from here on takes the content away again.
    let close = || to.close().map_err(|(_, error)| failed(error));
    let _committed = announced(steps, "close database", live, close);
    Ok(())
}

/// Opens a file that nobody works with, without leaving anything beside it.
pub(super) fn open_at_rest(path: &Path) -> rusqlite::Result<Connection> {
    let uri = immutable_uri(path).ok_or(rusqlite::Error::InvalidPath(path.to_path_buf()))?;
    open(Path::new(&uri), OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI)
}
