//! Making a snapshot ready for a machine that has nothing.

use super::preview::{Preview, preview};
use super::stage::stage;
use super::wanted::Wanted;
use crate::engine::session::Session;
use crate::error::Result;
use crate::format::SnapshotId;
use crate::local::Arrival;

/// What was made ready for a machine that has nothing.
#[derive(Debug)]
pub(in crate::ops) struct StagedArrival {
    /// The id of the rollback that carries it out.
    pub(in crate::ops) id: String,
    pub(in crate::ops) snapshot: String,
    pub(in crate::ops) arrival: Option<Arrival>,
    pub(in crate::ops) warnings: Vec<String>,
}

/// Makes a whole snapshot ready for a machine that has nothing; `None` where nothing of it would come.
///
/// # Errors
/// As [`plan_rollback`](super::plan_rollback).
pub(in crate::ops) async fn stage_arrival(
    session: &Session,
    snapshot: &SnapshotId,
) -> Result<Option<StagedArrival>> {
    let Preview { compared, source, plan, hash } =
        preview(session, &Wanted::arrival(snapshot)?).await?;
    if plan.is_empty() || compared.arriving.is_none() {
        return Ok(None);
    }
    let staged = stage(session, &compared, &source, hash, String::new(), false).await?;
    let refused = compared
        .left_out
        .iter()
        .chain(&staged.failed)
        .map(|it| format!("{}: {}", it.path, it.message));
    let warnings = staged.warnings.iter().cloned().chain(refused).collect();
    Ok(Some(StagedArrival {
        id: staged.folder.id().to_owned(),
        snapshot: staged.journal.snapshot,
        arrival: staged.journal.arrival,
        warnings,
    }))
}
