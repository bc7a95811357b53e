//! Whether a state holds anything of a user's. One that does not may be given a snapshot by itself.
//!
//! A state is never literally empty: installing the plugin made `openclaw.json` and the shared database, and setting
//! OpenClaw up made a workspace with files that the host writes into every new one.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use super::database::{Redact, host_database};
use super::policy::{Inside, below};
use super::sqlite::{self, SharedContent};
use super::walk::Walk;
use super::{EntryKind, Found, RelPath, Root, RootKind, absolute, open_plain};
use crate::error::{Error, Result};

/// The file that tells an agent how to introduce itself. It goes once that is done, so the host notes no hash of it.
const INTRODUCTION: &[u8] = b"BOOTSTRAP.md";
/// A list of sessions of this size, in bytes, has none in it.
const EMPTY_LIST_BYTES: u64 = 3;
/// A file that the host writes into a workspace is not larger, bytes.
const MAX_BOOTSTRAP_BYTES: u64 = 1 << 20;

/// The SHA-256 of bytes, as hex.
pub type Sha256 = fn(&[u8]) -> String;

/// What there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing of a user's.
    Blank(Bootstrap),
    /// Something is, such as what is at this path.
    Used(RelPath),
}

/// Files that the host makes by itself, and that nobody has changed: the only ones that may be replaced. By root and
/// path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bootstrap(BTreeSet<(u16, RelPath)>);

impl Bootstrap {
    /// Whether a path is one of them.
    #[must_use]
    pub fn has(&self, root: u16, path: &RelPath) -> bool {
        self.0.contains(&(root, path.clone()))
    }
}

/// Looks at what a walk has found. Opens databases: only for a process that holds none of them open.
///
/// `scratch` is a path that is free; the logs of databases are played back there where that is needed. `sha256` gives
/// the SHA-256 of bytes as hex.
///
/// # Errors
/// `B2_DATABASE` when one of the host's databases cannot be read: what is in it then is not known.
pub fn read(
    roots: &[Root],
    inside: &[Inside],
    walk: &Walk,
    scratch: &Path,
    sha256: Sha256,
) -> Result<Content> {
    let shared = RelPath::from_bytes(b"state/openclaw.sqlite".to_vec());
    let place = |found: &Found| -> Result<_> {
        let root = roots.get(usize::from(found.root));
        Ok(absolute(
            &root.ok_or_else(|| Error::internal("a root that is not there"))?.path,
            &found.path,
        ))
    };
    // A link may lead to where it lies.
    let is_shared = |found: &&Found| {
        let (kind, path) = judged(roots, found);
        kind == RootKind::State && *path == shared
    };
    let content = match walk.found.iter().find(is_shared) {
        Some(found) => sqlite::shared_content(&place(found)?, scratch)?,
        None => SharedContent::default(),
    };
    if content.has_jobs {
        return Ok(Content::Used(shared));
    }
    let git = used_repositories(walk);
    let mut bootstrap = Bootstrap::default();
    for found in walk.found.iter().filter(|found| found.kind != EntryKind::Directory) {
        let (kind, path) = judged(roots, found);
        let host_made = match region(kind, inside, &path) {
            Region::Host => continue,
            Region::Agent(below) => agent_is_new(found, kind, below, &place(found)?, scratch)?,
            Region::Workspace(below) => {
                let in_git = below.strip_prefix(b".git/".as_slice()).is_some();
                let ours = if in_git {
                    !git.contains(&(found.root, top(&found.path, below)))
                } else {
                    is_bootstrap(found, below, &place(found)?, &content, sha256)?
                };
                if ours {
                    bootstrap.0.insert((found.root, found.path.clone()));
                }
                ours
            }
        };
        if !host_made {
            return Ok(Content::Used(found.path.clone()));
        }
    }
    Ok(Content::Blank(bootstrap))
}

/// What rules hold for what was found, and its path as these see it.
fn judged<'f>(roots: &[Root], found: &'f Found) -> (RootKind, Cow<'f, RelPath>) {
    let root = roots.get(usize::from(found.root));
    root.map_or((RootKind::State, Cow::Borrowed(&found.path)), |root| root.judged(&found.path))
}

/// Where a path is, with what of it lies below that place.
enum Region<'a> {
    Workspace(&'a [u8]),
    Agent(&'a [u8]),
    Host,
}

fn region<'a>(kind: RootKind, inside: &[Inside], path: &'a RelPath) -> Region<'a> {
    let bytes = path.as_bytes();
    match kind {
        RootKind::Workspace => return Region::Workspace(bytes),
        RootKind::AgentDir => return Region::Agent(bytes),
        RootKind::Config => return Region::Host,
        RootKind::State | RootKind::Linked => {}
    }
    for place in inside {
        match below(bytes, place.path.as_bytes()) {
            Some(rest) if place.kind == RootKind::AgentDir => return Region::Agent(rest),
            Some(rest) => return Region::Workspace(rest),
            None => {}
        }
    }
    let mut parts = bytes.splitn(2, |byte| *byte == b'/');
    let first = parts.next().unwrap_or_default();
    match parts.next() {
        Some(rest) if first == b"workspace" || first.starts_with(b"workspace-") => {
            Region::Workspace(rest)
        }
        Some(rest) if first == b"workspaces" || first == b"memory" => Region::Workspace(rest),
        Some(rest) if first == b"agents" => Region::Agent(rest),
        _ => Region::Host,
    }
}

/// What is above `below`.
fn top(path: &RelPath, below: &[u8]) -> Vec<u8> {
    // Of a linked root the path may be the shorter one.
    let above = path.as_bytes().len().saturating_sub(below.len());
    path.as_bytes().get(..above).unwrap_or_default().to_vec()
}

/// Workspaces in whose repository something was done: by root and what is before `.git/`.
fn used_repositories(walk: &Walk) -> HashSet<(u16, Vec<u8>)> {
    let marks: [&[u8]; 4] = [b".git/objects/", b".git/refs/", b".git/logs/", b".git/index"];
    let files = walk.found.iter().filter(|found| found.kind != EntryKind::Directory);
    files
        .filter_map(|found| {
            let bytes = found.path.as_bytes();
            let at = marks.iter().find_map(|mark| {
                (0..bytes.len()).find(|at| {
                    bytes.get(*at..).is_some_and(|rest| rest.starts_with(mark))
                        && (*at == 0 || bytes.get(at - 1) == Some(&b'/'))
                })
            })?;
            Some((found.root, bytes.get(..at)?.to_vec()))
        })
        .collect()
}

/// Whether a file of an agent says nothing about its use.
fn agent_is_new(
    found: &Found,
    kind: RootKind,
    below: &[u8],
    full: &Path,
    scratch: &Path,
) -> Result<bool> {
    let name = below.rsplit(|byte| *byte == b'/').next().unwrap_or(below);
    if name == b"openclaw-agent.sqlite" && host_database(&found.path, kind) == Some(Redact::Agent) {
        return Ok(!sqlite::agent_was_used(full, scratch)?);
    }
    // Settings that the host derives from its own, and logins.
    let settings = [b"models.json".as_slice(), b"auth.json", b"auth-profiles.json"].contains(&name);
    Ok(settings || name == b"sessions.json" && found.fingerprint.size <= EMPTY_LIST_BYTES)
}

/// Whether a file of a workspace is as the host put it there.
fn is_bootstrap(
    found: &Found,
    below: &[u8],
    full: &Path,
    content: &SharedContent,
    sha256: Sha256,
) -> Result<bool> {
    if below == INTRODUCTION || below == b".openclaw/workspace-state.json" {
        return Ok(true);
    }
    let Ok(name) = std::str::from_utf8(below) else { return Ok(false) };
    let known = content.bootstrap.iter().any(|(known, _)| known == name);
    if !known || found.kind != EntryKind::File || found.fingerprint.size > MAX_BOOTSTRAP_BYTES {
        return Ok(false);
    }
    let failed = |error| Error::io("read", full, error);
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut open_plain(full).map_err(failed)?, &mut bytes)
        .map_err(failed)?;
    Ok(content.bootstrap.contains(&(name.to_owned(), sha256(&bytes))))
}
