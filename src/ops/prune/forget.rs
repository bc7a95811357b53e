//! Forget: delete what a machine that is gone has left in the bucket.
//!
//! Its snapshots go at once. Its packs go a day later by the server's clock, only those that were there then, and only if
//! it has made no snapshot since: so a machine that still lives, and had just begun a push that builds on what is
//! deleted, or comes back later, loses nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use super::report::PruneReport;
use super::stored::{StoredObject, packs_of};
use crate::engine::lock::lock;
use crate::engine::remove::{Removed, Remover};
use crate::engine::session::{Session, millis};
use crate::error::{Error, Result};
use crate::format::{MachineId, PackName, SnapshotId, SnapshotName};
use crate::local::Forgotten;
use crate::repo::find;
use crate::store::{ObjectKey, ObjectStore, ObjectVersion};

/// Who stored something so lately, in milliseconds, is not gone; and so long its packs stay.
const DAY_MS: i64 = 24 * 3_600_000;

/// How to forget.
#[derive(Clone, Debug)]
pub struct ForgetOptions {
    /// The machine's id.
    pub machine: String,
    /// Tell what would be done, and delete nothing.
    pub dry_run: bool,
    /// How long to wait for another process that works on the same state directory. Zero: not at all.
    pub wait: Duration,
}

/// What forgetting a machine did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForgetReport {
    /// The machine.
    pub machine: String,
    /// Its snapshots, which are deleted.
    pub snapshots: Vec<String>,
    /// Packs that are deleted.
    pub deleted_packs: u64,
    /// Bytes that this frees now.
    pub freed_bytes: u64,
    /// Packs that wait for a day to be over.
    pub waiting_packs: u64,
    /// Bytes that these will free.
    pub waiting_bytes: u64,
    /// Requests made.
    pub requests: u64,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// Deletes the lineage of a machine that is gone: its snapshots at once, its packs from a day later on, by whatever
/// comes first: pruning, or forgetting it once more.
///
/// # Errors
/// `B2_CONFIG` when it is this machine, or has nothing in the bucket; `B2_PRUNE_STOPPED` when it has stored something
/// within a day; `B2_LOCKED`, and those of the store and the file system.
pub async fn forget(session: &Session, options: &ForgetOptions) -> Result<ForgetReport> {
    let _lock = lock(session, options.wait).await?;
    let mut report = session.cancellable(run(session, options)).await?;
    report.requests = session.traffic().requests;
    report.warnings.splice(0..0, session.warnings.iter().cloned());
    Ok(report)
}

async fn run(session: &Session, options: &ForgetOptions) -> Result<ForgetReport> {
    let refused = |message: String| Err(Error::config("machine", message));
    let ForgetOptions { machine: wanted, dry_run, .. } = options;
    let Some(machine) = MachineId::parse(wanted) else {
        return refused(format!(
            "{wanted:?} is no machine: its id has 8 hex digits, as `status` shows it"
        ));
    };
    if session.local.machine()? == Some(machine) {
        return refused(format!("{machine} is this machine"));
    }
    let manifests = manifests_of(&*session.store, machine).await?;
    let listed_ms = session.server_now_ms();
    let packs = packs_of(&*session.store, machine).await?;
    if manifests.is_empty() && packs.is_empty() {
        return refused(format!(
            "the bucket holds nothing of machine {machine}; see `b2-backup status`"
        ));
    }
    // Of two readings the earlier, as in pruning: a clock that jumps must not make anything older than it is.
    let now_ms = listed_ms.min(session.server_now_ms());
    refuse_living(machine, &manifests, now_ms)?;
    let mut report = ForgetReport {
        machine: machine.to_string(),
        snapshots: manifests.iter().map(|held| held.id.to_string()).collect(),
        ..ForgetReport::default()
    };
    let local = session.local_repository(session.settings.encrypt);
    let mut pruning = local.pruning()?;
    let noted = pruning.forgotten.iter().find(|it| it.machine == machine && manifests.is_empty());
    let note = noted.cloned().unwrap_or_else(|| Forgotten {
        machine,
        since_ms: now_ms,
        packs: packs.keys().copied().collect(),
    });
    let remover = Remover::new(&*session.store);
    if !dry_run {
        // Noted first: from a snapshot that is gone nobody could tell that its packs are to go.
        pruning.forgotten.retain(|it| it.machine != machine);
        pruning.forgotten.push(note.clone());
        local.create()?;
        local.save_pruning(&pruning)?;
        for held in &manifests {
            let key = ObjectKey::new(held.id.object())?;
            if remover.remove(&key, held.versions.as_deref()).await? == Removed::Stays {
                report.snapshots.retain(|id| *id != held.id.to_string());
            }
        }
    }
    let all_gone = report.snapshots.len() == manifests.len();
    let ready = all_gone && is_over(&note, now_ms);
    let mut space = PruneReport::default();
    let done = clear(&remover, &note, &packs, (ready, *dry_run), &mut space).await?;
    if !dry_run && done {
        pruning.forgotten.retain(|it| it.machine != machine);
        local.save_pruning(&pruning)?;
    }
    let PruneReport { deleted_packs, freed_bytes, waiting_packs, waiting_bytes, .. } = space;
    report.warnings.extend(remover.refused().map(ToOwned::to_owned));
    Ok(ForgetReport { deleted_packs, freed_bytes, waiting_packs, waiting_bytes, ..report })
}

/// Deletes the packs of machines that were forgotten a day ago. A machine that has made a snapshot since lives, and is
/// remembered again. `newest` is this machine's newest snapshot: a listing without it is not to be believed.
pub(super) async fn finish(
    session: &Session,
    newest: &str,
    dry_run: bool,
    report: &mut PruneReport,
) -> Result<()> {
    let local = session.local_repository(session.settings.encrypt);
    let mut pruning = local.pruning()?;
    if pruning.forgotten.is_empty() {
        return Ok(());
    }
    let ids = snapshots(&*session.store).await?;
    let listed_ms = session.server_now_ms();
    if !ids.iter().any(|id| id.to_string() == newest) {
        return Ok(());
    }
    for note in pruning.forgotten.clone() {
        let machine = note.machine;
        let lives = ids.iter().any(|id| id.machine == machine);
        if lives {
            report.warnings.push(format!(
                "machine {machine} was to be forgotten, and has backed up since: it is left alone"
            ));
        }
        let packs =
            if lives { BTreeMap::new() } else { packs_of(&*session.store, machine).await? };
        let ready = is_over(&note, listed_ms.min(session.server_now_ms()));
        let remover = Remover::new(&*session.store);
        let done = clear(&remover, &note, &packs, (ready, dry_run), report).await?;
        if !dry_run && (lives || done) {
            pruning.forgotten.retain(|it| it.machine != machine);
            local.save_pruning(&pruning)?;
        }
    }
    Ok(())
}

/// Whether a machine was forgotten a day ago.
fn is_over(note: &Forgotten, now_ms: i64) -> bool {
    now_ms.saturating_sub(note.since_ms) >= DAY_MS
}

/// Deletes what is noted and still there, when it is `ready`. Tells whether nothing of it is left to do.
async fn clear(
    remover: &Remover<'_>,
    note: &Forgotten,
    stored: &BTreeMap<PackName, StoredObject>,
    (ready, dry_run): (bool, bool),
    report: &mut PruneReport,
) -> Result<bool> {
    let mut done = ready;
    for name in &note.packs {
        let Some(pack) = stored.get(name) else { continue };
        let outcome = if !ready {
            Removed::Stays
        } else if dry_run {
            Removed::Gone
        } else {
            let key = ObjectKey::new(name.object(note.machine))?;
            remover.remove(&key, pack.versions.as_deref()).await?
        };
        done &= outcome != Removed::Stays;
        super::count(report, super::fate_of(outcome), pack.bytes);
    }
    Ok(done)
}

/// Every snapshot that is listed.
async fn snapshots(store: &dyn ObjectStore) -> Result<Vec<SnapshotId>> {
    let names = find(store).await?.into_iter();
    let ids = names.filter_map(|name| match name {
        SnapshotName::Current(id) => Some(id),
        SnapshotName::Legacy(_) => None,
    });
    Ok(ids.collect())
}

/// A manifest of the machine, with when it was stored.
struct Manifest {
    id: SnapshotId,
    versions: Option<Vec<ObjectVersion>>,
    modified_ms: Option<i64>,
}

async fn manifests_of(store: &dyn ObjectStore, machine: MachineId) -> Result<Vec<Manifest>> {
    let mut manifests = Vec::new();
    for id in snapshots(store).await?.into_iter().filter(|id| id.machine == machine) {
        let prefix = format!("{id}/");
        let versions = store.list_versions(&prefix).await?;
        let modified = match &versions {
            Some(versions) => versions.iter().filter_map(|version| version.modified).max(),
            None => {
                let objects = store.list(&prefix, false).await?.objects;
                objects.iter().filter_map(|object| object.modified).max()
            }
        };
        manifests.push(Manifest { id, versions, modified_ms: modified.map(millis) });
    }
    Ok(manifests)
}

/// A machine that made a snapshot within a day is not gone. One whose time the server does not tell is not known to be.
fn refuse_living(machine: MachineId, manifests: &[Manifest], now_ms: i64) -> Result<()> {
    for held in manifests {
        let age_ms = held.modified_ms.map(|at| now_ms.saturating_sub(at));
        if age_ms.is_none_or(|age| age < DAY_MS) {
            let when = age_ms.map_or_else(
                || "at a time that the server does not tell".to_owned(),
                |age| match age / 3_600_000 {
                    ..1 => "less than an hour ago".to_owned(),
                    1 => "an hour ago".to_owned(),
                    hours => format!("{hours} hours ago"),
                },
            );
            let message = format!(
                "machine {machine} stored snapshot {} {when}, so it is not gone. Stop its backups, and come back a day \
                 after the last one",
                held.id
            );
            return Err(Error::PruneStopped { message });
        }
    }
    Ok(())
}
