//! What a comparison says.

use super::pairs::Difference;
use crate::engine::aspects::Aspect;
use crate::engine::problem::FileProblem;
use crate::engine::roots::Places;
use crate::engine::text::TextOmitted;
use crate::entry::EntryKind;

/// What became of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Only the second side has it.
    Added,
    /// Only the first side has it.
    Removed,
    /// Both have it, and it is not the same.
    Changed,
}

impl Change {
    /// The name that users and other programs see.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
        }
    }
}

/// A path that is not the same on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiffEntry {
    /// The path for people; outside the state directory with its root before it.
    pub path: String,
    /// What became of it.
    pub change: Change,
    /// In what it differs, where both sides have it.
    pub what: Vec<Aspect>,
    /// What it is; what it was where it is no more.
    pub kind: EntryKind,
    /// Bytes of content on the first side; 0 where it is no file.
    pub bytes_before: u64,
    /// Bytes of content on the second side; 0 where it is no file.
    pub bytes_after: u64,
    /// Whether it is a database.
    pub database: bool,
    /// Hunks of a unified diff without the lines that name the files; where text was asked for.
    pub text: Option<String>,
    /// Why there is no text of a file whose content differs, where text was asked for.
    pub text_omitted: Option<TextOmitted>,
}

/// What is different.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiffReport {
    /// Id of the first snapshot.
    pub from: String,
    /// Id of the second one, or `live`.
    pub to: String,
    /// Files and symlinks that only the second side has.
    pub added: u64,
    /// Files and symlinks that only the first side has.
    pub removed: u64,
    /// Files and symlinks that are not the same.
    pub changed: u64,
    /// Bytes of content of all files in `entries`, on the first side.
    pub bytes_before: u64,
    /// The same on the second side.
    pub bytes_after: u64,
    /// Every difference, by root, the state directory first, then by path. Directories are listed when they
    /// are added or removed or have another mode.
    pub entries: Vec<DiffEntry>,
    /// What of the state could not be looked at, and is not compared.
    pub skipped: Vec<FileProblem>,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// Body bytes received.
    pub downloaded_bytes: u64,
    /// Requests made.
    pub requests: u64,
    /// How long it took, milliseconds.
    pub duration_ms: u64,
}

impl DiffReport {
    /// Takes the differences in, in their order.
    pub(super) fn describe(&mut self, differences: &[Difference], places: &Places) {
        for difference in differences {
            let Some(last) = difference.sides().last() else { continue };
            let (change, count) = match (&difference.before, &difference.after) {
                (None, _) => (Change::Added, &mut self.added),
                (_, None) => (Change::Removed, &mut self.removed),
                _ => (Change::Changed, &mut self.changed),
            };
            *count += u64::from(difference.is_of_file());
            let bytes =
                |item: &Option<super::pairs::Item>| item.as_ref().map_or(0, |item| item.entry.size);
            let (bytes_before, bytes_after) = (bytes(&difference.before), bytes(&difference.after));
            self.bytes_before = self.bytes_before.saturating_add(bytes_before);
            self.bytes_after = self.bytes_after.saturating_add(bytes_after);
            self.entries.push(DiffEntry {
                path: places.shown(last.place, &last.entry.path),
                change,
                what: difference.what.clone(),
                kind: last.entry.kind,
                bytes_before,
                bytes_after,
                database: difference.is_of_database(),
                text: None,
                text_omitted: None,
            });
        }
    }
}
