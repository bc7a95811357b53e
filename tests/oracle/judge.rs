//! The judge: what is in the live state and did not come back, and was not named either, is a loss.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::dump;
use crate::tree::{self, Item, Kind, Tree};

/// The folder that the product keeps for itself, and where a restore puts what lay elsewhere.
const OURS: [&str; 2] = ["b2-backup", ".b2-roots"];

/// Logs of SQLite beside a database.
const LOGS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Extensions of databases: a log beside nothing, of such a one, may be left out by its name.
const DATABASES: [&[u8]; 3] = [b".sqlite", b".sqlite3", b".db"];

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

/// Which paths no rule may leave out; the second says whether it is a directory.
pub(crate) type Precious<'a> = &'a dyn Fn(&[u8], bool) -> bool;

/// Whether what a link leads to is saved where it lies.
pub(crate) type Covered<'a> = &'a dyn Fn(&Path) -> bool;

/// A copy of what was live, taken when a snapshot was made.
#[derive(Clone, Debug)]
pub(crate) struct Picture {
    root: PathBuf,
    tree: Tree,
    /// Content of databases, as SQL.
    dumps: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Files that say they are databases, readable or not.
    claims: BTreeSet<Vec<u8>>,
}

impl Picture {
    /// Looks at a directory.
    pub(crate) fn of(root: &Path) -> Self {
        let tree = tree::read(root, &OURS);
        let (mut dumps, mut claims) = (BTreeMap::new(), BTreeSet::new());
        for (path, item) in &tree {
            let on_disk = tree::on_disk(root, path);
            if matches!(item.kind, Kind::File { .. }) && dump::says_so(&on_disk) {
                claims.insert(path.clone());
                dumps.extend(dump::dump(&on_disk).map(|dump| (path.clone(), dump)));
            }
        }
        Self { root: root.to_owned(), tree, dumps, claims }
    }

    /// Whether nothing is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.tree.is_empty()
    }

    /// Whether a path has the name of a database's log, and nothing is there that it could belong to.
    fn is_orphan(&self, path: &[u8]) -> bool {
        LOGS.iter().any(|log| {
            path.strip_suffix(log.as_bytes()).is_some_and(|base| {
                let is_file = |item: &Item| matches!(item.kind, Kind::File { .. });
                DATABASES.iter().any(|end| base.ends_with(end))
                    && !self.tree.get(base).is_some_and(is_file)
            })
        })
    }

    /// Whether a path is the log of a database that can be read: then its content is the database's.
    fn is_log(&self, path: &[u8]) -> bool {
        LOGS.iter().any(|log| {
            path.strip_suffix(log.as_bytes()).is_some_and(|base| self.dumps.contains_key(base))
        })
    }
}

/// Names every difference between what was live and what a restore brought back that nobody told of. `name` is what
/// reports say before paths in it.
pub(crate) fn losses(
    live: &Picture,
    name: Option<&Path>,
    restored: &Path,
    said: &Said,
    precious: Precious<'_>,
    covered: Covered<'_>,
) -> Vec<String> {
    let back = Picture::of(restored);
    let mut losses = Vec::new();
    // A link to a directory may come back as what it led to, in its place.
    let mut filled: Vec<&[u8]> = Vec::new();
    for (path, item) in &live.tree {
        if live.is_log(path) {
            continue;
        }
        let is_directory = item.kind == Kind::Directory;
        // Sockets go with their process. What SQLite's processes share in memory says nothing of a database.
        // Nor does an empty log, which it leaves beside what it cannot read.
        let is_empty = matches!(item.kind, Kind::File { bytes: 0, .. });
        let is_shared = LOGS.iter().filter(|log| is_empty || **log == "-shm").any(|log| {
            path.strip_suffix(log.as_bytes()).is_some_and(|base| live.claims.contains(base))
        });
        let may_stay_out = item.kind == Kind::Special
            || is_shared
            || live.is_orphan(path)
            || !precious(path, is_directory);
        let told = (may_stay_out && named(&said.left_out, name, path))
            || (item.kind == Kind::Special && named(&said.specials, name, path));
        if told && !back.tree.contains_key(path) {
            continue;
        }
        let target = tree::on_disk(&live.root, path).canonicalize();
        if let (Kind::Link(_), Some(Item { kind: Kind::Directory, .. }), Ok(target)) =
            (&item.kind, back.tree.get(path), &target)
            && target.is_dir()
        {
            let name = name.map_or_else(PathBuf::new, Path::to_path_buf);
            let name = name.join(OsStr::from_bytes(path));
            let inside = Picture::of(target);
            let place = tree::on_disk(restored, path);
            let precious = |rest: &[u8], is_directory: bool| {
                precious(&[path.as_slice(), b"/", rest].concat(), is_directory)
            };
            // Reports name what is in it by the link, or by where it is.
            let by =
                |name: &Path| self::losses(&inside, Some(name), &place, said, &precious, covered);
            let elsewhere = by(target);
            let both = by(&name).into_iter().filter(|loss| elsewhere.contains(loss));
            losses.extend(both.map(|loss| format!("{}/{loss}", escaped(path))));
            filled.push(path);
            continue;
        }
        if let (Kind::Link(_), Ok(target)) = (&item.kind, &target)
            && (target.is_file() || target.is_dir())
            && !covered(target)
            && !said.links.contains(&shown(name, path))
        {
            losses.push(format!("{}: what it leads to is neither saved nor named", escaped(path)));
        }
        if let Some(what) = difference(live, &back, path, item) {
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

fn difference(live: &Picture, back: &Picture, path: &[u8], item: &Item) -> Option<String> {
    let Some(found) = back.tree.get(path) else {
        return Some("did not come back".into());
    };
    let (then, now) = (live.dumps.get(path), back.dumps.get(path));
    let content = match (&item.kind, &found.kind) {
        (Kind::File { .. }, Kind::File { .. }) if then.is_some() => {
            (then != now).then(|| "came back with other rows".to_owned())
        }
        (
            Kind::File { bytes, sha256, taken },
            Kind::File { bytes: size, sha256: hash, taken: disk },
        ) => {
            if (bytes, sha256) == (size, hash) {
                (*disk > taken + (1 << 20) && taken + (1 << 20) < *bytes)
                    .then(|| format!("takes {disk} bytes on the disk instead of {taken}"))
            } else {
                Some(format!("came back with other content ({bytes} bytes then, {size} now)"))
            }
        }
        (then, now) => (then != now).then(|| format!("was {then:?} and is {now:?}")),
    };
    content
        .or_else(|| {
            (item.mode != found.mode)
                .then(|| format!("had the mode {:o} and has {:o}", item.mode, found.mode))
        })
        .or_else(|| {
            // Of a directory SQLite changes it by looking into a database, and alone it makes no snapshot.
            let (then, now) = (item.mtime, found.mtime);
            (then != now && item.kind != Kind::Directory)
                .then(|| format!("is of {then:?} and says {now:?}"))
        })
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
