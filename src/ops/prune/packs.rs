//! When a pack may go. Pure.

use std::collections::{HashMap, HashSet};

use crate::format::PackName;
use crate::local::UnusedPack;

/// How long a pack stays after the last manifest that names it, by the server's clock, milliseconds. It protects a
/// restore that another machine has begun.
pub(super) const GRACE_MS: i64 = 24 * 60 * 60_000;

/// What becomes of a pack that nothing needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It may go now.
    Goes,
    /// Its day is not over yet.
    Waits,
    /// A snapshot that was lost lately may need it.
    Kept,
}

/// What decides about packs.
#[derive(Debug)]
pub(super) struct Packs<'a> {
    /// Named by a manifest that stays, or part of an interrupted push.
    pub(super) in_use: &'a HashSet<PackName>,
    /// Named by a manifest that was deleted just now.
    pub(super) given_up: &'a HashSet<PackName>,
    /// What was noted before.
    pub(super) noted: &'a [UnusedPack],
    /// Whether snapshots of this machine were lost lately, of which it is not known what they need.
    pub(super) lost: bool,
    /// Number of the lineage's newest manifest.
    pub(super) sequence: u64,
    /// The server's time; the earlier where there is doubt.
    pub(super) now_ms: i64,
    /// The server's time when the last manifest was deleted.
    pub(super) deleted_ms: i64,
}

impl Packs<'_> {
    /// What is to be noted of each of `stored` that nothing needs, and what becomes of it.
    pub(super) fn judge(
        &self,
        stored: impl IntoIterator<Item = PackName>,
    ) -> Vec<(UnusedPack, Fate)> {
        let noted: HashMap<PackName, UnusedPack> =
            self.noted.iter().map(|note| (note.name, *note)).collect();
        let unused = stored.into_iter().filter(|name| !self.in_use.contains(name));
        unused.map(|name| self.judge_one(name, noted.get(&name))).collect()
    }

    fn judge_one(&self, name: PackName, noted: Option<&UnusedPack>) -> (UnusedPack, Fate) {
        // One that no known manifest named may be a lost snapshot's.
        let unknown = if self.lost { Fate::Kept } else { Fate::Waits };
        let begins = |since_ms, after| (UnusedPack { name, since_ms, after }, Fate::Waits);
        if self.given_up.contains(&name) {
            return begins(self.deleted_ms, None);
        }
        match noted {
            None => (begins(self.now_ms, Some(self.sequence)).0, unknown),
            Some(note) => match note.after {
                Some(_) if self.lost => (*note, unknown),
                // The lineage has moved on: a copy of this machine that has not is stopped by that.
                Some(after) if self.sequence > after => begins(self.now_ms, None),
                Some(_) => (*note, unknown),
                // The clock was ahead when it was noted.
                None if note.since_ms > self.now_ms => begins(self.now_ms, None),
                None if self.now_ms - note.since_ms >= GRACE_MS => (*note, Fate::Goes),
                None => (*note, Fate::Waits),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_771_200_000_000;

    fn pack(number: u8) -> PackName {
        PackName([number; 16])
    }

    fn set(numbers: &[u8]) -> HashSet<PackName> {
        numbers.iter().map(|number| pack(*number)).collect()
    }

    /// What becomes of pack 1.
    fn judged(noted: &[UnusedPack], given_up: &[u8], now_ms: i64) -> (UnusedPack, Fate) {
        judged_where(false, noted, given_up, now_ms)
    }

    fn judged_where(
        lost: bool,
        noted: &[UnusedPack],
        given_up: &[u8],
        now_ms: i64,
    ) -> (UnusedPack, Fate) {
        let (in_use, given_up) = (set(&[2]), set(given_up));
        let packs = Packs {
            in_use: &in_use,
            given_up: &given_up,
            noted,
            lost,
            sequence: 7,
            now_ms,
            deleted_ms: now_ms + 1,
        };
        let mut all = packs.judge([pack(1), pack(2)]);
        assert_eq!(all.len(), 1, "what is in use is not noted");
        all.remove(0)
    }

    fn note(since_ms: i64, after: Option<u64>) -> UnusedPack {
        UnusedPack { name: pack(1), since_ms, after }
    }

    #[test]
    fn a_pack_goes_after_a_day() {
        assert_eq!(judged(&[], &[1], NOW), (note(NOW + 1, None), Fate::Waits));
        for (age, fate) in [
            (0, Fate::Waits),
            (GRACE_MS - 1, Fate::Waits),
            (GRACE_MS, Fate::Goes),
            (GRACE_MS * 9, Fate::Goes),
        ] {
            let noted = note(NOW - age, None);
            assert_eq!(judged(&[noted], &[], NOW), (noted, fate), "{age}");
        }
    }

    #[test]
    fn what_was_named_again_begins_anew() {
        assert_eq!(
            judged(&[note(NOW - GRACE_MS * 2, None)], &[1], NOW),
            (note(NOW + 1, None), Fate::Waits)
        );
    }

    #[test]
    fn a_clock_that_goes_back_prolongs_the_grace() {
        assert_eq!(
            judged(&[note(NOW + 9 * GRACE_MS, None)], &[], NOW),
            (note(NOW, None), Fate::Waits)
        );
    }

    /// It may be needed by a snapshot that somebody hid.
    #[test]
    fn a_pack_that_nobody_ever_named_waits_for_snapshots_that_were_lost() {
        let noted = note(NOW - 100 * GRACE_MS, Some(6));
        assert_eq!(judged_where(true, &[], &[], NOW), (note(NOW, Some(7)), Fate::Kept));
        assert_eq!(judged_where(true, &[noted], &[], NOW), (noted, Fate::Kept));
        assert_eq!(judged_where(false, &[noted], &[], NOW), (note(NOW, None), Fate::Waits));
        // This machine gave it up itself.
        let noted = note(NOW - GRACE_MS, None);
        assert_eq!(judged_where(true, &[noted], &[], NOW), (noted, Fate::Goes));
    }

    /// A copy of this machine may have uploaded it, and may still commit.
    #[test]
    fn a_pack_that_nobody_ever_named_waits_for_a_newer_snapshot() {
        assert_eq!(judged(&[], &[], NOW), (note(NOW, Some(7)), Fate::Waits));
        let noted = note(NOW - 100 * GRACE_MS, Some(7));
        assert_eq!(judged(&[noted], &[], NOW), (noted, Fate::Waits));
        let noted = note(NOW - 100 * GRACE_MS, Some(6));
        assert_eq!(judged(&[noted], &[], NOW), (note(NOW, None), Fate::Waits));
    }
}
