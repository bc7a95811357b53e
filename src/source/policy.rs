//! What of the state belongs in a snapshot, and why the rest does not.
//!
//! Everything belongs, minus the table in `policy_rules.rs`, plus the user's `include` globs, minus the
//! user's `exclude` globs. Decisions depend on names alone: no file is touched here.

use std::path::Path;
use std::sync::Arc;

use globset::{Candidate, GlobBuilder, GlobSet, GlobSetBuilder};

use super::copies::originals_of_path;
use super::globs::{clean, fixed_base, user_globs};
use super::matcher::{Logs, Matcher, matcher};
use super::needles::Needles;
use super::policy_rules::{
    Area, Class, PLAIN_REASON, PLAIN_SECRETS, PRIVATE_MARKER, PRIVATE_REASON, RULES, Rule, pins,
};
use super::{EntryKind, RelPath, RootKind};
use crate::error::{Error, Result};

/// What happens to an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It belongs in the snapshot.
    Include,
    /// It is left out.
    Exclude {
        /// Why, in a few words for people.
        reason: &'static str,
    },
}

/// What a rollback does about an entry that the policy leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The live one stays as it is.
    Live,
    /// No snapshot of ours can hold it: who made this one means harm.
    Never,
}

/// A place inside the state directory that is configured as a workspace or as an agent's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inside {
    /// `RootKind::Workspace` or `RootKind::AgentDir`.
    pub kind: RootKind,
    /// Path below the state directory.
    pub path: RelPath,
}

/// The rules of one snapshot. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Policy {
    rules: Arc<Rules>,
    inside: Arc<[Inside]>,
    /// What stays out because nothing is encrypted.
    plain: Option<Arc<Plain>>,
}

#[derive(Debug)]
struct Rules {
    state: Matcher,
    agent_dir: Matcher,
    host_names: Matcher,
    any_names: Matcher,
    git_names: Matcher,
    include: GlobSet,
    /// The fixed directories that the `include` globs begin with.
    include_bases: Vec<Vec<u8>>,
    exclude: GlobSet,
    /// What is in every copy of a secret.
    secrets: Needles,
}

/// What stays out because nothing is encrypted.
#[derive(Debug)]
struct Plain {
    set: GlobSet,
    needles: Needles,
}

/// The rules of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Region {
    Host,
    AgentDir,
    Workspace,
    Config,
}

const USER_REASON: &str = "excluded by the setting `exclude`";

impl Policy {
    /// Makes the rules.
    ///
    /// Globs are matched against the whole path below its root: `*` stays within one directory, `**` does
    /// not, and a glob that names a directory means everything in it too. `exclude` wins over `include`;
    /// `include` wins over the table, but for this plugin's own folder and the host's lock files.
    ///
    /// # Errors
    /// `B2_CONFIG` with the field and the glob when one does not parse.
    pub fn new(include: &[String], exclude: &[String], include_secrets: bool) -> Result<Self> {
        let wanted = |rule: &Rule| !(include_secrets && rule.class == Class::Secret);
        Self::with_rules(include, exclude, &wanted)
    }

    /// The rules about secrets alone, for [`Self::names`].
    pub(super) fn of_secrets() -> Result<Self> {
        Self::with_rules(&[], &[], &|rule| rule.class == Class::Secret)
    }

    fn with_rules(
        include: &[String],
        exclude: &[String],
        wanted: &dyn Fn(&Rule) -> bool,
    ) -> Result<Self> {
        let matcher = |areas: &[Area]| matcher(areas, wanted);
        let rules = Rules {
            state: matcher(&[Area::State, Area::AgentDir])?,
            agent_dir: matcher(&[Area::AgentDir])?,
            host_names: matcher(&[Area::AnyName, Area::HostName])?,
            any_names: matcher(&[Area::AnyName])?,
            git_names: matcher(&[Area::GitName])?,
            include: user_globs("include", include)?,
            include_bases: include.iter().map(|glob| fixed_base(clean(glob))).collect(),
            exclude: user_globs("exclude", exclude)?,
            secrets: Needles::of(
                RULES.iter().filter(|rule| rule.class == Class::Secret).map(|rule| rule.glob),
            )?,
        };
        Ok(Self { rules: Arc::new(rules), inside: Arc::default(), plain: None })
    }

    /// Makes these places inside the state directory follow the rules of workspaces and agents.
    #[must_use]
    pub fn with_inside(self, inside: Vec<Inside>) -> Self {
        Self { inside: inside.into(), ..self }
    }

    /// The same for snapshots that are not encrypted: files that are known to hold secrets stay out.
    ///
    /// # Errors
    /// `B2_INTERNAL` when the rules themselves are broken.
    pub fn unencrypted(self) -> Result<Self> {
        let broken = |error: globset::Error| Error::internal(format!("rules: {error}"));
        let mut set = GlobSetBuilder::new();
        for text in PLAIN_SECRETS {
            let mut glob = GlobBuilder::new(text);
            set.add(glob.literal_separator(true).case_insensitive(true).build().map_err(broken)?);
        }
        let needles = Needles::of(PLAIN_SECRETS.iter().copied())?;
        let set = set.build().map_err(broken)?;
        Ok(Self { plain: Some(Arc::new(Plain { set, needles })), ..self })
    }

    /// Whether a reason for leaving something out is that nothing is encrypted: the user wants to know of each.
    #[must_use]
    pub fn is_plain(reason: &str) -> bool {
        reason == PLAIN_REASON
    }

    /// Whether `path`, below a root of `kind`, belongs in a snapshot.
    #[must_use]
    pub fn decide(&self, kind: RootKind, path: &RelPath, entry: EntryKind) -> Decision {
        self.decision(kind, path, entry, Logs::LeftOut)
    }

    /// As [`Self::decide`], for a file that has the name of a log and lies beside what is no database.
    pub(super) fn decide_no_log(&self, kind: RootKind, path: &RelPath) -> Decision {
        self.decision(kind, path, EntryKind::File, Logs::Files)
    }

    fn decision(&self, kind: RootKind, path: &RelPath, entry: EntryKind, logs: Logs) -> Decision {
        match self.reason(kind, path.as_bytes(), entry, logs) {
            None => Decision::Include,
            Some((reason, _)) => Decision::Exclude { reason },
        }
    }

    /// Whether a rule of the table is about the file at `path`, whatever the user's globs say.
    pub(super) fn names(&self, kind: RootKind, path: &RelPath) -> bool {
        let os_path = as_path(path.as_bytes());
        let candidate = Candidate::new(&os_path);
        self.rule(kind, path.as_bytes(), &candidate, EntryKind::File, Logs::LeftOut).is_some()
    }

    /// How an entry stands when a rollback would write it: `None` when it may.
    #[must_use]
    pub fn standing(
        &self,
        kind: RootKind,
        path: &RelPath,
        entry: EntryKind,
    ) -> Option<(Standing, &'static str)> {
        let os_path = as_path(path.as_bytes());
        let candidate = Candidate::new(&os_path);
        let rule = self.rule(kind, path.as_bytes(), &candidate, entry, Logs::LeftOut);
        match rule {
            Some(rule) if rule.class.is_hard() => Some((Standing::Never, rule.reason)),
            // Even where the user includes it in backups: it must not go back in time.
            Some(rule) if rule.class == Class::Secret => Some((Standing::Live, rule.reason)),
            _ => self
                .reason(kind, path.as_bytes(), entry, Logs::LeftOut)
                .map(|(reason, _)| (Standing::Live, reason)),
        }
    }

    /// Whether `path`, below a root of `kind`, lies in a workspace. A workspace does not lie in itself.
    pub(super) fn in_workspace(&self, kind: RootKind, path: &RelPath) -> bool {
        let path = path.as_bytes();
        let itself = self.inside.iter().any(|inside| path == inside.path.as_bytes());
        let (region, _) = self.region(kind, path);
        region == Region::Workspace
            && !itself
            && (kind == RootKind::Workspace || path.contains(&b'/'))
    }

    /// Whether nothing below the directory `path` can belong in a snapshot.
    ///
    /// A directory that is left out is entered all the same when an `include` glob may match below it.
    #[must_use]
    pub fn prunes(&self, kind: RootKind, path: &RelPath) -> bool {
        match self.reason(kind, path.as_bytes(), EntryKind::Directory, Logs::LeftOut) {
            None => false,
            Some((_, true)) => true,
            Some((_, false)) => !self.may_include_below(path.as_bytes()),
        }
    }

    /// Whether a link in the state directory is followed. Not in workspaces: an agent in a sandbox could bring into
    /// backups, and by a restore into its workspace, what it must not read.
    #[must_use]
    pub fn follows(&self, link: &RelPath) -> bool {
        let Some(above) = link.above().next_back() else { return true };
        let holds_some = [b"workspaces".as_slice(), b"worktrees", b"sandboxes"];
        holds_some.contains(&above.as_bytes())
            || self.region(RootKind::State, above.as_bytes()).0 != Region::Workspace
    }

    /// Whether a file of this name makes the directory private: it is never backed up, whatever the user says. Not in
    /// workspaces: there an agent could hide things from backups with it.
    #[must_use]
    pub fn marks_private(
        &self,
        kind: RootKind,
        directory: &[u8],
        name: &[u8],
    ) -> Option<&'static str> {
        let marks = name == PRIVATE_MARKER.as_bytes()
            && self.region(kind, directory).0 != Region::Workspace;
        marks.then_some(PRIVATE_REASON)
    }

    /// Why an entry is left out, and whether no `include` can change that.
    fn reason(
        &self,
        kind: RootKind,
        path: &[u8],
        entry: EntryKind,
        logs: Logs,
    ) -> Option<(&'static str, bool)> {
        let os_path = as_path(path);
        let candidate = Candidate::new(&os_path);
        let rule = self.rule(kind, path, &candidate, entry, logs);
        if let Some(rule) = rule
            && rule.class.is_hard()
        {
            return Some((rule.reason, true));
        }
        if self.rules.exclude.is_match_candidate(&candidate) {
            return Some((USER_REASON, true));
        }
        let plain = entry != EntryKind::Directory && self.is_plain_secret(path);
        let Some(rule) = rule else {
            return plain.then_some((PLAIN_REASON, true));
        };
        if self.rules.include.is_match_candidate(&candidate) {
            plain.then_some((PLAIN_REASON, true))
        } else {
            Some((rule.reason, false))
        }
    }

    /// Whether a file is known to hold secrets that must not leave the machine unencrypted, or is a copy of one.
    fn is_plain_secret(&self, path: &[u8]) -> bool {
        let Some(plain) = self.plain.as_ref().filter(|_| !in_git(path)) else { return false };
        let is_match = |path: &[u8]| plain.set.is_match(as_path(path));
        is_match(path)
            || plain.needles.are_in(path)
                && originals_of_path(path).iter().any(|path| is_match(path))
    }

    /// The rule about a path; if there is none, the one about secrets that it may be a copy of.
    fn rule(
        &self,
        kind: RootKind,
        path: &[u8],
        candidate: &Candidate<'_>,
        entry: EntryKind,
        logs: Logs,
    ) -> Option<Rule> {
        let found = self.rule_of(kind, path, candidate, entry, logs);
        if found.is_some() || !self.rules.secrets.are_in(path) {
            return found;
        }
        let (region, _) = self.region(kind, path);
        originals_of_path(path).iter().find_map(|path| {
            let os_path = as_path(path);
            let rule = self.rule_of(kind, path, &Candidate::new(&os_path), entry, logs);
            rule.filter(|rule| rule.class == Class::Secret && self.region(kind, path).0 == region)
        })
    }

    fn rule_of(
        &self,
        kind: RootKind,
        path: &[u8],
        candidate: &Candidate<'_>,
        entry: EntryKind,
        logs: Logs,
    ) -> Option<Rule> {
        let (region, below) = self.region(kind, path);
        let by_path = match region {
            Region::Config => return None,
            Region::Workspace => None,
            Region::Host => self.rules.state.first(candidate, logs),
            Region::AgentDir => self.rules.agent_dir.first(&Candidate::new(&as_path(below)), logs),
        };
        if entry == EntryKind::Directory || by_path.is_some_and(|rule| rule.class.is_hard()) {
            return by_path;
        }
        // A lock file stays out even where an `include` opens its directory.
        let by_name = self.rule_of_name(region, path, logs);
        by_name.filter(|rule| rule.class.is_hard()).or(by_path).or(by_name)
    }

    fn rule_of_name(&self, region: Region, path: &[u8], logs: Logs) -> Option<Rule> {
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
        let names = if in_git(path) {
            &self.rules.git_names
        } else if region == Region::Workspace || is_written_by_users(path) || pins(name) {
            &self.rules.any_names
        } else {
            &self.rules.host_names
        };
        names.first(&Candidate::new(&as_path(name)), logs)
    }

    /// The rules that hold for a path, and the path below the place they begin at.
    fn region<'a>(&self, kind: RootKind, path: &'a [u8]) -> (Region, &'a [u8]) {
        match kind {
            RootKind::Workspace => return (Region::Workspace, path),
            RootKind::AgentDir => return (Region::AgentDir, path),
            RootKind::Config => return (Region::Config, path),
            RootKind::State | RootKind::Linked => {}
        }
        for inside in self.inside.iter() {
            // The place itself is an entry of its parent, but must not fall to a rule there.
            if path == inside.path.as_bytes() {
                return (Region::Workspace, path);
            }
            if let Some(below) = below(path, inside.path.as_bytes()) {
                let agent = inside.kind == RootKind::AgentDir;
                return (if agent { Region::AgentDir } else { Region::Workspace }, below);
            }
        }
        let top = path.split(|byte| *byte == b'/').next().unwrap_or(path);
        // Agents work in checkouts and sandboxes as they do in workspaces.
        let workspace = [b"workspace".as_slice(), b"workspaces", b"worktrees", b"sandboxes"]
            .contains(&top)
            || top.starts_with(b"workspace-");
        let workspace = workspace && !path.starts_with(b"worktrees/.templates");
        (if workspace { Region::Workspace } else { Region::Host }, path)
    }

    fn may_include_below(&self, directory: &[u8]) -> bool {
        let inside = self.inside.iter().map(|inside| inside.path.as_bytes());
        inside.into_iter().any(|path| below(path, directory).is_some())
            || self.rules.include_bases.iter().any(|base| {
                base.is_empty()
                    || base == directory
                    || below(base, directory).is_some()
                    || below(directory, base).is_some()
            })
    }
}

/// What of `path` lies below `directory`.
pub(super) fn below<'a>(path: &'a [u8], directory: &[u8]) -> Option<&'a [u8]> {
    path.strip_prefix(directory)?.strip_prefix(b"/")
}

/// Whether a path lies in a git directory, bare or not.
pub(super) fn in_git(path: &[u8]) -> bool {
    let mut parts = path.rsplit(|byte| *byte == b'/');
    parts.next();
    parts.any(|part| part.ends_with(b".git"))
}

/// Whether a path of the state directory is in a part of it that users write, beside workspaces.
fn is_written_by_users(path: &[u8]) -> bool {
    path.starts_with(b"skills/") || path.starts_with(b"hooks/")
}

#[cfg(unix)]
pub(crate) fn as_path(bytes: &[u8]) -> std::borrow::Cow<'_, Path> {
    use std::os::unix::ffi::OsStrExt as _;
    std::borrow::Cow::Borrowed(Path::new(std::ffi::OsStr::from_bytes(bytes)))
}

#[cfg(not(unix))]
pub(crate) fn as_path(bytes: &[u8]) -> std::borrow::Cow<'_, Path> {
    std::borrow::Cow::Owned(String::from_utf8_lossy(bytes).into_owned().into())
}
