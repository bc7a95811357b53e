//! Which snapshot is the newest. Within a lineage its numbers say so. Between lineages the server's time does, since
//! each machine has a clock of its own, which may be wrong. A time that cannot be is said so.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures_util::{StreamExt as _, TryStreamExt as _};

use super::head::read_listed;
use super::session::{Session, millis};
use super::time::time;
use crate::error::{Error, Result};
use crate::format::{MachineId, Manifest, SnapshotId};
use crate::repo::Snapshot;
use crate::store::{ObjectInfo, ObjectStore};

/// Manifests read, and listings made, at the same time.
const PARALLEL: usize = 6;
/// Times of one snapshot that are further apart do not agree, in milliseconds.
const DAY_MS: i64 = 24 * 3_600_000;
/// A lineage is alive whose newest snapshot was stored at most so long before the newest of all, in milliseconds.
const ALIVE_MS: i64 = 30 * DAY_MS;

/// When a snapshot was made, by all who say so, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    /// What its name says.
    named: i64,
    /// What its manifest says, by the clock of the machine and by the server's as that machine knew it.
    manifest: Option<(i64, i64)>,
    /// When the server got it, as its listing says.
    stored: Option<i64>,
}

impl Times {
    pub(crate) fn new(id: &SnapshotId, manifest: Option<&Manifest>, stored: Option<i64>) -> Self {
        let manifest = manifest.map(|manifest| (manifest.local_time_ms, manifest.server_time_ms));
        Self { named: id.seconds().unwrap_or_default().saturating_mul(1000), manifest, stored }
    }

    /// When it was made by the server's clock, as far as that is known.
    pub(crate) fn by_server(&self) -> i64 {
        self.stored.or(self.manifest.map(|(_, server)| server)).unwrap_or(self.named)
    }

    /// What cannot be about them, where it is `now_ms` by the server's clock.
    pub(crate) fn doubt(&self, now_ms: i64) -> Option<String> {
        let (local, server) = self.manifest.unzip();
        let all = [Some(self.named), local, server, self.stored];
        let known = || all.iter().flatten().copied();
        let (first, last) = (known().min()?, known().max()?);
        if last.saturating_sub(now_ms) > DAY_MS {
            return Some(format!(
                "its time cannot be right: it says {}, and now it is {}",
                time(last),
                time(now_ms)
            ));
        }
        if last.saturating_sub(first) <= DAY_MS {
            return None;
        }
        let mut said = vec![format!("its name says {}", time(self.named))];
        if let Some((local, server)) = self.manifest {
            said.push(format!("its content {}", time(local)));
            if server.abs_diff(local) > DAY_MS.unsigned_abs() {
                said.push(format!("or, by the server's clock, {}", time(server)));
            }
        }
        said.extend(self.stored.map(|stored| format!("the bucket got it {}", time(stored))));
        Some(format!("its times do not agree: {}", said.join(", ")))
    }
}

/// When the manifests of these snapshots were stored, by the server's clock. One LIST for all of them as a rule.
pub(crate) async fn stored_times(
    store: &dyn ObjectStore,
    ids: &[SnapshotId],
) -> Result<HashMap<SnapshotId, i64>> {
    // All names begin with a digit or `safety-`; nothing but old backups of the original plugin lies beside them.
    let names = ids.iter().map(|id| id.to_string().chars().take(1).collect::<String>());
    let prefixes: BTreeSet<String> = names.collect();
    let listing =
        prefixes.into_iter().map(|prefix| async move { store.list(&prefix, false).await });
    let listings: Vec<_> =
        futures_util::stream::iter(listing).buffered(PARALLEL).try_collect().await?;
    let objects = listings.into_iter().flat_map(|listing| listing.objects);
    Ok(objects.filter_map(|object| stored(&object)).collect())
}

/// Which snapshot an object is the manifest of, and when it was stored.
pub(crate) fn stored(object: &ObjectInfo) -> Option<(SnapshotId, i64)> {
    let id = SnapshotId::parse(object.key.strip_suffix("/manifest")?)?;
    Some((id, millis(object.modified?)))
}

/// The newest snapshot of one machine.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) snapshot: Snapshot,
    /// When the machine last stored a snapshot whose time can be, by the server's clock; `None` where there is none.
    pub(crate) at_ms: Option<i64>,
    /// Why the time of the snapshot cannot be.
    pub(crate) doubt: Option<String>,
    /// The newest of the machine, where there is no file in it: it is passed over.
    pub(crate) empty: Option<SnapshotId>,
}

impl Head {
    fn has_files(&self) -> bool {
        self.snapshot.manifest.counts.files > 0
    }
}

/// The newest snapshots of machines.
#[derive(Debug, Default)]
pub(crate) struct Heads {
    /// The machine that stored one last comes first; those whose times cannot be come last, and then those with no file.
    pub(crate) heads: Vec<Head>,
    /// Those that cannot be used, the newest first, with the server's time.
    pub(crate) failed: Vec<(SnapshotId, i64, Error)>,
}

impl Heads {
    /// Reads all of `ids`. Those that are not authenticated are no candidates, unless the configuration says that
    /// nothing is encrypted.
    pub(crate) async fn find(session: &Session, ids: Vec<SnapshotId>) -> Result<Self> {
        let stored = stored_times(&*session.store, &ids).await?;
        let now_ms = session.server_now_ms();
        let reading = ids.into_iter().map(|id| async move {
            let snapshot = read_listed(session, &id).await.transpose()?;
            Some((id, snapshot))
        });
        let read: Vec<_> = futures_util::stream::iter(reading).buffered(PARALLEL).collect().await;
        let mut read: Vec<_> = read.into_iter().flatten().collect();
        // A key that one snapshot gave may open others, which do not carry its slot.
        if read.iter().any(|(_, snapshot)| snapshot.is_ok()) {
            for (id, snapshot) in &mut read {
                if matches!(snapshot, Err(Error::WrongKey { .. }))
                    && let Some(again) = read_listed(session, id).await.transpose()
                {
                    *snapshot = again;
                }
            }
        }
        let mut found = Self::default();
        let mut lineages: BTreeMap<MachineId, Vec<(Snapshot, Times)>> = BTreeMap::new();
        for (id, snapshot) in read {
            let at = stored.get(&id).copied();
            let failed = match snapshot {
                Ok(snapshot) if snapshot.key.is_sealed() || !session.settings.encrypt => {
                    let times = Times::new(&id, Some(&snapshot.manifest), at);
                    lineages.entry(id.machine).or_default().push((snapshot, times));
                    continue;
                }
                Ok(_) => Error::NotAuthenticated { snapshot: id.to_string() },
                Err(
                    error @ (Error::Damaged { .. }
                    | Error::WrongKey { .. }
                    | Error::SnapshotNotFound { .. }
                    | Error::Version { .. }),
                ) => error,
                Err(error) => return Err(error),
            };
            let at = Times::new(&id, None, at).by_server();
            found.failed.push((id, at, failed));
        }
        for lineage in lineages.into_values() {
            let possible = lineage.iter().filter(|(_, times)| times.doubt(now_ms).is_none());
            let at_ms = possible.map(|(_, times)| times.by_server()).max();
            let place = |(snapshot, times): &(Snapshot, Times)| {
                (snapshot.manifest.sequence, times.by_server())
            };
            let newest = lineage.iter().max_by_key(|one| place(one)).map(|(it, _)| it.id.clone());
            // One of nothing, of a disk that was not mounted, is the head only where there is no other.
            let rank = |one: &(Snapshot, Times)| (one.0.manifest.counts.files > 0, place(one));
            if let Some((snapshot, times)) = lineage.into_iter().max_by_key(rank) {
                let empty = newest.filter(|newest| *newest != snapshot.id);
                found.heads.push(Head { snapshot, at_ms, doubt: times.doubt(now_ms), empty });
            }
        }
        found.heads.sort_by_key(|head| {
            let stored = (head.at_ms, head.snapshot.manifest.server_time_ms);
            std::cmp::Reverse((head.has_files(), stored))
        });
        found.failed.sort_by_key(|(_, at, _)| std::cmp::Reverse(*at));
        Ok(found)
    }

    /// Those of machines that are alive: whoever stored nothing for long while another one did is gone.
    /// Whoever stored nothing but empty snapshots while another one has some is none of them either.
    pub(crate) fn alive(&self) -> impl Iterator<Item = &Head> {
        let empty = !self.heads.iter().any(Head::has_files);
        let newest = self.heads.iter().filter_map(|head| head.at_ms).max();
        let heads = self.heads.iter().filter(move |head| empty || head.has_files());
        heads.filter(move |head| match (head.at_ms, newest) {
            (Some(at), Some(newest)) => newest.saturating_sub(at) <= ALIVE_MS,
            // Nobody can say when that was.
            _ => true,
        })
    }

    /// The newest of all, and what the user should know about it and about what was passed over.
    ///
    /// # Errors
    /// Why the newest of those that cannot be used cannot be; `None` where there are no snapshots.
    pub(crate) fn newest(self) -> Result<Option<(Snapshot, Vec<String>)>> {
        let mut heads = self.heads.into_iter();
        let Some(Head { snapshot, at_ms, doubt, empty }) = heads.next() else {
            return self.failed.into_iter().next().map_or(Ok(None), |(_, _, error)| Err(error));
        };
        let newer =
            self.failed.iter().filter(|(_, at, _)| at_ms.is_none_or(|chosen| *at >= chosen));
        let mut warnings: Vec<String> =
            newer.map(|(id, _, error)| format!("{id} is passed over: {error}")).collect();
        if let Some(empty) = empty {
            warnings.push(format!("{empty} is passed over: there is no file in it"));
        } else if snapshot.manifest.counts.files == 0 {
            warnings.push(format!("there is no file in {}, and in no other either", snapshot.id));
        }
        if let Some(doubt) = doubt {
            let id = &snapshot.id;
            warnings.push(format!(
                "{id} is the last snapshot of machine {} by its number, but {doubt}. `b2-backup list` shows the others",
                id.machine
            ));
        }
        for head in heads {
            let files = head.has_files();
            let Head { snapshot, doubt, .. } = head;
            if !files {
                warnings.push(format!("{} is passed over: there is no file in it", snapshot.id));
            } else if let Some(doubt) = doubt {
                warnings.push(format!("{} is passed over: {doubt}", snapshot.id));
            }
        }
        Ok(Some((snapshot, warnings)))
    }
}

/// One snapshot in a list of all.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub(crate) id: SnapshotId,
    /// `None` where it cannot be read.
    pub(crate) sequence: Option<u64>,
    pub(crate) times: Times,
}

/// The places of all snapshots from the oldest to the newest: those of a machine by their number, and between machines
/// by the server's time. One whose time cannot be takes that of the one before it. Where that holds for all of a machine's,
/// the server's counts, but none is older than the one before it. Returns times and places.
pub(crate) fn order(all: &[Placed], now_ms: i64) -> Vec<(i64, usize)> {
    let mut keys: Vec<(i64, MachineId, u64, usize)> = Vec::new();
    let machines: BTreeSet<MachineId> = all.iter().map(|placed| placed.id.machine).collect();
    for machine in machines {
        let of = all.iter().enumerate().filter(|(_, placed)| placed.id.machine == machine);
        let (mut numbered, others): (Vec<_>, Vec<_>) =
            of.partition(|(_, placed)| placed.sequence.is_some());
        numbered.sort_by_key(|(_, placed)| (placed.sequence, placed.times.by_server()));
        let possible = |placed: &Placed| {
            let possible = placed.times.doubt(now_ms).is_none();
            possible.then(|| placed.times.by_server())
        };
        // Those at the beginning take the time of the first that has one.
        let first = numbered.iter().find_map(|(_, placed)| possible(placed));
        let mut at = first.unwrap_or(i64::MIN);
        for (place, placed) in numbered {
            let server = || if first.is_some() { at } else { placed.times.by_server() };
            at = at.max(possible(placed).unwrap_or_else(server));
            keys.push((at, machine, placed.sequence.unwrap_or_default(), place));
        }
        let others = others.into_iter();
        keys.extend(others.map(|(place, placed)| (placed.times.by_server(), machine, 0, place)));
    }
    keys.sort_unstable();
    keys.into_iter().map(|(at, .., place)| (at, place)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_000;
    const HOUR: i64 = 3_600_000;

    fn placed(machine: u8, sequence: Option<u64>, named: i64, stored: i64) -> Placed {
        let id = SnapshotId::new(named.div_euclid(1000), MachineId([machine; 4]), false);
        let manifest = sequence.map(|_| (named, named));
        Placed { id, sequence, times: Times { named, manifest, stored: Some(stored) } }
    }

    /// A folder that was copied has the times of the copy, in whatever order.
    #[test]
    fn of_one_machine_the_number_counts_where_all_times_are_doubted() {
        let all = [placed(1, Some(1), 2 * HOUR, NOW), placed(1, Some(2), 3 * HOUR, NOW - HOUR)];
        let order = order(&all, NOW);
        assert_eq!(order.iter().map(|(_, place)| *place).collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn times_that_do_not_agree_are_doubted() {
        let times = |named, local, server, stored| Times {
            named,
            manifest: Some((local, server)),
            stored: Some(stored),
        };
        let doubt = |times: Times| times.doubt(NOW).unwrap_or_default();
        let ago = NOW - 100 * DAY_MS;
        assert_eq!(doubt(times(ago, ago, ago, ago)), "");
        assert_eq!(doubt(times(ago, ago, ago + DAY_MS, ago)), "", "a day is nothing");
        for odd in [
            times(ago + 2 * DAY_MS, ago, ago, ago),
            times(ago, ago - 2 * DAY_MS, ago, ago),
            times(ago, ago, ago + 2 * DAY_MS, ago),
            times(ago, ago, ago, ago + 2 * DAY_MS),
        ] {
            assert!(doubt(odd).contains("do not agree"), "{odd:?}");
        }
        let later = NOW + 365 * DAY_MS;
        assert!(doubt(times(later, later, later, later)).contains("cannot be right"));
        assert!(doubt(times(later, later, later, NOW)).contains("cannot be right"));
    }

    #[test]
    fn numbers_order_a_lineage_and_the_server_orders_lineages() {
        let year = 365 * DAY_MS;
        let all = [
            placed(1, Some(3), NOW - HOUR, NOW - HOUR),
            placed(1, Some(2), NOW + year, NOW - 3 * HOUR),
            placed(1, Some(1), NOW - 5 * HOUR, NOW - 5 * HOUR),
            placed(2, Some(1), NOW - 4 * HOUR, NOW - 4 * HOUR),
            placed(2, Some(2), NOW - 2 * HOUR, NOW - 2 * HOUR),
            placed(3, None, NOW - 6 * HOUR, NOW - 6 * HOUR),
            placed(4, Some(1), NOW + year, NOW + year),
        ];
        // The one with the wrong clock stands behind its predecessor; one of which nothing is known, by what it says.
        let places: Vec<usize> = order(&all, NOW).into_iter().map(|(_, place)| place).collect();
        assert_eq!(places, [5, 2, 1, 3, 4, 0, 6]);
    }
}
