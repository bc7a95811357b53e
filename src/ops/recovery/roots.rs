//! The directories of the roots that a rollback is about, each opened when it is needed first: one that is not there may
//! come with the rollback, and one that is may go with it.

use std::cell::OnceCell;
use std::collections::HashSet;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use super::places::{full_path, path_of};
use crate::ambient::FailPoints;
use crate::error::{Error, Result};
use crate::local::{Journal, Step, StepKind};
use crate::source::place::{Place, Refusal};

/// The roots of a journal.
#[derive(Debug)]
pub(super) struct Roots<'a> {
    journal: &'a Journal,
    places: Vec<OnceCell<Place>>,
    /// Roots whose own directory comes or goes.
    moving: HashSet<u16>,
    /// What file systems did not take in roots that went.
    lost: Vec<Refusal>,
    steps: Arc<dyn FailPoints>,
}

impl<'a> Roots<'a> {
    /// Opens all that steps are in, but for those that are not there and come or go.
    ///
    /// # Errors
    /// As [`Place::open_root`].
    pub(super) fn open(journal: &'a Journal, steps: &Arc<dyn FailPoints>) -> Result<Self> {
        let moves = |step: &&Step| matches!(step.kind, StepKind::MakeDir | StepKind::RemoveDir);
        let moving = journal.steps.iter().filter(moves);
        let roots = Self {
            journal,
            places: journal.roots.iter().map(|_| OnceCell::new()).collect(),
            moving: moving.filter_map(|step| root_at(journal, step)).collect(),
            lost: Vec::new(),
            steps: Arc::clone(steps),
        };
        let needed: HashSet<u16> = journal.steps.iter().map(|step| step.root).collect();
        needed.into_iter().try_for_each(|root| roots.get(root).map(|_| ()))?;
        Ok(roots)
    }

    /// The directory of a root. `None` for one that comes or goes, and is not there.
    ///
    /// # Errors
    /// As [`Place::open_root`].
    pub(super) fn get(&self, root: u16) -> Result<Option<&Place>> {
        let index = usize::from(root);
        let known = self.places.get(index).zip(self.journal.roots.get(index));
        let (cell, path) = known.ok_or_else(|| Error::internal("a step without a root"))?;
        if cell.get().is_none() {
            match Place::open_root(&path_of(path), Arc::clone(&self.steps)) {
                Err(Error::Io { source, .. })
                    if source.kind() == ErrorKind::NotFound && self.moving.contains(&root) =>
                {
                    return Ok(None);
                }
                place => {
                    let place = place?;
                    cell.get_or_init(|| place);
                }
            }
        }
        Ok(cell.get())
    }

    /// Closes the directory of a step, if it is a root's: it goes, and another one may come in its place. With its path.
    pub(super) fn close(&mut self, step: &Step) -> Option<PathBuf> {
        let root = root_at(self.journal, step)?;
        let place = self.places.get_mut(usize::from(root)).and_then(OnceCell::take);
        self.lost.extend(place.into_iter().flat_map(|place| place.refused().take()));
        full_path(self.journal, step)
    }

    /// What file systems did not take.
    pub(super) fn refused(&self) -> impl Iterator<Item = Refusal> {
        let open = self.places.iter().filter_map(OnceCell::get);
        open.flat_map(|place| place.refused().take()).chain(self.lost.iter().cloned())
    }
}

/// The root whose own directory a step is about.
fn root_at(journal: &Journal, step: &Step) -> Option<u16> {
    let path = full_path(journal, step)?;
    let root = journal.roots.iter().position(|root| path_of(root) == path)?;
    u16::try_from(root).ok()
}
