//! Status: is this machine backed up?

use super::list::time;
use super::session::Session;
use crate::error::Result;
use crate::format::{SnapshotId, SnapshotName};
use crate::repo::Spool;

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
    /// Snapshots of all machines.
    pub snapshots: u64,
    /// Bytes of all objects below the prefix.
    pub stored_bytes: u64,
    /// Whether an interrupted push waits to be finished by the next one.
    pub pending: bool,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// Looks at the bucket and at local memory. One LIST of the whole prefix.
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
    let local = session.local_repository(session.settings.encrypt);
    // Where memory and bucket disagree, the bucket is right.
    let newest = local.newest()?.map(|newest| newest.snapshot);
    let last = names.iter().rev().find_map(|name| match name {
        SnapshotName::Current(id) if Some(id.machine) == machine => {
            (newest.is_none() || newest.as_deref() == Some(&id.to_string())).then(|| id.clone())
        }
        _ => None,
    });
    let mut warnings = session.warnings.clone();
    if let (Some(newest), None) = (&newest, &last) {
        warnings.push(format!(
            "the newest snapshot of this machine, {newest}, is gone from the bucket"
        ));
    }
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
        snapshots: names.len() as u64,
        stored_bytes: objects.iter().map(|object| object.size).sum(),
        pending,
        warnings,
    })
}
