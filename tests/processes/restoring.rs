//! Restore: a part of a snapshot, into a place that is not fit, with the line breaking down; roots from
//! elsewhere, and databases of a gateway that runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use b2_backup::ambient::FailPoints;
use b2_backup::ops::Session;
use rusqlite::Connection;

use crate::gateway::Gateway;
use crate::support::cut::{CutStore, How};
use crate::support::machine;
use crate::support::machine::Machine;
use crate::support::plain::{Picture, assert_same, noise, picture, write};
use crate::support::plain_machine::plain_machine;

/// What is restored is not encrypted.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_restored_into_the_folder_that_holds_the_backups() {
    let (dir, mut machine, _store) = plain_machine();
    let (live, bucket) = (machine.settings.state_dir.clone(), dir.path().join("bucket"));
    let snapshot = machine.push().await.unwrap().snapshot.unwrap();
    fs::create_dir(&bucket).unwrap();
    std::os::unix::fs::symlink(&bucket, dir.path().join("link")).unwrap();
    machine.settings.store.bucket = format!("file://{}", bucket.display());
    for to in ["bucket/x/y", "link/x", "bucket", "state/../bucket/x"] {
        let error = machine.restore(&snapshot, &dir.path().join(to)).await.unwrap_err();
        assert_eq!(error.code(), "B2_CONFIG", "{to}");
        assert!(error.to_string().contains("choose another place"), "{error}");
    }
    assert_eq!(fs::read_dir(&bucket).unwrap().count(), 0);
    let report = machine.restore(&snapshot, &live.join("restored")).await.unwrap();
    assert!(report.warnings.iter().any(|text| text.contains("which is backed up")), "{report:?}");
    let report = machine.restore(&snapshot, &dir.path().join("elsewhere")).await.unwrap();
    assert_eq!(report.warnings, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_a_snapshot() {
    let (dir, machine, _store) = plain_machine();
    let live = machine.settings.state_dir.clone();
    write(&live, "workspace/notes/deep/c.md", "c");
    write(&live, "workspace/notes-2/d.md", "d");
    machine.push().await.unwrap();
    let whole = picture(&live);
    let cases: [(&[&str], &[&str]); 8] = [
        (&["openclaw.json"], &["openclaw.json"]),
        (&["workspace/notes/a b.md"], &["workspace", "workspace/notes", "workspace/notes/a b.md"]),
        (
            &["./workspace/notes/"],
            &[
                "workspace",
                "workspace/notes",
                "workspace/notes/a b.md",
                "workspace/notes/deep",
                "workspace/notes/deep/c.md",
                "workspace/notes/same.md",
            ],
        ),
        (
            &["workspace/*/*.md"],
            &[
                "workspace",
                "workspace/notes",
                "workspace/notes-2",
                "workspace/notes-2/d.md",
                "workspace/notes/a b.md",
                "workspace/notes/same.md",
            ],
        ),
        (
            &["**/c.md"],
            &["workspace", "workspace/notes", "workspace/notes/deep", "workspace/notes/deep/c.md"],
        ),
        (&["workspace/link"], &["workspace", "workspace/link"]),
        (&["workspace/empty"], &["workspace", "workspace/empty"]),
        (
            &["openclaw.json", "workspace/MEMORY.md"],
            &["openclaw.json", "workspace", "workspace/MEMORY.md"],
        ),
    ];
    for (number, (wanted, expected)) in cases.iter().enumerate() {
        let to = dir.path().join(format!("part-{number}"));
        let report = machine.restore_paths("latest", &to, wanted).await.unwrap();
        assert_eq!(report.failed, []);
        let expected: Picture = expected
            .iter()
            .map(|path| (path.as_bytes().to_vec(), whole[path.as_bytes()].clone()))
            .collect();
        assert_same(&picture(&to), &expected, &format!("{wanted:?}"));
    }
    let to = dir.path().join("nothing");
    let error = machine.restore_paths("latest", &to, &["workspace/missing"]).await.unwrap_err();
    assert_eq!(error.code(), "B2_CONFIG");
    assert!(error.to_string().contains("workspace/missing"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_not_empty_is_left_as_it_is() {
    let (dir, machine, _store) = plain_machine();
    machine.push().await.unwrap();
    write(dir.path(), "full/precious", "mine");
    for to in ["full", "full/precious", "state"] {
        let before = picture(dir.path());
        let error = machine.restore("latest", &dir.path().join(to)).await.unwrap_err();
        assert_eq!(error.code(), "B2_TARGET_NOT_EMPTY", "{to}");
        assert_same(&picture(dir.path()), &before, to);
    }
    fs::create_dir(dir.path().join("empty")).unwrap();
    machine.restore("latest", &dir.path().join("empty")).await.unwrap();
    let error =
        machine.restore("2020-01-01T00-00-00Z-00000000", &dir.path().join("x")).await.unwrap_err();
    assert_eq!(error.code(), "B2_SNAPSHOT_NOT_FOUND");
}

/// One restore on a blank machine, through a store that is cut off.
async fn restore_through(machine: &Machine, cut: Arc<CutStore>, to: &Path) -> Option<String> {
    let mut ambient = machine.through(cut).ambient();
    ambient.cpu = b2_backup::cpu::CpuPool::new(1).unwrap();
    let cpu = ambient.cpu.clone();
    let mut settings = machine.settings.clone();
    settings.state_dir = to.with_extension("blank");
    let session = Session::open(settings, ambient).await.unwrap();
    let restored = machine::restore_with(&session, "latest", to).await;
    // The pool has one thread: what the restore left running there is over after this.
    cpu.run(|| ()).await.unwrap();
    match restored {
        Ok(report) => {
            assert_eq!(report.failed, []);
            None
        }
        Err(error) => Some(error.code().to_owned()),
    }
}

/// Half a restore looks like a whole one: the connection fails at each request, and nothing is left.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_restore_leaves_nothing() {
    let (dir, machine, store) = plain_machine();
    let live = machine.settings.state_dir.clone();
    for number in 0..10 {
        write(&live, &format!("workspace/large/{number}"), noise(number, 4 << 20));
    }
    machine.push().await.unwrap();
    let mut last = 0;
    for at in 1.. {
        let to = dir.path().join(format!("to-{at}"));
        let cut = CutStore::new(store.clone(), at, How::FailBefore);
        let failed = restore_through(&machine, cut.clone(), &to).await;
        if !cut.was_reached() {
            assert_eq!(failed, None);
            assert_same(&picture(&to), &picture(&live), "restored");
            last = at - 1;
            break;
        }
        assert_eq!(failed.as_deref(), Some("B2_NETWORK"), "request {at}");
        assert_eq!(picture(&to), Picture::new(), "request {at}");
    }
    assert!(last > 4, "a listing, a manifest and some packs: {last}");
    // The same while files of another pack are being written on another thread.
    let to = dir.path().join("late");
    let large = to.join("workspace/large");
    let writing = move || fs::read_dir(&large).is_ok_and(|files| files.count() > 0);
    let cut = CutStore::failing_when(store, last, Box::new(writing));
    assert_eq!(restore_through(&machine, cut, &to).await.as_deref(), Some("B2_NETWORK"));
    assert_eq!(picture(&to), Picture::new());
}

/// Folds case as far as a file system can be made to: once there is a file of one name, the other name is there, too.
#[derive(Debug)]
struct Folds(PathBuf);

impl FailPoints for Folds {
    fn step(&self, name: &'static str) -> std::io::Result<()> {
        if name != "create" {
            return Ok(());
        }
        for (one, other) in [("SAME.md", "same.md"), ("LARGE.bin", "large.bin")] {
            let (one, other) = (self.0.join(one), self.0.join(other));
            if one.exists() != other.exists() {
                let (there, missing) = if one.exists() { (one, other) } else { (other, one) };
                fs::hard_link(there, missing)?;
            }
        }
        Ok(())
    }
}

/// Where a file system takes two names for one, one of both files is restored whole, and the other is named.
#[tokio::test(flavor = "multi_thread")]
async fn two_names_that_are_one_to_the_file_system() {
    let (dir, mut machine, _store) = plain_machine();
    let work = machine.settings.state_dir.join("workspace");
    let pairs = [("SAME.md", "same.md", 30), ("LARGE.bin", "large.bin", 5 << 20)];
    for (seed, (one, other, bytes)) in (10..).step_by(10).zip(pairs) {
        write(&work, one, noise(seed, bytes));
        write(&work, other, noise(seed + 1, bytes));
    }
    machine.push().await.unwrap();
    let to = dir.path().join("to");
    machine.steps = Arc::new(Folds(to.join("workspace")));
    let report = machine.restore("latest", &to).await.unwrap();
    let mut failed: Vec<String> = report.failed.iter().map(|it| it.path.to_lowercase()).collect();
    failed.sort();
    assert_eq!(failed, ["workspace/large.bin", "workspace/same.md"], "{report:?}");
    for (one, other, _) in pairs {
        let [one, other] = [one, other].map(|name| fs::read(to.join("workspace").join(name)));
        let one = one.unwrap();
        assert!(one == other.unwrap(), "both names are there, of one file");
        let original = |name| fs::read(work.join(name)).unwrap();
        assert!(pairs.iter().any(|pair| [pair.0, pair.1].map(original).contains(&one)), "whole");
    }
}

/// A file that can neither be made nor removed costs itself, and not all the others.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_place_of_a_file_stays() {
    #[derive(Debug)]
    struct Takes(PathBuf);
    impl FailPoints for Takes {
        fn step(&self, name: &'static str) -> std::io::Result<()> {
            if name == "create" && self.0.parent().is_some_and(Path::exists) && !self.0.exists() {
                fs::create_dir(&self.0)?;
            }
            Ok(())
        }
    }
    let (dir, mut machine, _store) = plain_machine();
    let live = machine.settings.state_dir.clone();
    write(&live, "workspace/taken.md", "is not to be had");
    machine.push().await.unwrap();
    let to = dir.path().join("to");
    machine.steps = Arc::new(Takes(to.join("workspace/taken.md")));
    let report = machine.restore("latest", &to).await.unwrap();
    let failed: Vec<&str> = report.failed.iter().map(|it| it.path.as_str()).collect();
    assert_eq!(failed, ["workspace/taken.md"], "{report:?}");
    assert!(to.join("workspace/taken.md").is_dir());
    let memory = |root: &Path| fs::read(root.join("workspace/MEMORY.md")).unwrap();
    assert_eq!(memory(&to), memory(&live), "and all else");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_from_elsewhere() {
    let (dir, machine, _store) = plain_machine();
    let live = machine.settings.state_dir.clone();
    let elsewhere = dir.path().join("my work");
    write(&elsewhere, "notes/plan.md", "the plan");
    let config = serde_json::json!({ "agents": { "defaults": { "workspace": elsewhere } } });
    write(&live, "openclaw.json", config.to_string());
    let report = machine.push().await.unwrap();
    assert_eq!(report.skipped, []);
    let to = dir.path().join("to");
    let restored = machine.blank(dir.path().join("blank")).restore("latest", &to).await.unwrap();
    let place = to.join(".b2-roots/1-my_work");
    assert_same(&picture(&place), &picture(&elsewhere), "elsewhere");
    assert_eq!(restored.roots.len(), 2);
    assert!(restored.roots[1].contains("my work -> "), "{:?}", restored.roots);
    let odd =
        dir.path().join(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"odd \xff"));
    let restored = machine.restore("latest", &odd).await.unwrap();
    assert!(restored.roots[1].contains("/odd \\xff/.b2-roots/1-my_work"), "{:?}", restored.roots);
    fs::remove_dir_all(to.join(".b2-roots")).unwrap();
    assert_same(&picture(&to), &picture(&live), "state");
    // Other roots move with their own changes, and are no part of the state that is restored over them.
    write(&elsewhere, "notes/plan.md", "another plan");
    assert!(machine.push().await.unwrap().snapshot.is_some());
    assert_eq!(machine.push().await.unwrap().snapshot, None);
}

fn rows(database: &Path) -> (i64, i64, String) {
    let db = Connection::open(database).unwrap();
    let count = |sql: &str| db.query_row(sql, [], |row| row.get(0)).unwrap();
    (
        count("SELECT count(*) FROM t WHERE x LIKE 'committed %'"),
        count("SELECT count(*) FROM t WHERE x = 'uncommitted'"),
        db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap(),
    )
}

/// A legacy-named trap: rows that were committed, but only in the write-ahead log, were not in the backup.
#[tokio::test(flavor = "multi_thread")]
async fn rows_in_the_log_of_another_process() {
    for job in ["leave", "lock"] {
        let (dir, machine, _store) = plain_machine();
        let database = machine.settings.state_dir.join("memory/main.sqlite");
        fs::create_dir_all(database.parent().unwrap()).unwrap();
        let mut gateway = Some(Gateway::start(&database, job));
        if job == "leave" {
            assert!(gateway.take().unwrap().end());
        }
        let log = fs::metadata(database.with_extension("sqlite-wal")).unwrap().len();
        assert!(log > 100_000, "the rows are in the log: {log}");
        assert_eq!(machine.push().await.unwrap().skipped, []);
        if let Some(gateway) = gateway.take() {
            assert!(gateway.end(), "its lock survived the push, and it can commit");
        }
        let to = dir.path().join("to");
        machine.blank(dir.path().join("blank")).restore("latest", &to).await.unwrap();
        let copy = to.join("memory/main.sqlite");
        assert!(!to.join("memory/main.sqlite-wal").exists());
        assert_eq!(rows(&copy), (500, 0, "ok".into()), "{job}");
        if job == "lock" {
            assert_eq!(rows(&database), (500, 1, "ok".into()));
            assert!(machine.push().await.unwrap().snapshot.is_some(), "what came after is new");
        }
    }
}
