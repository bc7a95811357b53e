//! Reading files of configuration: with placeholders for what a snapshot must not hold.

use std::path::Path;

use super::capture::{Capture, Content, ReadError};
use crate::chunk::Cutter;
use crate::format::EntryFlags;
use crate::source::{Fingerprint, Found, Root, walk, withheld};

impl Capture<'_, '_> {
    /// Reads a file that may hold what is withheld; once more when it changed meanwhile, and then as it is, with a remark.
    pub(super) fn configuration(
        &mut self,
        path: &Path,
        found: &mut Found,
        root: &Root,
    ) -> Result<Content, ReadError> {
        let stat = || walk::fingerprint(path, false).map_err(ReadError::File);
        let mut before = stat()?;
        let mut again = true;
        loop {
            let read = self.withheld.read(root, &found.path, path);
            let (bytes, flags) = match read.map_err(ReadError::File)? {
                // Too large for configuration.
                None => return self.file(path, found),
                Some(withheld::Content::Unknown) => return Err(ReadError::Withheld),
                Some(withheld::Content::Binary) => return Err(ReadError::Binary),
                Some(withheld::Content::AsItIs(bytes)) => (bytes, EntryFlags::default()),
                Some(withheld::Content::Replaced(bytes)) => (bytes, EntryFlags::REDACTED),
            };
            let stable = stat()? == before;
            if stable || !again {
                let cutter = Cutter::file(self.seed);
                let mut content = self.take(&cutter, &mut bytes.as_slice())?;
                content.flags =
                    if stable { flags } else { flags.with(EntryFlags::CHANGED_WHILE_READ) };
                // Remembered as it was before reading: a later change is seen by the next push.
                found.fingerprint = Fingerprint { log: found.fingerprint.log, ..before };
                return Ok(content);
            }
            before = stat()?;
            again = false;
        }
    }
}
