//! Whose turn it is to be read. Pure.

use std::cmp::Reverse;

/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 60 * 60_000;
/// And of a week.
const WEEK_MS: i64 = 7 * DAY_MS;
/// What was read within this time belongs to the same week's turn, milliseconds: less than a week, since a turn
/// may come some hours early.
const SAME_TURN_MS: i64 = 6 * DAY_MS;
/// A time later than this from now was told by a clock that was wrong.
const SKEW_MS: i64 = DAY_MS;

/// A pack that could be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    pub(super) bytes: u64,
    /// When it was uploaded, milliseconds since 1970; `None` where the listing does not say.
    pub(super) uploaded_ms: Option<i64>,
    /// When it was last read.
    pub(super) read_ms: Option<i64>,
    /// Whether it was found to be bad.
    pub(super) bad: bool,
}

impl Turn {
    /// Since when nobody has looked at it. A pack that was never read counts as read when it was uploaded, since
    /// it was opened and compared just before: else those of each day would keep the old ones from being read.
    fn last(&self, now_ms: i64) -> i64 {
        let last = self.read_ms.or(self.uploaded_ms).unwrap_or(i64::MIN);
        if last > now_ms.saturating_add(SKEW_MS) { i64::MIN } else { last }
    }
}

/// Indexes of `packs`, those first that were not read for longest.
fn oldest_first(packs: &[Turn], now_ms: i64, bad: bool) -> Vec<usize> {
    let all = packs.iter().enumerate().filter(|(_, pack)| pack.bad == bad);
    let mut order: Vec<(i64, usize)> = all.map(|(at, pack)| (pack.last(now_ms), at)).collect();
    order.sort_unstable();
    order.into_iter().map(|(_, at)| at).collect()
}

/// The oldest of `order` that have `budget` bytes together, the last one in whole.
fn first_bytes(packs: &[Turn], order: Vec<usize>, budget: u128) -> Vec<usize> {
    let mut bytes = 0u128;
    order
        .into_iter()
        .take_while(|at| {
            let goes = bytes < budget;
            bytes += packs.get(*at).map_or(0, |pack| u128::from(pack.bytes));
            goes
        })
        .collect()
}

/// `percent` per cent of all bytes, and everything that was found bad: it may have been mended, and is worth naming
/// until it is.
pub(super) fn sample(packs: &[Turn], percent: u8, now_ms: i64) -> Vec<usize> {
    let total: u128 = packs.iter().map(|pack| u128::from(pack.bytes)).sum();
    let budget = (total * u128::from(percent.clamp(1, 100))).div_ceil(100);
    let mut order = oldest_first(packs, now_ms, true);
    order.extend(oldest_first(packs, now_ms, false));
    let mut chosen = first_bytes(packs, order.clone(), budget);
    chosen.extend(order.into_iter().skip(chosen.len()).take_while(|at| is_bad(packs, *at)));
    chosen
}

fn is_bad(packs: &[Turn], at: usize) -> bool {
    packs.get(at).is_some_and(|pack| pack.bad)
}

/// What is due this week, so that everything is read within `weeks` weeks: as many bytes as are one week's part, or
/// that would else be too old before the next turn, though at most twice that part (after months in which nothing ran).
/// Never more than `most_bytes` a week, but for the last pack, which is read in whole. What was read in the last days,
/// by a turn that was cut off or by hand, is taken off. Packs that were found bad are looked at again as far as
/// `most_bytes` allow; they take nobody's turn.
pub(super) fn due(packs: &[Turn], weeks: u32, most_bytes: u64, now_ms: i64) -> Vec<usize> {
    let weeks = i64::from(weeks.max(1));
    let bytes_of = |wanted: &dyn Fn(&Turn) -> bool| -> u64 {
        packs.iter().filter(|pack| !pack.bad && wanted(pack)).map(|pack| pack.bytes).sum()
    };
    let part = bytes_of(&|_| true).div_ceil(weeks.unsigned_abs());
    let age = |pack: &Turn| now_ms.saturating_sub(pack.last(now_ms));
    let had_its_turn = |pack: &Turn| pack.read_ms.is_some() && age(pack) < SAME_TURN_MS;
    let done = bytes_of(&had_its_turn);
    let too_old = (weeks - 1) * WEEK_MS - DAY_MS;
    let late = bytes_of(&|pack| age(pack) >= too_old && !had_its_turn(pack));
    let most = (2 * part).min(most_bytes).saturating_sub(done);
    let budget = part.saturating_sub(done).max(late).min(most);
    let mut chosen = first_bytes(packs, oldest_first(packs, now_ms, false), budget.into());
    let spent: u64 = chosen.iter().filter_map(|at| packs.get(*at)).map(|pack| pack.bytes).sum();
    let mut left = most_bytes.saturating_sub(done).saturating_sub(spent);
    let mut again = oldest_first(packs, now_ms, true);
    again.sort_by_key(|at| Reverse(packs.get(*at).map(|pack| pack.read_ms)));
    for at in again {
        let bytes = packs.get(at).map_or(0, |pack| pack.bytes);
        if bytes <= left {
            left -= bytes;
            chosen.push(at);
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_771_200_000_000;

    fn pack(bytes: u64, days_ago: i64) -> Turn {
        let uploaded_ms = Some(NOW - days_ago * DAY_MS);
        Turn { bytes, uploaded_ms, read_ms: None, bad: false }
    }

    /// Lives `weeks` weeks of packs that come and go, each turn some hours early or late, and returns the greatest
    /// age in days that any pack reached before it was read, and the most bytes that one turn read.
    fn live(within: u32, most: u64, weeks: i64, grows: &dyn Fn(i64) -> usize) -> (i64, u64) {
        let mut packs: Vec<Turn> = (0..200).map(|_| pack(10, 0)).collect();
        let (mut oldest, mut largest) = (0, 0);
        for week in 1..=weeks {
            let now = NOW + week * WEEK_MS + (week % 5 - 2) * 3_600_000;
            let chosen = due(&packs, within, most, now);
            largest = largest.max(chosen.iter().map(|at| packs[*at].bytes).sum());
            for at in chosen {
                oldest = oldest.max((now - packs[at].last(now)) / DAY_MS);
                packs[at].read_ms = Some(now);
            }
            // Retention takes some of every age, and pushes add some.
            let mut number = 0;
            packs.retain(|_| {
                number += 1;
                number % 13 != week % 13
            });
            let uploaded_ms = Some(now);
            let new = Turn { bytes: 10, uploaded_ms, read_ms: None, bad: false };
            packs.extend(std::iter::repeat_n(new, grows(week)));
            let never = packs.iter().map(|pack| (now - pack.last(now)) / DAY_MS).max();
            oldest = oldest.max(never.unwrap_or_default());
        }
        (oldest, largest)
    }

    #[test]
    fn everything_is_read_within_so_many_weeks() {
        for within in [1, 2, 5, 20, 52] {
            let (oldest, largest) = live(within, u64::MAX, 200, &|_| 15);
            assert!(oldest <= i64::from(within) * 7, "{within}: {oldest} days");
            // 195 packs of 10 bytes at most, and the last pack in whole.
            assert!(largest <= 2 * 2150 / u64::from(within) + 20, "{within}: {largest}");
        }
    }

    /// Most of it goes at once: the part of a week is small then, and what is left is old.
    #[test]
    fn what_shrinks_is_read_in_time() {
        let (oldest, _) = live(20, u64::MAX, 100, &|_| 0);
        assert!(oldest <= 20 * 7, "{oldest} days");
    }

    #[test]
    fn no_week_takes_more_than_its_bound() {
        let burst = |week| if week == 50 { 5000 } else { 15 };
        let (_, largest) = live(20, 300, 200, &burst);
        assert_eq!(largest, 300);
        let (oldest, largest) = live(20, u64::MAX, 200, &burst);
        assert!(oldest <= 20 * 7, "{oldest} days");
        assert!(largest <= 2 * (52_000 / 20) + 10, "{largest}");
    }

    #[test]
    fn what_was_off_for_long_makes_up_in_parts() {
        let packs: Vec<Turn> = (0..100).map(|_| pack(10, 400)).collect();
        assert_eq!(due(&packs, 20, u64::MAX, NOW).len(), 10);
    }

    #[test]
    fn what_a_turn_that_was_cut_off_has_read_is_taken_off() {
        let mut packs: Vec<Turn> = (0..100).map(|at| pack(10, 60 - at / 2)).collect();
        assert_eq!(due(&packs, 20, u64::MAX, NOW), [0, 1, 2, 3, 4]);
        for pack in &mut packs[..3] {
            pack.read_ms = Some(NOW - DAY_MS);
        }
        assert_eq!(due(&packs, 20, u64::MAX, NOW), [3, 4]);
        assert_eq!(due(&packs, 20, 40, NOW), [3]);
        assert_eq!(due(&packs, 20, 30, NOW), [] as [usize; 0]);
        // A week later it is the turn of others.
        assert_eq!(due(&packs, 20, u64::MAX, NOW + 6 * DAY_MS), [3, 4, 5, 6, 7]);
    }

    #[test]
    fn nothing_is_read_twice_in_a_week() {
        let mut packs: Vec<Turn> = (0..10).map(|_| pack(10, 9)).collect();
        for at in 0..10 {
            packs[at].read_ms = Some(NOW - 3_600_000);
            let left = due(&packs, 1, u64::MAX, NOW).len();
            assert_eq!(left, 9 - at);
        }
    }

    #[test]
    fn bad_packs_take_nobodys_turn() {
        let mut packs: Vec<Turn> = (0..100).map(|at| pack(10, 60 - at / 2)).collect();
        for bad in &mut packs[..50] {
            bad.bad = true;
        }
        let chosen = due(&packs, 10, 120, NOW);
        assert_eq!(chosen[..5], [50, 51, 52, 53, 54]);
        assert_eq!(chosen.len(), 12, "{chosen:?}");
        assert!(chosen[5..].iter().all(|at| packs[*at].bad), "{chosen:?}");
        assert_eq!(sample(&packs, 1, NOW).len(), 50, "by hand all of them are looked at");
    }

    #[test]
    fn a_clock_that_was_wrong_keeps_nothing_from_being_read() {
        let mut packs: Vec<Turn> = (0..10).map(|_| pack(10, 3)).collect();
        packs[7].read_ms = Some(NOW + 300 * DAY_MS);
        assert_eq!(sample(&packs, 10, NOW), [7]);
        assert_eq!(due(&packs, 10, u64::MAX, NOW), [7]);
    }
}
