//! What was live at one moment, in all places.

use std::path::{Path, PathBuf};

use crate::picture::Picture;
use crate::tree;

/// The state, and the directories outside that belong to it: the configured workspace, and where links lead.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    pub(crate) state: Picture,
    pub(crate) outside: Vec<(PathBuf, Picture)>,
}

impl Moment {
    /// Looks at all places of a wild state, which lies below `base`.
    pub(crate) fn of(base: &Path) -> Self {
        let (state, workspace) = (base.join("state"), base.join("out/ws"));
        let (mut outside, mut open) = (Vec::new(), vec![state.clone()]);
        if workspace.is_dir() {
            outside.push(workspace.clone());
            open.push(workspace.clone());
        }
        while let Some(dir) = open.pop() {
            for link in tree::links(&dir) {
                if let Ok(target) = tree::on_disk(&dir, &link).canonicalize()
                    && target.is_dir()
                    && !target.starts_with(&state)
                    && !state.starts_with(&target)
                    && !workspace.starts_with(&target)
                    && !outside.iter().any(|other| target.starts_with(other))
                {
                    outside.push(target.clone());
                    open.push(target);
                }
            }
        }
        outside.sort();
        Self::at(&state, outside)
    }

    /// Looks at the same places once more.
    pub(crate) fn again(&self, base: &Path) -> Self {
        Self::at(&base.join("state"), self.outside.iter().map(|(path, _)| path.clone()).collect())
    }

    fn at(state: &Path, outside: Vec<PathBuf>) -> Self {
        let picture = |path: PathBuf| {
            let picture = Picture::of(&path);
            (path, picture)
        };
        Self { state: Picture::of(state), outside: outside.into_iter().map(picture).collect() }
    }

    /// All places, each with what reports say before paths in it.
    pub(crate) fn places(&self) -> impl Iterator<Item = (Option<&Path>, &Picture)> {
        let outside = self.outside.iter().map(|(path, picture)| (Some(path.as_path()), picture));
        [(None, &self.state)].into_iter().chain(outside)
    }

    /// One of the places.
    pub(crate) fn place(&self, name: Option<&Path>) -> Option<&Picture> {
        self.places().find_map(|(other, picture)| (name == other).then_some(picture))
    }

    /// What was in a directory that a link leads to.
    pub(crate) fn inside(&self, target: &Path) -> Picture {
        self.place(Some(target)).cloned().unwrap_or_else(|| Picture::of(target))
    }

    /// Whether a link of the state that led to a directory came back as a directory.
    pub(crate) fn in_place(&self, restored: &Path, outside: &Path) -> bool {
        self.state.links.iter().any(|(link, target)| {
            target == outside
                && std::fs::symlink_metadata(tree::on_disk(restored, link))
                    .is_ok_and(|meta| meta.is_dir())
        })
    }
}
