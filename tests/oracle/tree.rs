//! What is on a disk, read with nothing but the system's calls: the oracle's own eyes.
//!
//! Nothing here knows what the product backs up, how it walks, or how it reads a database.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::Read as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    Link(Vec<u8>),
    File {
        bytes: u64,
        sha256: [u8; 32],
        /// Bytes that it takes on the disk.
        taken: u64,
    },
    /// A socket, a fifo or a device.
    Special,
}

/// One entry: permission bits (0o777), when it was written (seconds since 1970, nanoseconds), and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) mode: u32,
    pub(crate) mtime: (i64, i64),
    /// Whether the same file has other names.
    pub(crate) shared: bool,
    pub(crate) kind: Kind,
}

/// Everything below a directory, by path below it.
pub(crate) type Tree = BTreeMap<Vec<u8>, Item>;

/// Reads all of `root` but `left_out` at its top. Links are not followed. Nothing is in a directory that is not there.
pub(crate) fn read(root: &Path, left_out: &[&str]) -> Tree {
    let mut tree = Tree::new();
    if !root.exists() {
        return tree;
    }
    let mut open = vec![PathBuf::new()];
    while let Some(below) = open.pop() {
        for entry in fs::read_dir(root.join(&below)).unwrap() {
            let name = entry.unwrap().file_name();
            if below.as_os_str().is_empty() && left_out.iter().any(|out| name == *out) {
                continue;
            }
            let path = below.join(name);
            let item = item(&root.join(&path));
            if item.kind == Kind::Directory {
                open.push(path.clone());
            }
            tree.insert(path.into_os_string().into_vec(), item);
        }
    }
    tree
}

/// The links below a directory, by path below it.
pub(crate) fn links(root: &Path) -> Vec<Vec<u8>> {
    let (mut links, mut open) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(below) = open.pop() {
        for entry in fs::read_dir(root.join(&below)).unwrap() {
            let entry = entry.unwrap();
            let (path, kind) = (below.join(entry.file_name()), entry.file_type().unwrap());
            if kind.is_dir() {
                open.push(path);
            } else if kind.is_symlink() {
                links.push(path.into_os_string().into_vec());
            }
        }
    }
    links
}

fn item(path: &Path) -> Item {
    let meta = fs::symlink_metadata(path).unwrap();
    let kind = meta.file_type();
    let kind = if kind.is_dir() {
        Kind::Directory
    } else if kind.is_symlink() {
        Kind::Link(fs::read_link(path).unwrap().into_os_string().into_vec())
    } else if kind.is_socket() || kind.is_fifo() || kind.is_char_device() || kind.is_block_device()
    {
        Kind::Special
    } else {
        let (bytes, sha256) = hash(path);
        Kind::File { bytes, sha256, taken: meta.blocks() * 512 }
    };
    let mode = if matches!(kind, Kind::Link(_)) { 0 } else { meta.permissions().mode() & 0o777 };
    let shared = kind != Kind::Directory && meta.nlink() > 1;
    Item { mode, mtime: (meta.mtime(), meta.mtime_nsec()), shared, kind }
}

fn hash(path: &Path) -> (u64, [u8; 32]) {
    let mut file = fs::File::open(path).unwrap();
    let (mut hash, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 20]);
    loop {
        let got = file.read(&mut buffer).unwrap();
        if got == 0 {
            return (bytes, hash.finalize().into());
        }
        bytes += got as u64;
        hash.update(&buffer[..got]);
    }
}

/// A path as bytes, for the disk.
pub(crate) fn on_disk(root: &Path, below: &[u8]) -> PathBuf {
    root.join(Path::new(&OsString::from_vec(below.to_vec())))
}

/// A path as the product's reports print it: what is no plain text is escaped as in the documentation of reports.
pub(crate) fn bytes_of(path: &Path) -> Vec<u8> {
    path.as_os_str().as_bytes().to_vec()
}
