//! What a rollback would let happen: what would run, what would be allowed, which secrets of the configuration change.
//! People read it before they read how many files there are.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::items::{Compared, Item};
use super::request::Action;
use crate::engine::session::Session;
use crate::entry::EntryKind;
use crate::error::Result;
use crate::format::Entry;
use crate::ops::recovery::{Coming, MAX_CONFIG_BYTES};
use crate::repo::PackSource;
use crate::source::authority::{Effect, Weight, effects};
use crate::source::database::{Redact, host_database};
use crate::source::own::is_instructions;
use crate::source::place::Place;
use crate::source::{RootKind, absolute, host_config};

/// Includes in files that come may name files that come: so many times it is looked again, as deep as the host goes.
const MAX_DEPTH: usize = 10;
/// Programs, hooks and the like that are named; the rest is counted.
const NAMED: usize = 40;
/// Directories whose direct members are run, or tell an agent what to do.
const RUN: &[(&[u8], &str)] = &[
    (b"hooks", "hook"),
    (b"skills", "skill"),
    (b"skill-workshop", "skill"),
    (b"plugins", "plugin"),
    (b"extensions", "plugin"),
];

/// What comes of it, the gravest first, and which files of the configuration are among the items.
pub(super) async fn of(
    session: &Session,
    compared: &Compared,
    source: &PackSource,
) -> Result<(Vec<Effect>, bool)> {
    let mut effects = of_files(compared);
    let changes = Configuration::of(session, compared).read(source).await?;
    let touched = changes.is_some();
    effects.extend(changes.into_iter().flatten());
    effects.sort_by_key(|effect| effect.weight);
    Ok((effects, touched))
}

fn changes(compared: &Compared) -> impl Iterator<Item = &Item> {
    compared.items.iter().filter(|item| item.action != Action::Keep)
}

fn of_files(compared: &Compared) -> Vec<Effect> {
    let mut runs = BTreeSet::new();
    let mut effects = Vec::new();
    let mut tell = |weight, text: &str| effects.push(Effect { weight, text: text.to_owned() });
    for item in changes(compared).filter(|item| !item.is_directory()) {
        let verb = match item.action {
            Action::Add => "comes",
            Action::Delete => "goes",
            Action::Replace | Action::Keep => "changes",
        };
        let runnable = item.entry.as_ref().is_some_and(|entry| entry.mode & 0o111 != 0);
        if let Some((label, path)) = member(compared, item) {
            // Some of its files may come while others change.
            let whole = format!("{label} is not as it was: {path}");
            runs.insert(whole);
        } else if is_instructions(&item.path) {
            runs.insert(format!("instructions: {} {verb}", compared.shown(item.root, &item.path)));
        } else if runnable && item.action != Action::Delete && !item.database {
            runs.insert(format!("program: {} {verb}", compared.shown(item.root, &item.path)));
        }
        let kind =
            compared.roots.get(usize::from(item.root)).map_or(RootKind::State, |root| root.kind);
        if item.database && host_database(&item.path, kind) == Some(Redact::Shared) {
            tell(Weight::Runs, "scheduled jobs become those of the snapshot");
            if item.found.is_none() {
                tell(
                    Weight::Allows,
                    "approvals and lists of who may do what come from the snapshot: there is no live database",
                );
            }
        }
    }
    let more = runs.len().saturating_sub(NAMED);
    let named = runs.into_iter().take(NAMED);
    let more = (more > 0).then(|| format!("and {more} more hooks, skills or programs"));
    effects.extend(named.chain(more).map(|text| Effect { weight: Weight::Runs, text }));
    effects
}

/// The hook or skill or the like that a file is a part of: the path down to the part after the first such directory.
fn member(compared: &Compared, item: &Item) -> Option<(&'static str, String)> {
    let mut seen = 0;
    let mut parts = item.path.as_bytes().split(|byte| *byte == b'/');
    for part in parts.by_ref() {
        seen += part.len() + 1;
        if let Some((_, label)) = RUN.iter().find(|(name, _)| part.eq_ignore_ascii_case(name)) {
            let end = seen + parts.next()?.len();
            let whole = item.path.as_bytes().get(..end)?.to_vec();
            let path = crate::entry::RelPath::from_bytes(whole);
            return Some((label, compared.shown(item.root, &path)));
        }
    }
    None
}

/// A file that may be a part of the configuration.
struct Part {
    path: PathBuf,
    main: bool,
    /// `None` when it goes.
    entry: Option<Entry>,
}

/// The configuration as it is, and the files that would be other ones.
struct Configuration {
    path: PathBuf,
    state: PathBuf,
    old_state: Option<String>,
    arriving: bool,
    steps: Arc<dyn crate::ambient::FailPoints>,
    /// The main one with its root, for the copies that the host keeps beside it.
    main: Option<(PathBuf, crate::source::RelPath)>,
    parts: Vec<Part>,
}

impl Configuration {
    fn of(session: &Session, compared: &Compared) -> Self {
        let settings = &session.settings;
        let usual = settings.state_dir.join("openclaw.json");
        let root =
            |number: u16| compared.roots.get(usize::from(number)).map(|root| root.path.clone());
        let part = |item: &Item| {
            let entry = item.entry.clone().filter(|_| item.action != Action::Delete);
            let file = entry.as_ref().map(|entry| entry.kind == EntryKind::File);
            let fits = entry.as_ref().is_none_or(|entry| entry.size <= MAX_CONFIG_BYTES);
            let usable = file.unwrap_or(true) && fits && !item.database && !item.mode_only;
            Some(Part {
                path: absolute(&root(item.root)?, &item.path),
                main: compared.is_main_config(item.root, &item.path),
                entry,
            })
            .filter(|_| usable)
        };
        Self {
            path: settings.config_path.clone().unwrap_or(usual),
            state: root(0).unwrap_or_default(),
            old_state: compared.old_state.clone(),
            arriving: compared.arriving.is_some(),
            steps: Arc::clone(&session.ambient.steps),
            main: compared.config.as_ref().and_then(|(at, path)| Some((root(*at)?, path.clone()))),
            parts: changes(compared).filter_map(part).collect(),
        }
    }

    /// What the change comes to; `None` where no file of the configuration is another one.
    async fn read(self, source: &PackSource) -> Result<Option<Vec<Effect>>> {
        let home = std::env::home_dir();
        let before = host_config::read(&self.path, home.as_deref());
        let mut other = host_config::Other::new();
        let mut files: Vec<PathBuf> = before.files.iter().chain(&before.missing).cloned().collect();
        let mut after = None;
        let mut unreadable = Vec::new();
        for _ in 0..MAX_DEPTH {
            let wanted = |part: &&Part| {
                !other.contains_key(&part.path)
                    && (part.main || files.iter().any(|file| host_config::real(file) == part.path))
            };
            let wanted: Vec<&Part> = self.parts.iter().filter(wanted).collect();
            if wanted.is_empty() {
                break;
            }
            for part in wanted {
                let content = match &part.entry {
                    None => None,
                    Some(entry) => {
                        let (mut contents, _) = source.contents(&[entry]).await?;
                        let content = contents.pop().flatten();
                        if content.is_none() {
                            unreadable.push(part.path.clone());
                        }
                        content
                            .map(|content| if part.main { self.merged(&content) } else { content })
                    }
                };
                other.insert(part.path.clone(), content);
            }
            let read = host_config::read_as(&self.path, home.as_deref(), &other);
            files.extend(read.files.iter().chain(&read.missing).cloned());
            after = Some(read);
        }
        let Some(after) = after else { return Ok(None) };
        let mut told = effects(&before.value, &after.value);
        let unknown = unreadable.iter().map(|path| path.display().to_string());
        let unknown = unknown.chain(after.warnings.into_iter().map(|warning| warning.path));
        told.extend(unknown.map(|path| Effect {
            weight: Weight::Allows,
            text: format!("what {path} allows is not known: it cannot be read"),
        }));
        Ok(Some(told))
    }

    /// What of the snapshot's configuration comes here.
    fn merged(&self, snapshot: &[u8]) -> Vec<u8> {
        let spot = self.main.as_ref().and_then(|(root, path)| {
            Place::open(root, Arc::clone(&self.steps)).ok()?.spot(path).ok()
        });
        let coming = Coming {
            live: spot.as_ref().map(|spot| (spot, spot)),
            old_state: self.old_state.as_deref(),
            state: Some(&self.state),
            arriving: self.arriving,
        };
        coming.merge(snapshot)
    }
}
