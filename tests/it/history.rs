//! Looking into snapshots: what one holds, and one path through all of them.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use b2_backup::error::{Error, Result};
use b2_backup::ops::{
    self, HistoryOptions, HistoryReport, MAX_SHOWN_BYTES, PathVersion, ShowOptions, ShowReport,
};
use b2_backup::store::{ObjectKey, ObjectStore as _};

use crate::faults::bench::Broken;
use crate::support::machine::Machine;
use crate::support::plain::{first_day, noise, write};
use crate::support::plain_machine::plain_machine;

fn state(machine: &Machine) -> PathBuf {
    machine.settings.state_dir.clone()
}

async fn push(machine: &Machine) -> String {
    machine.push().await.unwrap().snapshot.unwrap()
}

async fn show(machine: &Machine, snapshot: &str, path: Option<&str>) -> Result<ShowReport> {
    let options = ShowOptions {
        snapshot: snapshot.into(),
        path: path.map(str::to_owned),
        allow_unauthenticated: false,
    };
    ops::show(&machine.session().await, &options).await
}

async fn history(machine: &Machine, path: &str) -> Result<HistoryReport> {
    let options = HistoryOptions { path: path.into(), text: true, allow_unauthenticated: false };
    ops::history(&machine.session().await, &options).await
}

/// `added file 3 in 2 (content): text`
fn line(version: &PathVersion) -> String {
    let PathVersion { change, kind, bytes, snapshots, what, text, text_omitted, .. } = version;
    let what: Vec<&str> = what.iter().map(|aspect| aspect.name()).collect();
    let text = match (text, text_omitted) {
        (Some(text), _) => format!(": {}", text.replace('\n', "|")),
        (None, Some(why)) => format!(": no text, {}", why.name()),
        (None, None) => String::new(),
    };
    let what = if what.is_empty() { String::new() } else { format!(" ({})", what.join(", ")) };
    format!("{} {} {bytes} in {snapshots}{what}{text}", change.name(), kind.name())
}

fn lines(report: &HistoryReport) -> Vec<String> {
    report.versions.iter().map(line).collect()
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_file_through_all_that_can_become_of_it() {
    let (_dir, mut machine, _store) = plain_machine();
    let live = state(&machine);
    let path = live.join("workspace/MEMORY.md");
    let other = |n: u32| write(&live, "workspace/other.md", n.to_string());
    fs::remove_file(&path).unwrap();
    let mut ids = vec![push(&machine).await];
    write(&live, "workspace/MEMORY.md", "one\n");
    ids.push(push(&machine).await);
    other(1);
    ids.push(push(&machine).await);
    write(&live, "workspace/MEMORY.md", "one\ntwo\n");
    ids.push(push(&machine).await);
    crate::support::system::set_mode(&path, 0o600);
    ids.push(push(&machine).await);
    fs::remove_file(&path).unwrap();
    ids.push(push(&machine).await);
    other(2);
    ids.push(push(&machine).await);
    std::os::unix::fs::symlink("other.md", &path).unwrap();
    ids.push(push(&machine).await);
    fs::remove_file(&path).unwrap();
    write(&live, "workspace/MEMORY.md", [0, 159]);
    machine.settings.machine_name = Some("anna-laptop".into());
    ids.push(push(&machine).await);

    let report = history(&machine, "workspace/MEMORY.md").await.unwrap();
    assert_eq!(
        lines(&report),
        [
            "added file 4 in 2",
            "changed file 8 in 1 (content): @@ -1 +1,2 @@| one|+two|",
            "changed file 8 in 1 (mode)",
            "removed file 0 in 2: @@ -1,2 +0,0 @@|-one|-two|",
            "added symlink 0 in 1",
            "changed file 2 in 1 (kind)",
        ]
    );
    assert_eq!(report.snapshots, 9);
    let of: Vec<_> = report
        .versions
        .iter()
        .map(|version| (version.snapshot.clone(), version.last_snapshot.clone()))
        .collect();
    let id = |n: usize| ids[n].clone();
    let expected = [(1, 2), (3, 3), (4, 4), (5, 6), (7, 7), (8, 8)].map(|(a, b)| (id(a), id(b)));
    assert_eq!(of, expected);
    assert!(report.versions.iter().all(|version| version.path == "workspace/MEMORY.md"));
    // What it is called now, and not what it was called then.
    let mut names = report.versions.iter().map(|version| version.machine_name.as_deref());
    assert!(names.all(|name| name == Some("anna-laptop")));
    // The whole path names it, too.
    let whole = path.canonicalize().unwrap();
    assert_eq!(lines(&history(&machine, whole.to_str().unwrap()).await.unwrap()), lines(&report));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_hold_secrets_is_not_shown() {
    let (_dir, machine, _store) = plain_machine();
    push(&machine).await;
    write(&state(&machine), "openclaw.json", "{ token: 'abc' }");
    push(&machine).await;
    write(&state(&machine), "workspace/notes/a b.md", noise(9, 70_000));
    push(&machine).await;
    let report = history(&machine, "openclaw.json").await.unwrap();
    assert_eq!(
        lines(&report),
        ["added file 2 in 1", "changed file 48 in 2 (content): no text, secret"]
    );
    let large = history(&machine, "workspace/notes/a b.md").await.unwrap();
    assert_eq!(
        lines(&large),
        ["added file 30000 in 2", "changed file 70000 in 1 (content): no text, too large"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_machine_has_a_history_of_its_own() {
    let (dir, machine, _store) = plain_machine();
    push(&machine).await;
    let other = machine.blank(dir.path().join("other"));
    first_day(&state(&other));
    write(&state(&other), "workspace/MEMORY.md", "theirs");
    push(&other).await;
    let own = |report: HistoryReport| -> Vec<u64> {
        report.versions.iter().map(|version| version.bytes).collect()
    };
    assert_eq!(own(history(&machine, "workspace/MEMORY.md").await.unwrap()), [21, 6]);
    assert_eq!(own(history(&other, "workspace/MEMORY.md").await.unwrap()), [6, 21]);
    let blank = machine.blank(dir.path().join("blank"));
    let report = history(&blank, "workspace/MEMORY.md").await.unwrap();
    assert_eq!(report.versions.len(), 2);
    assert!(!state(&blank).exists(), "reading must not create a state directory");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_or_no_file() {
    let (_dir, machine, _store) = plain_machine();
    push(&machine).await;
    for path in ["workspace/typo", "workspace", "workspace/MEMORY.md/x", "../x", ""] {
        let error = history(&machine, path).await.unwrap_err();
        assert_eq!(error.code(), "B2_CONFIG", "{path}: {error}");
    }
    let error = show(&machine, "latest", Some("workspace/typo")).await.unwrap_err();
    assert_eq!(error.code(), "B2_CONFIG");
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_that_cannot_be_read_or_trusted_are_passed_over() {
    let (_dir, mut machine, store) = plain_machine();
    let live = state(&machine);
    let bad = push(&machine).await;
    let key = ObjectKey::new(format!("{bad}/manifest")).unwrap();
    store.put(&key, b"rubbish".to_vec().into()).await.unwrap();
    write(&live, "workspace/MEMORY.md", "second");
    let plain = push(&machine).await;
    let report = history(&machine, "workspace/MEMORY.md").await.unwrap();
    assert_eq!((lines(&report), report.snapshots), (vec!["added file 6 in 1".to_owned()], 1));
    assert!(report.warnings.iter().any(|warning| warning.contains(&bad)), "{report:?}");

    machine.settings.encrypt = true;
    write(&live, "workspace/MEMORY.md", "third");
    push(&machine).await;
    let report = history(&machine, "workspace/MEMORY.md").await.unwrap();
    assert_eq!(lines(&report), ["added file 5 in 1"]);
    assert!(report.warnings.iter().any(|warning| warning.contains(&plain)), "{report:?}");
    let options = HistoryOptions {
        path: "workspace/MEMORY.md".into(),
        text: false,
        allow_unauthenticated: true,
    };
    let all = ops::history(&machine.session().await, &options).await.unwrap();
    // Encrypted snapshots are a lineage of their own.
    assert_eq!(lines(&all), ["added file 5 in 1", "added file 6 in 1"]);
    let error = show(&machine, &plain, None).await.unwrap_err();
    assert!(matches!(error, Error::NotAuthenticated { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_snapshot_holds() {
    let (dir, machine, _store) = plain_machine();
    let live = state(&machine);
    let id = push(&machine).await;
    write(&live, "workspace/MEMORY.md", "later");
    let blank = machine.blank(dir.path().join("blank"));
    let all = show(&blank, "latest", None).await.unwrap();
    assert_eq!((all.snapshot.as_str(), &all.content), (id.as_str(), &None));
    let paths = |report: &ShowReport| -> Vec<String> {
        report.entries.iter().map(|entry| entry.path.clone()).collect()
    };
    assert!(paths(&all).contains(&"openclaw.json".to_owned()), "{all:?}");
    let some = show(&blank, "latest", Some("workspace/notes")).await.unwrap();
    assert_eq!(
        paths(&some),
        ["workspace/notes", "workspace/notes/a b.md", "workspace/notes/same.md"]
    );
    assert_eq!(some.content, None);

    let file = show(&blank, &id, Some("workspace/MEMORY.md")).await.unwrap();
    assert_eq!(file.content.as_deref(), Some(&b"# Memory\n- first day\n"[..]));
    let whole = live.canonicalize().unwrap().join("workspace/notes/a b.md");
    let file = show(&blank, &id, whole.to_str()).await.unwrap();
    assert_eq!(file.content, Some(noise(1, 30_000)));
    let link = show(&blank, &id, Some("workspace/link")).await.unwrap();
    assert_eq!((link.entries[0].target.as_deref(), link.content), (Some("notes/a b.md"), None));
    // A glob is about a list, whatever it finds.
    let glob = show(&blank, &id, Some("workspace/MEM*")).await.unwrap();
    assert_eq!((glob.entries.len(), glob.content), (1, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_for_a_terminal() {
    let (_dir, machine, _store) = plain_machine();
    let path = state(&machine).join("workspace/big");
    let file = fs::File::create(Path::new(&path)).unwrap();
    file.set_len(MAX_SHOWN_BYTES).unwrap();
    push(&machine).await;
    let shown = show(&machine, "latest", Some("workspace/big")).await.unwrap();
    assert_eq!(shown.content.map(|content| content.len() as u64), Some(MAX_SHOWN_BYTES));
    file.set_len(MAX_SHOWN_BYTES + 1).unwrap();
    push(&machine).await;
    let error = show(&machine, "latest", Some("workspace/big")).await.unwrap_err();
    assert!(error.to_string().contains("--to"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_is_an_error_not_a_part_of_it() {
    let (_dir, machine, store) = plain_machine();
    push(&machine).await;
    for pack in store.list("packs/", false).await.unwrap().objects {
        let key = ObjectKey::new(pack.key).unwrap();
        let mut bytes = store.get(&key, u64::MAX).await.unwrap().to_vec();
        // In the frames of files, which come first.
        for byte in bytes.iter_mut().skip(96).take(64) {
            *byte ^= 1;
        }
        store.put(&key, bytes.into()).await.unwrap();
    }
    let listed = show(&machine, "latest", Some("workspace")).await.unwrap();
    let mut damaged = 0;
    for entry in listed.entries.iter().filter(|entry| entry.bytes > 0) {
        match show(&machine, "latest", Some(&entry.path)).await {
            Ok(shown) => assert_eq!(shown.content.unwrap().len() as u64, entry.bytes),
            Err(error) => {
                assert_eq!(error.code(), "B2_DAMAGED", "{error}");
                damaged += 1;
            }
        }
    }
    assert!(damaged > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_without_its_folders_is_answered_with_the_whole_one() {
    let (dir, machine, _store) = plain_machine();
    write(&state(&machine), "workspace/NOTMEMORY.md", "another\n");
    let snapshot = push(&machine).await;
    let said =
        async |path: &str| show(&machine, &snapshot, Some(path)).await.unwrap_err().to_string();
    let near = "has nothing at MEMORY.md; did you mean workspace/MEMORY.md?";
    assert!(said("MEMORY.md").await.ends_with(near));
    assert!(said("nowhere.md").await.ends_with("has nothing at nowhere.md"));
    let options = ops::RestoreOptions {
        snapshot,
        to: dir.path().join("to"),
        paths: vec!["MEMORY.md".into()],
        allow_unauthenticated: false,
    };
    let error = ops::restore(&machine.session().await, &options).await.unwrap_err();
    assert!(error.to_string().ends_with(near));
}

/// Footers are kept to save a request. Where they cannot be, what is in the bucket can be read all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_keeps_nobody_from_reading() {
    let (_dir, mut machine, _store) = plain_machine();
    let snapshot = push(&machine).await;
    let repositories = state(&machine).join("b2-backup/repositories");
    for repository in fs::read_dir(repositories).unwrap() {
        fs::remove_dir_all(repository.unwrap().path().join("footers")).unwrap();
    }
    machine.steps = Arc::new(Broken(ErrorKind::StorageFull));
    let shown = show(&machine, &snapshot, Some("workspace/MEMORY.md")).await.unwrap();
    assert_eq!(shown.content, Some(fs::read(state(&machine).join("workspace/MEMORY.md")).unwrap()));
}
