//! What this machine remembers, in `<state>/b2-backup/`: who it is, the master key, the newest manifest, a
//! cache of footers. All but the machine id and a pending commit can be made anew from the bucket and a secret.
//!
//! Memory is kept per bucket, prefix and kind of repository: what one bucket is known to hold says nothing
//! about another.

use std::fs;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files::{Disk, read_checked};
use super::local_repository::LocalRepository;
use crate::ambient::{Entropy, FailPoints, NoFailPoints, random};
use crate::crypto::sha256;
use crate::error::{Error, Result};
use crate::format::MachineId;

/// The local folder of a state directory.
#[derive(Clone, Debug)]
pub struct Local {
    root: PathBuf,
    state_dir: PathBuf,
    disk: Disk,
}

/// Held while an operation works on the state directory; released when dropped or when the process ends.
#[derive(Debug)]
pub struct LockFile {
    _file: fs::File,
}

impl Local {
    /// The local folder below a state directory; nothing is created.
    #[must_use]
    pub fn at(state_dir: &Path) -> Self {
        let disk = Disk(Arc::new(NoFailPoints));
        Self { root: state_dir.join("b2-backup"), state_dir: state_dir.to_owned(), disk }
    }

    /// The same, with fail points around each step that changes it.
    #[must_use]
    pub fn with_fail_points(self, steps: &Arc<dyn FailPoints>) -> Self {
        Self { disk: Disk(Arc::clone(steps)), ..self }
    }

    pub(super) fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Whether small files can be written here; where there is no folder yet, whether one could be made.
    ///
    /// # Errors
    /// File-system codes.
    pub fn try_writing(&self) -> Result<()> {
        if self.root.is_dir() {
            let path = self.root.join("doctor");
            self.disk.write_checked(&path, b"can be written")?;
            return self.disk.remove(&path);
        }
        let metadata = fs::metadata(&self.state_dir)
            .map_err(|error| Error::io("read", &self.state_dir, error))?;
        if metadata.permissions().readonly() {
            let denied = std::io::ErrorKind::PermissionDenied.into();
            return Err(Error::io("write", &self.state_dir, denied));
        }
        Ok(())
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Takes the lock of this state directory, creating the folder.
    ///
    /// # Errors
    /// `B2_LOCKED` when another process has it.
    pub fn lock(&self) -> Result<LockFile> {
        self.disk.private_dir(&self.root)?;
        self.lock_at(self.root.join("lock"))
    }

    /// Takes the lock that a file stands for.
    pub(super) fn lock_at(&self, path: PathBuf) -> Result<LockFile> {
        let mut options = fs::OpenOptions::new();
        let mut file = self.disk.open(&path, options.read(true).truncate(false))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _only_for_people = file.read_to_string(&mut holder);
                tracing::debug!(holder = holder.trim(), "the state directory is locked");
                return Err(Error::Locked { state_dir: self.state_dir.clone(), lock: path });
            }
            Err(fs::TryLockError::Error(error)) => return Err(Error::io("lock", &path, error)),
        }
        // For people who wonder who holds it; the lock itself is the kernel's.
        let note = format!("process {}\n", std::process::id());
        let _only_for_people = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(note.as_bytes()));
        Ok(LockFile { _file: file })
    }

    /// This machine's id, if it has one.
    ///
    /// # Errors
    /// `B2_IO` when it cannot be read.
    pub fn machine(&self) -> Result<Option<MachineId>> {
        let bytes = read_checked(&self.root.join("machine"))?;
        Ok(bytes.and_then(|bytes| MachineId::parse(std::str::from_utf8(&bytes).ok()?)))
    }

    /// Makes a new machine id and remembers it.
    ///
    /// # Errors
    /// File-system codes.
    pub fn new_machine(&self, entropy: &dyn Entropy) -> Result<MachineId> {
        let machine = MachineId(random(entropy)?);
        self.become_machine(machine)?;
        Ok(machine)
    }

    /// Takes on the id of another machine, whose lineage goes on here.
    ///
    /// # Errors
    /// File-system codes.
    pub fn become_machine(&self, machine: MachineId) -> Result<()> {
        self.disk.private_dir(&self.root)?;
        self.disk.write_checked(&self.root.join("machine"), machine.to_string().as_bytes())
    }

    /// What the user is to be told by the next push that comes to its end.
    ///
    /// # Errors
    /// `B2_IO` when it cannot be read.
    pub fn untold(&self) -> Result<Vec<String>> {
        let bytes = read_checked(&self.root.join("untold"))?;
        Ok(bytes.and_then(|bytes| minicbor::decode(&bytes).ok()).unwrap_or_default())
    }

    /// Notes what the user is to be told.
    ///
    /// # Errors
    /// File-system codes.
    pub fn note_untold(&self, told: &[String]) -> Result<()> {
        let bytes = minicbor::to_vec(told).unwrap_or_default();
        self.disk.write_checked(&self.root.join("untold"), &bytes)
    }

    /// The user was told.
    ///
    /// # Errors
    /// File-system codes.
    pub fn forget_untold(&self) -> Result<()> {
        self.disk.remove(&self.root.join("untold"))
    }

    /// An empty folder for temporary files. What an earlier, killed process left there is removed, and what it left
    /// elsewhere.
    ///
    /// # Errors
    /// File-system codes.
    pub fn temporary(&self) -> Result<PathBuf> {
        for path in self.elsewhere()? {
            if let Err(error) = self.remove_elsewhere(&path) {
                tracing::warn!(%error, "what a push left stays");
            }
        }
        let path = self.root.join("tmp");
        self.disk.remove_tree(&path)?;
        self.disk.private_dir(&path)?;
        Ok(path)
    }

    /// A path in the folder for temporary files, which may not be there.
    #[must_use]
    pub fn temporary_path(&self, name: &str) -> PathBuf {
        self.root.join("tmp").join(name)
    }

    /// A new directory that only we may enter, among the temporary files of the system. It is noted before it is made: if
    /// this process is killed, it goes when the next one begins.
    ///
    /// # Errors
    /// File-system codes.
    pub fn temporary_elsewhere(&self, entropy: &dyn Entropy) -> Result<PathBuf> {
        let random: [u8; 8] = random(entropy)?;
        let path = std::env::temp_dir().join(format!("openclaw-b2-backup-{}", hex::encode(random)));
        let path = std::path::absolute(&path).map_err(|error| Error::io("find", &path, error))?;
        let mut noted = self.elsewhere()?;
        noted.push(path.clone());
        self.note_elsewhere(&noted)?;
        self.disk.new_private_dir(&path)?;
        Ok(path)
    }

    /// Removes such a directory, and its note with it.
    ///
    /// # Errors
    /// File-system codes.
    pub fn remove_elsewhere(&self, path: &Path) -> Result<()> {
        self.disk.remove_tree(path)?;
        let mut noted = self.elsewhere()?;
        noted.retain(|other| other != path);
        self.note_elsewhere(&noted)
    }

    /// Directories that were made elsewhere.
    fn elsewhere(&self) -> Result<Vec<PathBuf>> {
        let noted = read_checked(&self.root.join("elsewhere"))?.unwrap_or_default();
        let noted = String::from_utf8(noted).unwrap_or_default();
        Ok(noted.split_terminator('\0').map(PathBuf::from).collect())
    }

    fn note_elsewhere(&self, paths: &[PathBuf]) -> Result<()> {
        let note = self.root.join("elsewhere");
        if paths.is_empty() {
            return self.disk.remove(&note);
        }
        let mut text = String::new();
        for path in paths {
            let named = path
                .to_str()
                .ok_or_else(|| Error::io("note", path, std::io::ErrorKind::InvalidInput.into()))?;
            text.extend([named, "\0"]);
        }
        self.disk.write_checked(&note, text.as_bytes())
    }

    /// Memory of one bucket and prefix (`identity`, see `ObjectStore::identity`).
    #[must_use]
    pub fn repository(&self, identity: &str, sealed: bool) -> LocalRepository {
        let text = format!("{identity}\n{}", if sealed { "sealed" } else { "plain" });
        let name = hex::encode(sha256(text.as_bytes()).get(..8).unwrap_or_default());
        LocalRepository::at(self.root.join("repositories").join(name), self.disk.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ambient::SystemEntropy;

    #[test]
    fn what_a_killed_process_left_elsewhere_goes() {
        let dir = tempfile::tempdir().unwrap();
        let local = Local::at(dir.path());
        let _lock = local.lock().unwrap();
        let done = local.temporary_elsewhere(&SystemEntropy).unwrap();
        local.remove_elsewhere(&done).unwrap();
        let made = [(); 2].map(|()| local.temporary_elsewhere(&SystemEntropy).unwrap());
        for path in &made {
            fs::write(path.join("database.sqlite"), "rows").unwrap();
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt as _;
                assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
            }
        }
        assert!(!done.exists() && made[0] != made[1]);
        // As after a restart: the names are all that is known.
        Local::at(dir.path()).temporary().unwrap();
        assert!(made.iter().all(|path| !path.exists()));
        assert!(!local.root().join("elsewhere").exists());
    }
}
