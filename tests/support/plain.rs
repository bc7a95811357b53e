//! Small states of plain files, and a picture of a directory to compare restored copies by.
#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::allow_attributes, reason = "an expectation would fail where all is used")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::system::{bytes_of, mode_of, mtime_of, set_mtime};

/// What a restore has to bring back of one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) mode: u32,
    pub(crate) mtime: (i64, i64),
    pub(crate) content: Content,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Content {
    File(Vec<u8>),
    Directory,
    Symlink(Vec<u8>),
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(bytes) => {
                let start = String::from_utf8_lossy(&bytes[..bytes.len().min(24)]);
                write!(f, "{} bytes {start:?}", bytes.len())
            }
            Self::Directory => f.write_str("directory"),
            Self::Symlink(target) => write!(f, "-> {:?}", String::from_utf8_lossy(target)),
        }
    }
}

/// Everything below a directory but the plugin's own folder: path, mode, time, content.
pub(crate) type Picture = BTreeMap<Vec<u8>, Item>;

/// Takes the picture of a directory. Sockets and fifos are not in it: they are not backed up.
pub(crate) fn picture(root: &Path) -> Picture {
    let mut picture = Picture::new();
    look(root, root, &mut picture);
    picture
}

fn look(root: &Path, dir: &Path, picture: &mut Picture) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let relative = bytes_of(path.strip_prefix(root).unwrap());
        if relative == b"b2-backup" {
            continue;
        }
        let meta = fs::symlink_metadata(&path).unwrap();
        let content = if meta.is_dir() {
            look(root, &path, picture);
            Content::Directory
        } else if meta.is_symlink() {
            Content::Symlink(bytes_of(&fs::read_link(&path).unwrap()))
        } else if meta.is_file() {
            Content::File(fs::read(&path).unwrap())
        } else {
            continue;
        };
        picture.insert(relative, Item { mode: mode_of(&meta), mtime: mtime_of(&meta), content });
    }
}

/// A picture without the times of directories, which change with what is in them, and without the files that come
/// and go beside a database.
pub(crate) fn settled(root: &Path) -> Picture {
    let mut picture = picture(root);
    picture.retain(|path, _| !path.ends_with(b"-wal") && !path.ends_with(b"-shm"));
    for item in picture.values_mut().filter(|item| item.content == Content::Directory) {
        item.mtime = (0, 0);
    }
    picture
}

/// Asserts that two directories are the same, and tells the first difference in a line.
#[track_caller]
pub(crate) fn assert_same(found: &Picture, expected: &Picture, what: &str) {
    for (path, item) in expected {
        let path_text = String::from_utf8_lossy(path);
        assert_eq!(found.get(path), Some(item), "{what}: {path_text}");
    }
    let more: Vec<_> = found.keys().filter(|path| !expected.contains_key(*path)).collect();
    assert!(more.is_empty(), "{what}: more than there was: {more:?}");
}

/// Writes a file and the directories above it.
pub(crate) fn write(root: &Path, relative: &str, content: impl AsRef<[u8]>) {
    let path = root.join(relative);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Bytes that do not compress, the same for the same seed.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Begins as a database does, and is none.
pub(crate) fn broken(seed: u64) -> Vec<u8> {
    [b"SQLite format 3\0".as_slice(), &noise(seed, 9000)].concat()
}

/// A state of a few files.
pub(crate) fn first_day(root: &Path) {
    write(root, "openclaw.json", "{}");
    write(root, "workspace/MEMORY.md", "# Memory\n- first day\n");
    write(root, "workspace/notes/a b.md", noise(1, 30_000));
    write(root, "workspace/notes/same.md", noise(1, 30_000));
    write(root, "agents/main/sessions/one.jsonl", "{\"n\":1}\n".repeat(2000));
    fs::create_dir_all(root.join("workspace/empty")).unwrap();
    // Making one needs a privilege on Windows.
    #[cfg(unix)]
    std::os::unix::fs::symlink("notes/a b.md", root.join("workspace/link")).unwrap();
}

/// A day of use: something grows, something is new, something goes.
pub(crate) fn next_day(root: &Path, day: u64) {
    use std::io::Write as _;
    let log = root.join("agents/main/sessions/one.jsonl");
    let mut log = fs::OpenOptions::new().append(true).open(log).unwrap();
    writeln!(log, "{{\"day\":{day}}}").unwrap();
    write(root, &format!("workspace/day-{day}.md"), noise(100 + day, 9_000));
    let old = root.join(format!("workspace/day-{}.md", day.saturating_sub(2)));
    if old.exists() {
        fs::remove_file(old).unwrap();
    }
}

/// Copies a directory with modes, times and links, as `cp -a` does. Not by running that: a child holds the locks of
/// this process from its fork to its exec, and with them those of other tests.
pub(crate) fn copy_all(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let copy = to.join(path.file_name().unwrap());
        let meta = fs::symlink_metadata(&path).unwrap();
        if meta.is_symlink() {
            #[cfg(unix)]
            std::os::unix::fs::symlink(fs::read_link(&path).unwrap(), &copy).unwrap();
            #[cfg(not(unix))]
            panic!("{}: making a link needs a privilege", path.display());
            #[cfg(unix)]
            set_mtime(&copy, &meta);
        } else if meta.is_dir() {
            copy_all(&path, &copy);
        } else {
            fs::copy(&path, &copy).unwrap();
            set_mtime(&copy, &meta);
        }
    }
    let meta = fs::metadata(from).unwrap();
    fs::set_permissions(to, meta.permissions()).unwrap();
    set_mtime(to, &meta);
}
