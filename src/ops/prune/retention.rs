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
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Monday 2026-02-16, 00:00 UTC.
    const MONDAY: i64 = 1_771_200_000_000;

    fn keep(newest: u32, daily: u32, weekly: u32) -> Keep {
        Keep::new(newest, daily, weekly).unwrap()
    }

    /// Snapshots at hours after `MONDAY`, oldest first.
    fn at(hours: &[i64]) -> Vec<Candidate> {
        let snapshot = |(sequence, hour): (u64, &i64)| Candidate {
            sequence,
            server_ms: MONDAY + hour * 3_600_000,
            safety: false,
            host: None,
        };
        (1..).zip(hours).map(snapshot).collect()
    }

    fn shown(keep: Keep, candidates: &[Candidate], now_ms: i64) -> Vec<String> {
        let show = |why: Vec<Why>| why.iter().map(Why::to_string).collect::<Vec<_>>().join(", ");
        decide(keep, candidates, now_ms).into_iter().map(show).collect()
    }

    #[test]
    fn nothing_at_all_is_refused() {
        let error = Keep::new(0, 7, 4).unwrap_err();
        assert_eq!(error.code(), "B2_CONFIG");
        assert!(error.to_string().contains("keepSnapshots"), "{error}");
    }

    #[test]
    fn a_calendar() {
        // Three a day (0, 8 and 20 h) from Monday to the Tuesday after the next Sunday: 27 snapshots.
        let hours: Vec<i64> =
            (0..9).flat_map(|day| [0, 8, 20].map(|hour| day * 24 + hour)).collect();
        let now = MONDAY + 9 * DAY_MS;
        let shown = shown(keep(4, 3, 2), &at(&hours), now);
        let kept: Vec<(usize, &str)> = shown
            .iter()
            .map(String::as_str)
            .enumerate()
            .filter(|(_, why)| !why.is_empty())
            .collect();
        assert_eq!(
            kept,
            [
                // The last ones of Friday, Saturday and Sunday; Sunday is also the end of its week.
                (14, "daily 3"),
                (17, "daily 2"),
                (20, "daily 1, weekly 1"),
                // Monday's last one is among the newest: that day needs no other.
                (23, "newest 4"),
                (24, "newest 3"),
                (25, "newest 2"),
                (26, "newest 1"),
            ]
        );
    }

    #[test]
    fn a_week_ends_on_sunday() {
        let hours = [6 * 24 + 23, 7 * 24, 7 * 24 + 1, 40 * 24];
        let why = shown(keep(1, 0, 9), &at(&hours), MONDAY + 41 * DAY_MS);
        assert_eq!(why, ["weekly 2", "", "weekly 1", "newest 1"]);
        // The turn of a year is in the middle of a week: 2026-12-31 is a Thursday.
        let thursday = (365 - 46) * 24 - 24 + 1;
        let why = shown(
            keep(1, 0, 9),
            &at(&[thursday, thursday + 24, thursday + 30 * 24]),
            MONDAY + 900 * DAY_MS,
        );
        assert_eq!(why, ["", "weekly 1", "newest 1"]);
    }

    #[test]
    fn a_busy_day_does_not_push_yesterday_out() {
        let hours: Vec<i64> =
            (0..5).map(|day| day * 24).chain((0..40).map(|_| 5 * 24 + 1)).collect();
        let why = shown(keep(10, 7, 4), &at(&hours), MONDAY + 6 * DAY_MS);
        assert_eq!(&why[..5], ["daily 5", "daily 4", "daily 3", "daily 2", "daily 1"]);
        assert_eq!(why.iter().filter(|why| !why.is_empty()).count(), 15);
    }

    /// Snapshots of these hosts, an hour apart, oldest first.
    fn of(hosts: &[Option<usize>]) -> Vec<Candidate> {
        let hours: Vec<i64> = (0..).take(hosts.len()).collect();
        let with =
            |(candidate, host): (Candidate, &Option<usize>)| Candidate { host: *host, ..candidate };
        at(&hours).into_iter().zip(hosts).map(with).collect()
    }

    #[test]
    fn the_last_one_before_each_update_stays() {
        let some = of(&[Some(1), Some(1), Some(2), None, Some(2), Some(3), Some(3), None]);
        let now = MONDAY + DAY_MS;
        let why = shown(keep(1, 0, 0).with_updates(5), &some, now);
        let last = "newest of this version";
        assert_eq!(why, ["", "before update 2", "", "", "before update 1", "", last, "newest 1"]);
        let why = shown(keep(1, 0, 0).with_updates(1), &some, now);
        assert_eq!(why, ["", "", "", "", "before update 1", "", last, "newest 1"]);
        assert_eq!(
            shown(keep(1, 0, 0), &some, now).iter().filter(|why| !why.is_empty()).count(),
            1
        );
        // For 90 days, and not a millisecond longer.
        let ends = some[4].server_ms + UPDATE_MS;
        assert_eq!(shown(keep(1, 0, 0).with_updates(5), &some, ends)[4], "before update 1");
        assert_eq!(shown(keep(1, 0, 0).with_updates(5), &some, ends + 1)[4], "");
    }

    /// Back to an old version is a change as well: what the new one had stays, too.
    #[test]
    fn going_back_is_an_update() {
        let some = of(&[Some(1), Some(2), Some(1)]);
        let why = shown(keep(1, 0, 0).with_updates(5), &some, MONDAY + DAY_MS);
        assert_eq!(why, ["before update 2", "before update 1", "newest 1"]);
    }

    /// A safety snapshot of the new version, made before it is taken back, hides no update.
    #[test]
    fn what_is_kept_anyway_takes_no_update() {
        let mut some = of(&[Some(1), Some(2), Some(2)]);
        some[1].safety = true;
        let why = shown(keep(1, 0, 0).with_updates(5), &some, MONDAY + DAY_MS);
        assert_eq!(why, ["before update 1", "safety", "newest 1"]);
    }

    #[test]
    fn years_without_a_push_delete_nothing() {
        let days: Vec<i64> = (0..12).map(|day| day * 24).collect();
        let soon = shown(keep(3, 5, 2), &at(&days), MONDAY + 12 * DAY_MS);
        assert_eq!(soon, shown(keep(3, 5, 2), &at(&days), MONDAY + 4000 * DAY_MS));
    }

    #[test]
    fn safety_and_future_take_no_place() {
        let mut snapshots = at(&[0, 1, 2, 3, 4]);
        snapshots[1].safety = true;
        snapshots[4].server_ms = MONDAY + 30 * DAY_MS;
        let why = shown(keep(2, 0, 0), &snapshots, MONDAY + DAY_MS);
        assert_eq!(why, ["", "safety", "newest 2", "newest 1", "future"]);
    }

    /// Servers tell the time to the second, and may differ by minutes.
    #[test]
    fn the_future_begins_five_minutes_from_now() {
        let mut snapshots = at(&[0, 0]);
        snapshots[1].server_ms = MONDAY + 300_000;
        assert_eq!(shown(keep(1, 0, 0), &snapshots, MONDAY), ["", "newest 1"]);
        snapshots[1].server_ms += 1;
        assert_eq!(shown(keep(1, 0, 0), &snapshots, MONDAY), ["newest 1", "future"]);
    }

    fn snapshots() -> impl Strategy<Value = Vec<Candidate>> {
        let one = (0..60_i64 * 24, prop::bool::weighted(0.1), prop::option::of(0..3_usize));
        prop::collection::vec(one, 0..80).prop_map(|all| {
            let candidate = |(sequence, (hour, safety, host))| Candidate {
                sequence,
                server_ms: MONDAY + hour * 3_600_000,
                safety,
                host,
            };
            (1..).zip(all).map(candidate).collect()
        })
    }

    fn kept(reasons: &[Vec<Why>]) -> usize {
        reasons.iter().filter(|why| !why.is_empty()).count()
    }

    /// The same by the calendar: which are kept, said as the settings say it.
    fn by_the_calendar(
        (newest, daily, weekly): (u32, u32, u32),
        all: &[Candidate],
        now: i64,
    ) -> Vec<bool> {
        let counts = |one: &Candidate| !one.safety && one.server_ms <= now + SKEW_MS;
        let mut ordinary: Vec<Candidate> = all.iter().copied().filter(counts).collect();
        ordinary.sort_by_key(|one| one.sequence);
        let split = ordinary.len().saturating_sub(newest as usize);
        let date = |one: &Candidate| {
            let at = jiff::Timestamp::from_millisecond(one.server_ms).unwrap();
            at.to_zoned(jiff::tz::TimeZone::UTC).date()
        };
        let day = |one: &Candidate| date(one).to_string();
        let week = |one: &Candidate| {
            let week = date(one).iso_week_date();
            format!("{}-{}", week.year(), week.week())
        };
        let mut kept: BTreeSet<u64> = ordinary[split..].iter().map(|one| one.sequence).collect();
        let mut take = |period: &dyn Fn(&Candidate) -> String, limit: u32| {
            let mut names: Vec<String> = ordinary.iter().rev().map(period).collect();
            let mut seen = BTreeSet::new();
            names.retain(|name| seen.insert(name.clone()));
            let last =
                |name: &String| ordinary.iter().rposition(|one| period(one) == *name).unwrap();
            let older = names.iter().map(last).filter(|at| *at < split);
            kept.extend(older.take(limit as usize).map(|at| ordinary[at].sequence));
        };
        take(&day, daily);
        take(&week, weekly);
        all.iter().map(|one| !counts(one) || kept.contains(&one.sequence)).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn what_the_calendar_says(
            all in snapshots(), newest in 1..12_u32, daily in 0..9_u32, weekly in 0..6_u32, day in 0..70_i64,
        ) {
            let now = MONDAY + day * DAY_MS;
            let reasons = decide(keep(newest, daily, weekly), &all, now);
            let kept: Vec<bool> = reasons.iter().map(|why| !why.is_empty()).collect();
            prop_assert_eq!(kept, by_the_calendar((newest, daily, weekly), &all, now));
        }

        #[test]
        fn what_must_never_go_never_goes(
            all in snapshots(), newest in 1..12_u32, daily in 0..9_u32, weekly in 0..6_u32, day in 0..70_i64,
        ) {
            let now = MONDAY + day * DAY_MS;
            let reasons = decide(keep(newest, daily, weekly), &all, now);
            prop_assert_eq!(reasons.len(), all.len());
            let last = all.iter().zip(&reasons).max_by_key(|(one, _)| one.sequence);
            prop_assert!(last.is_none_or(|(_, why)| !why.is_empty()), "the newest went");
            let counts = |one: &&Candidate| !one.safety && one.server_ms <= now + SKEW_MS;
            let ordinary: Vec<&Candidate> = all.iter().filter(counts).collect();
            for (one, why) in all.iter().zip(&reasons) {
                let rank = ordinary.iter().filter(|other| other.sequence > one.sequence).count();
                if !counts(&one) {
                    prop_assert!(!why.is_empty());
                } else if rank < newest as usize {
                    let number = u32::try_from(rank).unwrap() + 1;
                    prop_assert_eq!(why.as_slice(), &[Why::Newest(number)][..]);
                }
            }
            let bound = (newest + daily + weekly) as usize;
            prop_assert!(kept(&reasons) - (all.len() - ordinary.len()) <= bound);
        }

        /// Pruning every day must keep what pruning once at the end would keep.
        #[test]
        fn often_is_as_good_as_once(
            all in snapshots(), newest in 1..6_u32, daily in 0..6_u32, weekly in 0..5_u32, every in 1..5_usize,
            updates in 0..4_u32,
        ) {
            let keep = keep(newest, daily, weekly).with_updates(updates);
            let mut all = all;
            all.sort_by_key(|one| one.server_ms);
            for (sequence, one) in (1..).zip(&mut all) {
                one.sequence = sequence;
            }
            let now = MONDAY + 100 * DAY_MS;
            let survivors = |of: &[Candidate]| -> Vec<Candidate> {
                let reasons = decide(keep, of, now);
                of.iter().zip(reasons).filter(|(_, why)| !why.is_empty()).map(|(one, _)| *one).collect()
            };
            let mut often: Vec<Candidate> = Vec::new();
            for some in all.chunks(every) {
                often.extend(some);
                often = survivors(&often);
            }
            prop_assert_eq!(often, survivors(&all));
        }

        /// What an update is kept for is kept besides: nothing else changes.
        #[test]
        fn updates_take_no_place(
            all in snapshots(), newest in 1..12_u32, daily in 0..9_u32, weekly in 0..6_u32, updates in 0..6_u32,
        ) {
            let now = MONDAY + 70 * DAY_MS;
            let without = decide(keep(newest, daily, weekly), &all, now);
            let mut with = decide(keep(newest, daily, weekly).with_updates(updates), &all, now);
            let is = |why: &Why| matches!(why, Why::Update(_));
            let taken = with.iter().flatten().filter(|why| is(why)).count();
            prop_assert!(taken <= updates as usize + 1);
            for why in &mut with {
                why.retain(|why| !is(why));
            }
            prop_assert_eq!(with, without);
        }

        #[test]
        fn more_of_everything_keeps_more(
            all in snapshots(), newest in 1..12_u32, daily in 0..9_u32, weekly in 0..6_u32,
        ) {
            let now = MONDAY + 70 * DAY_MS;
            let few = decide(keep(newest, daily, weekly), &all, now);
            for more in [
                keep(newest + 1, daily, weekly),
                keep(newest, daily + 1, weekly),
                keep(newest, daily, weekly + 1),
            ] {
                let many = decide(more, &all, now);
                let lost = few.iter().zip(&many).filter(|(a, b)| !a.is_empty() && b.is_empty());
                prop_assert_eq!(lost.count(), 0);
            }
        }
    }
}
