//! What lies behind the last page of a database. SQLite does not see it, so it is in no copy that SQLite makes.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use super::super::private_copy::logs;

/// Looks behind the last page of `source`, of which `copy` has all pages: the open file where something other than zeros
/// is there. With a log, what is there may be pages that are not needed any more.
///
/// # Errors
/// The system's.
pub(super) fn find(source: &Path, copy: &Path) -> io::Result<Option<File>> {
    let pages = std::fs::metadata(copy)?.len();
    if std::fs::metadata(source)?.len() <= pages || !logs(source).is_empty() {
        return Ok(None);
    }
    let mut file = File::open(source)?;
    file.seek(SeekFrom::Start(pages))?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let got = file.read(&mut buffer)?;
        if got == 0 {
            return Ok(None);
        }
        // Space that SQLite keeps ready is zeros.
        if buffer.get(..got).unwrap_or_default().iter().any(|byte| *byte != 0) {
            return Ok(logs(source).is_empty().then_some(file));
        }
    }
}
