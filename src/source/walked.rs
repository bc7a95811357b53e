//! What a walk finds.

use std::collections::HashSet;

use super::policy::Policy;
use super::{Found, RelPath, Skipped};

/// Something on disk that is left out on purpose. Of a directory that is left out, not its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excluded {
    /// Index of the root in the list of roots.
    pub root: u16,
    /// Path below the root.
    pub path: RelPath,
    /// Why, in a few words for people.
    pub reason: &'static str,
}

/// Everything found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Walk {
    /// What belongs in the snapshot, by root, then by the bytes of the path.
    pub found: Vec<Found>,
    /// What does not, in the same order; unless asked for, only what stays out because nothing is encrypted.
    pub excluded: Vec<Excluded>,
    /// What should be in the snapshot and could not be looked at.
    pub skipped: Vec<Skipped>,
    /// What was listed, and gone when it was looked at.
    pub gone: Vec<Skipped>,
    /// What has the name of a log of a database, until [`super::logs::settle`] has looked at what it lies beside; then
    /// the logs with something in them that belong to databases, by root, then by path.
    pub logs: Vec<Found>,
}

pub(super) type Passages = Vec<(Found, &'static str)>;

/// What the threads find out about one entry.
#[derive(Debug, Default)]
pub(super) enum Verdict {
    /// Of no interest.
    #[default]
    Nothing,
    /// Gone since its directory was read.
    Gone(Skipped),
    Found(Box<Found>),
    /// A file with the name of a log.
    Log(Box<Found>),
    /// A directory that is left out itself, but something below it may not be.
    Passage(Box<Found>, &'static str),
    Excluded(RelPath, &'static str),
    /// The whole directory around this entry is left out.
    Private(RelPath, &'static str),
    Skipped(Skipped),
}

pub(super) fn take(
    verdict: Verdict,
    (root, list_excluded): (u16, bool),
    walk: &mut Walk,
    passages: &mut Passages,
    private: &mut HashSet<RelPath>,
) {
    match verdict {
        Verdict::Nothing => {}
        Verdict::Gone(gone) => walk.gone.push(gone),
        Verdict::Found(found) => walk.found.push(*found),
        Verdict::Log(found) => walk.logs.push(*found),
        Verdict::Passage(found, reason) => passages.push((*found, reason)),
        Verdict::Private(path, reason) => {
            if list_excluded {
                walk.excluded.push(Excluded { root, path: path.clone(), reason });
            }
            private.insert(path);
        }
        Verdict::Excluded(path, reason) => {
            if list_excluded || Policy::is_plain(reason) {
                walk.excluded.push(Excluded { root, path, reason });
            }
        }
        Verdict::Skipped(skipped) => walk.skipped.push(skipped),
    }
}
