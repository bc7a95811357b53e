//! The state as it is now, as far as a rollback has to know it.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::crypto::ContentHash;
use crate::engine::file_cache::{Memory, path_bytes};
use crate::engine::problem;
use crate::engine::scan::{Scanned, refuse_open_databases, scan};
use crate::engine::session::{Session, Settings};
use crate::engine::withheld::withheld;
use crate::entry::EntryKind;
use crate::error::{Error, Result};
use crate::source::database::is_database;
use crate::source::gateway::{Running, running};
use crate::source::naming::Naming;
use crate::source::policy::{Inside, Policy};
use crate::source::walk::Walk;
use crate::source::withheld::{Content, Withheld};
use crate::source::{Found, RelPath, Root, RootKind, absolute, open_plain, shown_path, sqlite};

/// The state as it is now.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) roots: Vec<Root>,
    root_paths: Vec<Vec<u8>>,
    pub(super) walk: Walk,
    pub(super) policy: Policy,
    pub(super) naming: Naming,
    pub(super) config: Option<(u16, RelPath)>,
    pub(super) running: Option<Running>,
    pub(super) inside: Vec<Inside>,
    /// What snapshots do not hold.
    pub(super) withheld: Arc<Withheld>,
    memory: Option<Memory>,
    /// The devices that roots were on when the newest snapshot was made, by their paths.
    pub(super) devices: HashMap<Vec<u8>, u64>,
    /// Where directories that are configured, or linked to, would be: nothing is there, or nothing answers.
    pub(super) away: Vec<PathBuf>,
    /// What is configured and cannot be used, by the path for people.
    unusable: HashSet<String>,
    /// Places of file systems that do not answer.
    pub(super) hanging: Arc<[PathBuf]>,
    pub(super) warnings: Vec<String>,
}

impl Live {
    /// Walks the state. Opens no file.
    ///
    /// # Errors
    /// `B2_DATABASE_IN_PROCESS`, `B2_CONFIG` and those of the file system.
    pub(super) async fn scan(session: &Session) -> Result<Self> {
        // The policy of backups is not the one here: secrets stay live even where they are backed up.
        let Scanned { roots, walk, skipped, warnings, inside, away, hanging, .. } =
            scan(session, false).await?;
        let settings = session.settings.clone();
        let withheld = Session::blocking(move || withheld(&settings)).await?;
        refuse_open_databases(&roots, &walk)?;
        let memory = Memory::load(&session.local_repository(session.settings.encrypt))?;
        let devices = memory.as_ref().map(Memory::devices).unwrap_or_default();
        let memory = memory.filter(|memory| memory.same_roots(&roots));
        let unusable = skipped.iter().filter(|problem| problem.code == problem::SKIPPED_ROOT);
        let unusable = unusable.map(|problem| problem.path.clone()).collect();
        let skipped: Vec<String> = skipped.iter().map(problem::FileProblem::text).collect();
        let state = roots.first().map(|root| root.path.clone()).unwrap_or_default();
        let root_paths = roots.iter().map(|root| path_bytes(&root.path)).collect();
        Ok(Self {
            policy: policy(&session.settings, &inside, false)?,
            naming: Naming::of(&state),
            config: config_place(&session.settings, &roots),
            running: running(&state),
            inside,
            withheld: Arc::new(withheld),
            memory,
            devices,
            away,
            unusable,
            hanging,
            root_paths,
            roots,
            walk,
            warnings: warnings.into_iter().chain(skipped).collect(),
        })
    }

    /// Lets secrets of the snapshot come, where there are none.
    pub(super) fn take_secrets(&mut self, settings: &Settings) -> Result<()> {
        self.policy = policy(settings, &self.inside, true)?;
        Ok(())
    }

    /// Adds a directory to the live roots, and tells its number. `None` when there are too many.
    pub(super) fn add_root(&mut self, root: Root) -> Option<u16> {
        let number = u16::try_from(self.roots.len()).ok()?;
        self.root_paths.push(path_bytes(&root.path));
        self.roots.push(root);
        Some(number)
    }

    /// Whether a directory that is no live root is configured all the same.
    pub(super) fn is_configured(&self, path: &Path) -> bool {
        self.away.iter().any(|away| away == path) || self.unusable.contains(&shown_path(path))
    }

    pub(super) fn root(&self, root: u16) -> Result<&Root> {
        self.roots.get(usize::from(root)).ok_or_else(|| Error::internal("a root that is not there"))
    }

    /// Absolute path of a root, as bytes.
    pub(super) fn root_path(&self, root: u16) -> &[u8] {
        self.root_paths.get(usize::from(root)).map_or(&[], Vec::as_slice)
    }

    fn full(&self, found: &Found) -> Result<PathBuf> {
        Ok(absolute(&self.root(found.root)?.path, &found.path))
    }

    /// Whether a file is a database. One that cannot be read is taken for what its name says.
    pub(super) fn is_database(&self, found: &Found) -> Result<bool> {
        let path = self.full(found)?;
        Ok(found.kind == EntryKind::File && is_database(&path).unwrap_or(found.database_name))
    }

    /// Whether SQLite makes anything of a file that begins as a database does.
    pub(super) fn is_usable(&self, found: &Found) -> Result<bool> {
        Ok(sqlite::is_readable(&self.full(found)?))
    }

    /// The hash of a file that is certainly as it was at the newest snapshot.
    pub(super) fn known_hash(&self, found: &Found) -> Option<[u8; 32]> {
        self.memory.as_ref()?.unchanged_in(found.root, found).map(|entry| entry.sha256)
    }

    /// The hash of what a snapshot would hold of a file. `None` when it cannot be read.
    pub(super) fn hash_withheld(&self, root: u16, found: &Found) -> Result<Option<[u8; 32]>> {
        let place = self.root(root)?;
        let at = absolute(&place.path, &found.path);
        let read = self.withheld.read(place, &found.path, &at);
        Ok(match read.ok().flatten() {
            Some(Content::AsItIs(bytes) | Content::Replaced(bytes)) => {
                let mut hash = ContentHash::default();
                hash.update(&bytes);
                Some(hash.finish())
            }
            Some(Content::Unknown | Content::Binary) | None => None,
        })
    }

    /// Reads a file, which must be no database, for its hash. `None` when it cannot be read.
    pub(super) fn hash(&self, root: u16, found: &Found) -> Result<Option<[u8; 32]>> {
        use std::io::Read as _;
        let path = absolute(&self.root(root)?.path, &found.path);
        let Ok(mut file) = open_plain(&path) else { return Ok(None) };
        let (mut hash, mut buffer) = (ContentHash::default(), vec![0; 256 << 10]);
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(Some(hash.finish())),
                Ok(got) => hash.update(buffer.get(..got).unwrap_or_default()),
                Err(_) => return Ok(None),
            }
        }
    }

    /// What is at a path, whether backups take it or not.
    pub(super) fn kind_at(&self, root: u16, path: &RelPath) -> Result<Option<EntryKind>> {
        let full = absolute(&self.root(root)?.path, path);
        match std::fs::symlink_metadata(&full) {
            Ok(meta) if meta.is_dir() => Ok(Some(EntryKind::Directory)),
            Ok(meta) if meta.is_symlink() => Ok(Some(EntryKind::Symlink)),
            Ok(_) => Ok(Some(EntryKind::File)),
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(Error::io("look at", &full, error)),
        }
    }
}

/// Secrets stay with the machine even where they are backed up, but for a machine that has none.
fn policy(settings: &Settings, inside: &[Inside], secrets: bool) -> Result<Policy> {
    let policy = Policy::new(&settings.include, &settings.exclude, secrets)?;
    let policy = policy.with_inside(inside.to_vec());
    // What such a snapshot cannot have stays, too.
    if settings.encrypt { Ok(policy) } else { policy.unencrypted() }
}

/// Root and path of OpenClaw's configuration: where its content is, if it is a link.
fn config_place(settings: &Settings, roots: &[Root]) -> Option<(u16, RelPath)> {
    let usual = settings.state_dir.join("openclaw.json");
    let path = settings.config_path.as_deref().unwrap_or(&usual);
    let path = path
        .canonicalize()
        .ok()
        .or_else(|| Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?)))?;
    let inside = |root: &Root| {
        let below = path.strip_prefix(&root.path).ok()?;
        let below = below.as_os_str().as_encoded_bytes().to_vec();
        let named = root.kind != RootKind::Config || root.only.contains(&below);
        named.then(|| RelPath::from_bytes(below))
    };
    roots.iter().enumerate().find_map(|(at, root)| Some((u16::try_from(at).ok()?, inside(root)?)))
}
