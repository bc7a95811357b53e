//! The roots of a state and of a snapshot: how they are recorded, and which of two sides are the same one.

use std::borrow::Cow;
use std::collections::HashMap;

use super::file_cache::path_bytes;
use super::tree::path_for_people;
use crate::entry::{EntryKind, RelPath};
use crate::format::{Entry, RootRecord};
use crate::source::{Root, RootKind, as_path};

/// Kinds of roots, by their number in a manifest.
const KINDS: [RootKind; 5] =
    [RootKind::State, RootKind::Workspace, RootKind::AgentDir, RootKind::Config, RootKind::Linked];

/// What a manifest says of a root.
pub(crate) fn record(root: &Root) -> RootRecord {
    let kind = KINDS.iter().position(|kind| *kind == root.kind).unwrap_or_default();
    RootRecord {
        kind: u8::try_from(kind).unwrap_or_default(),
        path: path_bytes(&root.path),
        at: root.at.as_ref().map(|at| at.as_bytes().to_vec()),
    }
}

/// The path of something on this machine for people; outside the state directory with its root before it.
pub(crate) fn shown_here(roots: &[Root], root: u16, path: &RelPath) -> String {
    let other = roots.get(usize::from(root)).filter(|_| root > 0);
    path_for_people(other.map(|root| path_bytes(&root.path)).as_deref(), path)
}

/// What a root was to the host. `None` for a kind of a newer version.
pub(crate) fn kind(record: &RootRecord) -> Option<RootKind> {
    KINDS.get(usize::from(record.kind)).copied()
}

/// The root that a snapshot recorded. `None` for a kind of a newer version.
pub(crate) fn recorded(record: &RootRecord) -> Option<Root> {
    let path = as_path(&record.path).into_owned();
    let at = record.at.clone().map(RelPath::from_bytes);
    Some(Root { at, ..Root::new(kind(record)?, path) })
}

/// What rules hold for a path below a root of a snapshot, and the path as these see it. `None` for a kind of a newer
/// version.
pub(crate) fn judged<'p>(
    record: &RootRecord,
    path: &'p RelPath,
) -> Option<(RootKind, Cow<'p, RelPath>)> {
    Some(recorded(record)?.judged(path))
}

/// For each root of a snapshot the path of the link in the state directory that led to it, where the root is to come in
/// the place of that link: no machine but the one that made the snapshot has what is there. Only roots that are
/// `wanted`, and of which the snapshot does hold the link.
pub(crate) fn in_place_of_links(
    records: &[RootRecord],
    entries: &[Entry],
    wanted: impl Fn(usize) -> bool,
) -> Vec<Option<RelPath>> {
    let links = entries.iter().filter(|entry| entry.kind == EntryKind::Symlink);
    let links: HashMap<RelPath, usize> =
        links.filter_map(|link| Some((seen(records, link)?, usize::from(link.root)))).collect();
    let mut places: Vec<Option<RelPath>> = vec![None; records.len()];
    // A link below what another one leads to comes after that one.
    let mut order: Vec<(&Vec<u8>, usize)> = (1..)
        .zip(records.iter().skip(1))
        .filter(|(_, record)| kind(record) != Some(RootKind::Config))
        .filter_map(|(index, record)| Some((record.at.as_ref()?, index)))
        .collect();
    order.sort_unstable();
    for (at, index) in order {
        let at = RelPath::from_bytes(at.clone());
        let Some(from) = links.get(&at) else { continue };
        let reached = *from == 0 || places.get(*from).is_some_and(Option::is_some);
        let free = !places.iter().flatten().any(|place| *place == at);
        if let Some(place) = places.get_mut(index).filter(|_| wanted(index) && reached && free) {
            *place = Some(at);
        }
    }
    places
}

/// Puts entries of such roots below the state directory, and a directory in the place of each link.
pub(crate) fn put_in_place(
    entries: Vec<Entry>,
    records: &[RootRecord],
    places: &[Option<RelPath>],
) -> Vec<Entry> {
    if places.iter().all(Option::is_none) {
        return entries;
    }
    let put = |mut entry: Entry| {
        let seen = seen(records, &entry);
        if entry.kind == EntryKind::Symlink && seen.is_some() && places.contains(&seen) {
            entry.kind = EntryKind::Directory;
            entry.mode = 0o700;
            entry.target = Vec::new();
        }
        if let Some(Some(place)) = places.get(usize::from(entry.root)) {
            entry.path = place.join(&entry.path);
            entry.root = 0;
        }
        entry
    };
    let mut entries: Vec<Entry> = entries.into_iter().map(put).collect();
    entries.sort_by(|a, b| (a.root, &a.path).cmp(&(b.root, &b.path)));
    entries
}

/// The path of an entry as it is seen from the state directory, through links. `None` for what lies elsewhere.
pub(crate) fn seen(records: &[RootRecord], entry: &Entry) -> Option<RelPath> {
    if entry.root == 0 {
        return Some(entry.path.clone());
    }
    let at = records.get(usize::from(entry.root))?.at.clone()?;
    Some(RelPath::from_bytes(at).join(&entry.path))
}

/// As [`same_roots`]; and two that links at the same place lead to are the same one, wherever they lie.
pub(crate) fn same_records(of: &[RootRecord], to: &[RootRecord]) -> Vec<Option<usize>> {
    let paths = |roots: &[RootRecord]| -> Vec<Vec<u8>> {
        roots.iter().map(|root| root.path.clone()).collect()
    };
    let mut same = same_roots(&paths(of), &paths(to));
    for (index, root) in of.iter().enumerate() {
        if same.get(index) == Some(&None) && root.at.is_some() {
            let other = to.iter().position(|other| other.at == root.at);
            let free = other.filter(|other| !same.contains(&Some(*other)));
            if let Some(place) = same.get_mut(index) {
                *place = free;
            }
        }
    }
    same
}

/// For each root of one side the root of the other that is the same: the state directory, always the first,
/// wherever it lies, and any other by its path.
pub(crate) fn same_roots(of: &[impl AsRef<[u8]>], to: &[impl AsRef<[u8]>]) -> Vec<Option<usize>> {
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
pub(crate) struct Places {
    roots: Vec<RootRecord>,
    /// For each root of the second side its place.
    second: Vec<usize>,
}

impl Places {
    pub(crate) fn of(first: &[RootRecord], second: &[RootRecord]) -> Self {
        let mut roots = first.to_vec();
        let same = same_records(second, first);
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
    pub(crate) fn of_second(&self, root: u16) -> usize {
        self.second.get(usize::from(root)).copied().unwrap_or(usize::MAX)
    }

    /// The root at a place; of one that both sides have, as the first records it.
    pub(crate) fn root(&self, place: usize) -> Option<&RootRecord> {
        self.roots.get(place)
    }

    /// A path for people; outside the state directory with its root before it.
    pub(crate) fn shown(&self, place: usize, path: &RelPath) -> String {
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
        let root = |kind, path: &str| RootRecord { kind, path: path.into(), at: None };
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
