//! The entries of a snapshot as they are read, also where files are renamed meanwhile.

use std::collections::HashSet;

use super::capture::{Capture, Draft};
use super::contents::Owned;
use crate::engine::scan::LOOKS;
use crate::error::Result;
use crate::format::Entry;
use crate::source::logs::settle;
use crate::source::walk::{GONE_AGAIN, walk_beside};
use crate::source::{Fingerprint, Found, RelPath};

/// Reads what has to be read. Every entry in order, with its place in `found` and what to know it by next time. `found`
/// gets what is only found meanwhile.
pub(super) fn drafts(
    capture: &mut Capture<'_, '_>,
    owned: &Owned,
    found: &mut Vec<Found>,
    same: Vec<(usize, Entry)>,
) -> Result<Vec<(usize, Draft, Fingerprint)>> {
    let mut drafts: Vec<(usize, Draft, Fingerprint)> = Vec::with_capacity(found.len());
    let mut done: HashSet<usize> = HashSet::new();
    for (index, before) in owned.changes.read.iter().zip(&owned.before) {
        let Some(read) = found.get(*index).filter(|_| !done.contains(index)) else {
            continue;
        };
        let logs: &[usize] = owned.logs.get(index).map_or(&[], Vec::as_slice);
        let beside = logs.iter().filter_map(|log| found.get(*log)).cloned().collect();
        for (member, draft) in capture.entry(read.clone(), beside, before.as_ref())? {
            let index = if member == 0 { Some(index) } else { logs.get(member - 1) };
            let Some(index) = index.copied() else { continue };
            done.insert(index);
            let print = print_of(&draft, read);
            drafts.push((index, draft, print));
        }
    }
    if !owned.turned_back {
        find_again(capture, owned, found, &mut drafts)?;
    }
    let fingerprint =
        |index: usize| found.get(index).map(|found| found.fingerprint).unwrap_or_default();
    drafts.extend(
        same.into_iter().map(|(index, entry)| (index, Draft::Same(entry), fingerprint(index))),
    );
    let place = |index: usize| found.get(index).map(|found| (found.root, &found.path));
    drafts.sort_unstable_by(|(a, ..), (b, ..)| place(*a).cmp(&place(*b)));
    Ok(drafts)
}

fn print_of(draft: &Draft, found: &Found) -> Fingerprint {
    match draft {
        Draft::Read(read, _) => read.fingerprint,
        Draft::Same(_) => found.fingerprint,
    }
}

/// What was gone when it was to be read may have another name by now: looks at the state again, and reads what is new in
/// it. What goes on like this is named in the end.
fn find_again(
    capture: &mut Capture<'_, '_>,
    owned: &Owned,
    found: &mut Vec<Found>,
    drafts: &mut Vec<(usize, Draft, Fingerprint)>,
) -> Result<()> {
    for _ in 0..LOOKS {
        if capture.gone.is_empty() {
            return Ok(());
        }
        let gone: HashSet<_> = std::mem::take(&mut capture.gone).into_iter().map(key).collect();
        let known: HashSet<_> = found.iter().cloned().map(key).collect();
        let (rules, hanging) = &owned.rules;
        let cancel = &capture.chunker.cancel;
        let mut walk = walk_beside(&owned.roots, rules, hanging, false, cancel)?;
        settle(&owned.roots, &mut walk, false);
        for new in walk.found {
            let place = key(new.clone());
            if known.contains(&place) && !gone.contains(&place) {
                continue;
            }
            for (_, draft) in capture.entry(new.clone(), Vec::new(), None)? {
                let print = print_of(&draft, &new);
                drafts.push((found.len(), draft, print));
                found.push(new.clone());
            }
        }
    }
    for still in std::mem::take(&mut capture.gone) {
        capture.skip(&still, "B2_SKIPPED_UNREADABLE", GONE_AGAIN.to_owned());
    }
    Ok(())
}

fn key(found: Found) -> (u16, RelPath) {
    (found.root, found.path)
}
