//! What makes two entries of one path differ.

use crate::entry::EntryKind;
use crate::format::Entry;

/// In what two entries of a path differ. Times are none of it: touching a file changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aspect {
    /// What is in the file.
    Content,
    /// Permission bits.
    Mode,
    /// Where the symlink points.
    Target,
    /// One is a file, say, and the other a directory.
    Kind,
}

impl Aspect {
    /// The name that users and other programs see.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Content => "content",
            Self::Mode => "mode",
            Self::Target => "target",
            Self::Kind => "kind",
        }
    }
}

/// In what `after` differs from `before`. Where the kind is another, nothing else counts.
pub(crate) fn aspects(before: &Entry, after: &Entry) -> Vec<Aspect> {
    if before.kind != after.kind {
        return vec![Aspect::Kind];
    }
    let content = (before.size, before.sha256) != (after.size, after.sha256);
    let mode = before.mode != after.mode;
    match before.kind {
        EntryKind::File => [(content, Aspect::Content), (mode, Aspect::Mode)]
            .into_iter()
            .filter_map(|(differs, aspect)| differs.then_some(aspect))
            .collect(),
        EntryKind::Directory if mode => vec![Aspect::Mode],
        // The mode of a link is the system's, and means nothing.
        EntryKind::Symlink if before.target != after.target => vec![Aspect::Target],
        EntryKind::Directory | EntryKind::Symlink => Vec::new(),
    }
}
