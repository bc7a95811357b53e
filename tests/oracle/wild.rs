//! Wild states: what people really have lying in a state directory, drawn from a seed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rusqlite::Connection;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

use crate::hold::Holder;
use crate::rng::Rng;

/// Names as they occur, and as nobody expects them.
const NAMES: &[&str] = &[
    "MEMORY.md",
    "notes.md",
    "a b  c.txt",
    "-rf",
    "naïve 日本.md",
    "e\u{301}.md",
    "tab\there",
    "new\nline",
    "back\\slash",
    "con",
    "trailing. ",
    "CAPS",
    "caps",
    ".hidden",
    "data.bin",
    "renv.lock",
    "Chart.lock",
    "stack.yaml.lock",
    "Cargo.lock",
    "own.lock",
    "session.jsonl",
    "index.html~",
    "x.tmp",
    "cache",
    "log.txt",
    "auth-profiles.json",
];

/// Names of databases: those that SQLite's users give, and those that nobody would take for one.
const DATABASES: &[&str] =
    &["app.db3", "places.data", "notes.sqlite", "x.db", "noext", "index.sqlite3", "a.wal", "m.md"];

/// Directories of the state and of what lies outside, in which things are put.
const PLACES: &[&str] = &[
    "state",
    "state/workspace",
    "state/workspace/memory",
    "state/workspace/deep/er/still",
    "state/agents/main/sessions",
    "state/agents/main/custom",
    "state/memory",
    "state/mine",
    "state/worktrees/one",
    "state/sandboxes/two",
    "state/credentials",
    "out/ws",
    "out/ws/notes",
    "out/linked",
    "out/agents",
];

/// A state with what belongs to it outside: `state`, `out/ws` (a configured workspace), `out/linked` and `out/agents`
/// (link targets), below one directory.
#[derive(Debug)]
pub(crate) struct Wild {
    pub(crate) base: PathBuf,
    rng: Rng,
    made: u64,
    /// Whether the disk notes when a file was changed, whatever time it is said to have.
    pub(crate) notes_changes: bool,
    /// Databases that a process holds open.
    held: BTreeMap<PathBuf, Holder>,
}

impl Wild {
    pub(crate) fn new(base: PathBuf, seed: u64) -> Self {
        let mut wild =
            Self { base, rng: Rng::new(seed), made: 0, notes_changes: true, held: BTreeMap::new() };
        for place in PLACES {
            fs::create_dir_all(wild.base.join(place)).unwrap();
        }
        let configuration = wild.configuration("");
        wild.text("state/openclaw.json", &configuration);
        wild.text("state/workspace/MEMORY.md", "# Memory\n");
        wild.text("out/ws/AGENTS.md", "# Agents\n");
        if wild.rng.chance(0.4) {
            let _no_links =
                symlink(wild.base.join("out/linked"), wild.base.join("state/workspace/linked"));
            wild.text("out/linked/inside.md", "linked\n");
        }
        if wild.rng.chance(0.3) {
            let (there, elsewhere) =
                (wild.base.join("state/agents"), wild.base.join("out/agents/real"));
            fs::rename(&there, &elsewhere).unwrap();
            if symlink(&elsewhere, &there).is_err() {
                // FAT has no links.
                fs::rename(&elsewhere, &there).unwrap();
            }
        }
        for _ in 0..wild.rng.between(6, 18) {
            wild.plant();
        }
        wild
    }

    /// The state directory.
    pub(crate) fn state(&self) -> PathBuf {
        self.base.join("state")
    }

    /// The configured workspace elsewhere.
    pub(crate) fn workspace(&self) -> PathBuf {
        self.base.join("out/ws")
    }

    /// OpenClaw's configuration, with one agent that works elsewhere.
    fn configuration(&self, more: &str) -> String {
        let workspace = self.workspace().display().to_string();
        format!(
            r#"{{ {more} "agents": {{ "list": [ {{ "id": "main" }}, {{ "id": "b", "workspace": "{workspace}" }} ] }} }}"#
        )
    }

    fn text(&mut self, path: &str, text: &str) {
        fs::write(self.base.join(path), text).unwrap();
    }

    /// A path that is free, in one of the places that are there.
    fn free(&mut self, names: &[&str]) -> PathBuf {
        loop {
            let place = *self.rng.pick(PLACES);
            let dir = self.base.join(place);
            self.made += 1;
            if !dir.is_dir() {
                continue;
            }
            let name = if self.rng.chance(0.1) {
                let mut name = self.rng.hex(250).into_bytes();
                name.truncate(self.rng.between(240, 250));
                OsString::from_vec(name)
            } else if self.rng.chance(0.05) {
                OsString::from_vec(b"latin-\xe9.txt".to_vec())
            } else if self.rng.chance(0.5) {
                (*self.rng.pick(names)).into()
            } else {
                let name = *self.rng.pick(names);
                format!("{}-{name}", self.made).into()
            };
            let path = dir.join(name);
            // A file system that holds no such name has none to lose.
            let created = fs::OpenOptions::new().write(true).create_new(true).open(&path);
            if created.is_ok() {
                fs::remove_file(&path).unwrap();
                return path;
            }
        }
    }

    /// Puts one thing somewhere.
    fn plant(&mut self) {
        match self.rng.between(0, 15) {
            0..=3 => {
                let path = self.free(NAMES);
                let bytes = self.content();
                fs::write(&path, bytes).unwrap();
                self.modes(&path);
            }
            4 | 5 => self.database(),
            6 => self.broken_database(),
            7 => self.logs_beside_no_database(),
            8 => self.sparse(),
            9 => self.link(),
            10 => {
                let (from, to) = (self.free(NAMES), self.free(NAMES));
                fs::write(&from, self.rng.bytes(700)).unwrap();
                // Not over a border of file systems, and not where there are no hard links.
                let _no_links = fs::hard_link(&from, &to);
            }
            11 => {
                let path = self.free(NAMES);
                fs::write(&path, b"owned by somebody else").unwrap();
                let _refused = std::os::unix::fs::chown(&path, Some(12_345), Some(23_456));
            }
            12 => {
                let path = self.free(NAMES);
                fs::create_dir(&path).unwrap();
                self.modes(&path);
            }
            13 => self.special(),
            14 => {
                let path = self.free(NAMES);
                // A file that begins like a database, and a key store that does not.
                let mut bytes = b"SQLite format 3\0".to_vec();
                bytes.extend(self.rng.bytes(3000));
                fs::write(&path, bytes).unwrap();
            }
            _ => {
                let path = self.free(NAMES);
                fs::write(&path, []).unwrap();
            }
        }
    }

    fn content(&mut self) -> Vec<u8> {
        if self.rng.chance(0.5) {
            let lines = self.rng.between(1, 300);
            format!("- a line of {}\n", self.made).repeat(lines).into_bytes()
        } else {
            let length = self.rng.between(0, 40_000);
            self.rng.bytes(length)
        }
    }

    fn modes(&mut self, path: &Path) {
        if self.rng.chance(0.3) {
            let mode = *self.rng.pick(&[0o600, 0o444, 0o755, 0o700, 0o4755, 0o2750, 0o640]);
            // FAT has none.
            let _refused = fs::set_permissions(path, fs::Permissions::from_mode(mode));
        }
    }

    /// A database as a process leaves it behind that is still running, or was killed: with or without a log.
    fn database(&mut self) {
        let path = self.free(DATABASES);
        let scratch = tempfile::tempdir().unwrap();
        let made = scratch.path().join("db");
        let connection = Connection::open(&made).unwrap();
        let page = *self.rng.pick(&[512, 4096, 65_536]);
        let (wal, extra) = (self.rng.chance(0.6), self.rng.chance(0.3));
        connection.execute_batch(&format!("PRAGMA page_size = {page}")).unwrap();
        if wal {
            connection
                .execute_batch("PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0")
                .unwrap();
        }
        connection.execute_batch("CREATE TABLE t (n INTEGER PRIMARY KEY, v BLOB)").unwrap();
        if extra {
            connection
                .execute_batch(
                    "CREATE VIRTUAL TABLE f USING fts5(body); INSERT INTO f VALUES ('words')",
                )
                .unwrap();
        }
        for _ in 0..self.rng.between(1, 40) {
            let length = self.rng.between(1, 3000);
            connection.execute("INSERT INTO t (v) VALUES (?1)", [self.rng.bytes(length)]).unwrap();
        }
        if self.rng.chance(0.3) {
            connection.execute_batch("PRAGMA user_version = 7; PRAGMA application_id = 9").unwrap();
        }
        fs::copy(&made, &path).unwrap();
        for log in ["-wal", "-shm"] {
            let (from, to) = (with(&made, log), with(&path, log));
            // A name of 250 bytes has room for a log of its own; nobody's log is there before.
            if from.exists() && !to.exists() {
                fs::copy(&from, &to).unwrap();
            }
        }
        // The longest names have no room for a log.
        if self.rng.chance(0.4) && path.file_name().unwrap().len() < 200 {
            self.held.insert(path.clone(), Holder::of(&path));
            self.insert(&path);
        }
    }

    /// Somebody goes on writing to a database, and leaves what is new in its log: a process that still holds it open,
    /// also in the midst of a transaction, or one that was killed.
    fn insert(&mut self, path: &Path) {
        let (bytes, within) = (self.rng.between(1, 3000), self.rng.chance(0.2));
        if let Some(holder) = self.held.get_mut(path) {
            let random = self.rng.hex(2 * bytes);
            holder.run("COMMIT");
            if within {
                holder.run("BEGIN IMMEDIATE");
            }
            return holder.run(&format!("INSERT INTO t (v) VALUES (x'{random}')"));
        }
        let scratch = tempfile::tempdir().unwrap();
        let copy = scratch.path().join("db");
        for log in ["", "-wal"] {
            let _none = fs::copy(with(path, log), with(&copy, log));
        }
        let Ok(connection) = Connection::open(&copy) else { return };
        let insert = "INSERT INTO t (v) VALUES (?1)";
        // Not where it is broken, or somebody else's.
        if connection.execute_batch("PRAGMA wal_autocheckpoint = 0").is_err()
            || connection.execute(insert, [self.rng.bytes(bytes)]).is_err()
        {
            return;
        }
        for log in ["-wal", ""] {
            let from = with(&copy, log);
            if from.exists() {
                fs::copy(from, with(path, log)).unwrap();
            }
        }
        let _none = fs::remove_file(with(path, "-shm"));
    }

    fn broken_database(&mut self) {
        self.database();
        let path = self.free(DATABASES);
        let mut bytes = b"SQLite format 3\0\x10\0\x01\x01\0\x40\x20\x20".to_vec();
        bytes.extend(self.rng.bytes(20_000));
        if self.rng.chance(0.3) {
            bytes.truncate(60);
        }
        fs::write(&path, bytes).unwrap();
        if self.rng.chance(0.5) {
            fs::write(with(&path, "-wal"), self.rng.bytes(5000)).unwrap();
        }
    }

    /// Encrypted databases, and stores that only have the names.
    fn logs_beside_no_database(&mut self) {
        let path = self.free(DATABASES);
        fs::write(&path, self.rng.bytes(8192)).unwrap();
        for log in ["-wal", "-shm", "-journal"] {
            if self.rng.chance(0.6) && !with(&path, log).exists() {
                // The longest names have no room for it.
                let _too_long = fs::write(with(&path, log), self.rng.bytes(3000));
            }
        }
    }

    fn sparse(&mut self) {
        let path = self.free(NAMES);
        let mut file = fs::File::create(&path).unwrap();
        file.write_all(b"begin").unwrap();
        file.seek(SeekFrom::Start(self.rng.between(1 << 20, 12 << 20) as u64)).unwrap();
        file.write_all(b"end").unwrap();
    }

    fn link(&mut self) {
        let path = self.free(NAMES);
        let target: PathBuf = match self.rng.between(0, 6) {
            0 => "nothing-there".into(),
            1 => path.clone(),
            2 => "../workspace/MEMORY.md".into(),
            3 => self.base.join("state/workspace"),
            4 => {
                let outside = self.base.join(format!("out/file-{}", self.made));
                fs::write(&outside, b"outside of everything").unwrap();
                outside
            }
            5 => {
                let outside = self.base.join(format!("out/dir-{}", self.made));
                fs::create_dir_all(&outside).unwrap();
                fs::write(outside.join("in it.md"), b"in a directory outside").unwrap();
                outside
            }
            _ => "..".into(),
        };
        // FAT has no links.
        let _refused = symlink(target, &path);
    }

    fn special(&mut self) {
        let path = self.free(NAMES);
        if self.rng.chance(0.5) {
            let mut make = Command::new("mkfifo");
            let _refused = make.args(["-m", "600"]).arg(&path).stderr(Stdio::null()).status();
        } else if path.as_os_str().len() < 100 {
            let _refused = UnixListener::bind(&path);
        }
    }

    /// What happens between two pushes.
    pub(crate) fn live_on(&mut self) {
        for _ in 0..self.rng.between(0, 3) {
            self.plant();
        }
        for _ in 0..self.rng.between(1, 5) {
            let files = files(&self.base);
            if files.is_empty() {
                return;
            }
            let path = self.rng.pick(&files).clone();
            self.change(&path, &files);
        }
    }

    fn change(&mut self, path: &Path, files: &[PathBuf]) {
        // What is done to a log is done to its database: only whole databases change here.
        if is_log(path) {
            return;
        }
        let meta = fs::metadata(path).unwrap();
        match self.rng.between(0, 6) {
            // The same size and the same time, and other bytes.
            0 | 1 if meta.len() > 0 && meta.len() < 1 << 20 => {
                if crate::dump::says_so(path) {
                    return self.insert(path);
                }
                fs::write(path, self.rng.bytes(usize::try_from(meta.len()).unwrap())).unwrap();
                if self.rng.chance(0.5) && self.notes_changes {
                    let at = Timespec { tv_sec: meta.mtime(), tv_nsec: meta.mtime_nsec() };
                    let times = Timestamps { last_access: at, last_modification: at };
                    utimensat(CWD, path, &times, AtFlags::empty()).unwrap();
                }
            }
            2 => {
                self.held.remove(path);
                for log in ["-wal", "-shm", "-journal"] {
                    let _none = fs::remove_file(with(path, log));
                }
                fs::remove_file(path).unwrap();
            }
            3 => {
                let other = self.rng.pick(files).clone();
                let databases = crate::dump::says_so(path) || crate::dump::says_so(&other);
                if !databases && !is_log(&other) && other.exists() {
                    // One of them may lie on a disk of its own.
                    let _other_disk = fs::rename(&other, path);
                }
            }
            4 => {
                let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
                if !crate::dump::says_so(path) {
                    file.write_all(b"more\n").unwrap();
                }
            }
            5 => {
                let _refused = fs::set_permissions(path, fs::Permissions::from_mode(0o640));
            }
            _ => {}
        }
    }

    /// The user changes a setting that means nothing, and his comment.
    pub(crate) fn configure(&mut self) {
        let color = self.rng.hex(6);
        let more = format!("// {}\n\"ui\": {{ \"seamColor\": \"#{color}\" }},", self.made);
        let text = self.configuration(&more);
        self.text("state/openclaw.json", &text);
    }

    /// Nobody holds a database open any more.
    pub(crate) fn let_go(&mut self) {
        self.held.clear();
    }

    /// The configured workspace outside goes, or comes back.
    pub(crate) fn workspace_comes_and_goes(&mut self) {
        let (there, away) = (self.workspace(), self.base.join("away"));
        if away.exists() {
            // Somebody may have written to where it was.
            if fs::remove_dir(&there).is_ok() || !there.exists() {
                fs::rename(away, there).unwrap();
            }
        } else {
            fs::rename(&there, away).unwrap();
            if self.rng.chance(0.5) {
                fs::create_dir(there).unwrap();
            }
        }
    }

    pub(crate) fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }
}

/// Regular files in all places; not OpenClaw's configuration.
fn files(base: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut open: Vec<PathBuf> = vec![base.join("state"), base.join("out")];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let kind = fs::symlink_metadata(&path).unwrap().file_type();
            let name = path.file_name().unwrap();
            if kind.is_dir() && name != "b2-backup" {
                open.push(path);
            } else if kind.is_file() && !kind.is_fifo() && name != "openclaw.json" {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// Somebody writes while a rollback goes on: to a few files, which are no databases.
pub(crate) fn write_late(base: &Path, seed: u64) {
    let mut rng = Rng::new(seed);
    let mut files = files(base);
    files.retain(|path| !is_log(path) && !crate::dump::says_so(path));
    for _ in 0..rng.between(1, 4) {
        if files.is_empty() {
            return;
        }
        let path = rng.pick(&files).clone();
        match rng.between(0, 3) {
            0 => {
                let _is_gone_already = fs::remove_file(&path);
            }
            1 => fs::write(path.with_file_name(format!("late-{}.md", rng.hex(8))), "late").unwrap(),
            _ => fs::write(&path, rng.bytes(500)).unwrap(),
        }
    }
}

fn is_log(path: &Path) -> bool {
    let name = path.file_name().unwrap().as_bytes();
    [&b"-wal"[..], b"-shm", b"-journal"].iter().any(|log| name.ends_with(log))
}

fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
