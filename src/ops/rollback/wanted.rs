//! What a rollback is about.

use std::sync::Arc;

use super::request::{Mode, RollbackRequest};
use super::scope::Scope;
use crate::error::Result;
use crate::format::SnapshotId;
use crate::local::Last;

/// What a rollback is about: the snapshot of the user, or the one before the last rollback.
pub(super) struct Wanted {
    pub(super) snapshot: String,
    pub(super) paths: Vec<String>,
    pub(super) scope: Arc<Scope>,
    pub(super) mode: Mode,
    pub(super) partial: bool,
    pub(super) confirmed: bool,
    /// Whether nobody asked for it.
    pub(super) by_itself: bool,
}

impl Wanted {
    pub(super) fn of(request: &RollbackRequest) -> Result<Self> {
        Ok(Self {
            snapshot: request.snapshot.clone(),
            paths: request.paths.clone(),
            scope: Arc::new(Scope::paths(&request.paths)?),
            mode: request.mode,
            partial: request.partial,
            confirmed: request.allow_unauthenticated,
            by_itself: false,
        })
    }

    /// A whole snapshot, for a machine that has nothing.
    pub(super) fn arrival(snapshot: &SnapshotId) -> Result<Self> {
        Ok(Self {
            snapshot: snapshot.to_string(),
            paths: Vec::new(),
            scope: Arc::new(Scope::paths(&[])?),
            mode: Mode::Overlay,
            partial: false,
            confirmed: false,
            by_itself: true,
        })
    }

    /// Exactly what the last rollback changed, as it was before.
    pub(super) fn undo(last: &Last) -> Self {
        Self {
            snapshot: last.safety.clone(),
            paths: Vec::new(),
            scope: Arc::new(Scope::touched(&last.touched)),
            mode: Mode::Overlay,
            partial: false,
            // Made by this very machine.
            confirmed: true,
            by_itself: false,
        }
    }
}
