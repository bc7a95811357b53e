//! What a machine that has nothing may be given, and what of it stays as it is.

use std::path::PathBuf;

use super::compare::{Compared, Comparison, delete};
use super::live::Live;
use super::plan::Action;
use super::stage::stage;
use super::{Looked, Wanted, look, runs};
use crate::crypto::sha256_hex;
use crate::engine::session::Session;
use crate::entry::EntryKind;
use crate::error::Result;
use crate::format::SnapshotId;
use crate::local::Arrival;
use crate::ops::recovery::{MAX_CONFIG_BYTES, parse};
use crate::repo::PackSource;
use crate::source::blank::{self, Bootstrap, Content};
use crate::source::database::{Redact, host_database};
use crate::source::place::Spot;

/// What was made ready for a machine that has nothing.
#[derive(Debug)]
pub(in crate::ops) struct StagedArrival {
    /// The id of the rollback that carries it out.
    pub(in crate::ops) id: String,
    pub(in crate::ops) snapshot: String,
    pub(in crate::ops) arrival: Option<Arrival>,
    pub(in crate::ops) warnings: Vec<String>,
}

/// What shows that somebody uses this machine already; `None` where it has nothing. Opens databases.
///
/// # Errors
/// `B2_CONFIG`, `B2_DATABASE_IN_PROCESS`, and those of the file system.
pub(in crate::ops) async fn in_use(session: &Session) -> Result<Option<String>> {
    session.local.temporary()?;
    let live = Live::look(session).await?;
    let (_, content) = live.content(session.local.temporary_path("look")).await?;
    match content? {
        Content::Used(path) => Ok(Some(path.to_string())),
        Content::Blank(_) => Ok(None),
    }
}

/// Makes a whole snapshot ready for a machine that has nothing; `None` where nothing of it would come.
///
/// # Errors
/// As [`plan_rollback`](super::plan_rollback).
pub(in crate::ops) async fn stage_arrival(
    session: &Session,
    snapshot: &SnapshotId,
) -> Result<Option<StagedArrival>> {
    let Looked { compared, source, plan, hash } =
        look(session, &Wanted::arrival(snapshot)?).await?;
    if plan.is_empty() || compared.arriving.is_none() {
        return Ok(None);
    }
    let staged = stage(session, &compared, &source, hash, String::new(), false).await?;
    let refused = staged.failed.iter().map(|it| format!("{}: {}", it.path, it.message));
    let warnings = staged.warnings.iter().cloned().chain(refused).collect();
    Ok(Some(StagedArrival {
        id: staged.folder.id().to_owned(),
        snapshot: staged.journal.snapshot,
        arrival: staged.journal.arrival,
        warnings,
    }))
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
    pub(super) async fn content(self, scratch: PathBuf) -> Result<(Self, Result<Content>)> {
        Session::blocking(move || {
            let content = blank::look(&self.roots, &self.inside, &self.walk, &scratch, sha256_hex);
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
