//! Locks that other processes hold on files, asked for without taking any: whoever holds one is seen from every
//! namespace of processes on this machine, and on network file systems that pass locks on.
//!
//! Closing a file drops all locks that this process holds on it. So nothing is opened here that this process has open.

use std::path::Path;

/// Whoever holds a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its process; `None` where that is one of another namespace.
    pub pid: Option<u32>,
}

/// Bytes of a database that SQLite locks: `PENDING_BYTE` of its `os.h`, and the 511 after it.
#[cfg(unix)]
const DATABASE_LOCKS: (u64, u64) = (0x4000_0000, 512);
/// The byte of a `-shm` file that a writer locks: `WAL_WRITE_LOCK` of its `wal.c`, after 120 bytes of another use.
#[cfg(unix)]
const LOG_WRITER: (u64, u64) = (120, 1);
/// Who keeps others from reading the database at `path`, or is about to write to it. `None` also where that cannot be
/// told: no such file, no right to open it, a system without such locks, or a file that this process has open.
#[must_use]
pub fn writer(path: &Path) -> Option<Holder> {
    #[cfg(unix)]
    {
        let log = {
            let mut name = path.as_os_str().to_owned();
            name.push("-shm");
            std::path::PathBuf::from(name)
        };
        held(path, DATABASE_LOCKS).or_else(|| held(&log, LOG_WRITER))
    }
    #[cfg(not(unix))]
    {
        let _not_told = path;
        None
    }
}

/// Who holds a lock for writing on a range of bytes: where it starts, and how long it is.
#[cfg(unix)]
fn held(path: &Path, (start, length): (u64, u64)) -> Option<Holder> {
    use rustix::process::{Flock, FlockOffsetType, FlockType, fcntl_getlk};
    if super::database::open_in_this_process(&[path.to_path_buf()]).is_some() {
        return None;
    }
    let file = super::open_plain(path).ok()?;
    // One for reading only meets those for writing.
    let wanted = Flock {
        start,
        length,
        pid: None,
        typ: FlockType::ReadLock,
        offset_type: FlockOffsetType::Set,
    };
    let found = fcntl_getlk(&file, &wanted).ok().flatten()?;
    let pid = found.pid.and_then(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok());
    Some(Holder { pid })
}
