//! What a snapshot has that the one before it had not, in figures: for people who look for the right one.

use std::cmp::Reverse;

use crate::engine::aspects::{Aspect, aspects};
use crate::engine::file_cache::Memory;
use crate::engine::roots::same_roots;
use crate::entry::EntryKind;
use crate::format::{ChangeSummary, Entry, GrownPath, PackRef, RootRecord};

/// How many paths are named.
const MOST: usize = 5;

/// Compares the entries of a new snapshot with those of the previous one. Packs from number `first_new` on were
/// made for the new one.
pub(super) fn summary(
    entries: &[Entry],
    roots: &[RootRecord],
    packs: &[PackRef],
    previous: &Memory,
    first_new: u32,
) -> ChangeSummary {
    let paths: Vec<&[u8]> = roots.iter().map(|root| root.path.as_slice()).collect();
    let old_roots = same_roots(&paths, &previous.roots);
    let file = |entry: &Entry| entry.kind != EntryKind::Directory;
    let mut kept = 0;
    let mut summary = ChangeSummary {
        stored_bytes: packs
            .iter()
            .filter(|pack| pack.number >= first_new)
            .map(|pack| pack.bytes)
            .sum(),
        ..ChangeSummary::default()
    };
    for entry in entries {
        let root = old_roots.get(usize::from(entry.root)).copied().flatten();
        let old = root.and_then(|root| previous.at(u16::try_from(root).ok()?, &entry.path));
        let grown = match old {
            None => {
                summary.added += u64::from(file(entry));
                true
            }
            Some(old) => {
                kept += u64::from(file(old));
                let differs = aspects(old, entry);
                summary.changed += u64::from(!differs.is_empty() && (file(old) || file(entry)));
                differs.iter().any(|aspect| matches!(aspect, Aspect::Content | Aspect::Kind))
            }
        };
        let new = entry.runs.iter().filter(|run| run.pack >= first_new);
        let bytes = new.map(|run| run.bytes).fold(0, u64::saturating_add);
        if grown && bytes > 0 {
            let grown = GrownPath { root: entry.root, path: entry.path.as_bytes().to_vec(), bytes };
            summary.most.push(grown);
        }
    }
    summary.removed = previous.files().saturating_sub(kept);
    summary.most.sort_by_key(|grown| Reverse(grown.bytes));
    summary.most.truncate(MOST);
    summary
}
