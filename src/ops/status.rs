//! Status: is this machine backed up?

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::engine::head::Unlisted;
use crate::engine::newest::{Times, stored};
use crate::engine::problem::{self, FileProblem};
use crate::engine::session::{Session, millis};
use crate::engine::slots;
use crate::engine::time::time;
use crate::error::{Error, Result};
use crate::format::{MachineId, SnapshotId, SnapshotName};
use crate::local::{Newest, Spool};
use crate::repo::{KeyRing, Snapshot, read};
use crate::store::{ObjectInfo, ObjectStore};

/// A machine that is silent for longer is named, in milliseconds.
const SILENT_MS: i64 = 30 * 24 * 3_600_000;

/// What the bucket holds of one machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MachineInfo {
    /// Its id.
    pub machine: String,
    /// Whether it is this one.
    pub this_machine: bool,
    /// Its snapshots, safety snapshots among them.
    pub snapshots: u64,
    /// The one that it stored last; `None` where only packs are left.
    pub last_snapshot: Option<String>,
    /// When that was stored, ISO 8601, by the server's clock.
    pub last_snapshot_at: Option<String>,
    /// Bytes of its packs and manifests.
    pub stored_bytes: u64,
    /// Whether it is another one, and has not backed up for 30 days.
    pub silent: bool,
}
/// What `status` shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusReport {
    /// OpenClaw's state directory.
    pub state_dir: String,
    /// The bucket as configured.
    pub bucket: String,
    /// The prefix in it.
    pub prefix: String,
    /// Whether what is written is sealed.
    pub encrypt: bool,
    /// This machine's lineage, once it has one.
    pub machine: Option<String>,
    /// This machine's newest snapshot that is in the bucket.
    pub last_snapshot: Option<String>,
    /// When it was made, ISO 8601.
    pub last_snapshot_at: Option<String>,
    /// Whether something of the state is not in it.
    pub incomplete: bool,
    /// What is not in it, or not as it should be, the worst first.
    pub remarks: Vec<FileProblem>,
    /// Snapshots of all machines.
    pub snapshots: u64,
    /// Every machine that has something in the bucket: this one first, then by newest snapshot, the latest first.
    pub machines: Vec<MachineInfo>,
    /// Bytes of all objects below the prefix.
    pub stored_bytes: u64,
    /// This machine's snapshot that last came back whole from a trial restore.
    pub proven_snapshot: Option<String>,
    /// When that was, ISO 8601.
    pub proven_at: Option<String>,
    /// Packs of this machine that were found to be lost or damaged, and that snapshots still name.
    pub damaged_packs: u64,
    /// Whether an interrupted push waits to be finished by the next one.
    pub pending: bool,
    /// What opens this machine's backups, of `application-key`, `passphrase` and `recovery-code`; empty where nothing
    /// is sealed, or nothing was backed up yet.
    pub opens_with: Vec<&'static str>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// Looks at the bucket and at local memory. One LIST of the whole prefix, and a GET for each key slot that this
/// machine has not seen.
///
/// # Errors
/// Those of the store.
pub async fn status(session: &Session) -> Result<StatusReport> {
    session.cancellable(run(session)).await
}

async fn run(session: &Session) -> Result<StatusReport> {
    let objects = session.store.list("", false).await?.objects;
    let machine = session.local.machine()?;
    let snapshot = |key: &str| SnapshotName::parse(key.split_once('/')?.0);
    let mut names: Vec<SnapshotName> =
        objects.iter().filter_map(|object| snapshot(&object.key)).collect();
    names.dedup();
    let mut warnings = session.warnings.clone();
    Unlisted::find(session, &names).await?.complete(&mut names, &mut warnings);
    let local = session.local_repository(session.settings.encrypt);
    // Where memory and bucket disagree, the bucket is right.
    let newest = local.newest()?;
    let last = names.iter().rev().find_map(|name| match name {
        SnapshotName::Current(id) if Some(id.machine) == machine => newest
            .as_ref()
            .is_none_or(|newest| newest.snapshot == id.to_string())
            .then(|| id.clone()),
        _ => None,
    });
    let remarks = remarks(&session.ring, &*session.store, newest, last.as_ref()).await?;
    let now = millis(session.ambient.clock.now()) + session.store.server_offset_ms();
    let machines = machines(&objects, machine, now);
    for (id, at) in objects.iter().filter_map(stored) {
        let doubt = Times::new(&id, None, Some(at)).doubt(now);
        warnings.extend(doubt.map(|doubt| format!("{id}: {doubt}")));
    }
    for silent in machines.iter().filter(|machine| machine.silent) {
        let MachineInfo { machine, last_snapshot_at, stored_bytes, .. } = silent;
        let mib = stored_bytes.div_ceil(1 << 20);
        let since = last_snapshot_at.as_deref().and_then(|at| at.get(..10)).unwrap_or("long ago");
        warnings.push(format!(
            "machine {machine} has not backed up since {since}, and its backups take {mib} MiB. If this machine \
             replaces it: b2-backup adopt {machine}. If it is gone for good: b2-backup forget {machine}"
        ));
    }
    let proof = local.proof()?.unwrap_or_default();
    let damaged_packs = proof.bad.len() as u64;
    if damaged_packs > 0 {
        warnings.push(format!(
            "{damaged_packs} of this machine's packs in the bucket are lost or damaged. The next push stores again what \
             is still here; `b2-backup verify` tells which older snapshots and files they cost"
        ));
    }
    let drilled = proof.drilled;
    let opens_with = slots::opens_with(session, &objects).await?;
    let spool = Spool::view(&local);
    let pending = spool.captured()?.is_some() || !spool.packs()?.is_empty();
    Ok(StatusReport {
        state_dir: session.settings.state_dir.display().to_string(),
        bucket: session.settings.store.bucket.clone(),
        prefix: session.settings.store.prefix.clone(),
        encrypt: session.settings.encrypt,
        machine: machine.map(|machine| machine.to_string()),
        last_snapshot_at: last
            .as_ref()
            .and_then(SnapshotId::seconds)
            .map(|seconds| time(seconds * 1000)),
        last_snapshot: last.map(|id| id.to_string()),
        incomplete: problem::is_incomplete(&remarks),
        remarks,
        snapshots: names.len() as u64,
        machines,
        stored_bytes: objects.iter().map(|object| object.size).sum(),
        proven_at: drilled.as_ref().map(|drilled| time(drilled.at_ms)),
        proven_snapshot: drilled.map(|drilled| drilled.snapshot),
        damaged_packs,
        pending,
        opens_with,
        warnings,
    })
}

/// What the newest snapshot says about its files: from local memory where that is of it, else from the bucket.
async fn remarks(
    ring: &KeyRing,
    store: &dyn ObjectStore,
    newest: Option<Newest>,
    last: Option<&SnapshotId>,
) -> Result<Vec<FileProblem>> {
    let Some(id) = last else { return Ok(Vec::new()) };
    let remembered = newest.filter(|newest| newest.snapshot == id.to_string());
    let snapshot = match remembered {
        Some(newest) => Snapshot::open(ring, id, &newest.object.into()).await,
        None => read(store, ring, id).await,
    };
    match snapshot {
        Ok(snapshot) => Ok(problem::of_manifest(&snapshot.manifest)),
        Err(Error::Cancelled) => Err(Error::Cancelled),
        // Nobody can tell: the same as of a snapshot that `list` cannot read.
        Err(error) => Ok(vec![FileProblem::new(id.to_string(), &error)]),
    }
}

/// The snapshot that a machine stored last: whether its time can be, that time, and its id.
type Last = (bool, i64, SnapshotId);

/// What the objects say about each machine; `now` in milliseconds since 1970 by the server's clock.
fn machines(objects: &[ObjectInfo], this: Option<MachineId>, now: i64) -> Vec<MachineInfo> {
    let mut machines: BTreeMap<MachineId, (MachineInfo, Option<Last>)> = BTreeMap::new();
    for object in objects {
        let mut parts = object.key.split('/');
        let (machine, snapshot) = match (parts.next(), parts.next()) {
            (Some("packs"), Some(machine)) => (MachineId::parse(machine), None),
            (Some(folder), Some("manifest")) => {
                let id = SnapshotId::parse(folder);
                (id.as_ref().map(|id| id.machine), id)
            }
            _ => (None, None),
        };
        let Some(machine) = machine else { continue };
        let (info, newest) = machines.entry(machine).or_default();
        info.stored_bytes += object.size;
        if let Some(id) = snapshot {
            info.snapshots += 1;
            // A machine stores its snapshots in the order of their numbers. Where a time cannot be, others count.
            let times = Times::new(&id, None, object.modified.map(millis));
            let this = (times.doubt(now).is_none(), times.by_server());
            if newest.as_ref().is_none_or(|(possible, at, _)| (*possible, *at) <= this) {
                *newest = Some((this.0, this.1, id));
            }
        }
    }
    let mut machines: Vec<MachineInfo> = machines
        .into_iter()
        .map(|(machine, (info, newest))| {
            let at = newest.as_ref().map(|(_, at, _)| *at);
            let this_machine = Some(machine) == this;
            MachineInfo {
                machine: machine.to_string(),
                this_machine,
                last_snapshot: newest.map(|(.., id)| id.to_string()),
                last_snapshot_at: at.map(time),
                silent: !this_machine && at.is_none_or(|at| now.saturating_sub(at) >= SILENT_MS),
                ..info
            }
        })
        .collect();
    machines.sort_by_key(|info| (!info.this_machine, Reverse(info.last_snapshot_at.clone())));
    machines
}
