//! Which files are backed up, and yet not for showing: their content must not get into a chat or a log.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::logs::base_of;
use super::policy::{Policy, as_path};
use super::policy_rules::CONFIDENTIAL_NAMES;
use super::{RelPath, Root, RootKind, host_config};
use crate::error::{Error, Result};

/// Tells what is confidential. Settings that bring secrets into a snapshot change nothing about that.
#[derive(Debug)]
pub struct Confidential {
    secrets: Policy,
    names: GlobSet,
    state_dir: PathBuf,
    /// The files that the host's configuration is made of here and now, links resolved.
    config: HashSet<PathBuf>,
}

impl Confidential {
    /// Looks up which files the configuration includes; `config_path` is `<state_dir>/openclaw.json` unless
    /// given. Neither has to exist.
    ///
    /// # Errors
    /// `B2_INTERNAL` when the rules themselves are broken.
    pub fn new(state_dir: &Path, config_path: Option<&Path>) -> Result<Self> {
        let resolved = host_config::real;
        let default_config = state_dir.join("openclaw.json");
        let config = host_config::read(config_path.unwrap_or(&default_config), None);
        let broken = |error: globset::Error| Error::internal(format!("rules: {error}"));
        let mut names = GlobSetBuilder::new();
        for name in CONFIDENTIAL_NAMES {
            names.add(GlobBuilder::new(name).case_insensitive(true).build().map_err(broken)?);
        }
        Ok(Self {
            secrets: Policy::of_secrets()?,
            names: names.build().map_err(broken)?,
            state_dir: resolved(state_dir),
            config: config.files.iter().chain(&config.missing).map(|path| resolved(path)).collect(),
        })
    }

    /// Whether the file at `path` below a root is confidential; what a newer version calls a root (`None`) is confidential
    /// as a whole. What a link leads to is judged by where the link is, and by where it leads.
    #[must_use]
    pub fn is(&self, root: Option<&Root>, path: &RelPath) -> bool {
        let Some(root) = root.filter(|root| root.kind != RootKind::Config) else { return true };
        let bytes = path.as_bytes();
        let name = bytes.rsplit(|byte| *byte == b'/').next().unwrap_or(bytes);
        let (kind, seen) = root.judged(path);
        self.names.is_match(as_path(name).as_ref())
            || self.secrets.names(kind, &seen)
            || root.kind == RootKind::Linked && self.secrets.names(RootKind::Workspace, path)
            || self.is_config(root, path)
            // A file with the name of a log may hold what it lies beside.
            || base_of(path).is_some_and(|base| self.is(Some(root), &base))
    }

    /// As [`Self::is`], and of what a link leads to also what would be confidential in a state directory of its own.
    pub(super) fn may_be(&self, root: &Root, path: &RelPath) -> bool {
        self.is(Some(root), path) || self.secrets.names(root.kind, path)
    }

    /// Whether a file is one that the host's configuration is made of here and now.
    pub(super) fn is_config(&self, root: &Root, path: &RelPath) -> bool {
        let place = if root.kind == RootKind::State { &self.state_dir } else { &root.path };
        root.kind == RootKind::Config || self.config.contains(&super::absolute(place, path))
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_configuration_are_confidential_wherever_they_lie() {
        let temp = tempfile::tempdir().unwrap();
        let base = temp.path().canonicalize().unwrap();
        let (state, outside) = (base.join("state"), base.join("ws"));
        for dir in [state.join("conf"), outside.clone()] {
            std::fs::create_dir_all(dir).unwrap();
        }
        let text = format!("{{ $include: ['conf/a.json5', '{}/b.json5'] }}", outside.display());
        std::fs::write(state.join("openclaw.json"), text).unwrap();
        std::fs::write(state.join("conf/a.json5"), "{}").unwrap();
        std::fs::write(outside.join("b.json5"), "{}").unwrap();
        let confidential = Confidential::new(&state, None).unwrap();
        let is = |kind, path: &str| {
            let root = Root::new(kind, outside.clone());
            confidential.is(Some(&root), &RelPath::from_bytes(path.as_bytes().to_vec()))
        };
        for path in [
            ".env",
            ".env.production",
            "credentials/oauth.json",
            "credentials/a/b/c.txt",
            "agents/main/agent/auth-profiles.json",
            "agents/main/agent/auth-profiles.json.bak",
            "agents/main/agent/auth.json",
            "agents/main/agent/codex-home/auth.json",
            "agents/main/agent/models.json",
            "gateway.token",
            "cache/auth-profiles.json",
            "openclaw.json",
            "openclaw.json.bak.1",
            "OpenClaw.json",
            "conf/a.json5",
            "conf/a.json5-wal",
            "workspace/project/.env",
            "workspace/keys/site.pem",
        ] {
            assert!(is(RootKind::State, path), "{path}");
        }
        for path in
            ["workspace/MEMORY.md", "cron/jobs.json", "conf/c.json5", "workspace/secrets.md"]
        {
            assert!(!is(RootKind::State, path), "{path}");
        }
        assert!(is(RootKind::Workspace, "b.json5"));
        assert!(!is(RootKind::Workspace, "conf/a.json5"));
        assert!(is(RootKind::Config, "anything.md"));
        let path = |text: &str| RelPath::from_bytes(text.as_bytes().to_vec());
        assert!(confidential.is(None, &path("a.md")));
        // What a link leads to lies where the link is, too.
        let linked =
            |at: &str| Root { at: Some(path(at)), ..Root::new(RootKind::Linked, outside.clone()) };
        assert!(confidential.is(Some(&linked("credentials")), &path("whatsapp/creds.json")));
        assert!(confidential.is(Some(&linked("agents")), &path("main/agent/auth.json")));
        assert!(confidential.is(Some(&linked("notes")), &path("b.json5")));
        assert!(!confidential.is(Some(&linked("workspace")), &path("credentials/oauth.md")));
    }

    #[test]
    fn a_state_that_is_not_there_has_confidential_files_all_the_same() {
        let confidential = Confidential::new(Path::new("/nonexistent/state"), None).unwrap();
        let path = RelPath::from_bytes(b"secrets/x".to_vec());
        let root = Root::new(RootKind::State, PathBuf::from("/elsewhere"));
        assert!(confidential.is(Some(&root), &path));
    }
}
