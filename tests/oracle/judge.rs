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

/// What the product said about what it did not save.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    /// Problems: paths that are not in the snapshot, or not as they should be.
    pub(crate) problems: BTreeSet<String>,
    /// What the policy leaves out, as the list of a dry run names it.
    pub(crate) left_out: BTreeSet<String>,
}

/// A copy of what was live, taken when a snapshot was made.
#[derive(Clone, Debug)]
pub(crate) struct Picture {
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
        Self { tree, dumps, claims }
    }

    /// Whether a path is the log of a database that can be read: then its content is the database's.
    fn is_log(&self, path: &[u8]) -> bool {
        LOGS.iter().any(|log| {
            path.strip_suffix(log.as_bytes()).is_some_and(|base| self.dumps.contains_key(base))
        })
    }
}

/// Names every difference between what was live and what a restore brought back that nobody told of. `precious`
/// says which paths no policy may leave out.
pub(crate) fn losses(
    live: &Picture,
    name: Option<&Path>,
    restored: &Path,
    said: &Said,
    precious: &dyn Fn(&[u8]) -> bool,
) -> Vec<String> {
    let back = Picture::of(restored);
    let mut losses = Vec::new();
    // A link to a directory may come back as what it led to, in its place.
    let mut filled: Vec<&[u8]> = Vec::new();
    for (path, item) in &live.tree {
        if live.is_log(path) {
            continue;
        }
        let Some(what) = difference(live, &back, path, item) else { continue };
        if let (Kind::Link(target), Some(Item { kind: Kind::Directory, .. })) =
            (&item.kind, back.tree.get(path))
        {
            let target = Path::new(OsStr::from_bytes(target));
            let name = name.map_or_else(PathBuf::new, Path::to_path_buf);
            let name = name.join(OsStr::from_bytes(path));
            let inside = Picture::of(target);
            let place = tree::on_disk(restored, path);
            // Reports name what is in it by the link, or by where it is.
            let by = |name: &Path| self::losses(&inside, Some(name), &place, said, &|_| false);
            let elsewhere = by(target);
            let both = by(&name).into_iter().filter(|loss| elsewhere.contains(loss));
            losses.extend(both.map(|loss| format!("{}/{loss}", escaped(path))));
            filled.push(path);
            continue;
        }
        // Sockets go with their process: the policy may leave them out wherever they are.
        // So may what SQLite's processes share in memory: it says nothing of a database.
        let is_shared = path.strip_suffix(b"-shm").is_some_and(|base| live.claims.contains(base));
        let may_stay_out = item.kind == Kind::Special || is_shared || !precious(path);
        let told = named(&said.problems, name, path)
            || (may_stay_out && named(&said.left_out, name, path));
        if !told {
            losses.push(format!("{}: {what}", escaped(path)));
        }
    }
    for (path, item) in &back.tree {
        let below =
            |dir: &&[u8]| path.strip_prefix(*dir).is_some_and(|rest| rest.starts_with(b"/"));
        let known = live.tree.contains_key(path) && !live.is_log(path) || filled.iter().any(below);
        if !known && item.kind != Kind::Directory {
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
            if (bytes, sha256) != (size, hash) {
                Some(format!("came back with other content ({bytes} bytes then, {size} now)"))
            } else if *disk > taken + (1 << 20) && taken + (1 << 20) < *bytes {
                Some(format!("takes {disk} bytes on the disk instead of {taken}"))
            } else {
                None
            }
        }
        (then, now) => (then != now).then(|| format!("was {then:?} and is {now:?}")),
    };
    content.or_else(|| {
        (item.mode != found.mode)
            .then(|| format!("had the mode {:o} and has {:o}", item.mode, found.mode))
    })
}

/// Whether a path, or a directory above it, is named.
fn named(said: &BTreeSet<String>, root: Option<&Path>, path: &[u8]) -> bool {
    let mut ends: Vec<usize> =
        path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at).collect();
    ends.push(path.len());
    let root = root.map(|root| escaped(&tree::bytes_of(root)));
    if root.as_ref().is_some_and(|root| said.contains(root)) {
        return true;
    }
    ends.iter().any(|end| {
        let path = escaped(&path[..*end]);
        match &root {
            Some(root) => said.contains(&format!("{root}/{path}")),
            None => said.contains(&path),
        }
    })
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
