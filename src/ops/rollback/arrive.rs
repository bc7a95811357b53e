//! A new machine is given what another one had, by itself: the newest snapshot, as long as nothing of a user's is
//! here. The course is that of a rollback, but for the safety snapshot: there is nothing to be safe.

use std::path::PathBuf;
use std::time::Instant;

use super::compare::{Compared, Comparison, delete};
use super::config::{MAX_CONFIG_BYTES, parse};
use super::live::Live;
use super::plan::Action;
use super::{Wanted, look, runs, stage};
use crate::crypto::sha256;
use crate::entry::EntryKind;
use crate::error::{Error, Result};
use crate::format::{SnapshotId, SnapshotName};
use crate::ops::list::time;
use crate::ops::newest::{Head, Heads};
use crate::ops::push::refuse_open_databases;
use crate::ops::session::{Session, Settings};
use crate::repo::{Arrival, Journal, Local, PackSource, Phase, find};
use crate::source::blank::{self, Bootstrap, Content};
use crate::source::database::{Redact, host_database};
use crate::source::place::Spot;
use crate::source::policy::Policy;
use crate::source::roots::roots;
use crate::source::sqlite::Keep;
use crate::source::{links, logs};

/// What became of looking for something to give to this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ArriveOutcome {
    /// It has been backed up, or rolled back, before.
    #[default]
    NotNew,
    /// It has content of its own.
    Used,
    /// There is no snapshot that could be given to it.
    NoSnapshot,
    /// It was tried before and could not be carried out; the next push begins a life of its own.
    Failed,
    /// Something is ready already, and waits for OpenClaw to stop.
    Waiting,
    /// Something is ready now, and waits for OpenClaw to stop.
    Staged,
}

impl ArriveOutcome {
    /// The name that users and other programs see.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NotNew => "not-new",
            Self::Used => "used",
            Self::NoSnapshot => "no-snapshot",
            Self::Failed => "failed",
            Self::Waiting => "waiting",
            Self::Staged => "staged",
        }
    }
}

/// What [`arrive`] came to.
#[derive(Clone, Debug, Default)]
pub struct ArriveReport {
    /// What became of it.
    pub outcome: ArriveOutcome,
    /// What shows that the machine is in use.
    pub used: Option<String>,
    /// The id of the rollback, where one waits.
    pub id: Option<String>,
    /// The snapshot, where one waits, or waited until the machine was used.
    pub snapshot: Option<String>,
    /// What comes with it.
    pub arrival: Option<Arrival>,
    /// Body bytes received.
    pub downloaded_bytes: u64,
    /// Requests made.
    pub requests: u64,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// How long it took, milliseconds.
    pub duration_ms: u64,
}

/// Makes the newest snapshot ready for a machine that has nothing; [`recover`](super::recover) carries it out.
///
/// It takes the newest that is authenticated, where one machine alone stored backups lately. A machine that was backed up or rolled back
/// before, or that has content, costs no request.
///
/// # Errors
/// `B2_LOCKED`; `B2_NEEDS_CHOICE` where several machines are alive, or the times of the snapshot do not agree;
/// `B2_WRONG_KEY` when there are snapshots and none opens, `B2_NOT_AUTHENTICATED` when all that open
/// are not sealed; `B2_HOST_TOO_OLD`, `B2_DAMAGED`, `B2_UNSAFE_PATH`, `B2_DATABASE_IN_PROCESS`, and those of the store
/// and the file system. Whatever happens, nothing of the state is changed here.
///
/// # Cancel safety
/// It can be cancelled at any moment, and leaves nothing.
pub async fn arrive(session: &Session) -> Result<ArriveReport> {
    let started = Instant::now();
    let mut report = prepare(session).await?;
    let traffic = session.traffic();
    report.downloaded_bytes = traffic.received_bytes;
    report.requests = traffic.requests;
    report.warnings.splice(0..0, session.warnings.iter().cloned());
    report.duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(report)
}

async fn prepare(session: &Session) -> Result<ArriveReport> {
    let outcome = |outcome| Ok(ArriveReport { outcome, ..ArriveReport::default() });
    let rollbacks = session.local.rollbacks();
    if session.local.machine()?.is_some() {
        return outcome(ArriveOutcome::NotNew);
    }
    let _lock = session.local.lock()?;
    if let Some((folder, journal, phase)) = rollbacks.open()? {
        if phase == Phase::Staged
            && let Some(used) = no_longer_blank(&session.settings, &journal)?
        {
            // The restart did not come, and somebody began to work: that must be backed up.
            folder.remove()?;
            return Ok(ArriveReport {
                outcome: ArriveOutcome::Used,
                used: Some(used),
                snapshot: Some(journal.snapshot),
                ..ArriveReport::default()
            });
        }
        return Ok(ArriveReport {
            outcome: ArriveOutcome::Waiting,
            id: Some(folder.id().to_owned()),
            snapshot: Some(journal.snapshot),
            arrival: journal.arrival,
            ..ArriveReport::default()
        });
    }
    if rollbacks.last()?.is_some() {
        return outcome(ArriveOutcome::NotNew);
    }
    if rollbacks.arrival_failed()? {
        return outcome(ArriveOutcome::Failed);
    }
    session.local.temporary()?;
    let live = Live::look(session).await?;
    let scratch = session.local.temporary_path("look");
    let (_, content) = session.cancellable(live.content(scratch)).await?;
    if let Content::Used(path) = content? {
        return Ok(ArriveReport {
            outcome: ArriveOutcome::Used,
            used: Some(path.to_string()),
            ..ArriveReport::default()
        });
    }
    session.cancellable(stage_newest(session)).await
}

async fn stage_newest(session: &Session) -> Result<ArriveReport> {
    let names = find(&*session.store).await?;
    let regular = names.iter().filter_map(|name| match name {
        SnapshotName::Current(id) if !id.safety => Some(id.clone()),
        _ => None,
    });
    let regular: Vec<SnapshotId> = regular.collect();
    if regular.is_empty() {
        let mut report =
            ArriveReport { outcome: ArriveOutcome::NoSnapshot, ..ArriveReport::default() };
        if names.iter().any(|name| matches!(name, SnapshotName::Legacy(_))) {
            report.warnings.push(
                "the bucket holds backups of the original plugin, which are not authenticated and never come by \
                 themselves: `b2-backup list` shows them, `b2-backup restore ID --to DIR` brings them back"
                    .to_owned(),
            );
        }
        return Ok(report);
    }
    let heads = Heads::find(session, regular).await?;
    refuse_to_guess(&heads)?;
    let Some((snapshot, warnings)) = heads.newest()? else {
        return Ok(ArriveReport { outcome: ArriveOutcome::NoSnapshot, ..ArriveReport::default() });
    };
    let wanted = Wanted::arrival(&snapshot.id)?;
    let looked = look(session, &wanted).await?;
    if looked.plan.is_empty() || looked.compared.arriving.is_none() {
        return Ok(ArriveReport { outcome: ArriveOutcome::NoSnapshot, ..ArriveReport::default() });
    }
    let hash = looked.hash;
    let (compared, source) = (&looked.compared, &looked.source);
    let mut staged = stage::stage(session, compared, source, hash, String::new(), false).await?;
    staged.warnings.splice(0..0, warnings);
    let refused = staged.failed.iter().map(|it| format!("{}: {}", it.path, it.message));
    staged.warnings.extend(refused);
    Ok(ArriveReport {
        outcome: ArriveOutcome::Staged,
        id: Some(staged.folder.id().to_owned()),
        snapshot: Some(staged.journal.snapshot),
        arrival: staged.journal.arrival,
        warnings: staged.warnings,
        ..ArriveReport::default()
    })
}

/// Nobody is asked before a new machine is given something: so it must be clear what.
fn refuse_to_guess(heads: &Heads) -> Result<()> {
    let alive: Vec<&Head> = heads.alive().collect();
    let message = match alive[..] {
        [Head { doubt: None, .. }] | [] => return Ok(()),
        [Head { snapshot, doubt: Some(doubt), .. }] => format!(
            "{}, the last snapshot of machine {}, is odd: {doubt}",
            snapshot.id, snapshot.id.machine
        ),
        _ => {
            let one = |head: &&Head| {
                let Head { snapshot, at_ms, doubt } = head;
                let at = at_ms.map_or_else(String::new, |at| format!(", stored {}", time(at)));
                let doubt = doubt.as_ref().map_or_else(String::new, |doubt| format!(" ({doubt})"));
                format!("{} of machine {}{at}{doubt}", snapshot.id, snapshot.id.machine)
            };
            let each: Vec<String> = alive.iter().map(one).collect();
            format!(
                "{} machines store backups in this bucket, and only you know which of them this one is to be. The \
                 newest of each: {}",
                each.len(),
                each.join("; ")
            )
        }
    };
    let message = format!(
        "{message}. Choose with `b2-backup restore SNAPSHOT`; if this machine replaces that one, say \
         `b2-backup adopt MACHINE` as well"
    );
    Err(Error::NeedsChoice { message })
}

/// What a machine that has nothing may be given.
#[derive(Clone, Debug)]
pub(super) struct Arriving {
    /// Files that the host makes by itself.
    bootstrap: Bootstrap,
    /// Whether nobody agreed to a plan: then nothing else is replaced.
    by_itself: bool,
}

impl Arriving {
    /// Finds out whether the machine has nothing, for a snapshot that another machine made. The live state is
    /// given back.
    pub(super) async fn of(
        session: &Session,
        wanted: &Wanted,
        live: Live,
        with_secrets: bool,
    ) -> Result<(Live, Option<Self>)> {
        let name = format!("look-{}", std::process::id());
        let scratch = session.local.temporary_path(&name);
        let (mut live, content) = live.content(scratch).await?;
        let bootstrap = match content {
            Ok(Content::Blank(bootstrap)) => bootstrap,
            Err(error) if wanted.by_itself => return Err(error),
            // Somebody looks at the plan: an ordinary rollback is right for whatever is here.
            Ok(Content::Used(_)) | Err(_) => return Ok((live, None)),
        };
        if with_secrets {
            live.take_secrets(&session.settings)?;
        }
        Ok((live, Some(Self { bootstrap, by_itself: wanted.by_itself })))
    }

    /// What is remembered until the user was told.
    pub(super) fn record(&self, compared: &Compared, source: &PackSource) -> Arrival {
        let manifest = &source.snapshot().manifest;
        let from = manifest.roots.first().map(|root| String::from_utf8_lossy(&root.path));
        let comes = compared.items.iter().filter(|item| {
            let file = item.entry.as_ref().is_some_and(|entry| entry.kind == EntryKind::File);
            file && matches!(item.action, Action::Add | Action::Replace)
        });
        Arrival {
            by_itself: self.by_itself,
            made_at_ms: manifest.local_time_ms,
            from: from.unwrap_or_default().into_owned(),
            files: u64::try_from(comes.count()).unwrap_or(u64::MAX),
            with_secrets: manifest.includes_secrets,
            logins: Vec::new(),
            notes: compared.warnings.clone(),
            runs: runs::among_files(compared),
        }
    }
}

impl Live {
    /// Whether anything of a user's is here. Opens databases.
    async fn content(self, scratch: PathBuf) -> Result<(Self, Result<Content>)> {
        Session::blocking(move || {
            let content = blank::look(&self.roots, &self.inside, &self.walk, &scratch, hex_sha256);
            Ok((self, content))
        })
        .await
    }
}

impl Comparison<'_> {
    /// Keeps whatever is here but what the host makes by itself, and lets what is left of that go: an agent that is
    /// at home already must not be introduced again.
    pub(super) fn arrive(&mut self, arriving: &Arriving) -> Result<()> {
        let named = |path: &[u8], of: &Self, root| {
            let above = path.iter().rposition(|byte| *byte == b'/').unwrap_or_default();
            let above = path.get(..above).unwrap_or_default();
            of.named.contains(&(root, crate::entry::RelPath::from_bytes(above.to_vec())))
        };
        for found in &self.live.walk.found {
            let key = (found.root, found.path.clone());
            let bytes = found.path.as_bytes();
            let in_git = bytes.split(|byte| *byte == b'/').any(|part| part == b".git");
            if arriving.bootstrap.has(found.root, &found.path)
                && !in_git
                && !self.named.contains(&key)
                && named(bytes, self, found.root)
            {
                self.put(delete(found.clone()));
            }
        }
        let mut stay = Vec::new();
        for (key, item) in &self.items {
            let (root, path) = key;
            let replaceable = arriving.bootstrap.has(*root, path)
                || self.live.config.as_ref() == Some(key)
                || item.database && self.is_host_database(*root, path);
            let stays = match item.action {
                Action::Keep => false,
                // What the walk does not look for may be there all the same, such as a login.
                Action::Add => self.live.kind_at(*root, path)?.is_some(),
                Action::Replace | Action::Delete => arriving.by_itself && !replaceable,
            };
            if stays {
                stay.push(key.clone());
            }
        }
        for key in stay {
            if let Some(item) = self.items.get_mut(&key) {
                item.action = Action::Keep;
                item.reason = Some("is on this machine already".to_owned());
            }
        }
        Ok(())
    }

    /// Whether a path is a database of the host, into which rows of the live one are taken.
    fn is_host_database(&self, root: u16, path: &crate::entry::RelPath) -> bool {
        let kind = self.live.roots.get(usize::from(root)).map(|root| root.kind);
        let database = kind.and_then(|kind| host_database(path, kind));
        let name = path.as_bytes().rsplit(|byte| *byte == b'/').next();
        matches!(database, Some(Redact::Shared | Redact::Agent))
            && name.is_some_and(|name| name.ends_with(b".sqlite"))
    }
}

/// Whose rows a database gets where both have some.
pub(super) fn keep(arriving: bool) -> Keep {
    if arriving { Keep::WhatThereIs } else { Keep::All }
}

/// Logins that a configuration names: whatever they are, their secrets are elsewhere.
pub(super) fn logins(config: &Spot) -> Vec<String> {
    let bytes = config.read(MAX_CONFIG_BYTES).unwrap_or_default();
    let Some(value) = std::str::from_utf8(&bytes).ok().and_then(parse) else { return Vec::new() };
    let keys = |pointer: &str| -> Vec<String> {
        let object = value.pointer(pointer).and_then(|value| value.as_object());
        object.into_iter().flat_map(|object| object.keys().cloned()).collect()
    };
    let models = keys("/auth/profiles").into_iter().map(|id| format!("model provider {id}"));
    let channels = keys("/channels").into_iter().filter(|id| id != "defaults");
    models.chain(channels.map(|id| format!("channel {id}"))).collect()
}

fn hex_sha256(bytes: &[u8]) -> String {
    hex::encode(sha256(bytes))
}

/// What is on the machine by now, where something was to come by itself only as long as it has nothing.
pub(super) fn no_longer_blank(settings: &Settings, journal: &Journal) -> Result<Option<String>> {
    if !journal.arrival.as_ref().is_some_and(|arrival| arrival.by_itself) {
        return Ok(None);
    }
    let local = Local::at(&settings.state_dir);
    local.temporary()?;
    let mut found = roots(&settings.state_dir, settings.config_path.as_deref())?;
    let policy = Policy::new(&settings.include, &settings.exclude, settings.include_secrets)?;
    let policy = policy.with_inside(found.inside.clone());
    let cancel = tokio_util::sync::CancellationToken::new();
    let mut walked = links::walk(&mut found, &policy, None, false, &cancel)?;
    logs::settle(&found.roots, &mut walked, false);
    refuse_open_databases(&found.roots, &walked)?;
    let scratch = local.temporary_path("look");
    match blank::look(&found.roots, &found.inside, &walked, &scratch, hex_sha256) {
        Ok(Content::Blank(_)) => Ok(None),
        Ok(Content::Used(path)) => Ok(Some(path.to_string())),
        // What cannot be read may be of use to somebody.
        Err(Error::Database { path, .. }) => Ok(Some(path.display().to_string())),
        Err(error) => Err(error),
    }
}
