//! The moves that steps are made of. Each is one rename, and each can be repeated.

use super::config::MAX_CONFIG_BYTES;
use crate::crypto::ContentHash;
use crate::entry::EntryKind;
use crate::error::{Error, Result};
use crate::local::Step;
use crate::source::place::{Spot, Stat};

/// The places that a step is about.
#[derive(Debug)]
pub(super) struct Spots {
    /// In the state.
    pub(super) place: Spot,
    pub(super) new: Spot,
    pub(super) old: Spot,
    pub(super) used: Spot,
}

/// Moves what is in the place to `old/`. What is there a second time came late, and goes beside it.
pub(super) fn take_away(spots: &Spots) -> Result<()> {
    take_away_to(&spots.place, &spots.old)
}

/// As [`take_away`], to another name.
pub(super) fn take_away_to(place: &Spot, old: &Spot) -> Result<()> {
    if place.stat()?.is_none() {
        return Ok(());
    }
    let mut to = old.clone();
    let mut number = 1;
    while to.stat()?.is_some() {
        to = old.beside(&format!(".late{number}"));
        number += 1;
    }
    place.move_to(&to)
}

/// Moves what is in `old/` back to its place.
pub(super) fn put_back(spots: &Spots) -> Result<()> {
    if spots.old.stat()?.is_none() {
        return Ok(());
    }
    take_away(spots)?;
    spots.old.move_to(&spots.place)
}

/// Whether a staged file or link is what was staged.
pub(super) fn whole(spot: &Spot, stat: Stat, step: &Step) -> Result<bool> {
    match stat.kind {
        Some(EntryKind::Symlink) => Ok(step.sha256.is_empty()),
        Some(EntryKind::File) if stat.size == step.size => {
            let mut hash = ContentHash::default();
            match spot.read_all(&mut |piece| hash.update(piece)) {
                Ok(()) => Ok(hash.finish().as_slice() == step.sha256),
                // Its owner may not read it; it was checked when it was staged.
                Err(Error::Permission { .. }) => Ok(true),
                Err(error) => Err(error),
            }
        }
        _ => Ok(false),
    }
}

/// Who has what is replaced, or the directory that something lands in.
pub(super) fn owner(spots: &Spots) -> Result<(u32, u32)> {
    match spots.old.stat()? {
        Some(old) if spots.place.stat()?.is_none() => Ok(old.owner),
        _ => spots.place.owner(),
    }
}

/// Puts what is staged into its place.
pub(super) fn put(step: &Step, spots: &Spots) -> Result<()> {
    let Some(staged) = spots.new.stat()? else { return Ok(()) };
    // Before it is there: nobody would know afterwards that it is not theirs yet.
    spots.new.set_owner(owner(spots)?)?;
    match spots.place.stat()? {
        // On another file system a copy was put in place, and the process ended before the rest.
        Some(stat)
            if staged.kind == Some(EntryKind::File)
                && stat.kind == staged.kind
                && whole(&spots.place, stat, step)? =>
        {
            spots.place.set_mode(step.mode)?;
            return spots.new.remove();
        }
        Some(_) => take_away(spots)?,
        None => {}
    }
    spots.new.move_to(&spots.place)
}

/// Puts the merged configuration into its place.
pub(super) fn put_config(spots: &Spots) -> Result<()> {
    if spots.new.stat()?.is_none() {
        return Ok(());
    }
    let work = spots.new.beside(".work");
    if work.stat()?.is_some() {
        let same = match spots.place.stat()?.and_then(|stat| stat.kind) {
            Some(EntryKind::File) => {
                spots.place.read(MAX_CONFIG_BYTES).ok() == work.read(MAX_CONFIG_BYTES).ok()
            }
            _ => false,
        };
        if same {
            work.remove()?;
        } else {
            work.set_owner(owner(spots)?)?;
            take_away(spots)?;
            work.move_to(&spots.place)?;
        }
    }
    spots.new.move_to(&spots.used)
}

/// Puts the configuration back that was there, or none.
pub(super) fn unput_config(step: &Step, spots: &Spots) -> Result<()> {
    let work = spots.new.beside(".work");
    let used = spots.used.stat()?.is_some();
    let placed = used || (work.stat()?.is_none() && step.before.is_none());
    if step.before.is_none() && placed && spots.old.stat()?.is_none() {
        // There was none: ours goes.
        take_away_to(&spots.place, &spots.old.beside(".ours"))?;
    }
    if used {
        spots.used.move_to(&spots.new)?;
    }
    put_back(spots)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::ambient::NoFailPoints;
    use crate::source::place::Place;

    #[test]
    fn what_comes_late_again_and_again_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::open(dir.path(), Arc::new(NoFailPoints)).unwrap();
        let (live, old) = (place.name("live"), place.name("old"));
        for text in ["a", "b", "c", "d"] {
            std::fs::write(live.path(), text).unwrap();
            take_away_to(&live, &old).unwrap();
        }
        // Nothing there is nothing to take away.
        take_away_to(&live, &old).unwrap();
        let mut kept: Vec<String> = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
            .collect();
        kept.sort();
        assert_eq!(kept, ["a", "b", "c", "d"]);
        assert_eq!(std::fs::read_to_string(old.path()).unwrap(), "a");
    }
}
