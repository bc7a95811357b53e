//! Carrying the steps of a journal out, and taking them back. Every step can be repeated: what is in `new/` is not
//! in place yet, what is in `old/` has to go back where it was, and each move is one rename.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::config::{Coming, MAX_CONFIG_BYTES};
use super::database::Databases;
use super::moves::{Spots, put, put_back, put_config, take_away, unput_config, whole};
use super::places::{of_places, path_of};
use super::roots::Roots;
use crate::ambient;
use crate::engine::problem::FileProblem;
use crate::engine::unpack::target::refused;
use crate::entry::EntryKind;
use crate::error::{Error, Result};
use crate::local::{Journal, RollbackFolder, Step, StepKind};
use crate::source::RelPath;
use crate::source::place::{Place, Spot};

/// A rollback being carried out.
#[derive(Debug)]
pub(super) struct Apply<'a> {
    pub(super) journal: &'a Journal,
    roots: Roots<'a>,
    pub(super) new: Place,
    pub(super) old: Place,
    pub(super) used: Place,
    pub(super) steps: Arc<dyn ambient::FailPoints>,
    /// Whether no step was ever begun.
    pub(super) first: bool,
    /// Paths that changed since they were planned.
    pub(super) late: Vec<String>,
    /// Directories that could not go because something is in them.
    pub(super) left: Vec<String>,
    /// Directories in which something was done, by path.
    touched: Vec<(PathBuf, Spot)>,
    seen: HashSet<PathBuf>,
}

impl<'a> Apply<'a> {
    pub(super) fn new(
        folder: &RollbackFolder,
        journal: &'a Journal,
        first: bool,
        steps: &Arc<dyn ambient::FailPoints>,
    ) -> Result<Self> {
        let open = |name: &str| Place::open(&folder.dir().join(name), Arc::clone(steps));
        Ok(Self {
            journal,
            roots: Roots::open(journal, steps)?,
            new: open("new")?,
            old: open("old")?,
            used: open("used")?,
            steps: Arc::clone(steps),
            first,
            late: Vec::new(),
            left: Vec::new(),
            touched: Vec::new(),
            seen: HashSet::new(),
        })
    }

    fn databases(&self) -> Databases<'_> {
        Databases { journal: self.journal, steps: &*self.steps, first: self.first }
    }

    /// The place of a step. `None` when the directory that it would be in is not there.
    fn place(&self, step: &Step) -> Result<Option<Spot>> {
        let Some(root) = self.roots.get(step.root)? else { return Ok(None) };
        match root.spot(&RelPath::from_bytes(step.path.clone())) {
            Err(Error::Io { source, .. })
                if matches!(source.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                Ok(None)
            }
            // What was to go went, and a link came in the place of its directory: this run is not the first.
            Err(Error::UnsafePath { .. }) if !self.first && goes(step) => Ok(None),
            other => other.map(Some),
        }
    }

    pub(super) fn spots(&self, step: &Step) -> Result<Option<Spots>> {
        let name = step.name.to_string();
        Ok(self.place(step)?.map(|place| Spots {
            place,
            new: self.new.name(&name),
            old: self.old.name(&name),
            used: self.used.name(&name),
        }))
    }

    fn shown(&self, step: &Step) -> String {
        let path = RelPath::from_bytes(step.path.clone());
        match self.journal.roots.get(usize::from(step.root)) {
            Some(root) if step.root > 0 => format!("{}/{path}", path_of(root).display()),
            _ => path.to_string(),
        }
    }

    /// Whether everything that is still to come is there and whole.
    pub(super) fn can_go_forward(&self) -> Result<bool> {
        for step in &self.journal.steps {
            let staged =
                matches!(step.kind, StepKind::Place | StepKind::Database | StepKind::Config);
            if !staged {
                continue;
            }
            let name = step.name.to_string();
            let here = match self.new.name(&name).stat()? {
                Some(stat) => whole(&self.new.name(&name), stat, step)?,
                None => {
                    self.used.name(&name).stat()?.is_some()
                        || match self.place(step)? {
                            Some(place) => place.stat()?.is_some(),
                            None => false,
                        }
                }
            };
            if !here {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Does all that is not done yet.
    pub(super) fn forward(&mut self) -> Result<()> {
        self.merge_config()?;
        for step in &self.journal.steps {
            let Some(spots) = self.spots(step)? else {
                // What was to go is gone, with the directory that it was in.
                if goes(step) {
                    continue;
                }
                let path = self.shown(step);
                let message = "the directory that it belongs in is gone".to_owned();
                return Err(Error::UnsafePath { path, message });
            };
            self.touch(&spots.place);
            match step.kind {
                StepKind::Remove => {
                    take_away(&spots)?;
                    if spots.place.stat()?.is_some() {
                        // A mount point.
                        self.left.push(self.shown(step));
                    }
                }
                StepKind::RemoveDir => self.remove_dir(step, &spots)?,
                StepKind::MakeDir => {
                    if spots.place.stat()?.and_then(|stat| stat.kind) != Some(EntryKind::Directory)
                    {
                        take_away(&spots)?;
                        let owner = spots.place.owner()?;
                        spots.place.make_dir()?;
                        spots.place.set_owner(owner)?;
                    }
                }
                StepKind::SetMode => {
                    if let Some(here) = spots.place.stat()? {
                        // What is more than read, write and execute is of this machine.
                        spots.place.set_mode(here.mode & !0o777 | step.mode)?;
                    }
                }
                StepKind::Place => put(step, &spots)?,
                StepKind::Database => self.databases().write(step, &spots)?,
                StepKind::Config => put_config(&spots)?,
            }
        }
        // Last, since making a child changes the time of a directory, and needs the right to.
        for step in self.journal.steps.iter().rev().filter(|step| step.kind == StepKind::MakeDir) {
            if let Some(place) = self.place(step)? {
                place.finish_dir(step.mode, step.mtime_ns)?;
            }
        }
        self.note_late()?;
        self.sync()
    }

    /// Puts everything back as it was. What cannot be put back does not keep the rest from it.
    pub(super) fn backward(&mut self) -> Result<()> {
        let mut problem = None;
        let mut note = |done: Result<()>| {
            if let Err(error) = done {
                problem.get_or_insert(error);
            }
        };
        for step in self.journal.steps.iter().filter(|step| step.kind == StepKind::MakeDir) {
            note(self.open_dir(step));
        }
        for step in self.journal.steps.iter().rev() {
            note(self.undo(step));
        }
        for step in self.journal.steps.iter().filter(|step| step.kind == StepKind::RemoveDir) {
            note(self.place(step).and_then(|place| match (place, step.before) {
                (Some(place), Some(before)) => place.finish_dir(before.mode, before.mtime_ns),
                _ => Ok(()),
            }));
        }
        match problem {
            Some(error) => Err(error),
            None => self.sync(),
        }
    }

    /// Lets us into a directory that came.
    fn open_dir(&self, step: &Step) -> Result<()> {
        if let Some(place) = self.place(step)?
            && place.stat()?.and_then(|stat| stat.kind) == Some(EntryKind::Directory)
        {
            place.set_mode(0o700)?;
        }
        Ok(())
    }

    fn undo(&mut self, step: &Step) -> Result<()> {
        let Some(spots) = self.spots(step)? else { return Ok(()) };
        self.touch(&spots.place);
        match step.kind {
            StepKind::Remove => put_back(&spots)?,
            StepKind::RemoveDir => {
                if spots.place.stat()?.is_none() {
                    let owner = spots.place.owner()?;
                    spots.place.make_dir()?;
                    spots.place.set_owner(owner)?;
                }
            }
            StepKind::MakeDir => {
                self.let_go(step);
                let here = spots.place.stat()?.and_then(|stat| stat.kind);
                let directory = here == Some(EntryKind::Directory);
                if !directory || spots.place.remove_dir()? {
                    put_back(&spots)?;
                }
            }
            StepKind::SetMode => {
                if let (Some(before), Some(_)) = (step.before, spots.place.stat()?) {
                    spots.place.set_mode(before.mode)?;
                }
            }
            StepKind::Place => {
                let mut kept = false;
                if let Some(here) = spots.place.stat()? {
                    match spots.new.stat()? {
                        None => {
                            spots.place.move_to(&spots.new)?;
                            kept = true;
                        }
                        // A copy, on another file system: what was staged could not be removed any more.
                        Some(staged)
                            if staged.kind == here.kind
                                && (step.before.is_none()
                                    || staged.kind == Some(EntryKind::File)
                                        && spots.old.stat()?.is_some())
                                && whole(&spots.place, here, step)? =>
                        {
                            remove_unless_mounted(&spots.place)?;
                            kept = true;
                        }
                        Some(_) => {}
                    }
                }
                if kept && spots.old.stat()?.is_some() {
                    // What is there all the same is a mount point, and is written over.
                    spots.old.move_to(&spots.place)?;
                } else {
                    put_back(&spots)?;
                }
            }
            StepKind::Database => self.databases().unwrite(&spots)?,
            StepKind::Config => unput_config(step, &spots)?,
        }
        spots.place.clear_part()
    }

    fn touch(&mut self, place: &Spot) {
        // Windows removes no directory that is open, and has nothing of it to make durable.
        if cfg!(windows) {
            return;
        }
        let directory = place.path().parent().unwrap_or(Path::new("/")).to_path_buf();
        if self.seen.insert(directory.clone()) {
            self.touched.push((directory, place.clone()));
        }
    }

    /// What file systems did not take beside content, for people: of what is in its place, and of what it was before that,
    /// in `new/` on the way forward, and in `old/` on the way back.
    pub(super) fn refused(&self, before: &Place) -> Vec<FileProblem> {
        let ours = of_places(self.journal, before.refused().take(), |_, _| true);
        refused(self.roots.refused().chain(ours).collect())
    }

    /// Makes all renames durable.
    fn sync(&self) -> Result<()> {
        for (directory, place) in &self.touched {
            match place.sync_dir() {
                // Removed since.
                Err(Error::Io { source, .. })
                    if source.kind() == ErrorKind::NotFound && !directory.exists() => {}
                other => other?,
            }
        }
        self.new.sync()?;
        self.old.sync()?;
        self.used.sync()
    }

    /// Notes paths that were not as they had been when the steps were planned: what is in `old/` says so, whatever cut
    /// the rollback off in between.
    fn note_late(&mut self) -> Result<()> {
        for step in &self.journal.steps {
            let changes = matches!(
                step.kind,
                StepKind::Remove | StepKind::Place | StepKind::Database | StepKind::Config
            );
            if !changes {
                continue;
            }
            let old = self.old.name(&step.name.to_string()).stat()?;
            let same = match (old, step.before) {
                (None, None) => true,
                // A copy that SQLite made of it, unless it was broken.
                (Some(old), Some(before)) if step.kind == StepKind::Database => {
                    old.mtime_ns == before.mtime_ns
                }
                (Some(old), Some(before)) => {
                    (old.size, old.mtime_ns) == (before.size, before.mtime_ns)
                }
                // The logs of a database that goes are not looked at beforehand.
                (Some(_), None) => step.kind == StepKind::Remove,
                // Nothing was put in its place: there was the same already.
                (None, Some(before)) if step.kind == StepKind::Config => {
                    let here = self.place(step)?.map(|place| place.stat()).transpose()?.flatten();
                    here.is_some_and(|here| {
                        (here.size, here.mtime_ns) == (before.size, before.mtime_ns)
                    })
                }
                (None, Some(_)) => step.broken,
            };
            if !same {
                self.late.push(self.shown(step));
            }
        }
        Ok(())
    }

    /// Lets go of the directory of a root that may go.
    fn let_go(&mut self, step: &Step) {
        if let Some(path) = self.roots.close(step) {
            self.seen.remove(&path);
            self.touched.retain(|(directory, _)| *directory != path);
        }
    }

    fn remove_dir(&mut self, step: &Step, spots: &Spots) -> Result<()> {
        self.let_go(step);
        let here = spots.place.stat()?.and_then(|stat| stat.kind);
        if here == Some(EntryKind::Directory) && !spots.place.remove_dir()? {
            self.left.push(self.shown(step));
        }
        Ok(())
    }

    /// Makes the configuration that comes, from the snapshot's and the live one.
    fn merge_config(&self) -> Result<()> {
        for step in self.journal.steps.iter().filter(|step| step.kind == StepKind::Config) {
            let Some(spots) = self.spots(step)? else { continue };
            let work = spots.new.beside(".work");
            if spots.new.stat()?.is_none() || work.stat()?.is_some() {
                continue;
            }
            // What an earlier run moved away is the live one.
            let live = if spots.old.stat()?.is_some() { &spots.old } else { &spots.place };
            let mode = live.stat()?.map_or(step.mode, |stat| stat.mode);
            let snapshot = spots.new.read(MAX_CONFIG_BYTES)?;
            let state = self.journal.roots.first().map(|root| path_of(root));
            let coming = Coming {
                live: Some((live, &spots.place)),
                old_state: self.journal.moved_from.as_deref(),
                state: state.as_deref(),
                arriving: self.journal.arrival.is_some(),
            };
            let merged = coming.merge(&snapshot);
            let part = spots.new.beside(".part");
            part.write(&merged, mode)?;
            part.move_to(&work)?;
        }
        Ok(())
    }
}

/// Removes a file, but for one that is a mount point itself.
fn remove_unless_mounted(place: &Spot) -> Result<()> {
    match place.remove() {
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::ResourceBusy => Ok(()),
        removed => removed,
    }
}

/// Whether a step is about something that goes.
fn goes(step: &Step) -> bool {
    matches!(step.kind, StepKind::Remove | StepKind::RemoveDir)
}
