//! The folders of rollbacks, `<state>/b2-backup/restore/`, and what is written into them.

use std::fs;
use std::path::{Path, PathBuf};

use minicbor::Encode;

use super::files::{Disk, is_there, read_checked};
use super::folder::Local;
use super::journal::{Journal, Last, Phase, Unsaved};
use crate::entry::PART;
use crate::error::{Error, Result};

/// The folder of all rollbacks.
#[derive(Clone, Debug)]
pub struct Rollbacks {
    dir: PathBuf,
    disk: Disk,
}

/// The folder of one.
#[derive(Clone, Debug)]
pub struct RollbackFolder {
    dir: PathBuf,
    id: String,
    disk: Disk,
}

impl Local {
    /// The folder of rollbacks; nothing is created.
    #[must_use]
    pub fn rollbacks(&self) -> Rollbacks {
        Rollbacks { dir: self.root().join("restore"), disk: self.disk().clone() }
    }
}

impl Rollbacks {
    /// All folders of rollbacks, by id.
    ///
    /// # Errors
    /// File-system codes.
    pub fn all(&self) -> Result<Vec<RollbackFolder>> {
        let failed = |error| Error::io("list", &self.dir, error);
        let entries = match fs::read_dir(&self.dir) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let mut folders = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            if entry.file_type().map_err(failed)?.is_dir() {
                let id = entry.file_name().to_string_lossy().into_owned();
                folders.push(RollbackFolder { dir: entry.path(), id, disk: self.disk.clone() });
            }
        }
        folders.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(folders)
    }

    /// The rollback that is staged or under way, if there is one.
    ///
    /// # Errors
    /// File-system codes.
    pub fn open(&self) -> Result<Option<(RollbackFolder, Journal, Phase)>> {
        for folder in self.all()? {
            if let Some((journal, phase)) = folder.read()?
                && !matches!(phase, Phase::Applied | Phase::Reverted)
            {
                return Ok(Some((folder, journal, phase)));
            }
        }
        Ok(None)
    }

    /// Makes the folder of a new rollback. What an earlier, unfinished staging left behind is removed.
    ///
    /// # Errors
    /// File-system codes.
    pub fn create(&self, id: &str) -> Result<RollbackFolder> {
        self.sweep()?;
        let (dir, disk) = (self.dir.join(id), self.disk.clone());
        let folder = RollbackFolder { dir, id: id.to_owned(), disk };
        for name in ["new", "old", "used"] {
            self.disk.private_dir(&folder.dir.join(name))?;
        }
        Ok(folder)
    }

    /// Removes folders without a journal.
    ///
    /// # Errors
    /// File-system codes.
    pub fn sweep(&self) -> Result<()> {
        self.all()?.iter().try_for_each(|folder| match folder.read()? {
            None => folder.remove(),
            Some(_) => Ok(()),
        })
    }

    /// Removes rollbacks that are done, of which nothing is set aside any more. What a new machine had is not worth
    /// keeping. Only once a push has saved what came of them.
    ///
    /// # Errors
    /// File-system codes.
    pub fn clear_done(&self) -> Result<()> {
        self.all()?.iter().try_for_each(|folder| match folder.read()? {
            Some((_, Phase::Staged | Phase::Applying | Phase::Reverting)) => Ok(()),
            Some((journal, _)) if journal.arrival.is_none() && !folder.old_names()?.is_empty() => {
                Ok(())
            }
            None | Some(_) => folder.remove(),
        })
    }

    /// Whether something was to be given to this machine, and all was put back.
    ///
    /// # Errors
    /// As [`RollbackFolder::read`].
    pub fn arrival_failed(&self) -> Result<bool> {
        for folder in self.all()? {
            if let Some((Journal { arrival: Some(_), .. }, Phase::Reverted)) = folder.read()? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The last rollback that was carried out.
    ///
    /// # Errors
    /// `B2_IO`.
    pub fn last(&self) -> Result<Option<Last>> {
        let bytes = read_checked(&self.dir.join("last"))?;
        Ok(bytes.and_then(|bytes| minicbor::decode(&bytes).ok()))
    }

    /// Remembers it.
    ///
    /// # Errors
    /// File-system codes.
    pub fn save_last(&self, last: &Last) -> Result<()> {
        write(&self.disk, &self.dir.join("last"), last)
    }
}

fn write<T: Encode<()>>(disk: &Disk, path: &Path, value: &T) -> Result<()> {
    disk.write_checked(path, &minicbor::to_vec(value).unwrap_or_default())
}

impl RollbackFolder {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where it is.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Journal and phase. `None` when it has no phase: then nothing of the state was touched, since the phase is
    /// on disk, for good, before that, and the journal before the phase.
    ///
    /// # Errors
    /// `B2_IO`; `B2_ROLLBACK_OPEN` when they are damaged, or another version of this program made them. What
    /// was there is still in `old/`, and nothing may remove it.
    pub fn read(&self) -> Result<Option<(Journal, Phase)>> {
        let (journal, phase) = (self.dir.join("journal"), self.dir.join("phase"));
        if !is_there(&phase)? {
            return Ok(None);
        }
        let journal = read_checked(&journal)?.map(|bytes| minicbor::decode(&bytes));
        let phase = read_checked(&phase)?.map(|bytes| minicbor::decode(&bytes));
        match (journal, phase) {
            (Some(Ok(journal)), Some(Ok(phase))) => Ok(Some((journal, phase))),
            _ => Err(Error::RollbackOpen {
                message: format!(
                    "the journal of a rollback in {} is damaged, or was written by another version of this \
                     plugin. What was there before is in its folder `old`; move the whole folder away to go on",
                    self.dir.display()
                ),
            }),
        }
    }

    /// Writes the journal, durable, and what it takes to turn back: on a full disk there is no room for that later.
    ///
    /// # Errors
    /// File-system codes.
    pub fn save(&self, journal: &Journal) -> Result<()> {
        write(&self.disk, &self.dir.join("turned-back"), &Phase::Reverting)?;
        write(&self.disk, &self.dir.join("journal"), journal)
    }

    /// Writes the phase, durable.
    ///
    /// # Errors
    /// File-system codes.
    pub fn set_phase(&self, phase: Phase) -> Result<()> {
        let (prepared, path) = (self.dir.join("turned-back"), self.dir.join("phase"));
        if phase != Phase::Reverting || !is_there(&prepared)? {
            return write(&self.disk, &path, &phase);
        }
        self.disk.rename(&prepared, &path)?;
        self.disk.sync_dir(&self.dir)
    }

    /// Names of what is set aside in `old/`. Copies that were not finished are nothing.
    ///
    /// # Errors
    /// File-system codes.
    pub fn old_names(&self) -> Result<Vec<String>> {
        let mut names = self.names_in_old()?;
        names.retain(|name| !is_half(name));
        Ok(names)
    }

    fn names_in_old(&self) -> Result<Vec<String>> {
        let old = self.dir.join("old");
        let failed = |error| Error::io("list", &old, error);
        let entries = match fs::read_dir(&old) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let name = |entry: std::io::Result<fs::DirEntry>| {
            entry.map(|entry| entry.file_name().to_string_lossy().into_owned()).map_err(failed)
        };
        entries.map(name).collect()
    }

    /// Gives something in `old/` another name, if it is there.
    ///
    /// # Errors
    /// File-system codes.
    pub fn rename_old(&self, from: &str, to: &str) -> Result<()> {
        let old = self.dir.join("old");
        if is_there(&old.join(from))? {
            self.disk.rename(&old.join(from), &old.join(to))?;
        }
        Ok(())
    }

    /// Removes something that is set aside: a snapshot has it.
    ///
    /// # Errors
    /// File-system codes.
    pub fn remove_old(&self, path: &Path) -> Result<()> {
        match fs::symlink_metadata(path) {
            Ok(meta) if meta.is_dir() => self.disk.remove_tree(path),
            _ => self.disk.remove(path),
        }
    }

    /// What is set aside and no snapshot took.
    ///
    /// # Errors
    /// `B2_IO`.
    pub fn unsaved(&self) -> Result<Option<Unsaved>> {
        let bytes = read_checked(&self.dir.join("unsaved"))?;
        Ok(bytes.and_then(|bytes| minicbor::decode(&bytes).ok()))
    }

    /// Remembers it.
    ///
    /// # Errors
    /// File-system codes.
    pub fn save_unsaved(&self, unsaved: &Unsaved) -> Result<()> {
        write(&self.disk, &self.dir.join("unsaved"), unsaved)
    }

    /// Frees the space of what was staged, and of copies that were not finished.
    ///
    /// # Errors
    /// File-system codes.
    pub fn clear_staged(&self) -> Result<()> {
        // Directories that were staged may be closed even to their owner; nothing in `new/` or `old/` is one, but for
        // what took the place of a file late.
        ["new", "used"].iter().try_for_each(|name| self.disk.remove_tree(&self.dir.join(name)))?;
        let names = self.names_in_old()?;
        let mut half = names.iter().filter(|name| is_half(name));
        half.try_for_each(|name| self.disk.remove(&self.dir.join("old").join(name)))
    }

    /// Removes it all. The phase goes first: a folder without it means nothing.
    ///
    /// # Errors
    /// File-system codes.
    pub fn remove(&self) -> Result<()> {
        self.disk.remove(&self.dir.join("phase"))?;
        self.disk.sync_dir(&self.dir)?;
        self.disk.remove_tree(&self.dir)
    }
}

/// Whether a name in `old/` is that of a copy that was not finished: of SQLite's, or of one from another file system.
fn is_half(name: &str) -> bool {
    name.strip_suffix(".part").is_some() || name.starts_with(PART)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ambient::NoFailPoints;

    fn rollbacks(dir: &Path) -> Rollbacks {
        Rollbacks { dir: dir.to_owned(), disk: Disk(std::sync::Arc::new(NoFailPoints)) }
    }

    fn ids(rollbacks: &Rollbacks) -> Vec<String> {
        rollbacks.all().unwrap().iter().map(|folder| folder.id().to_owned()).collect()
    }

    fn journal() -> Journal {
        Journal {
            snapshot: String::new(),
            safety: String::new(),
            plan: [0; 32],
            staged_at_ms: 0,
            roots: vec![],
            root_kinds: vec![],
            steps: vec![],
            moved_from: None,
            arrival: None,
        }
    }

    #[test]
    fn a_new_one_takes_the_place_of_what_was_never_staged() {
        let dir = tempfile::tempdir().unwrap();
        let rollbacks = rollbacks(&dir.path().join("restore"));
        assert_eq!(ids(&rollbacks), Vec::<String>::new());
        rollbacks.create("a").unwrap();
        let staged = rollbacks.create("b").unwrap();
        assert_eq!(ids(&rollbacks), ["b"]);
        staged.save(&journal()).unwrap();
        staged.set_phase(Phase::Staged).unwrap();
        rollbacks.create("c").unwrap();
        assert_eq!(ids(&rollbacks), ["b", "c"]);
    }

    #[test]
    fn what_was_staged_is_cleared_and_what_was_there_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let folder = rollbacks(&dir.path().join("restore")).create("a").unwrap();
        for name in ["new", "old", "used"] {
            fs::write(folder.dir().join(name).join("file"), name).unwrap();
        }
        folder.clear_staged().unwrap();
        let there = ["new", "old", "used"].map(|name| is_there(&folder.dir().join(name)).unwrap());
        assert_eq!(there, [false, true, false]);
    }

    #[test]
    fn a_folder_that_cannot_be_listed_is_not_one_without_rollbacks() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(rollbacks(file.path()).all().unwrap_err().code(), "B2_IO");
    }
}
