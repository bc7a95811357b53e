//! What a machine that has nothing gets of a snapshot, and what of its own stays.

use super::arriving::Arriving;
use super::comparison::Comparison;
use super::items::{Compared, delete};
use super::request::Action;
use super::runs;
use crate::error::Result;
use crate::local::Arrival;
use crate::ops::recovery::{MAX_CONFIG_BYTES, parse};
use crate::repo::PackSource;
use crate::source::EntryKind;
use crate::source::database::{Redact, host_database};
use crate::source::place::Spot;

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

impl Arriving {
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
            machine_name: manifest.machine_name.clone(),
        }
    }
}
