//! The roots of a state and of a snapshot: how they are recorded, and which of two sides are the same one.

use std::collections::HashMap;

use super::push::memory::path_bytes;
use super::tree::path_for_people;
use crate::entry::RelPath;
use crate::format::RootRecord;
use crate::source::{Root, RootKind};

/// Kinds of roots, by their number in a manifest.
const KINDS: [RootKind; 4] =
    [RootKind::State, RootKind::Workspace, RootKind::AgentDir, RootKind::Config];

/// What a manifest says of a root.
pub(super) fn record(root: &Root) -> RootRecord {
    let kind = KINDS.iter().position(|kind| *kind == root.kind).unwrap_or_default();
    RootRecord { kind: u8::try_from(kind).unwrap_or_default(), path: path_bytes(&root.path) }
}

/// The path of something on this machine for people; outside the state directory with its root before it.
pub(super) fn shown_here(roots: &[Root], root: u16, path: &RelPath) -> String {
    let other = roots.get(usize::from(root)).filter(|_| root > 0);
    path_for_people(other.map(|root| path_bytes(&root.path)).as_deref(), path)
}

/// What a root was to the host. `None` for a kind of a newer version.
pub(super) fn kind(record: &RootRecord) -> Option<RootKind> {
    KINDS.get(usize::from(record.kind)).copied()
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

/// The roots of two sides in one numbering: those of the first, then those that only the second has.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    roots: Vec<RootRecord>,
    /// For each root of the second side its place.
    second: Vec<usize>,
}

impl Places {
    pub(super) fn of(first: &[RootRecord], second: &[RootRecord]) -> Self {
        let paths = |roots: &[RootRecord]| -> Vec<Vec<u8>> {
            roots.iter().map(|root| root.path.clone()).collect()
        };
        let mut roots = first.to_vec();
        let same = same_roots(&paths(second), &paths(first));
        let second = second.iter().zip(same).map(|(root, same)| {
            same.unwrap_or_else(|| {
                roots.push(root.clone());
                roots.len() - 1
            })
        });
        let second = second.collect();
        Self { roots, second }
    }

    /// The place of a root of the second side.
    pub(super) fn of_second(&self, root: u16) -> usize {
        self.second.get(usize::from(root)).copied().unwrap_or(usize::MAX)
    }

    /// The root at a place; of one that both sides have, as the first records it.
    pub(super) fn root(&self, place: usize) -> Option<&RootRecord> {
        self.roots.get(place)
    }

    /// A path for people; outside the state directory with its root before it.
    pub(super) fn shown(&self, place: usize, path: &RelPath) -> String {
        let other = self.root(place).filter(|_| place > 0);
        path_for_people(other.map(|root| root.path.as_slice()), path)
    }
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

    #[test]
    fn two_sides_share_places() {
        let root = |kind, path: &str| RootRecord { kind, path: path.as_bytes().to_vec() };
        let first = [root(0, "/home/a/.openclaw"), root(1, "/ws")];
        let second = [root(0, "/home/b/.openclaw"), root(2, "/agent"), root(1, "/ws")];
        let places = Places::of(&first, &second);
        assert_eq!([0, 1, 2].map(|root| places.of_second(root)), [0, 2, 1]);
        let path = RelPath::from_bytes(b"x\xff".to_vec());
        let shown = [0, 1, 2].map(|place| places.shown(place, &path));
        assert_eq!(shown, ["x\\xff", "/ws/x\\xff", "/agent/x\\xff"]);
        assert_eq!(places.root(2).and_then(kind), Some(RootKind::AgentDir));
        assert_eq!(kind(&root(9, "/new")), None);
    }
}
