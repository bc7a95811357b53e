//! What a rollback is asked for, and what happens at a path.

/// What to roll back to, and how.
#[derive(Clone, Debug)]
pub struct RollbackRequest {
    /// Id of a snapshot, or `latest`.
    pub snapshot: String,
    /// Paths or globs below the state directory; all when empty. A directory stands for everything in it.
    pub paths: Vec<String>,
    /// What happens to files that the snapshot does not have.
    pub mode: Mode,
    /// Whether the rest is rolled back when some files of the snapshot are damaged.
    pub partial: bool,
    /// Whether a snapshot may be used that is not authenticated.
    pub allow_unauthenticated: bool,
}

/// What happens to files that the snapshot does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// They stay.
    #[default]
    Overlay,
    /// They go.
    Exact,
}

/// What happens at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It comes back.
    Add,
    /// It becomes what it was.
    Replace,
    /// It goes.
    Delete,
    /// It differs, and stays as it is.
    Keep,
}

impl Action {
    /// The name that users and other programs see.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Replace => "replace",
            Self::Delete => "delete",
            Self::Keep => "keep-live",
        }
    }
}
