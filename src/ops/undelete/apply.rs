//! Making objects visible: packs first, then key slots, manifests last, so that a snapshot never shows before what
//! it needs.

use futures_util::StreamExt as _;

use super::examine::{Fix, Fixes};
use super::report::UndeleteReport;
use crate::engine::session::Session;
use crate::error::{Error, Result};
use crate::progress::Phase;
use crate::repo::Cure;
use crate::store::{ObjectKey, ObjectStore};

/// Objects at the same time. Each may be a pack in memory.
const PARALLEL: usize = 4;

/// What was done for one object.
enum Done {
    Removed(u64),
    Written,
}

pub(super) async fn apply(
    session: &Session,
    fixes: &Fixes,
    report: &mut UndeleteReport,
) -> Result<()> {
    let rank = |key: &str| match key {
        key if key.starts_with("packs/") => 0,
        key if key.starts_with("keys/") => 1,
        _ => 2,
    };
    let (mut bytes, mut count) = (0, 0);
    for turn in 0..=2 {
        let of_turn = fixes.iter().filter(|(key, _)| rank(key) == turn);
        let of_turn: Vec<(String, Fix)> =
            of_turn.map(|(key, fix)| (key.clone(), fix.clone())).collect();
        let jobs = of_turn.into_iter().map(|(key, fix)| async move {
            cure(&*session.store, &key, &fix).await.map(|done| (done, fix.right.size))
        });
        let mut jobs = futures_util::stream::iter(jobs).buffer_unordered(PARALLEL);
        while let Some(done) = jobs.next().await {
            let (done, size) = done?;
            match done {
                Done::Removed(markers) => report.removed_markers += markers,
                Done::Written => report.written_again += 1,
            }
            (bytes, count) = (bytes + size, count + 1);
            session.report(Phase::Upload, bytes, Some(report.bytes), count);
        }
    }
    report.applied = true;
    Ok(())
}

async fn cure(store: &dyn ObjectStore, name: &str, fix: &Fix) -> Result<Done> {
    let key = ObjectKey::new(name)?;
    if let Cure::RemoveMarkers(markers) = &fix.cure {
        match remove(store, &key, markers).await {
            Ok(()) => return Ok(Done::Removed(markers.len() as u64)),
            // The key may not delete: the object is written once more, on top of its markers.
            Err(Error::Capability { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let body = store.get_version(&key, &fix.right.version, fix.right.size).await?;
    if body.len() as u64 != fix.right.size {
        return Err(Error::damaged(
            name,
            "its right version has another size than the listing says",
        ));
    }
    store.put(&key, body).await?;
    Ok(Done::Written)
}

async fn remove(store: &dyn ObjectStore, key: &ObjectKey, markers: &[String]) -> Result<()> {
    for marker in markers {
        store.delete(key, Some(marker)).await?;
    }
    Ok(())
}
