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
    let hours: Vec<i64> = (0..9).flat_map(|day| [0, 8, 20].map(|hour| day * 24 + hour)).collect();
    let now = MONDAY + 9 * DAY_MS;
    let shown = shown(keep(4, 3, 2), &at(&hours), now);
    let kept: Vec<(usize, &str)> =
        shown.iter().map(String::as_str).enumerate().filter(|(_, why)| !why.is_empty()).collect();
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
    let hours: Vec<i64> = (0..5).map(|day| day * 24).chain((0..40).map(|_| 5 * 24 + 1)).collect();
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
    assert_eq!(shown(keep(1, 0, 0), &some, now).iter().filter(|why| !why.is_empty()).count(), 1);
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
        let last = |name: &String| ordinary.iter().rposition(|one| period(one) == *name).unwrap();
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
