//! Restoring a snapshot of the original plugin, as far as it can be found.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::report::{RestoreOptions, RestoreReport};
use crate::engine::legacy::{Legacy, Take};
use crate::engine::problem::FileProblem;
use crate::engine::select::Selection;
use crate::engine::session::Session;
use crate::engine::unpack::target::{Made, Target};
use crate::entry::RelPath;
use crate::error::{Error, Result};
use crate::format::Entry;
use crate::progress::{Event, Phase};
use crate::source::database::is_database_content;
use crate::source::{absolute, sqlite};

const LEFT_OUT: &str = "the original plugin kept no permissions, times, links and empty directories: only you may read \
    the files, and scripts have to be made executable again";
const LOGS_LEFT_OUT: &str = "the original plugin left out what SQLite had not yet moved from its log into the database: \
    the databases may lack what was written last";

/// Restores what can be found, and names the rest.
pub(super) async fn run(
    session: &Session,
    options: &RestoreOptions,
    name: &str,
    paths: &Selection,
    target: &Arc<Target>,
) -> Result<RestoreReport> {
    let snapshot = Legacy::open(session, name, options.allow_unauthenticated).await?;
    let (mut chosen, mut unfit) = (Vec::new(), Vec::new());
    for entry in paths.choose(snapshot.entries()?, &[]) {
        match target.unfit(&entry.path) {
            Some(error) => unfit.push(FileProblem::new(entry.path.escaped(), &error)),
            None => chosen.push(entry),
        }
    }
    if chosen.is_empty() && unfit.is_empty() && !options.paths.is_empty() {
        let message = format!("{name} has nothing at {}", options.paths.join(", "));
        return Err(Error::config("--path", message));
    }
    let done: Arc<Mutex<Done>> = Arc::default();
    let take = taker(session, Arc::clone(target), chosen.clone(), Arc::clone(&done));
    let (mut failed, mut warnings) = snapshot.contents(&chosen, &take).await?;
    let Done { files, bytes, mut databases } =
        std::mem::take(&mut *done.lock().unwrap_or_else(PoisonError::into_inner));
    if bytes == 0 && failed.iter().any(|one| one.code == "B2_WRONG_KEY") {
        return Err(Error::WrongKey {
            message: format!(
                "{name} was encrypted with an application key that is not at hand; set B2_BACKUP_OLD_KEYS to the keys \
                 that were in use then"
            ),
        });
    }
    failed.extend(unfit);
    warnings.splice(0..0, session.warnings.iter().cloned());
    warnings.push(LEFT_OUT.to_owned());
    if !databases.is_empty() {
        warnings.push(LOGS_LEFT_OUT.to_owned());
    }
    databases.sort();
    let to = options.to.clone();
    warnings.extend(Session::blocking(move || Ok(check(&to, &databases))).await?);
    Ok(RestoreReport {
        snapshot: name.to_owned(),
        files,
        bytes,
        failed,
        warnings,
        ..RestoreReport::default()
    })
}

/// Writes what is found, and notes it.
fn taker(
    session: &Session,
    target: Arc<Target>,
    entries: Vec<Entry>,
    done: Arc<Mutex<Done>>,
) -> Take {
    let progress = Arc::clone(&session.ambient.progress);
    Arc::new(move |wanted, content| {
        for path in &wanted.paths {
            let path = RelPath::from_bytes(path.clone().into_bytes());
            let at = entries.binary_search_by(|entry| entry.path.cmp(&path));
            let Some(entry) = at.ok().and_then(|at| entries.get(at)) else { continue };
            let entry = Entry { size: content.len() as u64, ..entry.clone() };
            target.write_whole(&entry, &content, &Made::default())?;
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            done.files += 1;
            done.bytes += content.len() as u64;
            if is_database_content(&content) {
                done.databases.push(path);
            }
            progress.report(Event {
                phase: Phase::Restore,
                done_bytes: done.bytes,
                total_bytes: None,
                done_files: done.files,
            });
        }
        Ok(())
    })
}

#[derive(Default)]
struct Done {
    files: u64,
    bytes: u64,
    databases: Vec<RelPath>,
}

/// The original copied databases while they were written: says of each whether it is whole.
fn check(to: &Path, databases: &[RelPath]) -> Vec<String> {
    let broken = |path: &RelPath| {
        let said = match sqlite::check(&absolute(to, path)) {
            Ok(()) => return None,
            Err(Error::Database { message, .. }) => message,
            Err(other) => other.to_string(),
        };
        Some(format!(
            "the database {path} is damaged: {said}. It is as the original plugin stored it, which copied databases \
             while they were written; `sqlite3 FILE .recover` may save rows"
        ))
    };
    databases.iter().filter_map(broken).collect()
}
