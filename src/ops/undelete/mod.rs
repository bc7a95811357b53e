//! Undelete: makes objects visible again that somebody hid or overwrote.
//!
//! Versions stay when an object is hidden or overwritten, so nothing is lost until a lifecycle rule or a key with
//! deleteFiles deletes them. Every object is written once, so the first version is the right one; where there are
//! several contents, the right one is that which opens under the name. Nothing is ever deleted here but markers.
//!
//! What hides may have been a prune of our own with a key that may not delete: so this goes by snapshots, which the
//! user picks, and packs come back with the snapshots that need them.

mod apply;
mod examine;
mod report;

pub use report::{UndeleteOptions, UndeleteReport, Undeleted};

use std::collections::BTreeMap;
use std::time::Instant;

use futures_util::StreamExt as _;

use crate::engine::problem::FileProblem;
use crate::engine::session::{Session, millis};
use crate::engine::time::time;
use crate::error::{Error, Result};
use crate::format::{SnapshotId, SnapshotName};
use crate::repo::{History, histories};

use examine::{Examined, Fixes};

/// Manifests read at the same time.
const PARALLEL: usize = 6;

/// Looks for hidden and overwritten objects, and with `apply` makes them visible again. One LIST of all versions, a
/// GET for each manifest whose snapshot may be concerned, and a small one for each content of an overwritten pack.
///
/// # Errors
/// `B2_CONFIG` where the store keeps no versions, `B2_SNAPSHOT_NOT_FOUND` for a name that no version has,
/// `B2_LOCKED`, and those of the store. What was done stays done; the same call goes on from there.
pub async fn undelete(session: &Session, options: &UndeleteOptions) -> Result<UndeleteReport> {
    let started = Instant::now();
    // Our own prune must not hide what is just being brought back. Reading needs no lock, and makes no folder.
    let _lock = if options.apply && session.settings.state_dir.is_dir() {
        Some(session.local.lock()?)
    } else {
        None
    };
    let mut report = session.cancellable(run(session, options)).await?;
    report.warnings.splice(0..0, session.warnings.iter().cloned());
    report.requests = session.traffic().requests;
    report.duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(report)
}

async fn run(session: &Session, options: &UndeleteOptions) -> Result<UndeleteReport> {
    let versions = session.store.list_versions("").await?.ok_or_else(|| {
        let message = "this store keeps no versions: what was deleted is gone";
        Error::config("bucket", message)
    })?;
    let all = histories(versions);
    let mut report = UndeleteReport::default();
    let mut fixes = Fixes::new();
    let mut back = Vec::new();
    for (id, examined) in snapshots(session, &all, &options.snapshots).await? {
        match examined {
            Ok(examined) => {
                let sealed = examined.sealed;
                if take(&id, examined, options, &mut fixes, &mut report) {
                    back.push((id, sealed));
                }
            }
            Err(error) => report.problems.push(FileProblem::new(id.to_string(), &error)),
        }
    }
    report.snapshots.sort_by(|a, b| a.snapshot.cmp(&b.snapshot));
    let keys = examine::keys(&*session.store, &all).await?;
    report.key_slots = keys.len() as u64;
    if options.keys {
        fixes.extend(keys);
    }
    report.objects = fixes.len() as u64;
    report.bytes = fixes.values().map(|fix| fix.right.size).sum();
    if options.apply {
        remember(session, &back)?;
        apply::apply(session, &fixes, &mut report).await?;
    }
    Ok(report)
}

/// What is wrong with each snapshot that the user means.
async fn snapshots(
    session: &Session,
    all: &BTreeMap<String, History>,
    wanted: &[String],
) -> Result<Vec<(SnapshotId, Result<Examined>)>> {
    let parsed = |key: &String| match SnapshotName::parse(key.strip_suffix("/manifest")?) {
        Some(SnapshotName::Current(id)) => Some(id),
        _ => None,
    };
    let mut ids: Vec<SnapshotId> = all.keys().filter_map(parsed).collect();
    for name in wanted {
        if !ids.iter().any(|id| id.to_string() == *name) {
            return Err(Error::SnapshotNotFound {
                snapshot: name.clone(),
                message: "not even a hidden or an older version of it is in the bucket".to_owned(),
            });
        }
    }
    ids.retain(|id| wanted.is_empty() || wanted.contains(&id.to_string()));
    let touched = &examine::touched_machines(all);
    let examining = ids.into_iter().map(|id| async move {
        let examined = examine::snapshot(&*session.store, &session.ring, all, &id, touched).await;
        (id, examined)
    });
    let examined: Vec<_> = futures_util::stream::iter(examining).buffered(PARALLEL).collect().await;
    // A line that breaks is no finding about a snapshot.
    let mut found = Vec::with_capacity(examined.len());
    for (id, result) in examined {
        match result {
            Err(
                error @ (Error::Damaged { .. }
                | Error::WrongKey { .. }
                | Error::Version { .. }
                | Error::ObjectMissing { .. }),
            ) => found.push((id, Err(error))),
            result => found.push((id, Ok(result?))),
        }
    }
    Ok(found)
}

/// A snapshot of this machine that it had forgotten is its own again. Else the next push would take the machine for
/// a copy, or the next prune would finish what it began. Before the snapshot shows: after a crash there would be
/// nobody left to do it.
fn remember(session: &Session, back: &[(SnapshotId, bool)]) -> Result<()> {
    let machine = session.local.machine()?;
    for kind in [true, false] {
        let local = session.local_repository(kind);
        let Some(mut newest) = local.newest()? else { continue };
        let own = back.iter().filter(|(id, sealed)| Some(id.machine) == machine && *sealed == kind);
        let mut names: Vec<String> = own.map(|(id, _)| id.to_string()).collect();
        names.retain(|name| !newest.written.contains(name));
        if !names.is_empty() {
            newest.written.extend(names);
            local.save_newest(&newest)?;
        }
    }
    Ok(())
}

/// Notes what a snapshot needs; whether it comes back.
fn take(
    id: &SnapshotId,
    examined: Examined,
    options: &UndeleteOptions,
    fixes: &mut Fixes,
    report: &mut UndeleteReport,
) -> bool {
    let Examined { fixes: found, lost_packs, sealed: _ } = examined;
    let changed = found.values().filter_map(|fix| fix.changed).max();
    let recent = options.since.is_none_or(|since| changed.is_some_and(|changed| changed >= since));
    if found.is_empty() || !recent {
        return false;
    }
    report.snapshots.push(Undeleted {
        snapshot: id.to_string(),
        gone: found.contains_key(&id.object()),
        changed_at: changed.map(|at| time(millis(at))),
        objects: found.len() as u64,
        bytes: found.values().map(|fix| fix.right.size).sum(),
        lost_packs,
    });
    let comes = lost_packs == 0 || options.snapshots.contains(&id.to_string());
    if comes {
        fixes.extend(found);
    }
    comes
}
