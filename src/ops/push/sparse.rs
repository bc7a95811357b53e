//! Packs of which little is used any more. Their live chunks are stored again from local data, which costs no
//! download; the old pack dies with the last snapshot that names it (docs/format.md, section 15).

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::assemble::complete;
use super::capture::{Capture, Content, Draft, runs};
use crate::error::Result;
use crate::format::{Entry, EntryFlags, PackRef, Reason, Run};
use crate::repo::PackIndex;
use crate::source::logs::base_of;
use crate::source::{Fingerprint, Found};

/// A pack of which less than one part in so many is used is sparse.
const SPARSE: u64 = 3;
/// Packs smaller than this, in bytes, are small.
const SMALL_BYTES: u64 = 1 << 20;
/// So many small packs may be in use.
const SMALL_PACKS: usize = 64;
/// So many bytes may be stored again in any push.
const BUDGET_BYTES: u64 = 8 << 20;
/// And one part in so many of what is new in it.
const BUDGET_PART: u64 = 10;

/// Whether a push has the time to store anything again: hooks of the host have deadlines, and a rollback waits for
/// its safety snapshot.
pub(super) fn has_time(reason: Reason) -> bool {
    matches!(reason, Reason::Manual | Reason::Scheduled)
}

/// Content of a pack, before compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Use {
    number: u32,
    /// Size of the object.
    stored: u64,
    used: u64,
    all: u64,
}

/// The packs that this snapshot should not use: what it uses of them is to be stored again. `tree` are the runs of
/// the previous tree; packs from number `first_new` on are of this push, which has `new_bytes` of new content.
pub(super) fn sparse(
    entries: &[Entry],
    tree: &[Run],
    indexes: &BTreeMap<u32, (PackRef, PackIndex)>,
    first_new: u32,
    new_bytes: u64,
) -> BTreeSet<u32> {
    let mut ranges: BTreeMap<u32, Vec<(u32, u32)>> = BTreeMap::new();
    for run in entries.iter().flat_map(|entry| &entry.runs).chain(tree) {
        if run.pack < first_new {
            ranges.entry(run.pack).or_default().push((run.first, run.first + run.count));
        }
    }
    let uses = ranges.into_iter().filter_map(|(number, ranges)| {
        let (pack, index) = indexes.get(&number)?;
        let lengths = &index.footer().chunk_bytes;
        let all = lengths.iter().copied().map(u64::from).sum();
        Some(Use { number, stored: pack.bytes, used: covered(ranges, lengths), all })
    });
    choose(uses.collect(), BUDGET_BYTES.max(new_bytes / BUDGET_PART))
}

/// Bytes of the chunks in any of `ranges`.
fn covered(mut ranges: Vec<(u32, u32)>, lengths: &[u32]) -> u64 {
    ranges.sort_unstable();
    let (mut bytes, mut done) = (0, 0);
    for (first, end) in ranges {
        let first = first.max(done);
        let part = lengths.get(first as usize..(end as usize).max(first as usize));
        bytes += part.unwrap_or_default().iter().copied().map(u64::from).sum::<u64>();
        done = done.max(end);
    }
    bytes
}

fn choose(mut uses: Vec<Use>, mut budget: u64) -> BTreeSet<u32> {
    let mut chosen = BTreeSet::new();
    let mut take = |one: &Use| {
        if one.used <= budget {
            budget -= one.used;
            chosen.insert(one.number);
        }
    };
    uses.sort_by_key(|one| (one.used * 1000 / one.all.max(1), one.number));
    let is_sparse = |one: &&Use| one.used * SPARSE < one.all;
    uses.iter().filter(is_sparse).for_each(&mut take);
    let mut small: Vec<&Use> =
        uses.iter().filter(|one| !is_sparse(one) && one.stored < SMALL_BYTES).collect();
    if small.len() > SMALL_PACKS {
        // All that the budget allows, not one at a time: each byte is moved once or twice, not with every push.
        small.sort_by_key(|one| (one.stored, one.number));
        small.into_iter().for_each(take);
    }
    chosen
}

/// An entry whose content was read again.
pub(super) struct Again {
    at: usize,
    found: Found,
    content: Content,
}

/// Reads every file again that uses one of the packs in `sparse`, which are known no more. A file that is gone or
/// cannot be read now stays as it was: the pack lives on. So does one that changed and was read together with logs.
pub(super) fn read_again(
    capture: &mut Capture<'_, '_>,
    sparse: &BTreeSet<u32>,
    entries: &[Entry],
    found: &[&Found],
) -> Result<Vec<Again>> {
    capture.chunker.known.forget(sparse);
    let together = together(entries);
    let mut again = Vec::new();
    for (at, (entry, found)) in entries.iter().zip(found).enumerate() {
        if !entry.runs.iter().any(|run| sparse.contains(&run.pack)) {
            continue;
        }
        let skipped = capture.skipped.len();
        match capture.entry((*found).clone(), Vec::new(), None)?.pop() {
            Some((_, Draft::Read(_, content)))
                if (content.size, content.sha256) != (entry.size, entry.sha256)
                    && (entry.flags.with(content.flags).has(EntryFlags::AS_BYTES)
                        || together.contains(&at)) =>
            {
                capture.skipped.truncate(skipped);
            }
            Some((_, Draft::Read(found, content))) => again.push(Again { at, found, content }),
            Some((_, Draft::Same(_))) | None => capture.skipped.truncate(skipped),
        }
    }
    Ok(again)
}

/// Where the files with logs beside them are, and these: they are what they are at one moment. Entries are in order.
fn together(entries: &[Entry]) -> HashSet<usize> {
    let pairs = entries.iter().enumerate().filter_map(|(log, entry)| {
        let base = base_of(&entry.path)?;
        let place = |other: &Entry| (other.root, &other.path).cmp(&(entry.root, &base));
        Some([entries.binary_search_by(place).ok()?, log])
    });
    pairs.flatten().collect()
}

/// Points entries to where their content is now. One that changed meanwhile is as it was read last.
pub(super) fn point(
    entries: &mut [Entry],
    prints: &mut [Fingerprint],
    again: Vec<Again>,
    places: &[(u32, u32)],
) -> Result<()> {
    for Again { at, found, content } in again {
        let (Some(entry), Some(print)) = (entries.get_mut(at), prints.get_mut(at)) else {
            continue;
        };
        if (content.size, content.sha256) == (entry.size, entry.sha256) {
            entry.runs = runs(&content.stretches, places)?;
        } else {
            *print = found.fingerprint;
            *entry = complete(Draft::Read(found, content), places)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn pack(number: u32, stored: u64, used: u64, all: u64) -> Use {
        Use { number, stored, used, all }
    }

    #[test]
    fn chunks_count_once() {
        let lengths = [1, 10, 100, 1000, 10_000];
        assert_eq!(covered(vec![(3, 4), (0, 2), (1, 3), (1, 2)], &lengths), 1111);
        assert_eq!(covered(vec![(0, 9)], &lengths), 0, "a run that the footer does not have");
        assert_eq!(covered(vec![], &lengths), 0);
    }

    #[test]
    fn less_than_a_third_is_sparse() {
        let uses = vec![
            pack(1, 16 * MIB, 5 * MIB, 15 * MIB),
            pack(2, 16 * MIB, 5 * MIB - 1, 15 * MIB),
            pack(3, 16 * MIB, 15 * MIB, 15 * MIB),
        ];
        assert_eq!(choose(uses, 8 * MIB), BTreeSet::from([2]));
    }

    #[test]
    fn the_budget_goes_to_the_sparsest() {
        let uses = vec![
            pack(1, 16 * MIB, 4 * MIB, 20 * MIB),
            pack(2, 16 * MIB, 6 * MIB, 20 * MIB),
            pack(3, 16 * MIB, 3 * MIB, 20 * MIB),
            pack(4, 16 * MIB, MIB, 4 * MIB),
        ];
        assert_eq!(choose(uses.clone(), 8 * MIB), BTreeSet::from([1, 3, 4]));
        assert_eq!(choose(uses, 0), BTreeSet::new());
    }

    #[test]
    fn too_many_small_packs_are_put_together() {
        let full = |number, stored| pack(number, stored, stored, stored);
        let mut uses: Vec<Use> = (0..64).map(|number| full(number, 100_000)).collect();
        uses.push(full(64, MIB));
        assert_eq!(choose(uses.clone(), 8 * MIB), BTreeSet::new());
        uses.push(full(65, 50_000));
        assert_eq!(choose(uses.clone(), 8 * MIB).len(), 65, "all but the large one");
        assert_eq!(choose(uses, 120_000), BTreeSet::from([65]), "the smallest first");
    }
}
