//! Staging: everything that comes is fetched, checked and made ready beside the state, and written down in the
//! journal, before anything of the state is touched.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use minicbor::bytes::ByteVec;
use tokio_util::sync::CancellationToken;

use super::items::Compared;
use super::new_machine::logins;
use super::runs;
use super::steps::Steps;
use super::trial::{Present, Trial};
use crate::ambient::{self, announced, random};
use crate::crypto::{ContentHash, sha256};
use crate::engine::problem::FileProblem;
use crate::engine::roots;
use crate::engine::session::{Session, millis};
use crate::engine::unpack::fetch;
use crate::engine::unpack::target::{self, Target};
use crate::engine::unpack::work::Work;
use crate::error::{Error, Result};
use crate::format::{Entry, EntryFlags, RootRecord};
use crate::local::{Journal, Phase, RollbackFolder, Step, StepKind};
use crate::ops::recovery::{Coming, LOGS, MAX_CONFIG_BYTES, keep, of_places};
use crate::repo::PackSource;
use crate::source::database::{Redact, host_database};
use crate::source::place::{Place, Refusal, SET_OWNER, Spot};
use crate::source::withheld::Withheld;
use crate::source::{RelPath, Root, sqlite};

/// How long copying a live database may take.
const COPYING: Duration = Duration::from_mins(5);
/// So many paths are named in an error; the rest is counted.
const NAMED: usize = 20;

/// Something that is staged.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) folder: RollbackFolder,
    pub(super) journal: Journal,
    pub(super) failed: Vec<FileProblem>,
    pub(super) warnings: Vec<String>,
}

/// Stages what `compared` comes to. When it fails, nothing is left of it.
pub(super) async fn stage(
    session: &Session,
    compared: &Compared,
    source: &PackSource,
    plan: [u8; 32],
    safety: String,
    partial: bool,
) -> Result<Staged> {
    let now = millis(session.ambient.clock.now());
    let id = format!("{now:013}-{}", hex::encode(random::<4>(&*session.ambient.entropy)?));
    let folder = session.local.rollbacks().create(&id)?;
    let staged =
        session.cancellable(fill(session, &folder, compared, source, plan, safety, partial)).await;
    if staged.is_err() {
        // Without a phase it has no meaning, and the next one sweeps it away: this only frees the space.
        let _best_effort = folder.remove();
    }
    staged
}

async fn fill(
    session: &Session,
    folder: &RollbackFolder,
    compared: &Compared,
    source: &PackSource,
    plan: [u8; 32],
    safety: String,
    partial: bool,
) -> Result<Staged> {
    let Steps { mut steps, wanted } = Steps::of(compared);
    let target = Target::open(&folder.dir().join("new"), Arc::clone(&session.ambient.steps))?;
    let kinds: HashMap<u32, StepKind> = steps.iter().map(|step| (step.name, step.kind)).collect();
    let entries = wanted.iter().map(|(name, entry)| {
        // Databases and the configuration are worked on before they go into place.
        let mode = if kinds.get(name) == Some(&StepKind::Place) { entry.mode } else { 0o600 };
        let path = RelPath::from_bytes(name.to_string().into_bytes());
        Entry { root: 0, path, mode, ..entry.clone() }
    });
    let target = Arc::new(target);
    let work = Arc::new(Work::new(
        &session.ambient.cancel,
        entries.collect(),
        Arc::clone(&target),
        source,
    ));
    fetch(session, source, &work, false).await?;

    let failed = failures(compared, &steps, &work, &wanted);
    if !failed.is_empty() {
        if !partial {
            return Err(damaged(source, &failed));
        }
        let lost = work.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let lost: Vec<u32> =
            lost.keys().filter_map(|at| wanted.get(*at).map(|(name, _)| *name)).collect();
        steps.retain(|step| !lost.contains(&step.name));
    }
    let redacted = wanted.iter().filter(|(_, Entry { flags, .. })| {
        flags.has(EntryFlags::REDACTED) && !flags.has(EntryFlags::DATABASE)
    });
    let ready = Ready {
        redacted: redacted.map(|(name, _)| *name).collect(),
        withheld: Arc::clone(&compared.withheld),
        folder: folder.clone(),
        roots: compared.roots.clone(),
        old_state: compared.old_state.clone(),
        made_by: source.snapshot().manifest.host_version.clone(),
        foreign: session.local.machine()? != Some(source.snapshot().id.machine),
        arriving: compared.arriving.is_some(),
        openclaw: session.settings.openclaw.clone(),
        config: session.settings.config_path.clone(),
        steps: Arc::clone(&session.ambient.steps),
        cancel: session.ambient.cancel.clone(),
    };
    let records: Vec<RootRecord> = compared.roots.iter().map(roots::record).collect();
    let journal = Journal {
        snapshot: source.snapshot().id.to_string(),
        safety,
        plan,
        staged_at_ms: millis(session.ambient.clock.now()),
        roots: records.iter().map(|root| ByteVec::from(root.path.clone())).collect(),
        root_kinds: records.iter().map(|root| root.kind).collect(),
        steps,
        moved_from: compared.old_state.clone(),
        arrival: compared.arriving.as_ref().map(|arriving| arriving.record(compared, source)),
    };
    let sealed = Session::blocking(move || ready.seal(journal)).await?;
    let Sealed { journal, warnings, refused } = sealed;
    let all = target.refused().into_iter().chain(refused).collect();
    let failed = failed.into_iter().map(|(_, problem)| problem);
    let failed = failed.chain(target::refused(of_places(&journal, all, |step, action| {
        // Others have it from what is live, and owners are given once more.
        let comes = match step.kind {
            StepKind::Place => true,
            StepKind::Database => step.before.is_none(),
            _ => false,
        };
        comes && action != SET_OWNER
    })));
    let failed = failed.collect();
    Ok(Staged { folder: folder.clone(), journal, failed, warnings })
}

/// What could not be fetched, under the names of the state.
fn failures(
    compared: &Compared,
    steps: &[Step],
    work: &Work,
    wanted: &[(u32, Entry)],
) -> Vec<(u32, FileProblem)> {
    let failed = work.failed.lock().unwrap_or_else(PoisonError::into_inner);
    failed
        .iter()
        .filter_map(|(at, problem)| {
            let (name, _) = wanted.get(*at)?;
            let step = steps.iter().find(|step| step.name == *name)?;
            let path = compared.shown(step.root, &RelPath::from_bytes(step.path.clone()));
            Some((*name, FileProblem { path, ..problem.clone() }))
        })
        .collect()
}

fn damaged(source: &PackSource, failed: &[(u32, FileProblem)]) -> Error {
    let named: Vec<&str> =
        failed.iter().take(NAMED).map(|(_, problem)| problem.path.as_str()).collect();
    let more = match failed.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let message = format!(
        "nothing was changed, because this cannot be restored: {}{more}; `--partial` restores the rest",
        named.join(", ")
    );
    Error::damaged(source.snapshot().id.object(), message)
}

/// A rollback of which all is ready.
struct Sealed {
    journal: Journal,
    warnings: Vec<String>,
    /// What the file system did not take of files in `new/`.
    refused: Vec<Refusal>,
}

/// What is left to do once everything is fetched.
struct Ready {
    folder: RollbackFolder,
    roots: Vec<Root>,
    old_state: Option<String>,
    made_by: Option<String>,
    /// Whether another machine made the snapshot.
    foreign: bool,
    arriving: bool,
    openclaw: Vec<String>,
    /// The host's configuration, where it is not in the state directory.
    config: Option<PathBuf>,
    /// Steps whose files have placeholders for what is withheld.
    redacted: HashSet<u32>,
    withheld: Arc<Withheld>,
    steps: Arc<dyn ambient::FailPoints>,
    cancel: CancellationToken,
}

impl Ready {
    /// Makes databases ready, makes all durable, and writes the journal.
    fn seal(&self, mut journal: Journal) -> Result<Sealed> {
        let new = Place::open(&self.folder.dir().join("new"), Arc::clone(&self.steps))?;
        let mut trial = Trial::new(self.folder.dir());
        let mut warnings = Vec::new();
        for step in &mut journal.steps {
            if step.kind == StepKind::Database {
                warnings.append(&mut self.database(step, &new, &mut trial)?);
            } else if self.redacted.contains(&step.name) {
                warnings.extend(self.put_back(step, &new)?);
            }
            if step.kind == StepKind::Config {
                self.try_config(step, &new, &mut trial)?;
            }
            if matches!(step.kind, StepKind::Place | StepKind::Database | StepKind::Config) {
                new.name(&step.name.to_string()).sync()?;
            }
            if step.kind == StepKind::Config
                && let Some(arrival) = &mut journal.arrival
            {
                let config = new.name(&step.name.to_string());
                arrival.logins = logins(&config);
                arrival.runs.extend(runs::in_config(&config));
            }
            if self.cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
        }
        if let Some(root) = self.roots.first() {
            let usual = root.path.join("openclaw.json");
            let config = self.config.as_deref().unwrap_or(&usual);
            let present = Present { state_dir: &root.path, config };
            warnings.extend(trial.ask(&self.openclaw, &present, &self.cancel)?);
        }
        new.sync()?;
        let open = |path: PathBuf| Place::open(&path, Arc::clone(&self.steps));
        open(self.folder.dir().to_owned())?.sync()?;
        for above in self.folder.dir().ancestors().skip(1).take(2) {
            open(above.to_owned())?.sync()?;
        }
        self.folder.save(&journal)?;
        self.folder.set_phase(Phase::Staged)?;
        Ok(Sealed { journal, warnings, refused: new.refused().take() })
    }

    /// The place of a step, where its directory is there.
    fn live(&self, root: &Root, step: &Step) -> Result<Option<Spot>> {
        match Place::open(&root.path, Arc::clone(&self.steps)) {
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                Ok(None)
            }
            place => Ok(place?.spot(&RelPath::from_bytes(step.path.clone())).ok()),
        }
    }

    /// Puts the configuration as it will be into the trial.
    fn try_config(&self, step: &Step, new: &Place, trial: &mut Trial) -> Result<()> {
        let snapshot = new.name(&step.name.to_string()).read(MAX_CONFIG_BYTES)?;
        let Some(root) = self.roots.get(usize::from(step.root)) else { return Ok(()) };
        let live = self.live(root, step)?;
        let coming = Coming {
            live: live.as_ref().map(|live| (live, live)),
            old_state: self.old_state.as_deref(),
            state: self.roots.first().map(|root| root.path.as_path()),
            arriving: self.arriving,
        };
        let merged = coming.merge(&snapshot);
        // What is included is looked for beside it.
        if !merged.windows(8).any(|word| word == b"$include") {
            trial.take_config(&merged)?;
        }
        Ok(())
    }

    /// Puts what is here in place of the placeholders in a file.
    fn put_back(&self, step: &mut Step, new: &Place) -> Result<Option<String>> {
        let staged = new.name(&step.name.to_string());
        let Some(stat) = staged.stat()? else { return Ok(None) };
        let path = RelPath::from_bytes(step.path.clone());
        let live = match self.roots.get(usize::from(step.root)) {
            Some(root) => self.live(root, step)?,
            None => None,
        };
        let live = live.and_then(|live| live.read(MAX_CONFIG_BYTES).ok());
        let before = staged.read(MAX_CONFIG_BYTES)?;
        let (after, [ours, others]) = self.withheld.put_back(&before, live.as_deref());
        let part = staged.beside(".part");
        part.write(&after, stat.mode)?;
        part.set_time(step.mtime_ns)?;
        part.move_to(&staged)?;
        (step.size, step.sha256) = (after.len() as u64, sha256(&after).to_vec());
        // Our own settings in the configuration stay as they are here.
        let ours = if step.kind == StepKind::Config { 0 } else { ours };
        Ok((ours + others > 0).then(|| {
            format!(
                "{path}: {} of its secrets are neither in the snapshot nor here; placeholders stand in their place \
                 (`__B2_BACKUP_...__`)",
                ours + others
            )
        }))
    }

    /// Makes one database fit to be written into the live one, and tries that on copies.
    fn database(&self, step: &mut Step, new: &Place, host: &mut Trial) -> Result<Vec<String>> {
        let name = step.name.to_string();
        let copy = new.name(&name);
        let path = RelPath::from_bytes(step.path.clone());
        let root = self
            .roots
            .get(usize::from(step.root))
            .ok_or_else(|| Error::internal("a step without a root"))?;
        let live = self.live(root, step)?;
        let kind = host_database(&path, root.kind).unwrap_or(Redact::None);
        let shown = |error| match error {
            Error::Database { message, .. } => Error::Database {
                path: crate::source::absolute(&root.path, &path),
                message: format!("the one in the snapshot: {message}"),
            },
            other => other,
        };
        sqlite::check(copy.path()).map_err(shown)?;
        let mut warnings = Vec::new();
        let saved = new.name(&format!("{name}.live"));
        let saved = match live.filter(|live| live.stat().is_ok_and(|stat| stat.is_some())) {
            Some(live) => {
                let saved = self.copy_live(&live, &saved, &mut warnings)?;
                step.broken = saved.is_none();
                saved
            }
            None => None,
        };
        if let Some(saved) = saved.as_ref().filter(|_| kind != Redact::None) {
            let known = sqlite::user_version(saved.path())?;
            let found = sqlite::user_version(copy.path()).map_err(shown)?;
            if found > known {
                return Err(self.too_old(&path, found, known));
            }
        }
        let state = self.roots.first().map(|root| root.path.display().to_string());
        let moved = self.old_state.as_deref().zip(state.as_deref()).map(|(from, to)| {
            sqlite::Moved { from, to, key: &|path| hex::encode(sha256(path.as_bytes())) }
        });
        let prepare = || sqlite::prepare(copy.path(), kind, moved);
        announced(&*self.steps, "prepare database", copy.path(), prepare).map_err(shown)?;
        if self.foreign && saved.is_none() {
            sqlite::forget_machine(copy.path(), kind).map_err(shown)?;
        }
        sqlite::check(copy.path()).map_err(shown)?;
        let keep = keep(self.arriving);
        let trial = new.name(&format!("{name}.trial"));
        copy.copy_file(&trial)?;
        // A copy under another name has no secrets in the snapshot, either.
        let kept = match kind {
            Redact::None => sqlite::kind_by_schema(copy.path()).map_err(shown)?,
            kind => kind,
        };
        if let Some(saved) = saved {
            let lost = sqlite::keep_live(trial.path(), saved.path(), kept, keep).map_err(shown)?;
            warnings.extend(lost.into_iter().map(|lost| format!("{path}: {lost}")));
            sqlite::check(trial.path()).map_err(shown)?;
            if kind == Redact::Shared {
                host.take_live(saved.path())?;
            }
            saved.remove()?;
        }
        if kind != Redact::None && step.root == 0 {
            host.take(trial.path(), &path)?;
        }
        trial.remove()?;
        copy.set_mode(step.mode)?;
        let (mut hash, mut size) = (ContentHash::default(), 0);
        copy.read_all(&mut |piece| {
            hash.update(piece);
            size += piece.len() as u64;
        })?;
        (step.size, step.sha256) = (size, hash.finish().to_vec());
        Ok(warnings)
    }

    fn too_old(&self, path: &RelPath, found: i64, known: i64) -> Error {
        let needed = self.made_by.as_ref();
        let needed = needed.map_or_else(String::new, |version| format!(" to {version} or newer"));
        let message = format!(
            "{path} in the snapshot has schema {found}, the OpenClaw installed here has {known}: nothing was \
             changed; update OpenClaw{needed}"
        );
        Error::HostTooOld { message }
    }

    /// Copies the live database. `None` with a warning when it is broken: then it is replaced as a file.
    fn copy_live(
        &self,
        live: &Spot,
        to: &Spot,
        warnings: &mut Vec<String>,
    ) -> Result<Option<Spot>> {
        // Without room for a journal SQLite writes only into a database with a log: then that is there while it is open.
        let wal = live.beside("-wal");
        let works = wal.can_be() && wal.stat()?.is_some();
        if !works && !LOGS.iter().all(|log| live.beside(log).can_be()) {
            warnings.push(format!(
                "{} is replaced as a file: its name leaves no room for that of a log",
                live.path().display()
            ));
            return Ok(None);
        }
        let options = sqlite::CaptureOptions {
            redact: Redact::None,
            deadline: COPYING,
            cancel: &self.cancel,
        };
        let copied = announced(&*self.steps, "copy database", live.path(), || {
            sqlite::capture(live.path(), to.path(), &options)
        });
        match copied.and_then(|_| sqlite::check(to.path())) {
            Ok(()) => Ok(Some(to.clone())),
            Err(Error::Database { message, .. }) => {
                warnings.push(format!(
                    "{} is broken ({message}): what is in it, logins too, cannot be kept",
                    live.path().display()
                ));
                to.remove()?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}
