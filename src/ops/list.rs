//! List: every snapshot of every machine.

use futures_util::StreamExt as _;

use crate::engine::head::{Unlisted, read_listed};
use crate::engine::info::{ChangedPath, HostSchema, SnapshotChanges, SnapshotInfo};
use crate::engine::newest::{Placed, Times, order, stored_times};
use crate::engine::session::Session;
use crate::engine::time::time;
use crate::engine::tree::shown;
use crate::engine::{legacy, problem};
use crate::entry::RelPath;
use crate::error::Result;
use crate::format::{ChangeSummary, GrownPath, RootRecord, SchemaRecord, SnapshotId, SnapshotName};
use crate::repo::{Snapshot, find};

/// Manifests read at the same time.
const PARALLEL: usize = 6;
/// Paths that are shown of a snapshot, whatever its manifest names.
const MOST_SHOWN: usize = 5;
/// Remarks that are shown of a snapshot; `show` shows all.
const MOST_REMARKS: usize = 20;

/// What `list` shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListReport {
    /// Oldest first: those of a machine by their number, between machines by the server's time.
    pub snapshots: Vec<SnapshotInfo>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// Lists all snapshots. One LIST, and a GET for each manifest.
///
/// # Errors
/// Those of the store. A manifest that cannot be read is listed with its problem.
pub async fn list(session: &Session) -> Result<ListReport> {
    session.cancellable(run(session)).await
}

async fn run(session: &Session) -> Result<ListReport> {
    let mut names = find(&*session.store).await?;
    let mut warnings = session.warnings.clone();
    Unlisted::find(session, &names).await?.complete(&mut names, &mut warnings);
    let this_machine = session.local.machine()?;
    let ids = names.iter().filter_map(|name| match name {
        SnapshotName::Current(id) => Some(id.clone()),
        SnapshotName::Legacy(_) => None,
    });
    let ids: Vec<SnapshotId> = ids.collect();
    let stored = stored_times(&*session.store, &ids).await?;
    let now_ms = session.server_now_ms();
    let reading = ids.into_iter().map(|id| async move {
        let snapshot = read_listed(session, &id).await.transpose()?;
        Some((id, snapshot))
    });
    let read: Vec<_> = futures_util::stream::iter(reading).buffered(PARALLEL).collect().await;
    let (mut placed, mut infos) = (Vec::new(), Vec::new());
    for (id, snapshot) in read.into_iter().flatten() {
        let manifest = snapshot.as_ref().ok().map(|snapshot| &snapshot.manifest);
        let times = Times::new(&id, manifest, stored.get(&id).copied());
        let sequence = manifest.map(|manifest| manifest.sequence);
        let this_machine = Some(id.machine) == this_machine;
        let doubt = times.doubt(now_ms);
        infos.push(Some(SnapshotInfo { this_machine, doubt, ..info(&id, snapshot) }));
        placed.push(Placed { id, sequence, times });
    }
    let in_order = order(&placed, now_ms).into_iter();
    let mut all: Vec<(String, SnapshotInfo)> = in_order
        .filter_map(|(at, place)| Some((time(at), infos.get_mut(place)?.take()?)))
        .collect();
    for (_, SnapshotInfo { id, doubt, .. }) in &all {
        warnings.extend(doubt.as_ref().map(|doubt| format!("{id}: {doubt}")));
    }
    let (originals, of_originals) = legacy::infos(&*session.store, &session.ring, &names).await?;
    warnings.extend(of_originals);
    all.extend(originals.into_iter().map(|info| (info.created_at.clone(), info)));
    all.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(ListReport { snapshots: all.into_iter().map(|(_, info)| info).collect(), warnings })
}

fn info(id: &SnapshotId, snapshot: Result<Snapshot>) -> SnapshotInfo {
    let mut info = SnapshotInfo {
        id: id.to_string(),
        kind: if id.safety { "safety" } else { "regular" },
        machine: id.machine.to_string(),
        created_at: time(id.seconds().unwrap_or_default() * 1000),
        format: 2,
        ..SnapshotInfo::default()
    };
    match snapshot {
        Ok(Snapshot { manifest, key, .. }) => {
            info.reason = Some(manifest.reason.name());
            info.created_at = time(manifest.local_time_ms);
            info.host_version.clone_from(&manifest.host_version);
            info.host_install.clone_from(&manifest.host_install);
            let schemas = manifest.host_schemas.as_deref();
            info.host_schemas = schemas.map(|all| all.iter().map(schema).collect());
            info.machine_name.clone_from(&manifest.machine_name);
            info.files = manifest.counts.files;
            info.bytes = manifest.counts.bytes;
            info.authenticated = key.is_sealed();
            let mut remarks = problem::of_manifest(&manifest);
            info.incomplete = problem::is_incomplete(&remarks);
            info.more_remarks = remarks.len().saturating_sub(MOST_REMARKS) as u64;
            remarks.truncate(MOST_REMARKS);
            info.remarks = remarks;
            info.changes = manifest.changes.map(|changes| describe(changes, &manifest.roots));
        }
        Err(error) => {
            info.problem = Some(format!("{error} ({})", error.code()));
            info.problem_code = Some(error.code());
        }
    }
    info
}

fn schema(record: &SchemaRecord) -> HostSchema {
    HostSchema { path: RelPath::from_bytes(record.path.clone()).escaped(), version: record.version }
}

fn describe(changes: ChangeSummary, roots: &[RootRecord]) -> SnapshotChanges {
    let ChangeSummary { added, changed, removed, stored_bytes, most } = changes;
    let one = |GrownPath { root, path, bytes }: GrownPath| ChangedPath {
        path: shown(roots, root, &RelPath::from_bytes(path)),
        bytes,
    };
    let most = most.into_iter().take(MOST_SHOWN).map(one).collect();
    SnapshotChanges { added, changed, removed, stored_bytes, most }
}
