//! Where the steps of a journal are.

use std::path::PathBuf;

use crate::local::{Journal, Step};
use crate::source::place::Refusal;
use crate::source::{RelPath, absolute};

/// Files that SQLite keeps beside a database.
pub(in crate::ops) const LOGS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// The absolute path of the place of a step.
pub(in crate::ops) fn full_path(journal: &Journal, step: &Step) -> Option<PathBuf> {
    let root = journal.roots.get(usize::from(step.root))?;
    Some(absolute(&path_of(root), &RelPath::from_bytes(step.path.clone())))
}

/// What was refused of files in a folder of the rollback, as it is about the places that they are for. Of those that
/// `counts` says.
pub(in crate::ops) fn of_places(
    journal: &Journal,
    refused: Vec<Refusal>,
    counts: impl Fn(&Step, &str) -> bool,
) -> Vec<Refusal> {
    let place = |refusal: Refusal| {
        let name = refusal.path.file_name()?.to_string_lossy();
        let digits = name.bytes().take_while(u8::is_ascii_digit).count();
        let number: u32 = name.get(..digits)?.parse().ok()?;
        let step = journal.steps.iter().find(|step| step.name == number)?;
        counts(step, refusal.action).then_some(())?;
        Some(Refusal { path: full_path(journal, step)?, ..refusal })
    };
    refused.into_iter().filter_map(place).collect()
}

/// A root's path from its bytes.
pub(in crate::ops) fn path_of(bytes: &[u8]) -> PathBuf {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt as _;
        std::ffi::OsStr::from_bytes(bytes).into()
    }
    #[cfg(not(unix))]
    {
        String::from_utf8_lossy(bytes).into_owned().into()
    }
}
