//! What makes two entries of one path differ, and which roots of two sides are the same one.

use std::collections::HashMap;

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
pub(super) fn aspects(before: &Entry, after: &Entry) -> Vec<Aspect> {
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

/// For each root of one side the root of the other that is the same: the state directory, always the first,
/// wherever it lies, and any other by its path.
pub(super) fn same_roots(of: &[impl AsRef<[u8]>], to: &[impl AsRef<[u8]>]) -> Vec<Option<usize>> {
    let others = to.iter().enumerate().skip(1).rev();
    let mut by_path: HashMap<&[u8], usize> =
        others.map(|(index, path)| (path.as_ref(), index)).collect();
    of.iter()
        .enumerate()
        .map(|(index, path)| match index {
            0 => (!to.is_empty()).then_some(0),
            // A snapshot that names a root twice is odd; no two of one side are the same one.
            _ => by_path.remove(path.as_ref()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_are_the_same_by_path_and_once() {
        let same = |of: &[&str], to: &[&str]| same_roots(of, to);
        assert_eq!(
            same(&["/home/a/.openclaw", "/ws", "/gone"], &["/home/b/.openclaw", "/new", "/ws"]),
            [Some(0), Some(2), None]
        );
        assert_eq!(
            same(&["/s", "/a", "/a", "/s"], &["/s", "/a", "/s"]),
            [Some(0), Some(1), None, Some(2)]
        );
        assert_eq!(same(&["/s"], &[]), [None]);
    }
}
