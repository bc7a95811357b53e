//! Prune: delete the snapshots that retention gives up, and packs that nothing needs any more.
//!
//! Works on the lineage of this machine alone, under the lock of its state directory. Everything is read and checked
//! first; whatever is not as it should be stops it before anything is deleted (`docs/retention.md`).
//!
//! 1. Manifests that retention gives up are deleted.
//! 2. Packs that no manifest names any more are noted, and deleted a day later by the server's clock.
//!
//! It can be cut off anywhere: a snapshot goes before its packs, and what is noted is on disk before anything goes.

mod forget;
mod lineage;
mod packs;
mod report;
mod retention;
mod stored;

pub use forget::{ForgetOptions, ForgetReport, forget};
pub use report::{PruneReport, PrunedSnapshot};
pub use retention::Keep;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, TryStreamExt as _};

use crate::engine::head::Gone;
use crate::engine::lock::lock;
use crate::engine::remove::{Removed, Remover};
use crate::engine::session::Session;
use crate::engine::time::time;
use crate::error::{Error, Result};
use crate::format::{PackName, SnapshotId};
use crate::local::{Local, Pruned, UnusedPack};
use crate::store::ObjectKey;

use lineage::{Held, Lineage};
use packs::{Fate, Packs};
use report::{count, fate_of};
use retention::{Why, decide};
use stored::{PARALLEL, Stored};

/// How long the names of deleted snapshots are remembered: no listing is that old, and no DELETE that late. And those
/// of lost ones: somebody should have noticed by then.
const REMEMBERED_MS: i64 = 30 * 24 * 60 * 60_000;

/// How to prune.
#[derive(Clone, Copy, Debug)]
pub struct PruneOptions {
    /// What is kept.
    pub keep: Keep,
    /// Tell what would be done, and delete nothing.
    pub dry_run: bool,
    /// Go on even where more than half of the snapshots would go.
    pub more_than_half: bool,
    /// How long to wait for another process that works on the same state directory. Zero: not at all.
    pub wait: Duration,
}

/// Deletes what is not to be kept any more.
///
/// # Errors
/// `B2_PRUNE_STOPPED` where something is not as it should be, or more than half of the snapshots would go: nothing
/// was deleted then. `B2_LOCKED`, and those of the store and the file system.
///
/// # Cancel safety
/// May be dropped anywhere; the next one goes on with it.
pub async fn prune(session: &Session, options: PruneOptions) -> Result<PruneReport> {
    let started = Instant::now();
    let _lock = lock(session, options.wait).await?;
    let mut report = session.cancellable(run(session, options)).await?;
    report.requests = session.traffic().requests;
    report.duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    report.warnings.splice(0..0, session.warnings.iter().cloned());
    Ok(report)
}

async fn run(session: &Session, options: PruneOptions) -> Result<PruneReport> {
    let Some(lineage) = Lineage::read(session).await? else {
        return Ok(PruneReport {
            warnings: vec!["this machine has no snapshots in this bucket yet".to_owned()],
            ..PruneReport::default()
        });
    };
    let mut hosts = Vec::new();
    let candidates: Vec<_> = lineage.held.iter().map(|held| held.candidate(&mut hosts)).collect();
    let mut reasons = decide(options.keep, &candidates, lineage.now_ms);
    // The next push builds on the one that this machine remembers as the newest. It is not the newest where the
    // answer to a commit was lost: that one is in the bucket and waits in the spool.
    let newest = lineage.held.iter().zip(&mut reasons);
    for (_, why) in newest.filter(|(held, _)| held.id.to_string() == lineage.newest_id()) {
        if why.is_empty() {
            why.push(Why::Newest(2));
        }
    }
    // The user has not said yet that what is missing may be.
    if let Some(newest) = lineage.held.last() {
        for (held, why) in lineage.held.iter().zip(&mut reasons) {
            if newest.last_with.contains(&held.id.to_string()) {
                why.push(Why::Missing);
            }
        }
    }
    // It is an ordinary one where nothing had changed before the rollback.
    let undo = needed_for_undo(&session.local)?;
    for (held, why) in lineage.held.iter().zip(&mut reasons) {
        if why.is_empty() && undo.contains(&held.id.to_string()) {
            why.push(Why::Undo);
        }
    }
    let goes: Vec<bool> = reasons.iter().map(Vec::is_empty).collect();
    let mut report = PruneReport {
        snapshots: lineage.held.iter().zip(&reasons).map(describe).collect(),
        deleted_snapshots: goes.iter().filter(|goes| **goes).count() as u64,
        others: lineage.others,
        warnings: lineage.missing.iter().map(lost).collect(),
        stop: too_many(&goes).filter(|_| !options.more_than_half),
        ..PruneReport::default()
    };
    let stored = Stored::read(&*session.store, &lineage, &goes).await?;
    let newest = lineage.newest_id().to_owned();
    let mut pruner = Pruner { session, remover: Remover::new(&*session.store), lineage, stored };
    if options.dry_run {
        pruner.scan_packs(&goes, &mut report);
    } else if let Some(message) = report.stop {
        return Err(Error::PruneStopped { message });
    } else {
        pruner.delete(&goes, &mut report).await?;
    }
    forget::finish(session, &newest, options.dry_run, &mut report).await?;
    Ok(report)
}

/// The snapshots of what was there before the last rollback, and before one that waits.
fn needed_for_undo(local: &Local) -> Result<Vec<String>> {
    let rollbacks = local.rollbacks();
    let last = rollbacks.last()?.map(|last| last.safety);
    let open = rollbacks.open()?.map(|(_, journal, _)| journal.safety);
    Ok(last.into_iter().chain(open).collect())
}

fn describe((held, reasons): (&Held, &Vec<Why>)) -> PrunedSnapshot {
    PrunedSnapshot {
        id: held.id.to_string(),
        created_at: time(held.server_ms),
        reasons: reasons.iter().map(ToString::to_string).collect(),
    }
}

/// What is said of a snapshot that somebody else deleted.
fn lost(id: &SnapshotId) -> String {
    let gone = Gone { id: id.clone(), newest: false };
    format!(
        "{gone}. What only it needs stays for 30 days; if it was hidden or deleted by mistake, `b2-backup undelete` may \
         bring it back"
    )
}

/// Why this many must not go by themselves.
fn too_many(goes: &[bool]) -> Option<String> {
    let (gone, all) = (goes.iter().filter(|goes| **goes).count(), goes.len());
    (gone * 2 > all).then(|| {
        format!(
            "{gone} of the {all} snapshots of this machine would go, which is more than half. If that is what you \
             want, run `b2-backup prune --more-than-half`; else check keepSnapshots, keepDaily and keepWeekly"
        )
    })
}

struct Pruner<'a> {
    session: &'a Session,
    remover: Remover<'a>,
    lineage: Lineage,
    stored: Stored,
}

impl Pruner<'_> {
    /// Packs of manifests that stay, and of an interrupted push; and packs that only manifests which go name.
    fn uses(&self, goes: &[bool]) -> (HashSet<PackName>, HashSet<PackName>) {
        let Lineage { held, returned, spooled, .. } = &self.lineage;
        let of = |wanted: bool| {
            let held = held.iter().zip(goes).filter(move |(_, goes)| **goes == wanted);
            held.flat_map(|(held, _)| held.packs.iter().copied())
        };
        let in_use: HashSet<PackName> = of(false).chain(spooled.iter().copied()).collect();
        let again = returned.iter().flat_map(|held| held.packs.iter().copied());
        let given_up = of(true).chain(again).filter(|name| !in_use.contains(name)).collect();
        (in_use, given_up)
    }

    /// What packs would free.
    fn scan_packs(&self, goes: &[bool], report: &mut PruneReport) {
        for (note, fate) in self.judge(goes, self.lineage.now_ms) {
            let bytes = self.stored.packs.get(&note.name).map_or(0, |pack| pack.bytes);
            count(report, fate, bytes);
        }
    }

    fn judge(&self, goes: &[bool], deleted_ms: i64) -> Vec<(UnusedPack, Fate)> {
        let (in_use, given_up) = self.uses(goes);
        let packs = Packs {
            in_use: &in_use,
            given_up: &given_up,
            noted: &self.lineage.pruning.unused,
            lost: !(self.lineage.missing.is_empty() && self.lineage.pruning.lost.is_empty()),
            sequence: self.lineage.newest.sequence,
            now_ms: self.lineage.now_ms,
            deleted_ms,
        };
        packs.judge(self.stored.packs.keys().copied())
    }

    async fn delete(&mut self, goes: &[bool], report: &mut PruneReport) -> Result<()> {
        self.note_before(goes)?;
        let stays = self.delete_manifests(goes).await?;
        report.deleted_snapshots -= stays.iter().filter(|stays| **stays).count() as u64;
        let goes: Vec<bool> =
            goes.iter().zip(&stays).map(|(goes, stays)| *goes && !stays).collect();
        self.delete_packs(&goes, report).await?;
        report.hidden = self.remover.hidden();
        if let Some(refused) = self.remover.refused() {
            if !self.lineage.pruning.told_denied {
                report.warnings.push(refused.to_owned());
                self.lineage.pruning.told_denied = true;
                self.lineage.local.save_pruning(&self.lineage.pruning)?;
            }
        } else if self.lineage.pruning.told_denied && self.remover.any_gone() {
            self.lineage.pruning.told_denied = false;
            self.lineage.local.save_pruning(&self.lineage.pruning)?;
        }
        Ok(())
    }

    /// Remembers what is about to go, before it goes: a listing that still shows a deleted snapshot must not be
    /// taken for that of a clone, and its packs are known to have been this machine's.
    fn note_before(&mut self, goes: &[bool]) -> Result<()> {
        let (_, given_up) = self.uses(goes);
        let Lineage { held, missing, settled, back, pruning, newest, local, now_ms, .. } =
            &mut self.lineage;
        for list in [&mut pruning.pruned, &mut pruning.lost] {
            for one in &mut *list {
                one.at_ms = one.at_ms.min(*now_ms);
            }
            list.retain(|one| *now_ms - one.at_ms < REMEMBERED_MS);
        }
        if !back.is_empty() {
            // Before it is forgotten that they were lost: unknown ones would be those of a clone.
            newest.written.append(back);
            local.save_newest(newest)?;
        }
        pruning.lost.retain(|lost| !newest.written.contains(&lost.snapshot));
        let going = held.iter().zip(goes).filter(|(_, goes)| **goes);
        for snapshot in going.map(|(held, _)| held.id.to_string()) {
            if !pruning.has_pruned(&snapshot) {
                pruning.pruned.push(Pruned { snapshot, at_ms: *now_ms });
            }
        }
        for snapshot in missing.iter().map(SnapshotId::to_string) {
            if !pruning.has_lost(&snapshot) {
                pruning.lost.push(Pruned { snapshot, at_ms: *now_ms });
            }
        }
        pruning.unused.retain(|note| !given_up.contains(&note.name));
        pruning.unused.extend(given_up.into_iter().map(|name| UnusedPack {
            name,
            since_ms: *now_ms,
            after: None,
        }));
        local.save_pruning(pruning)?;
        if !(missing.is_empty() && settled.is_empty()) {
            let gone: HashSet<String> =
                missing.iter().chain(&*settled).map(SnapshotId::to_string).collect();
            newest.written.retain(|name| !gone.contains(name));
            local.save_newest(newest)?;
        }
        Ok(())
    }

    /// Deletes manifests, the oldest first. Tells which of those that should go stay.
    async fn delete_manifests(&mut self, goes: &[bool]) -> Result<Vec<bool>> {
        for returned in &self.lineage.returned {
            self.remove_manifest(&returned.id).await?;
        }
        let mut stays = Vec::with_capacity(goes.len());
        let mut gone = Vec::new();
        for (held, goes) in self.lineage.held.iter().zip(goes) {
            let removed = if *goes { Some(self.remove_manifest(&held.id).await?) } else { None };
            stays.push(removed == Some(Removed::Stays));
            if matches!(removed, Some(Removed::Gone | Removed::Hidden)) {
                gone.push(held.id.to_string());
            }
        }
        if !gone.is_empty() {
            self.lineage.newest.written.retain(|name| !gone.contains(name));
            self.lineage.local.save_newest(&self.lineage.newest)?;
        }
        Ok(stays)
    }

    async fn remove_manifest(&self, id: &SnapshotId) -> Result<Removed> {
        let versions = self.stored.manifests.get(id).and_then(|found| found.versions.as_deref());
        self.remover.remove(&ObjectKey::new(id.object())?, versions).await
    }

    /// A pack that goes is damaged no more.
    fn forget_proof(&self, packs: &HashSet<PackName>) -> Result<()> {
        let Some(mut proof) = self.lineage.local.proof()? else { return Ok(()) };
        if proof.bad.iter().any(|name| packs.contains(name)) {
            proof.bad.retain(|name| !packs.contains(name));
            self.lineage.local.save_proof(&proof)?;
        }
        Ok(())
    }

    async fn delete_packs(&mut self, goes: &[bool], report: &mut PruneReport) -> Result<()> {
        let deleted_ms = self.session.server_now_ms().max(self.lineage.now_ms);
        let judged = self.judge(goes, deleted_ms);
        // Notes of packs that are gone from the listing go, too.
        self.lineage.pruning.unused = judged.iter().map(|(note, _)| *note).collect();
        self.lineage.local.save_pruning(&self.lineage.pruning)?;
        let ready: HashSet<PackName> = judged
            .iter()
            .filter(|(_, fate)| *fate == Fate::Goes)
            .map(|(note, _)| note.name)
            .collect();
        self.lineage.local.retain_tails(&|name| !ready.contains(&name))?;
        self.forget_proof(&ready)?;
        let (machine, remover, stored) = (self.lineage.machine, &self.remover, &self.stored.packs);
        let deleting = judged.into_iter().map(|(note, fate)| {
            let pack = stored.get(&note.name);
            async move {
                let bytes = pack.map_or(0, |pack| pack.bytes);
                if fate != Fate::Goes {
                    return Ok((fate, bytes));
                }
                let key = ObjectKey::new(note.name.object(machine))?;
                let versions = pack.and_then(|pack| pack.versions.as_deref());
                let outcome = remover.remove(&key, versions).await?;
                Ok::<_, Error>((fate_of(outcome), bytes))
            }
        });
        let done: Vec<(Fate, u64)> =
            futures_util::stream::iter(deleting).buffer_unordered(PARALLEL).try_collect().await?;
        for (fate, bytes) in done {
            count(report, fate, bytes);
        }
        Ok(())
    }
}
