//! Space: what may lie in the bucket although nobody needs it, and for how long.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use b2_backup::local::{Local, Spool};
use b2_backup::store::ObjectStore as _;
use bytes::Bytes;

use super::life::Life;
use super::sums::WORST_STEP;
use crate::support::calendar::DAY;

/// How far pruning has come with a pack that nobody needs. Only prunes count that came to an end and to which nothing
/// was shown that was not so (`Bucket::tricks`); any other one begins from the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// Nobody has noted it.
    #[default]
    Unseen,
    /// A prune has noted it: from now on a newer snapshot is waited for, should nobody ever have named it.
    Noted,
    /// There is a newer snapshot.
    Moved,
    /// Since this second a prune has known that it may go a day later.
    Waits(i64),
    /// Another prune came a day later or more: it has to be gone.
    Due,
}

/// How far each machine has come with each pack of its lineage that nobody needs.
#[derive(Debug, Default)]
pub(crate) struct Waste(BTreeMap<(usize, String), Stage>);

impl Waste {
    /// A machine has made a snapshot.
    pub(crate) fn pushed(&mut self, who: usize) {
        for ((of, _), stage) in &mut self.0 {
            if *of == who && *stage == Stage::Noted {
                *stage = Stage::Moved;
            }
        }
    }

    fn pruned(&mut self, who: usize, clean: bool, now: i64) {
        for ((of, _), stage) in &mut self.0 {
            if *of != who {
                continue;
            }
            *stage = match *stage {
                _ if !clean => Stage::Unseen,
                Stage::Unseen => Stage::Noted,
                Stage::Moved => Stage::Waits(now),
                Stage::Waits(since) if now - since >= DAY => Stage::Due,
                stage => stage,
            };
        }
    }
}

impl Life {
    /// A prune has ended.
    pub(crate) fn pruned(&mut self, who: usize, clean: bool) {
        let now = self.bucket.calendar.seconds();
        self.waste.pruned(who, clean, now);
    }

    /// Nothing lies there that pruning should have deleted by now, and what lies there is less than so many times of what
    /// snapshots need. Packs of which the day is not over yet do not count, nor those that no machine has had the
    /// chance to delete (`Stage`), or had reason to keep: of machines that are no more, of pushes that were cut off, young
    /// ones, those that lost snapshots may need; nor older versions of what was stored twice, because the answer was
    /// lost: they go with it, and count in the end.
    pub(crate) async fn waste(
        &mut self,
        listed: &BTreeMap<String, Bytes>,
        objects: &BTreeMap<String, Bytes>,
    ) {
        let ids: Vec<String> = listed.keys().cloned().collect();
        let needed: BTreeSet<&String> =
            ids.iter().flat_map(|id| self.known[id].used.keys()).collect();
        let unneeded: BTreeSet<&String> = objects
            .keys()
            .filter(|key| key.starts_with("packs/") && !needed.contains(key))
            .collect();
        let mut stages = BTreeMap::new();
        for who in 0..self.beings.len() {
            let local = Local::at(&self.beings[who].state);
            let Some(machine) = local.machine().unwrap() else { continue };
            let memory = local.repository("simulation", self.sealed);
            // A clone may have deleted snapshots of the lineage that both knew: what they may need stays for a month.
            let pruning = memory.pruning().unwrap();
            let given_up = pruning.unused.iter().filter(|pack| pack.after.is_none());
            let given_up: BTreeSet<String> =
                given_up.map(|pack| pack.name.object(machine)).collect();
            let kept = |key: &str| !pruning.lost.is_empty() && !given_up.contains(key);
            let spool = Spool::view(&memory);
            let mut spooled: BTreeSet<String> =
                spool.packs().unwrap().iter().map(|(pack, _)| pack.name.object(machine)).collect();
            let waiting = spool.captured().unwrap();
            spooled
                .extend(waiting.iter().flat_map(|it| &it.packs).map(|name| name.object(machine)));
            let of_it = format!("packs/{machine}/");
            let own = unneeded.iter().filter(|key| key.starts_with(&of_it));
            for key in own.filter(|key| waiting.is_none() && !spooled.contains(**key) && !kept(key))
            {
                let known = self.waste.0.get(&(who, (*key).clone())).copied().unwrap_or_default();
                let late = self.bucket.is_late(key);
                assert!(
                    known != Stage::Due || late,
                    "{key} should be gone from machine {who}\n{}",
                    self.story
                );
                stages.insert((who, (*key).clone()), known);
            }
        }
        self.waste.0 = stages;
        if ids.is_empty() {
            return;
        }
        let (_, needs) = self.space(&ids, objects).await;
        let counted = objects.iter().filter(|(key, _)| !unneeded.contains(key));
        let taken: u64 = counted.map(|(_, body)| body.len() as u64).sum();
        WORST_STEP.fetch_max(taken * 1000 / needs, Ordering::SeqCst);
        assert!(taken * 10 < needs * 18, "{taken} bytes for {needs}\n{}", self.story);
    }

    /// Bytes of everything, all versions; and those that snapshots need: their manifests, and of their packs those
    /// frames that the one which uses most of it uses.
    pub(crate) async fn space(
        &self,
        listed: &[String],
        objects: &BTreeMap<String, Bytes>,
    ) -> (u64, u64) {
        let mut needed: u64 = 0;
        let mut used: BTreeMap<&String, u64> = BTreeMap::new();
        for id in listed {
            let needs = &self.known[id];
            needed += needs.manifest.len() as u64;
            for (name, bytes) in &needs.used {
                let used = used.entry(name).or_default();
                *used = (*used).max(*bytes);
            }
        }
        needed += used.values().sum::<u64>();
        let keys = objects.iter().filter(|(key, _)| key.starts_with("keys/"));
        needed += keys.map(|(_, body)| body.len() as u64).sum::<u64>();
        let versions = self.bucket.store.list_versions("").await.unwrap();
        let taken: u64 = versions.map_or_else(
            || objects.values().map(|body| body.len() as u64).sum(),
            |versions| versions.iter().map(|version| version.size).sum(),
        );
        (taken, needed)
    }
}
