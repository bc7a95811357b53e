//! What the state on this machine looks like now: its roots, and what is in them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::file_cache::path_bytes;
use super::problem::{self, FileProblem};
use super::roots::shown_here;
use super::session::{Session, Settings};
use crate::error::{Error, Result};
use crate::source::database::open_in_this_process;
use crate::source::policy::{Inside, Policy};
use crate::source::roots::roots;
use crate::source::walk::Walk;
use crate::source::{RelPath, Root, RootKind, absolute, host_config, links, logs, refuse_places};

/// Roots, what is in them, and what is not as it should be.
#[derive(Debug)]
pub(crate) struct Scanned {
    pub(crate) roots: Vec<Root>,
    pub(crate) walk: Walk,
    pub(crate) skipped: Vec<FileProblem>,
    pub(crate) warnings: Vec<String>,
    /// Files that stay out because nothing is encrypted.
    pub(crate) plain: Vec<FileProblem>,
    /// What belongs in a snapshot.
    pub(crate) policy: Policy,
    /// Workspaces and agents' directories inside the state directory.
    pub(crate) inside: Vec<Inside>,
    /// Whether a file of the configuration is not there: what it would name is not known then.
    pub(crate) unknown: bool,
    /// Where directories that are configured, or linked to, would be: nothing is there, or nothing answers.
    pub(crate) away: Vec<PathBuf>,
    /// Places of file systems that do not answer.
    pub(crate) hanging: Arc<[PathBuf]>,
}

/// The state is looked at so many times while things in it are renamed.
pub(crate) const LOOKS: usize = 3;

/// Walks the state; again where something was gone when it was looked at.
pub(crate) async fn scan(session: &Session, list: bool) -> Result<Scanned> {
    let (settings, cancel) = (session.settings.clone(), session.ambient.cancel.clone());
    Session::blocking(move || {
        for _ in 1..LOOKS {
            let scanned = scan_once(&settings, list, &cancel)?;
            if scanned.walk.gone.is_empty() {
                return Ok(scanned);
            }
        }
        let mut scanned = scan_once(&settings, list, &cancel)?;
        let gone = std::mem::take(&mut scanned.walk.gone);
        scanned.skipped.extend(gone.into_iter().map(FileProblem::from));
        Ok(scanned)
    })
    .await
}

fn scan_once(settings: &Settings, list: bool, cancel: &CancellationToken) -> Result<Scanned> {
    let mut found = roots(&settings.state_dir, settings.config_path.as_deref())?;
    let bucket = bucket_folder(settings)?;
    refuse_inside(bucket.as_deref(), &found.roots)?;
    refuse_places("include", &settings.include, &found.roots)?;
    refuse_places("exclude", &settings.exclude, &found.roots)?;
    let policy = Policy::new(&settings.include, &settings.exclude, settings.include_secrets)?;
    let mut policy = policy.with_inside(found.inside.clone());
    if !settings.encrypt {
        policy = policy.unencrypted()?;
    }
    let mut walk = links::walk(&mut found, &policy, bucket.as_deref(), list, cancel)?;
    logs::settle(&found.roots, &mut walk, list);
    let skipped = found.warnings.into_iter().chain(std::mem::take(&mut walk.skipped));
    let plain = walk.excluded.iter().filter(|excluded| Policy::is_plain(excluded.reason));
    let plain = plain.map(|excluded| FileProblem {
        path: shown_here(&found.roots, excluded.root, &excluded.path),
        code: problem::WITHHELD.to_owned(),
        message: format!("is left out: it {}", excluded.reason),
    });
    let plain = plain.collect();
    Ok(Scanned {
        plain,
        roots: found.roots,
        walk,
        skipped: skipped.map(FileProblem::from).collect(),
        warnings: found.missing.into_iter().map(|problem| problem.message).collect(),
        policy,
        inside: found.inside,
        unknown: found.unknown,
        away: found.away,
        hanging: found.hanging,
    })
}

/// The same problems with paths as people know them: what is in the state directory by its path in it.
pub(crate) fn by_people(roots: &[Root], mut problems: Vec<FileProblem>) -> Vec<FileProblem> {
    let state = roots.first().map(|root| path_bytes(&root.path)).unwrap_or_default();
    let state = format!("{}/", RelPath::from_bytes(state).escaped());
    for problem in &mut problems {
        if let Some(inside) = problem.path.strip_prefix(&state) {
            problem.path = inside.to_owned();
        }
    }
    problem::sorted(problems)
}

/// A file of the state must not be opened in a process that holds the database in it open.
pub(crate) fn refuse_open_databases(roots: &[Root], walk: &Walk) -> Result<()> {
    let databases = walk.found.iter().filter(|found| found.database_name);
    let paths: Vec<_> = databases
        .filter_map(|found| Some(absolute(&roots.get(usize::from(found.root))?.path, &found.path)))
        .collect();
    match open_in_this_process(&paths) {
        Some(path) => Err(Error::DatabaseInProcess { path }),
        None => Ok(()),
    }
}

/// A backup that holds itself would double with every push. Refused before anything is written to it.
pub(crate) async fn refuse_bucket_inside(session: &Session) -> Result<()> {
    if session.settings.store.folder()?.is_none() {
        return Ok(());
    }
    let settings = session.settings.clone();
    Session::blocking(move || {
        let found = roots(&settings.state_dir, settings.config_path.as_deref())?;
        refuse_inside(bucket_folder(&settings)?.as_deref(), &found.roots)
    })
    .await
}

/// Whether something may be restored to a new directory. What lies in the bucket's folder is for whoever reads that, so
/// nothing goes there that is not sealed. Says what the user should know of the place.
///
/// # Errors
/// `B2_CONFIG` where it may not be.
pub(crate) async fn judge_target(session: &Session, to: &Path) -> Result<Option<String>> {
    let (settings, to) = (session.settings.clone(), to.to_path_buf());
    let own = session.local.root().to_path_buf();
    Session::blocking(move || {
        let to = std::path::absolute(&to).map_err(|error| Error::io("look at", &to, error))?;
        let around = to.ancestors().find_map(|above| above.canonicalize().ok().zip(Some(above)));
        let place = around.map_or_else(
            || to.clone(),
            |(real, above)| real.join(to.strip_prefix(above).unwrap_or(Path::new(""))),
        );
        if bucket_folder(&settings)?.is_some_and(|bucket| place.starts_with(bucket)) {
            return Err(Error::config(
                "--to",
                format!(
                    "{} lies in the folder that holds the backups, where nothing may be that is not encrypted: choose \
                     another place",
                    to.display()
                ),
            ));
        }
        // For trials and counts: what is in there is in no snapshot.
        if place.starts_with(host_config::real(&own)) {
            return Ok(None);
        }
        // Where the state is, is no matter of a restore: a blank machine has none.
        let roots = roots(&settings.state_dir, settings.config_path.as_deref());
        let roots = roots.map(|found| found.roots).unwrap_or_default();
        let inside = roots
            .iter()
            .find(|root| root.kind != RootKind::Config && place.starts_with(&root.path));
        Ok(inside.map(|root| {
            format!(
                "{} lies in {}, which is backed up: the next push stores what was restored as well",
                to.display(),
                root.path.display()
            )
        }))
    })
    .await
}

/// The folder that holds the backups, links resolved, if it is one.
fn bucket_folder(settings: &Settings) -> Result<Option<PathBuf>> {
    let Some(folder) = settings.store.folder()? else { return Ok(None) };
    Ok(Some(host_config::real(&folder)))
}

fn refuse_inside(folder: Option<&Path>, roots: &[Root]) -> Result<()> {
    let Some(folder) = folder else { return Ok(()) };
    let around =
        roots.iter().find(|root| root.kind != RootKind::Config && folder.starts_with(&root.path));
    around.map_or(Ok(()), |root| {
        let root = root.path.display();
        Err(Error::config(
            "bucket",
            format!(
                "the folder {} lies inside {root}, which is backed up: choose one outside",
                folder.display()
            ),
        ))
    })
}
