//! Which paths a rollback is about.

use std::collections::HashSet;
use std::path::PathBuf;

use crate::engine::select::Selection;
use crate::error::Result;
use crate::local::Touched;
use crate::source::{RelPath, Root, absolute, as_path};

/// Paths and globs of the user, or what the last rollback touched.
#[derive(Debug)]
pub(super) enum Scope {
    Paths(Selection),
    Undo(HashSet<(Vec<u8>, Vec<u8>)>),
}

impl Scope {
    /// Paths and globs below the state directory; everything when empty.
    pub(super) fn paths(paths: &[String]) -> Result<Self> {
        Selection::new(paths).map(Self::Paths)
    }

    /// Exactly these paths.
    pub(super) fn touched(touched: &[Touched]) -> Self {
        Self::Undo(touched.iter().map(|it| (it.root.clone(), it.path.clone())).collect())
    }

    /// Whether a path below a root (its absolute path) is meant.
    pub(super) fn matches(&self, root: &[u8], path: &RelPath) -> bool {
        match self {
            Self::Paths(selection) => selection.wants(root, path),
            Self::Undo(touched) => touched.contains(&(root.to_vec(), path.as_bytes().to_vec())),
        }
    }

    /// Live roots that were made by what is undone, by their numbers; each with a directory above it, and its path below
    /// that.
    pub(super) fn made(&self, roots: &[Root]) -> impl Iterator<Item = (usize, PathBuf, RelPath)> {
        let touched = match self {
            Self::Paths(_) => None,
            Self::Undo(touched) => Some(touched),
        };
        touched.into_iter().flatten().filter_map(|(above, path)| {
            let (above, path) = (as_path(above), RelPath::from_bytes(path.clone()));
            let full = absolute(&above, &path);
            let root = roots.iter().skip(1).position(|root| root.path == full)? + 1;
            Some((root, above.into_owned(), path))
        })
    }

    /// Whether what the snapshot does not have goes even where the mode is overlay.
    pub(super) fn is_undo(&self) -> bool {
        matches!(self, Self::Undo(_))
    }
}
