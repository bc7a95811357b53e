//! What has to be so after every step, and in the end.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use b2_backup::error::Error;
use b2_backup::format::{Reason, SnapshotId};
use b2_backup::ops::{self, PruneOptions, Session};
use b2_backup::repo::{KeyRing, Secrets, Snapshot};
use bytes::Bytes;

use super::life::Life;
use super::sums::{DELETED, PACKS, SNAPSHOTS, WORST};
use crate::support::calendar::{DAY, HOUR};

/// What a snapshot needs, byte for byte.
pub(crate) struct Needs {
    pub(crate) manifest: Bytes,
    pub(crate) packs: BTreeMap<String, Bytes>,
    /// Of each pack, how many bytes it uses: its frames, and what it takes to find them.
    pub(crate) used: BTreeMap<String, u64>,
}

impl Life {
    /// Every snapshot in the bucket is whole.
    pub(crate) async fn check(&mut self) {
        let objects = self.bucket.store.objects();
        let manifests = objects.iter().filter_map(|(key, body)| {
            let id = key.strip_suffix("/manifest")?;
            Some((id.to_owned(), body.clone()))
        });
        let listed: BTreeMap<String, Bytes> = manifests.collect();
        for (id, manifest) in &listed {
            if !self.known.contains_key(id) {
                let needs = self.needs(id, manifest, &objects).await;
                self.known.insert(id.clone(), needs);
                self.restores(id).await;
                SNAPSHOTS.fetch_add(1, Ordering::SeqCst);
            }
            let needs = &self.known[id];
            assert!(needs.manifest == *manifest, "{id} is another\n{}", self.story);
            for (name, body) in &needs.packs {
                assert!(objects.get(name) == Some(body), "{id} lost {name}\n{}", self.story);
            }
        }
        self.grace(&listed, &objects);
        self.waste(&listed, &objects).await;
    }

    /// Whoever began to restore a snapshot that was deleted under it has a day to finish: none of its packs goes
    /// before a day has passed since its deletion was last asked for.
    fn grace(&mut self, listed: &BTreeMap<String, Bytes>, objects: &BTreeMap<String, Bytes>) {
        let now = self.bucket.calendar.seconds();
        for (id, needs) in self.known.iter().filter(|(id, _)| !listed.contains_key(*id)) {
            let gone = needs.packs.keys().filter(|name| !objects.contains_key(*name));
            for name in gone.filter(|name| !self.gone.contains(*name)) {
                let asked = self.bucket.asked_to_go(&format!("{id}/manifest"));
                assert!(
                    asked.is_some_and(|asked| now - asked >= DAY),
                    "{name} of {id} went before its day was over\n{}",
                    self.story
                );
            }
        }
        let all = self.known.values().flat_map(|needs| needs.packs.keys());
        self.gone.extend(all.filter(|name| !objects.contains_key(*name)).cloned());
    }

    async fn opened(&self, id: &str, manifest: &Bytes) -> Snapshot {
        let ring = KeyRing::new(Secrets::default(), self.cpu.clone());
        let local = b2_backup::local::Local::at(&self.dir.path().join("reader"));
        let local = local.repository("simulation", true);
        if let (Some(record), Some(key)) = (local.record().unwrap(), local.key().unwrap()) {
            ring.add(record.repository, key);
        }
        let id = SnapshotId::parse(id).unwrap();
        Snapshot::open(&ring, &id, manifest).await.unwrap()
    }

    async fn needs(&self, id: &str, manifest: &Bytes, objects: &BTreeMap<String, Bytes>) -> Needs {
        let snapshot = self.opened(id, manifest).await;
        let packs = &snapshot.manifest.packs;
        let names = packs.iter().map(|pack| pack.name.object(snapshot.id.machine));
        let bodies = names.map(|name| match objects.get(&name) {
            Some(body) => (name, body.clone()),
            None => panic!("{id} never had {name}\n{}", self.story),
        });
        let used = snapshot.manifest.packs.iter().map(|pack| {
            let bytes = pack.used_bytes + u64::from(pack.footer_bytes) + 96;
            (pack.name.object(snapshot.id.machine), bytes)
        });
        Needs { manifest: manifest.clone(), packs: bodies.collect(), used: used.collect() }
    }

    /// The trouble is over. Everybody pushes and prunes until nothing waits: then all that is listed is restored,
    /// and hardly anything lies there that nobody needs.
    pub(crate) async fn end(&mut self) {
        self.bucket.trouble.store(false, Ordering::SeqCst);
        for being in &self.beings {
            being.ahead.store(0, Ordering::SeqCst);
        }
        for round in 0..5 {
            self.bucket.calendar.pass(5 * DAY);
            self.bucket.settle(false).await;
            for who in 0..self.beings.len() {
                // In the end only what waits its day has to go.
                if round < 4 {
                    self.change(who);
                    self.push(who, Reason::Scheduled, u64::MAX).await;
                    self.check().await;
                    self.bucket.calendar.pass(HOUR);
                }
                self.prune_all(who).await;
                self.check().await;
            }
        }
        let objects = self.bucket.store.objects();
        let listed: Vec<String> = self
            .known
            .keys()
            .filter(|id| objects.contains_key(&format!("{id}/manifest")))
            .cloned()
            .collect();
        for id in &listed {
            self.restores(id).await;
        }
        let (taken, needed) = self.space(&listed, &objects).await;
        WORST.fetch_max(taken * 1000 / needed, Ordering::SeqCst);
        assert!(taken * 10 < needed * 18, "{taken} bytes for {needed}\n{}", self.story);
    }

    async fn prune_all(&mut self, who: usize) {
        let all = PruneOptions {
            keep: self.beings[who].keep,
            dry_run: false,
            more_than_half: true,
            wait: Duration::ZERO,
        };
        let (machine, _) = self.machine(who, u64::MAX);
        let session = Session::open(machine.settings.clone(), self.ambient(&machine)).await;
        let session = session.unwrap();
        let report = loop {
            match ops::prune(&session, all).await {
                Err(Error::Locked { .. }) => tokio::task::yield_now().await,
                done => break done,
            }
        };
        let report = report.unwrap_or_else(|error| panic!("{error}\n{}", self.story));
        self.pruned(who, !report.snapshots.is_empty());
        DELETED.fetch_add(report.deleted_snapshots, Ordering::SeqCst);
        PACKS.fetch_add(report.deleted_packs, Ordering::SeqCst);
    }
}
