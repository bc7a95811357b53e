//! Adopt: this machine goes on with the lineage of one that it replaces.

use std::sync::Arc;

use futures_util::StreamExt as _;

use crate::crypto::RepoKey;
use crate::engine::head::read_listed;
use crate::engine::session::Session;
use crate::engine::slots;
use crate::engine::time::time;
use crate::error::{Error, Result};
use crate::format::{MAX_MANIFEST_BYTES, MachineId, SnapshotId, SnapshotName};
use crate::local::{LocalRepository, LockFile, Newest, RepositoryRecord, Spool};
use crate::repo::{Snapshot, find, stored_slots};
use crate::store::ObjectKey;

/// Manifests read at the same time.
const PARALLEL: usize = 6;

/// What an adoption did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdoptReport {
    /// The id that this machine has now.
    pub machine: String,
    /// The id that it had, if it had one. Its snapshots stay, as those of another machine.
    pub before: Option<String>,
    /// Snapshots of the lineage.
    pub snapshots: u64,
    /// The newest of them, which the next push builds on.
    pub last_snapshot: String,
    /// When that was made, ISO 8601, by the clock of the machine that made it.
    pub last_snapshot_at: String,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// Takes on the id of a machine that is gone, so that its snapshots are this machine's: the next push builds on the
/// newest, and retention counts them together. Nothing in the bucket changes.
///
/// Where that machine still lives, nothing is lost either: whichever of the two pushes second finds a snapshot that it
/// did not make, and goes on as a new machine (docs/format.md, Push).
///
/// # Errors
/// `B2_CONFIG` when it has no snapshot, or is this machine; `B2_LOCKED`; `B2_ROLLBACK_OPEN`; when its newest snapshot cannot be read the
/// reason of that; those of the store and the file system.
pub async fn adopt(session: &Session, machine: &str) -> Result<AdoptReport> {
    session.cancellable(run(session, machine)).await
}

async fn run(session: &Session, wanted: &str) -> Result<AdoptReport> {
    let refused = |message: String| Err(Error::config("machine", message));
    let Some(machine) = MachineId::parse(wanted) else {
        return refused(format!(
            "{wanted:?} is no machine: its id has 8 hex digits, as `list` shows it"
        ));
    };
    let lock = Arc::new(session.local.lock()?);
    if let Some((_, journal, _)) = session.local.rollbacks().open()? {
        let message = format!(
            "a rollback to {} is open: restart OpenClaw, or stop it and run `b2-backup restore --resume`",
            journal.snapshot
        );
        return Err(Error::RollbackOpen { message });
    }
    let local = session.local_repository(session.settings.encrypt);
    local.create()?;
    let before = session.local.machine()?;
    if before == Some(machine) && local.newest()?.is_some() {
        return refused(format!("this machine is {machine} already"));
    }
    let spool = Spool::open(&local, lock)?;
    if spool.captured()?.is_some() {
        return refused("a snapshot of this machine waits to be uploaded: push first".to_owned());
    }
    let mut lineage = Lineage::read(session, machine).await?;
    let mut warnings = session.warnings.clone();
    warnings.append(&mut lineage.warnings);
    let newest = go_on_with(session, &local, &spool, &lineage).await?;
    Ok(AdoptReport {
        machine: machine.to_string(),
        before: before.filter(|before| *before != machine).map(|before| before.to_string()),
        snapshots: newest.written.len() as u64,
        last_snapshot: newest.snapshot,
        last_snapshot_at: time(lineage.newest.manifest.local_time_ms),
        warnings,
    })
}

/// Makes a lineage that of this machine.
async fn go_on_with(
    session: &Session,
    local: &LocalRepository,
    spool: &Spool,
    lineage: &Lineage,
) -> Result<Newest> {
    let newest = Newest {
        snapshot: lineage.newest.id.to_string(),
        sequence: lineage.newest.manifest.sequence,
        sha256: lineage.newest.sha256,
        next_pack: lineage.next_pack,
        written: lineage.ids.iter().map(SnapshotId::to_string).collect(),
        object: lineage.object.clone(),
    };
    // Cut off anywhere in here, the next push finds that id and memory do not fit, and starts a lineage of its own.
    local.forget_lineage()?;
    spool.clear()?;
    remember_key(session, local, &lineage.newest).await?;
    session.local.become_machine(lineage.newest.id.machine)?;
    local.save_newest(&newest)?;
    Ok(newest)
}

/// Lets a new machine go on with the lineage that it was restored from, so that nothing is stored a second time. Only
/// where its snapshot is still the newest there: otherwise the old machine lives. Whether it is gone nobody can tell;
/// if it is not, it becomes a machine of its own with its next push, as a copy does (docs/format.md, Push).
///
/// Returns what the user is to be told, which is noted until somebody was ([`Local::forget_untold`]); nothing where
/// this machine begins a lineage of its own.
///
/// [`Local::forget_untold`]: crate::local::Local::forget_untold
pub(super) async fn take_over(session: &Session, lock: &Arc<LockFile>) -> Result<Vec<String>> {
    if session.local.machine()?.is_some() {
        return session.local.untold();
    }
    let own = Ok(Vec::new());
    // A rollback on a machine that was in use has a safety snapshot, and that made it a machine.
    let Some(last) = session.local.rollbacks().last()?.filter(|last| last.safety.is_empty()) else {
        return own;
    };
    let Some(restored) = SnapshotId::parse(&last.snapshot) else { return own };
    let mut lineage = match Lineage::read(session, restored.machine).await {
        Ok(lineage) if lineage.newest.id == restored => lineage,
        Ok(_) => return own,
        Err(
            error @ (Error::Config { .. }
            | Error::WrongKey { .. }
            | Error::Damaged { .. }
            | Error::SnapshotNotFound { .. }
            | Error::Version { .. }),
        ) => {
            tracing::warn!(%error, "the lineage of the old machine cannot be gone on with");
            return own;
        }
        Err(error) => return Err(error),
    };
    let local = session.local_repository(session.settings.encrypt);
    local.create()?;
    let spool = Spool::open(&local, Arc::clone(lock))?;
    go_on_with(session, &local, &spool, &lineage).await?;
    let mut told = vec![format!(
        "this machine was restored from {restored}, and goes on with the backups of machine {}: what is stored already \
         is not stored again. If that machine still runs, it goes on as a new one",
        restored.machine
    )];
    told.append(&mut lineage.warnings);
    session.local.note_untold(&told)?;
    Ok(told)
}

/// What the bucket holds of a machine.
struct Lineage {
    ids: Vec<SnapshotId>,
    newest: Snapshot,
    /// The object of the newest manifest.
    object: Vec<u8>,
    next_pack: u32,
    warnings: Vec<String>,
}

impl Lineage {
    async fn read(session: &Session, machine: MachineId) -> Result<Self> {
        let listed: Vec<SnapshotId> = find(&*session.store)
            .await?
            .into_iter()
            .filter_map(|name| match name {
                SnapshotName::Current(id) if id.machine == machine => Some(id),
                _ => None,
            })
            .collect();
        let reading = listed.into_iter().map(|id| async move {
            let snapshot = read_listed(session, &id).await.transpose()?;
            Some((id, snapshot))
        });
        let mut reading =
            futures_util::stream::iter(reading).buffered(PARALLEL).filter_map(std::future::ready);
        let (mut newest, mut next_pack, mut warnings) = (None::<Snapshot>, 0, Vec::new());
        let mut failed = None;
        let mut ids = Vec::new();
        while let Some((id, snapshot)) = reading.next().await {
            ids.push(id.clone());
            match snapshot {
                Ok(snapshot) => {
                    let used = snapshot.manifest.packs.iter().map(|pack| pack.number).max();
                    next_pack = next_pack.max(used.map_or(0, |number| number.saturating_add(1)));
                    let newer = newest
                        .as_ref()
                        .is_none_or(|newest| newest.manifest.sequence < snapshot.manifest.sequence);
                    if snapshot.key.is_sealed() == session.settings.encrypt && newer {
                        newest = Some(snapshot);
                    }
                }
                Err(
                    error @ (Error::WrongKey { .. }
                    | Error::Damaged { .. }
                    | Error::SnapshotNotFound { .. }
                    | Error::Version { .. }),
                ) => {
                    warnings.push(format!("{id} cannot be read: {error} ({})", error.code()));
                    failed = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        let Some(newest) = newest else {
            return Err(failed.unwrap_or_else(|| {
                let kind = if session.settings.encrypt { "encrypted " } else { "" };
                let message = format!(
                    "there is no {kind}snapshot of machine {machine}; see `b2-backup list`"
                );
                Error::config("machine", message)
            }));
        };
        let key = ObjectKey::new(newest.id.object())?;
        let object = session.store.get(&key, MAX_MANIFEST_BYTES).await?;
        if crate::crypto::sha256(&object) != newest.sha256 {
            return Err(Error::damaged(key.as_str(), "it changed while it was read"));
        }
        Ok(Self { ids, newest, object: object.to_vec(), next_pack, warnings })
    }
}

/// Makes the repository of the adopted lineage the one that this machine writes to.
async fn remember_key(session: &Session, local: &LocalRepository, newest: &Snapshot) -> Result<()> {
    let record = match &newest.key {
        RepoKey::Plain => RepositoryRecord::new(newest.repository),
        RepoKey::Sealed(master) => {
            let (stored, unreadable) = stored_slots(&*session.store).await?;
            local.save_key(master)?;
            slots::record_of(session, newest.repository, master, &stored, unreadable).await?
        }
    };
    local.save_record(&record)
}
