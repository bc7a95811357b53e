//! Which files are backed up, and yet not for showing: their content must not get into a chat or a log.

use std::borrow::Cow;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::copies::originals;
use super::logs::base_of;
use super::policy::{Policy, in_git};
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
        let name = name_of(path);
        let (kind, seen) = root.judged(path);
        self.names.is_match(&*name)
            || originals(&name).iter().any(|name| self.names.is_match(name))
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

    /// Whether a file is configuration of the host: what it is made of here and now, what has such a name, and copies.
    pub(super) fn is_config(&self, root: &Root, path: &RelPath) -> bool {
        let place = if root.kind == RootKind::State { &self.state_dir } else { &root.path };
        let here = super::absolute(place, path);
        let is = |name: &str| {
            let small = name.to_ascii_lowercase();
            small.starts_with("openclaw.json")
                || small == "models.json"
                || self.config.contains(&here.with_file_name(name))
        };
        let name = name_of(path);
        root.kind == RootKind::Config
            || self.config.contains(&here)
            || is_beside(root, &name, path)
            || is(&name)
            || originals(&name).iter().any(|name| is(name))
    }
}

/// Whatever lies beside the configuration and has such a name may be a copy of it.
fn is_beside(root: &Root, name: &str, path: &RelPath) -> bool {
    let small = name.to_ascii_lowercase();
    root.kind == RootKind::State
        && !path.as_bytes().contains(&b'/')
        && small.contains("openclaw")
        && small.contains("json")
}

/// Whether a file has settings of git, or is a copy: addresses with logins may be in them.
pub(super) fn is_git_config(path: &RelPath) -> bool {
    let name = name_of(path);
    let is = |name: &str| match name {
        "config" | "config.worktree" => in_git(path.as_bytes()),
        ".gitconfig" | ".gitmodules" => true,
        _ => false,
    };
    is(&name) || originals(&name).iter().any(|name| is(name))
}

fn name_of(path: &RelPath) -> Cow<'_, str> {
    let bytes = path.as_bytes();
    String::from_utf8_lossy(bytes.rsplit(|byte| *byte == b'/').next().unwrap_or(bytes))
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
