//! Which snapshots are kept. Pure: the same snapshots, numbers and time give the same answer.
//!
//! Time is the server's. A day is one of UTC, a week an ISO week (Monday to Sunday, UTC). Nothing goes because time
//! passes: days and weeks count only where a snapshot was made, so a machine that was off keeps what it has.

use std::collections::BTreeSet;
use std::fmt::{Display, Formatter};
use std::num::NonZeroU32;

use crate::error::{Error, Result};

/// How far a snapshot may be ahead of the server's clock without being called one from the future, milliseconds:
/// answers tell the time to the second, and servers differ among themselves.
const SKEW_MS: i64 = 5 * 60_000;
const DAY_MS: i64 = 24 * 60 * 60_000;
/// A snapshot before an update is kept for that no longer than this, milliseconds.
const UPDATE_MS: i64 = 90 * DAY_MS;
/// 1970-01-01 was a Thursday: the third day after a Monday.
const DAYS_INTO_WEEK: i64 = 3;

/// How many snapshots are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    newest: NonZeroU32,
    daily: u32,
    weekly: u32,
    updates: u32,
}

impl Keep {
    /// Checks the numbers of the settings `keepSnapshots`, `keepDaily` and `keepWeekly`.
    ///
    /// # Errors
    /// `B2_CONFIG` for no snapshots at all.
    pub fn new(newest: u32, daily: u32, weekly: u32) -> Result<Self> {
        let newest = NonZeroU32::new(newest)
            .ok_or_else(|| Error::config("keepSnapshots", "must be a whole number from 1"))?;
        Ok(Self { newest, daily, weekly, updates: 0 })
    }

    /// Besides, of so many of the last updates of the host, the newest snapshot before each.
    #[must_use]
    pub fn with_updates(self, updates: u32) -> Self {
        Self { updates, ..self }
    }
}

/// A snapshot, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    /// Position in the lineage.
    pub(super) sequence: u64,
    /// When it was made by the server's clock, milliseconds since 1970.
    pub(super) server_ms: i64,
    /// Made before a rollback.
    pub(super) safety: bool,
    /// Which version of the host made it: equal numbers are equal versions. `None` where it is not known.
    pub(super) host: Option<usize>,
}

/// Why a snapshot is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// The how-many-th newest it is, from 1.
    Newest(u32),
    /// The last one of a day; the how-many-th of those days, from 1.
    Daily(u32),
    /// The last one of a week.
    Weekly(u32),
    /// Made before a rollback.
    Safety,
    /// Later than the server's clock.
    Future,
    /// The last rollback can be undone with it.
    Undo,
    /// The last one before an update of the host, or before one went back; the how-many-th update from now, from 1; 0: of
    /// the version that runs.
    Update(u32),
    /// The last one with a directory that is gone or empty now.
    Missing,
}

impl Display for Why {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Newest(number) => write!(f, "newest {number}"),
            Self::Daily(number) => write!(f, "daily {number}"),
            Self::Weekly(number) => write!(f, "weekly {number}"),
            Self::Safety => f.write_str("safety"),
            Self::Future => f.write_str("future"),
            Self::Undo => f.write_str("undo"),
            Self::Update(0) => f.write_str("newest of this version"),
            Self::Update(number) => write!(f, "before update {number}"),
            Self::Missing => f.write_str("last with what is missing"),
        }
    }
}

/// The reasons to keep each of `candidates`, in their order; one without reasons goes. `now_ms` is the server's
/// time, milliseconds since 1970.
///
/// - Safety snapshots, and snapshots from the future, are kept, and take nobody's place.
/// - Of the others, the newest ones.
/// - Of those that are older, the last one of each of the last days and of the last weeks that have one. A day or
///   week whose last snapshot is among the newest is kept already and takes no place.
/// - Of these the last one before each of the last updates of the host, for 90 days. It takes nobody's place. One of which
///   the host is not known says nothing. The last one of the present version stays as well: it may be the one before the next
///   update.
pub(super) fn decide(keep: Keep, candidates: &[Candidate], now_ms: i64) -> Vec<Vec<Why>> {
    let mut reasons = vec![Vec::new(); candidates.len()];
    let mut newest_first: Vec<(&Candidate, &mut Vec<Why>)> =
        candidates.iter().zip(&mut reasons).collect();
    newest_first.sort_by_key(|(candidate, _)| std::cmp::Reverse(candidate.sequence));

    let (mut days, mut weeks) = (Period::new(keep.daily), Period::new(keep.weekly));
    let mut newest = 0;
    let mut updates = Updates { host: None, limit: keep.updates, taken: 0, now_ms };
    for (candidate, why) in newest_first {
        if candidate.safety {
            why.push(Why::Safety);
            continue;
        }
        if candidate.server_ms > now_ms.saturating_add(SKEW_MS) {
            why.push(Why::Future);
            continue;
        }
        let update = updates.take(candidate);
        let day = candidate.server_ms.div_euclid(DAY_MS);
        let week = (day + DAYS_INTO_WEEK).div_euclid(7);
        if newest < keep.newest.get() {
            newest += 1;
            why.push(Why::Newest(newest));
            days.seen.insert(day);
            weeks.seen.insert(week);
        } else {
            why.extend(days.take(day).map(Why::Daily));
            why.extend(weeks.take(week).map(Why::Weekly));
        }
        let besides = why.is_empty();
        why.extend(update.filter(|number| *number > 0 || besides).map(Why::Update));
    }
    reasons
}

/// Updates of the host, met with rising age.
struct Updates {
    /// Which version the snapshot met last was made by.
    host: Option<usize>,
    limit: u32,
    taken: u32,
    now_ms: i64,
}

impl Updates {
    /// The number of the update that this is the last snapshot before, if it is kept for that; 0 for one that is yet to
    /// come, whose version the next snapshot tells.
    fn take(&mut self, candidate: &Candidate) -> Option<u32> {
        let host = candidate.host?;
        let newer = self.host.replace(host);
        let old = self.now_ms.saturating_sub(candidate.server_ms) > UPDATE_MS;
        if newer == Some(host) || old || self.taken == self.limit {
            return None;
        }
        if newer.is_none() {
            return Some(0);
        }
        self.taken += 1;
        Some(self.taken)
    }
}

/// Days or weeks of which the last snapshot was met already.
struct Period {
    seen: BTreeSet<i64>,
    limit: u32,
    taken: u32,
}

impl Period {
    fn new(limit: u32) -> Self {
        Self { seen: BTreeSet::new(), limit, taken: 0 }
    }

    /// Called with rising age: the number of this day or week, if its last snapshot is met here and is kept.
    fn take(&mut self, number: i64) -> Option<u32> {
        if !self.seen.insert(number) || self.taken == self.limit {
            return None;
        }
        self.taken += 1;
        Some(self.taken)
    }
}

#[cfg(test)]
mod tests;
