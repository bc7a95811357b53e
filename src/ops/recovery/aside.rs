//! What rollbacks that are done have set aside: files in `old/` that may be in no snapshot. They go once one has them.

use std::collections::HashSet;
use std::path::PathBuf;

use super::places::{LOGS, path_of};
use crate::engine::roots;
use crate::engine::session::Session;
use crate::error::{Error, Result};
use crate::format::RootRecord;
use crate::local::{Journal, Last, Local, Phase, RollbackFolder, Step, StepKind, Unsaved};
use crate::source::{RelPath, Root};

/// A file, a link or a directory that was moved away, and where it was.
#[derive(Clone, Debug)]
pub(in crate::ops) struct AsideItem {
    /// The root that it was in.
    pub(in crate::ops) root: Root,
    /// Its path below that, or one beside it, where something else was at that path, too.
    pub(in crate::ops) path: RelPath,
    /// Where it is now.
    pub(in crate::ops) source: PathBuf,
    /// Whether it is a database that SQLite copied.
    pub(in crate::ops) database: bool,
    /// The database that this is a log of: not needed where a snapshot has that as SQLite reads it.
    pub(in crate::ops) log_of: Option<RelPath>,
    /// Whether it says something by itself: `-shm` files do not, nor logs that SQLite reads with their database.
    pub(in crate::ops) counts: bool,
}

/// What one rollback has set aside.
#[derive(Clone, Debug)]
pub(in crate::ops) struct SetAside {
    folder: RollbackFolder,
    /// The snapshot that the rollback restored.
    pub(in crate::ops) snapshot: String,
    pub(in crate::ops) items: Vec<AsideItem>,
    /// What could not be saved before.
    unsaved: Option<Unsaved>,
}

impl SetAside {
    /// What of it could not be saved when everything else was as it is now.
    pub(in crate::ops) fn known_unsaved(&self, under: &[u8]) -> Option<&Unsaved> {
        self.unsaved.as_ref().filter(|unsaved| unsaved.under == under)
    }

    /// Where it lies.
    pub(in crate::ops) fn place(&self) -> PathBuf {
        self.folder.dir().join("old")
    }

    /// Remembers what no snapshot took, so that it is neither tried again with every push nor ever removed.
    ///
    /// # Errors
    /// File-system codes.
    pub(in crate::ops) async fn note_unsaved(&self, unsaved: Unsaved) -> Result<()> {
        let folder = self.folder.clone();
        Session::blocking(move || folder.save_unsaved(&unsaved)).await
    }

    /// Removes what a snapshot has, and lets an undo go by that snapshot.
    ///
    /// # Errors
    /// File-system codes.
    pub(in crate::ops) async fn saved(
        &self,
        local: &Local,
        items: Vec<AsideItem>,
        snapshot: &str,
    ) -> Result<()> {
        let (rollbacks, folder) = (local.rollbacks(), self.folder.clone());
        let snapshot = snapshot.to_owned();
        Session::blocking(move || {
            let last = rollbacks.last()?;
            let last = last.filter(|last| last.id == folder.id() && last.safety != snapshot);
            let last = last.map(|last| Last { safety: snapshot, ..last });
            let note = || last.as_ref().map_or(Ok(()), |last| rollbacks.save_last(last));
            // On a full disk what goes makes the room for the note.
            let full = match note() {
                Err(Error::DiskFull { .. }) => true,
                noted => noted.map(|()| false)?,
            };
            items.iter().try_for_each(|item| folder.remove_old(&item.source))?;
            for item in items.iter().filter(|item| item.database) {
                let beside = |log: &str| {
                    let mut path = item.source.clone().into_os_string();
                    path.push(log);
                    PathBuf::from(path)
                };
                // Reading it left these beside it. What somebody wrote since stays.
                let wal = beside("-wal");
                if std::fs::metadata(&wal).is_ok_and(|meta| meta.len() == 0) {
                    folder.remove_old(&wal)?;
                    folder.remove_old(&beside("-shm"))?;
                }
            }
            if full { note() } else { Ok(()) }
        })
        .await
    }
}

/// What done rollbacks have set aside. That of a new machine is not among them: there was nothing before it.
///
/// # Errors
/// File-system codes; `B2_ROLLBACK_OPEN` for a damaged journal.
pub(in crate::ops) async fn set_aside(local: &Local) -> Result<Vec<SetAside>> {
    let rollbacks = local.rollbacks();
    Session::blocking(move || {
        let mut all = Vec::new();
        for folder in rollbacks.all()? {
            let Some((journal, Phase::Applied | Phase::Reverted)) = folder.read()? else {
                continue;
            };
            if journal.arrival.is_some() {
                continue;
            }
            join_logs(&folder, &journal)?;
            let mut items = Vec::new();
            let mut taken = HashSet::new();
            let mut names = folder.old_names()?;
            // What was moved away first was there first; shorter names come before those beside them.
            names.sort_by_key(|name| (name.len(), name.clone()));
            for name in names {
                let digits = name.bytes().take_while(u8::is_ascii_digit).count();
                let (number, suffix) = name.split_at(digits);
                let step = number
                    .parse()
                    .ok()
                    .and_then(|number: u32| journal.steps.iter().find(|step| step.name == number));
                let Some((step, root)) =
                    step.and_then(|step| Some((step, root_of(&journal, step)?)))
                else {
                    continue;
                };
                let log = LOGS.iter().find(|log| suffix.ends_with(**log));
                let path = place_of(step, suffix);
                let path = if taken.insert((step.root, path.clone())) {
                    path
                } else {
                    beside(step, &format!(".{}", suffix.trim_start_matches('.')))
                };
                items.push(AsideItem {
                    root,
                    path,
                    source: folder.dir().join("old").join(&name),
                    database: step.kind == StepKind::Database && suffix.is_empty(),
                    log_of: log.map(|_| RelPath::from_bytes(step.path.clone())),
                    counts: log.is_none_or(|log| *log != "-shm" && suffix != *log),
                });
            }
            let unsaved = folder.unsaved()?;
            if !items.is_empty() {
                all.push(SetAside { folder, snapshot: journal.snapshot.clone(), items, unsaved });
            }
        }
        Ok(all)
    })
    .await
}

/// Puts the logs of a database that was removed beside it, where SQLite finds them.
fn join_logs(folder: &RollbackFolder, journal: &Journal) -> Result<()> {
    let removed = || journal.steps.iter().filter(|step| step.kind == StepKind::Remove);
    for step in removed() {
        let log = LOGS.iter().find_map(|log| Some((log, step.path.strip_suffix(log.as_bytes())?)));
        let Some((log, base)) = log else { continue };
        let of = removed().find(|other| other.root == step.root && other.path == base);
        if let Some(of) = of {
            folder.rename_old(&step.name.to_string(), &format!("{}{log}", of.name))?;
        }
    }
    Ok(())
}

fn root_of(journal: &Journal, step: &Step) -> Option<Root> {
    let at = usize::from(step.root);
    let path = journal.roots.get(at)?;
    let record = RootRecord { kind: *journal.root_kinds.get(at)?, path: path.to_vec(), at: None };
    let kind = roots::kind(&record)?;
    Some(Root::new(kind, path_of(path)))
}

/// Where something in `old/` was: the place of its step, or one beside that. A log keeps another name: no rollback
/// puts one beside a database.
fn place_of(step: &Step, suffix: &str) -> RelPath {
    match suffix {
        "" | ".raw" => RelPath::from_bytes(step.path.clone()),
        other => match LOGS.iter().find(|log| other.ends_with(**log)) {
            Some(log) => beside(step, &format!("{log}.old")),
            None => beside(step, other),
        },
    }
}

/// A name beside a step's path that file systems can hold.
fn beside(step: &Step, suffix: &str) -> RelPath {
    const NAME_BYTES: usize = 255;
    let mut path = step.path.clone();
    let name = path.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
    path.truncate(path.len().min(name + NAME_BYTES - suffix.len()));
    path.extend_from_slice(suffix.as_bytes());
    RelPath::from_bytes(path)
}
