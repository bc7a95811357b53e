//! Directories that are left out, and are on the way to something that is not.

use std::collections::HashSet;

use super::RelPath;
use super::walked::{Excluded, Passages, Walk};

/// A directory that is left out comes back if something below it is in the snapshot.
pub(super) fn open_passages(
    root: u16,
    passages: Passages,
    list_excluded: bool,
    first_found: usize,
    walk: &mut Walk,
) {
    let mut opened = Vec::new();
    let mut closed = HashSet::new();
    for (passage, reason) in passages {
        let mut inside = passage.path.as_bytes().to_vec();
        inside.push(b'/');
        let found = walk.found.get(first_found..).unwrap_or_default();
        let next = found.partition_point(|entry| entry.path.as_bytes() < inside.as_slice());
        if found.get(next).is_some_and(|entry| entry.path.as_bytes().starts_with(&inside)) {
            opened.push(passage);
        } else {
            closed.insert(passage.path.clone());
            if list_excluded {
                walk.excluded.push(Excluded { root: passage.root, path: passage.path, reason });
            }
        }
    }
    if !closed.is_empty() {
        // The directory that is left out stands for all that is left out in it.
        walk.excluded.retain(|entry| entry.root != root || !is_below(&entry.path, &closed));
    }
    if !opened.is_empty() {
        walk.found.append(&mut opened);
        let found = walk.found.get_mut(first_found..).unwrap_or_default();
        found.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    }
}

/// Whether a directory above `path` is in `directories`.
fn is_below(path: &RelPath, directories: &HashSet<RelPath>) -> bool {
    let bytes = path.as_bytes();
    let above = bytes
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'/')
        .filter_map(|(at, _)| bytes.get(..at));
    above
        .into_iter()
        .any(|directory| directories.contains(&RelPath::from_bytes(directory.to_vec())))
}
