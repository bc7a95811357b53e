//! What is different: between two snapshots, and between a snapshot and the state.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use b2_backup::error::Error;
use b2_backup::ops::{self, DiffEntry, DiffOptions, DiffReport};

mod live;
mod text;

use crate::support::machine::{Machine, diff_options};
use crate::support::plain::{noise, write};
use crate::support::plain_machine::plain_machine;

fn state(machine: &Machine) -> PathBuf {
    machine.settings.state_dir.clone()
}

async fn push(machine: &Machine) -> String {
    push_without(machine, &[]).await
}

/// Pushes; exactly these paths must be named, with these codes.
async fn push_without(machine: &Machine, expected: &[(&str, &str)]) -> String {
    let report = machine.push().await.unwrap();
    let skipped = report.skipped.iter().map(|it| (it.path.as_str(), it.code.as_str()));
    assert_eq!(skipped.collect::<Vec<_>>(), expected);
    report.snapshot.unwrap()
}

/// An entry in one line: `changed file workspace/a.md 3>4 (content, mode)`.
fn line(entry: &DiffEntry) -> String {
    let DiffEntry { path, change, what, kind, bytes_before, bytes_after, database, .. } = entry;
    let what: Vec<&str> = what.iter().map(|aspect| aspect.name()).collect();
    let what = if what.is_empty() { String::new() } else { format!(" ({})", what.join(", ")) };
    let kind = if *database { "database" } else { kind.name() };
    format!("{} {kind} {path} {bytes_before}>{bytes_after}{what}", change.name())
}

fn lines(report: &DiffReport) -> Vec<String> {
    report.entries.iter().map(line).collect()
}

/// What is different, without how long it took and what was transferred.
fn essence(report: &DiffReport) -> DiffReport {
    let (from, to) = (String::new(), String::new());
    DiffReport { from, to, downloaded_bytes: 0, requests: 0, duration_ms: 0, ..report.clone() }
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Each kind of change there is, and some that are none.
fn change_everything(live: &Path) {
    let workspace = live.join("workspace");
    write(live, "workspace/MEMORY.md", "# Memory\n- second day\n");
    write(live, "workspace/notes/same size.md", "abd");
    write(live, "workspace/new/file.md", "new");
    symlink("nowhere", workspace.join("new/link")).unwrap();
    chmod(&workspace.join("notes/same.md"), 0o600);
    fs::remove_file(live.join("agents/main/sessions/one.jsonl")).unwrap();
    fs::remove_dir_all(workspace.join("old")).unwrap();
    fs::remove_file(workspace.join("link")).unwrap();
    symlink("MEMORY.md", workspace.join("link")).unwrap();
    write(live, "workspace/both", "longer");
    chmod(&workspace.join("both"), 0o700);
    fs::remove_file(workspace.join("turns")).unwrap();
    write(live, "workspace/turns/into a directory", "x");
    chmod(&workspace.join("empty"), 0o700);
    fs::write(workspace.join(OsStr::from_bytes(b"odd\xff\n.bin")), [0xff; 9]).unwrap();
    fs::write(workspace.join(OsStr::from_bytes(b"back\\slash")), "").unwrap();
    // Touched, and a directory in which something was made and removed.
    let touched = fs::File::options().write(true).open(workspace.join("notes/a b.md")).unwrap();
    touched.set_modified(std::time::UNIX_EPOCH).unwrap();
    write(live, "workspace/quiet/passing", "");
    fs::remove_file(workspace.join("quiet/passing")).unwrap();
}

fn before_changes(live: &Path) {
    write(live, "agents/main/agent/stays.md", "so that the directory is not emptied");
    let workspace = live.join("workspace");
    write(live, "workspace/notes/same size.md", "abc");
    write(live, "workspace/old/deep/file.md", "old");
    write(live, "workspace/both", "short");
    write(live, "workspace/turns", "a file");
    fs::create_dir(workspace.join("quiet")).unwrap();
    fs::write(workspace.join(OsStr::from_bytes(b"odd\xff\n.bin")), [0xff; 5]).unwrap();
    for name in ["both", "notes/same.md"] {
        chmod(&workspace.join(name), 0o644);
    }
    chmod(&workspace.join("empty"), 0o755);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_change() {
    let (_dir, machine, _store) = plain_machine();
    let live = state(&machine);
    before_changes(&live);
    let first = push(&machine).await;
    change_everything(&live);
    let now = machine.diff(&first, "live").await.unwrap();
    assert_eq!(
        lines(&now),
        [
            "removed file agents/main/sessions/one.jsonl 16000>0",
            "changed file workspace/MEMORY.md 21>22 (content)",
            "added file workspace/back\\\\slash 0>0",
            "changed file workspace/both 5>6 (content, mode)",
            "changed directory workspace/empty 0>0 (mode)",
            "changed symlink workspace/link 0>0 (target)",
            "added directory workspace/new 0>0",
            "added file workspace/new/file.md 0>3",
            "added symlink workspace/new/link 0>0",
            "changed file workspace/notes/same size.md 3>3 (content)",
            "changed file workspace/notes/same.md 30000>30000 (mode)",
            "changed file workspace/odd\\xff\\x0a.bin 5>9 (content)",
            "removed directory workspace/old 0>0",
            "removed directory workspace/old/deep 0>0",
            "removed file workspace/old/deep/file.md 3>0",
            "changed directory workspace/turns 6>0 (kind)",
            "added file workspace/turns/into a directory 0>1",
        ]
    );
    assert_eq!((now.added, now.changed, now.removed), (4, 7, 2), "directories are not counted");
    let bytes = now.entries.iter().map(|entry| (entry.bytes_before, entry.bytes_after));
    let bytes = bytes.fold((0, 0), |sum, entry| (sum.0 + entry.0, sum.1 + entry.1));
    assert_eq!((now.bytes_before, now.bytes_after), bytes);
    assert_eq!((now.from.as_str(), now.to.as_str()), (first.as_str(), "live"));
    assert_eq!((&now.skipped, &now.warnings), (&vec![], &vec![]));

    // A snapshot of it says the same, on whatever machine.
    let second = push(&machine).await;
    let pushed = machine.diff(&first, "latest").await.unwrap();
    assert_eq!(pushed.to, second);
    assert_eq!(essence(&pushed), essence(&now));
    let blank = machine.blank(live.with_file_name("blank"));
    assert_eq!(essence(&blank.diff(&first, &second).await.unwrap()), essence(&now));
    assert!(!blank.settings.state_dir.exists(), "reading must not create a state directory");

    // The other way round, what was added is removed.
    let back = machine.diff(&second, &first).await.unwrap();
    assert_eq!((back.added, back.changed, back.removed), (2, 7, 4));
    assert_eq!((back.bytes_before, back.bytes_after), (now.bytes_after, now.bytes_before));
    for nothing in [machine.diff(&second, "live").await, machine.diff(&second, &second).await] {
        assert_eq!(lines(&nothing.unwrap()), Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_paths_that_are_asked_for() {
    let (_dir, machine, _store) = plain_machine();
    let live = state(&machine);
    before_changes(&live);
    let first = push(&machine).await;
    change_everything(&live);
    let asked = async |to: &str, paths: &[&str]| {
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        let options = DiffOptions { paths, ..diff_options(&first, to) };
        machine.diff_with(options).await.map(|report| lines(&report))
    };
    let second = push(&machine).await;
    for to in ["live", second.as_str()] {
        assert_eq!(
            asked(to, &["workspace/old", "workspace/new/*.md"]).await.unwrap(),
            [
                "added file workspace/new/file.md 0>3",
                "removed directory workspace/old 0>0",
                "removed directory workspace/old/deep 0>0",
                "removed file workspace/old/deep/file.md 3>0",
            ]
        );
        assert_eq!(asked(to, &["openclaw.json"]).await.unwrap(), Vec::<String>::new());
        let error = asked(to, &["workspace/typo"]).await.unwrap_err();
        assert_eq!(error.code(), "B2_CONFIG");
        assert!(error.to_string().contains("workspace/typo"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn roots_are_compared_by_their_paths() {
    let (dir, machine, _store) = plain_machine();
    let live = state(&machine);
    let base = dir.path().canonicalize().unwrap();
    let configure = |names: &[&str]| {
        let list: Vec<String> = names
            .iter()
            .map(|name| format!("{{ id: '{name}', workspace: '{}/{name}' }}", base.display()))
            .collect();
        let text = format!("{{ agents: {{ list: [{}] }} }}", list.join(", "));
        write(&live, "openclaw.json", format!("{text:400}"));
    };
    for name in ["b", "c", "gone"] {
        write(&base, &format!("{name}/note.md"), noise(3, 500));
    }
    configure(&["b", "c", "gone"]);
    let first = push(&machine).await;
    // A root before the others moves them all in the tree.
    fs::create_dir(base.join("a")).unwrap();
    fs::write(base.join("a").join(OsStr::from_bytes(b"\xff.md")), "new").unwrap();
    write(&base, "c/note.md", noise(4, 700));
    configure(&["a", "b", "c"]);
    let now = machine.diff(&first, "live").await.unwrap();
    let path = |name: &str| base.join(name).display().to_string();
    assert_eq!(
        lines(&now),
        [
            "changed file openclaw.json 400>400 (content)".to_owned(),
            format!("changed file {} 500>700 (content)", path("c/note.md")),
            format!("removed file {} 500>0", path("gone/note.md")),
            format!("added file {} 0>3", path("a/\\xff.md")),
        ]
    );
    let second = push(&machine).await;
    assert_eq!(essence(&machine.diff(&first, &second).await.unwrap()), essence(&now));
    // The state directory is itself wherever it lies.
    let moved = machine.blank(dir.path().join("moved"));
    fs::rename(&live, &moved.settings.state_dir).unwrap();
    assert_eq!(lines(&moved.diff(&second, "live").await.unwrap()), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_that_are_not_there_or_not_to_be_trusted() {
    let (_dir, mut machine, _store) = plain_machine();
    let plain = push(&machine).await;
    let error = machine.diff(&plain, "2001-01-01T00-00-00Z-00000000").await.unwrap_err();
    assert!(matches!(error, Error::SnapshotNotFound { .. }), "{error}");
    // Once everything is to be encrypted, anybody may have made a plain one.
    machine.settings.encrypt = true;
    write(&state(&machine), "workspace/new.md", "new");
    let sealed = push(&machine).await;
    for (from, to) in [(&plain, "live"), (&plain, sealed.as_str()), (&sealed, plain.as_str())] {
        let error = machine.diff(from, to).await.unwrap_err();
        assert!(matches!(error, Error::NotAuthenticated { .. }), "{error}");
        let options = DiffOptions { allow_unauthenticated: true, ..diff_options(from, to) };
        let report = machine.diff_with(options).await.unwrap();
        assert_eq!(report.entries.len(), 1, "{report:?}");
    }
}
