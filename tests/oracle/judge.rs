//! The judge: what is in the live state and did not come back, and was not named either, is a loss.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::picture::Picture;
use crate::tree::{self, Item, Kind};

/// Names that end in `.lock`, and pin the versions of a project.
const PINS: [&[u8]; 4] = [b"Cargo.lock", b"Chart.lock", b"renv.lock", b"stack.yaml.lock"];

/// Directories of the state in which agents and users work.
const WORKSPACES: [&[u8]; 3] = [b"workspace/", b"worktrees/", b"sandboxes/"];

/// What the product said about what it did not save. Nobody writes while a push runs here, and everything can be read:
/// so nothing else that it may say of a file explains that something is missing, or other than it was.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    /// Links of which only the link is saved.
    pub(crate) links: BTreeSet<String>,
    /// Pipes and devices.
    pub(crate) specials: BTreeSet<String>,
    /// What a rule leaves out, as the list of a dry run names it.
    pub(crate) left_out: BTreeSet<String>,
}

impl Said {
    /// Takes a problem of a push.
    pub(crate) fn problem(&mut self, path: &str, code: &str) {
        let said = match code {
            "B2_SKIPPED_LINK" => &mut self.links,
            "B2_SKIPPED_SPECIAL" => &mut self.specials,
            _ => return,
        };
        said.insert(path.to_owned());
    }
}

/// What may be left out by rule, of what occurs here, as the documentation has it. Of all else the product's word that a
/// rule leaves it out counts for nothing. `path` is one below the state directory.
pub(crate) fn may_be_left_out(path: &[u8], is_directory: bool, with_secrets: bool) -> bool {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
    let is_login = path == b"credentials"
        || path.starts_with(b"credentials/")
        || (name.starts_with(b"auth-profiles.json") && !is_directory);
    if path == b"cache" || (is_login && !with_secrets) {
        return true;
    }
    if is_directory || WORKSPACES.iter().any(|workspace| path.starts_with(workspace)) {
        return false;
    }
    let ends = [&b".lock"[..], b".tmp", b".sock", b".pid"];
    (ends.iter().any(|end| name.ends_with(end)) && !PINS.contains(&name))
        || name.windows(5).any(|part| part == b".tmp.")
}

/// What a judgement goes by.
#[derive(Clone, Copy)]
pub(crate) struct Rules<'a> {
    pub(crate) said: &'a Said,
    /// Which paths no rule may leave out; the second says whether it is a directory.
    pub(crate) precious: &'a dyn Fn(&[u8], bool) -> bool,
    /// Whether what a link leads to is saved where it lies.
    pub(crate) covered: &'a dyn Fn(&Path) -> bool,
    /// What was in a directory that a link leads to.
    pub(crate) inside: &'a dyn Fn(&Path) -> Picture,
}

impl Rules<'_> {
    /// Whether what is at a path of a picture may be missing, and was named. `name` is what reports say before paths in it.
    pub(crate) fn told(&self, live: &Picture, name: Option<&Path>, path: &[u8]) -> bool {
        let Some(item) = live.tree.get(path) else { return false };
        // Sockets go with their process.
        let is_special = item.kind == Kind::Special;
        let may_stay_out = is_special
            || live.is_trace(path)
            || live.is_orphan(path)
            || !(self.precious)(path, item.kind == Kind::Directory);
        (may_stay_out && named(&self.said.left_out, name, path))
            || (is_special && named(&self.said.specials, name, path))
    }
}

/// Names every difference between what was live and what a restore brought back that nobody told of. `name` is what
/// reports say before paths in it.
pub(crate) fn losses(
    live: &Picture,
    name: Option<&Path>,
    restored: &Path,
    rules: Rules<'_>,
) -> Vec<String> {
    let back = Picture::of(restored);
    let mut losses = Vec::new();
    // A link to a directory may come back as what it led to, in its place.
    let mut filled: Vec<&[u8]> = Vec::new();
    for path in live.tree.keys() {
        if live.is_log(path) {
            continue;
        }
        if rules.told(live, name, path) && !back.tree.contains_key(path) {
            continue;
        }
        let target = live.links.get(path);
        if let (Some(target), Some(Item { kind: Kind::Directory, .. })) =
            (target, back.tree.get(path))
            && target.is_dir()
        {
            let name = name.map_or_else(PathBuf::new, Path::to_path_buf);
            let name = name.join(OsStr::from_bytes(path));
            let inside = (rules.inside)(target);
            let place = tree::on_disk(restored, path);
            let precious = |rest: &[u8], is_directory: bool| {
                (rules.precious)(&[path.as_slice(), b"/", rest].concat(), is_directory)
            };
            let rules = Rules { precious: &precious, ..rules };
            // Reports name what is in it by the link, or by where it is.
            let by = |name: &Path| self::losses(&inside, Some(name), &place, rules);
            let elsewhere = by(target);
            let both = by(&name).into_iter().filter(|loss| elsewhere.contains(loss));
            losses.extend(both.map(|loss| format!("{}/{loss}", escaped(path))));
            filled.push(path);
            continue;
        }
        if let Some(target) = target
            && (target.is_file() || target.is_dir())
            && !(rules.covered)(target)
            && !rules.said.links.contains(&shown(name, path))
        {
            losses.push(format!("{}: what it leads to is neither saved nor named", escaped(path)));
        }
        if let Some(what) = live.difference(&back, path).or_else(|| live.time(&back, path)) {
            losses.push(format!("{}: {what}", escaped(path)));
        }
    }
    for path in back.tree.keys() {
        let below =
            |dir: &&[u8]| path.strip_prefix(*dir).is_some_and(|rest| rest.starts_with(b"/"));
        let known = live.tree.contains_key(path) && !live.is_log(path) || filled.iter().any(below);
        if !known {
            losses.push(format!("{}: came back and was not there", escaped(path)));
        }
    }
    losses
}

/// Whether a path, or a directory above it, is named.
pub(crate) fn named(said: &BTreeSet<String>, root: Option<&Path>, path: &[u8]) -> bool {
    let mut ends: Vec<usize> =
        path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at).collect();
    ends.push(path.len());
    if root.is_some_and(|root| said.contains(&escaped(&tree::bytes_of(root)))) {
        return true;
    }
    ends.iter().any(|end| said.contains(&shown(root, &path[..*end])))
}

/// A path as reports name it.
pub(crate) fn shown(root: Option<&Path>, path: &[u8]) -> String {
    match root {
        Some(root) => format!("{}/{}", escaped(&tree::bytes_of(root)), escaped(path)),
        None => escaped(path),
    }
}

/// The path that reports print so.
pub(crate) fn unescaped(text: &str) -> Vec<u8> {
    let mut path = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        path.extend_from_slice(before.as_bytes());
        let byte =
            after.strip_prefix('x').and_then(|hex| u8::from_str_radix(hex.get(..2)?, 16).ok());
        path.push(byte.unwrap_or(b'\\'));
        rest = &after[if byte.is_some() { 3 } else { 1 }..];
    }
    path.extend_from_slice(rest.as_bytes());
    path
}

/// A path as reports print it: backslashes and control characters escaped, and bytes that are no UTF-8.
pub(crate) fn escaped(path: &[u8]) -> String {
    let mut text = String::new();
    for part in path.utf8_chunks() {
        for c in part.valid().chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                c if c.is_ascii_control() => write!(text, "\\x{:02x}", c as u32).unwrap(),
                c => text.push(c),
            }
        }
        for byte in part.invalid() {
            write!(text, "\\x{byte:02x}").unwrap();
        }
    }
    text
}
