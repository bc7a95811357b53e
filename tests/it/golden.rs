//! Repositories of earlier versions restore, byte for byte. See the `README.md` of each below `tests/golden*`.

mod make;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use b2_backup::ambient::{Clock, SystemEntropy};
use b2_backup::crypto::sha256;
use b2_backup::entry::RelPath;
use b2_backup::format::{KeySlot, Manifest, Reason};
use b2_backup::ops::{self, SnapshotChanges};
use b2_backup::secret::Secret;
use b2_backup::store::folder::FolderStore;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

use crate::support::machine::{Machine, push_options};
use crate::support::system::{bytes_of, mode_of, mtime_of, set_mode};

/// The newest collection: what this version writes.
const NEWEST: &str = "golden-prefix";

fn golden(collection: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(collection)
}

async fn machine(bucket: &Path, state: &Path, sealed: bool) -> Machine {
    machine_below(bucket, "p", state, sealed).await
}

async fn machine_below(bucket: &Path, prefix: &str, state: &Path, sealed: bool) -> Machine {
    let entropy = Arc::new(SystemEntropy);
    let store = FolderStore::open(bucket.to_owned(), prefix.into(), entropy).await.unwrap();
    let mut machine = Machine::new(state, Arc::new(store));
    machine.settings.store.prefix = prefix.into();
    machine.settings.passphrase = sealed.then(|| Secret::new("golden".into()));
    machine.settings.encrypt = sealed;
    machine.settings.host_version = Some("2026.9.6".into());
    machine
}

/// Everything below a directory, by escaped path.
fn describe(root: &Path) -> Value {
    let mut all = BTreeMap::new();
    let mut open = vec![PathBuf::new()];
    while let Some(below) = open.pop() {
        for entry in std::fs::read_dir(root.join(&below)).unwrap() {
            let path = below.join(entry.unwrap().file_name());
            let full = root.join(&path);
            let meta = full.symlink_metadata().unwrap();
            let (seconds, nanoseconds) = mtime_of(&meta);
            let mut value = json!({});
            // A restore makes the folders of other roots itself: their times are its own.
            if !(path.starts_with(".b2-roots") && path.components().count() < 3) {
                value["mtime_ns"] = (seconds * 1_000_000_000 + nanoseconds).into();
            }
            if meta.is_symlink() {
                let target = std::fs::read_link(&full).unwrap();
                value["kind"] = "symlink".into();
                value["target"] = target.to_str().unwrap().into();
            } else {
                value["mode"] = format!("{:o}", mode_of(&meta)).into();
                value["kind"] = if meta.is_dir() { "directory" } else { "file" }.into();
            }
            if meta.is_file() {
                let content = std::fs::read(&full).unwrap();
                value["size"] = content.len().into();
                value["sha256"] = hex::encode(sha256(&content)).into();
            }
            if meta.is_dir() && path != Path::new("b2-backup") {
                open.push(path.clone());
            }
            all.insert(RelPath::from_bytes(bytes_of(&path)).escaped(), value);
        }
    }
    all.remove("b2-backup");
    json!(all)
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A machine that has nothing but a copy of a sealed repository and its passphrase, and what must come out.
async fn beside(name: &str) -> (TempDir, Machine, Value) {
    let here = golden(name);
    let dir = tempdir().unwrap();
    copy(&here.join("sealed"), &dir.path().join("bucket"));
    let blank = machine(&dir.path().join("bucket"), &dir.path().join("none"), true).await;
    (dir, blank, read_json(&here.join("expected.json")))
}

fn read_json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// What each snapshot says is new in it, by its id.
async fn changes(machine: &Machine) -> Value {
    let told = |changes: SnapshotChanges| {
        let most = changes.most.into_iter().map(|one| json!([one.path, one.bytes]));
        json!({
            "added": changes.added,
            "changed": changes.changed,
            "removed": changes.removed,
            "storedBytes": changes.stored_bytes,
            "most": most.collect::<Vec<_>>(),
        })
    };
    let listed = machine.list().await.snapshots.into_iter();
    json!(listed.map(|one| (one.id, one.changes.map(told))).collect::<BTreeMap<_, _>>())
}

#[tokio::test(flavor = "multi_thread")]
async fn repositories_of_before_summaries_restore() {
    let (sealed, plain) = restored("golden").await;
    let unknown = |all: &Value| all.as_object().unwrap().values().all(Value::is_null);
    assert!(unknown(&sealed) && unknown(&plain), "they do not say what is new");
}

#[tokio::test(flavor = "multi_thread")]
async fn repositories_with_summaries_restore() {
    let (sealed, plain) = restored("golden-changes").await;
    let expected = read_json(&golden("golden-changes").join("changes.json"));
    assert_eq!(json!({ "sealed": sealed, "plain": plain }), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn repositories_that_are_bound_to_their_prefix_restore() {
    let (sealed, plain) = restored("golden-prefix").await;
    let expected = read_json(&golden("golden-prefix").join("changes.json"));
    assert_eq!(json!({ "sealed": sealed, "plain": plain }), expected);
}

/// A folder with another prefix has what a collection has below `p`.
fn moved(collection: &str, to: &Path) {
    copy(&golden(collection).join("sealed/p"), &to.join("bucket/q"));
}

/// What this page promises of a repository below another prefix than its own.
#[tokio::test(flavor = "multi_thread")]
async fn only_repositories_of_before_prefixes_open_below_another_one_unasked() {
    for (collection, unasked) in [("golden-changes", true), ("golden-prefix", false)] {
        let dir = tempdir().unwrap();
        moved(collection, dir.path());
        let whole = &read_json(&golden(collection).join("expected.json"))["sealed"];
        let bucket = dir.path().join("bucket");
        let mut machine = machine_below(&bucket, "q", &dir.path().join("none"), true).await;
        for (word, opens) in [(None, unasked), (Some("p"), true), (Some("r"), unasked)] {
            machine.settings.store.moved_from = word.map(str::to_owned);
            let to = dir.path().join(format!("{word:?}"));
            let what = format!("{collection} {word:?}");
            match machine.restore("latest", &to).await {
                Ok(report) => {
                    assert!(opens, "{what}");
                    assert_eq!(report.failed, [], "{what}");
                    assert_eq!(describe(&to), whole[&report.snapshot], "{what}");
                }
                Err(error) => {
                    assert!(!opens, "{what}: {error}");
                    assert_eq!(error.code(), "B2_WRONG_KEY", "{what}");
                    let written = std::fs::read_dir(&to).map_or(0, Iterator::count);
                    assert_eq!(written, 0, "{what}");
                }
            }
        }
    }
}

/// A lineage that began in an older version goes on in this one: new objects are of this one, all of them restore, and
/// a reader of the old version still finds its slot.
#[tokio::test(flavor = "multi_thread")]
async fn a_lineage_that_began_in_an_older_version_goes_on() {
    let dir = tempdir().unwrap();
    copy(&golden("golden-changes").join("sealed"), &dir.path().join("bucket"));
    let bucket = dir.path().join("bucket");
    let before = read_json(&golden("golden-changes").join("expected.json"));
    let before = before["sealed"].as_object().unwrap();
    let lineage = before.keys().next().unwrap().rsplit('-').next().unwrap().to_owned();
    let state = dir.path().join("state");
    fill(&state);
    let machine = machine(&bucket, &state, true).await;
    ops::adopt(&machine.session().await, &lineage).await.unwrap();
    let (id, restored) = snapshot(&machine, 30, Reason::Manual).await;
    assert!(id.ends_with(&lineage), "{id}");
    let blank = machine.blank(dir.path().join("none"));
    for (number, (id, wanted)) in before.iter().chain([(&id, &restored)]).enumerate() {
        let to = dir.path().join(format!("{number}"));
        assert_eq!(blank.restore(id, &to).await.unwrap().failed, [], "{id}");
        assert_eq!(&describe(&to), wanted, "{id}");
    }
    assert_eq!(blank.verify(true).await.problems, []);
    let manifest = std::fs::read(bucket.join("p").join(&id).join("manifest")).unwrap();
    let (header, slots, ..) = Manifest::split(&manifest).unwrap();
    assert_eq!((header.version, header.readable_by), (3, 2));
    let prefixes: Vec<_> = slots.iter().map(KeySlot::prefix).collect();
    assert_eq!(prefixes, [None, Some("p")]);
}

/// Restores every snapshot of a collection, and returns what each says is new: of sealed and of plain ones.
async fn restored(collection: &str) -> (Value, Value) {
    let expected = read_json(&golden(collection).join("expected.json"));
    let mut told = Vec::new();
    for (name, sealed) in [("sealed", true), ("plain", false)] {
        let dir = tempdir().unwrap();
        copy(&golden(collection).join(name), &dir.path().join("bucket"));
        let blank = machine(&dir.path().join("bucket"), &dir.path().join("none"), sealed).await;
        let all = expected[name].as_object().unwrap();
        let snapshots = std::fs::read_dir(dir.path().join("bucket/p")).unwrap().flatten();
        let snapshots = snapshots.filter(|one| one.path().join("manifest").exists()).count();
        assert!(snapshots > 0 && all.len() == snapshots, "{snapshots}");
        for (number, (id, wanted)) in all.iter().enumerate() {
            let to = dir.path().join(format!("{number}"));
            let report = blank.restore(id, &to).await.unwrap();
            assert_eq!(report.failed, [], "{id}");
            assert_eq!(&describe(&to), wanted, "{id}");
            let database = rusqlite::Connection::open(to.join("workspace/data.sqlite")).unwrap();
            let rows: u32 =
                database.query_row("SELECT count(*) FROM notes", [], |row| row.get(0)).unwrap();
            assert!(rows >= 200, "{id}: {rows}");
        }
        let listed = blank.list().await.snapshots;
        assert_eq!(listed.len(), snapshots);
        assert!(listed.iter().all(|one| one.problem.is_none() && one.authenticated == sealed));
        let verified = blank.verify(true).await;
        assert_eq!(verified.problems, []);
        told.push(changes(&blank).await);
    }
    let [sealed, plain]: [Value; 2] = told.try_into().unwrap();
    (sealed, plain)
}

/// What opens it but its code is not known here. The first snapshot was made before the code.
#[tokio::test(flavor = "multi_thread")]
async fn a_repository_restores_with_its_recovery_code_alone() {
    let (dir, mut blank, expected) = beside("golden-recovery").await;
    let code = std::fs::read_to_string(golden("golden-recovery").join("code.txt")).unwrap();
    blank.settings.passphrase = None;
    let all = expected.as_object().unwrap();
    assert_eq!(all.len(), 2);
    for (number, (id, wanted)) in all.iter().enumerate() {
        let to = dir.path().join(format!("{number}"));
        blank.settings.recovery_code = None;
        assert_eq!(blank.restore(id, &to).await.unwrap_err().code(), "B2_WRONG_KEY");
        blank.settings.recovery_code = Some(Secret::new(code.clone()));
        assert_eq!(blank.restore(id, &to).await.unwrap().failed, [], "{id}");
        assert_eq!(&describe(&to), wanted, "{id}");
    }
    assert_eq!(blank.verify(true).await.problems, []);
}

/// Everything that a snapshot may say beside its files: a directory that is a link, a database as bytes with its log, a
/// root that was gone, a slot that was removed.
#[tokio::test(flavor = "multi_thread")]
async fn a_repository_with_links_remarks_and_removals_restores() {
    let (dir, blank, expected) = beside("golden-remarks").await;
    let all = expected["sealed"].as_object().unwrap();
    assert_eq!(all.len(), 2);
    let mut codes = Vec::new();
    for (number, (id, wanted)) in all.iter().enumerate() {
        let to = dir.path().join(format!("{number}"));
        let report = blank.restore(id, &to).await.unwrap();
        assert_eq!(report.failed, [], "{id}");
        assert_eq!(&describe(&to), wanted, "{id}");
        assert_eq!(std::fs::read(to.join("side/two.md")).unwrap(), b"on another disk\n");
        codes.push(report.remarks.into_iter().map(|remark| remark.code).collect::<Vec<_>>());
    }
    assert_eq!(codes, [vec!["B2_DATABASE_AS_BYTES"], vec!["B2_ROOT_GONE", "B2_DATABASE_AS_BYTES"]]);
    assert_eq!(blank.verify(true).await.problems, []);
    let keys = ops::keys(&blank.session().await).await.unwrap();
    let kinds: Vec<_> = keys.slots.iter().map(|slot| slot.kind).collect();
    assert_eq!(kinds, ["passphrase"], "the removed one is not shown");
    let removed = std::fs::read_dir(dir.path().join("bucket/p/keys")).unwrap().flatten();
    let removed = removed.filter(|it| it.path().extension().is_some_and(|it| it == "removed"));
    assert_eq!(removed.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_names_its_machine_restores() {
    let (dir, blank, all) = beside("golden-names").await;
    let (id, wanted) = all["sealed"].as_object().unwrap().iter().next().unwrap();
    let to = dir.path().join("to");
    assert_eq!(blank.restore(id, &to).await.unwrap().failed, []);
    assert_eq!(&describe(&to), wanted);
    let listed = blank.list().await.snapshots;
    let names: Vec<_> = listed.iter().map(|one| one.machine_name.as_deref()).collect();
    assert_eq!(names, [Some("Anna's laptop")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_tells_of_its_host_restores() {
    let (dir, blank, all) = beside("golden-hosts").await;
    for (id, wanted) in all["sealed"].as_object().unwrap() {
        let to = dir.path().join(id);
        assert_eq!(blank.restore(id, &to).await.unwrap().failed, []);
        assert_eq!(&describe(&to), wanted);
    }
    let listed = blank.list().await.snapshots;
    let told: Vec<_> =
        listed.iter().map(|one| (one.host_install.as_deref(), schemas(one))).collect();
    let first =
        vec![("agents/main/agent/openclaw-agent.sqlite", 41), ("state/openclaw.sqlite", 23)];
    let second =
        vec![("agents/main/agent/openclaw-agent.sqlite", 42), ("state/openclaw.sqlite", 23)];
    assert_eq!(told, [(Some("npm"), first), (Some("pnpm"), second)]);
}

fn schemas(snapshot: &ops::SnapshotInfo) -> Vec<(&str, i32)> {
    snapshot.host_schemas.iter().flatten().map(|one| (one.path.as_str(), one.version)).collect()
}

/// A clock that stands at a given second.
#[derive(Debug)]
struct Standing(SystemTime);

impl Clock for Standing {
    fn now(&self) -> SystemTime {
        self.0
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

fn put(path: &Path, content: &[u8], mode: u32, seconds: u64) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
    set_mode(path, mode);
    let time = UNIX_EPOCH + Duration::new(1_771_000_000 + seconds, 123_456_789);
    std::fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

fn fill(state: &Path) {
    let workspace = state.join("workspace");
    put(&state.join("openclaw.json"), b"{}\n", 0o600, 1);
    put(&workspace.join("notes.md"), "# Notes\nnaïve 日\n".as_bytes(), 0o644, 2);
    put(&workspace.join("bin/run.sh"), b"#!/bin/sh\nexit 0\n", 0o755, 3);
    put(&workspace.join("empty"), b"", 0o640, 4);
    put(&workspace.join(OsStr::from_bytes(b"odd\xff\n.bin")), &vec![0xff; 70_000], 0o600, 5);
    std::fs::create_dir(workspace.join("empty-dir")).unwrap();
    std::os::unix::fs::symlink("notes.md", workspace.join("link")).unwrap();
    std::os::unix::fs::symlink("/nowhere/at all", workspace.join("broken")).unwrap();
    put(&workspace.join("log.txt"), log(9000).as_bytes(), 0o644, 6);
    let database = rusqlite::Connection::open(workspace.join("data.sqlite")).unwrap();
    database.execute_batch("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)").unwrap();
    rows(&database, 200);
}

/// Compresses well, but no two chunks of it are equal.
fn log(lines: u32) -> String {
    let line = |n| format!("{n:06} the same words on every line\n");
    (0..lines).map(line).collect::<Vec<_>>().concat()
}

fn rows(database: &rusqlite::Connection, count: u32) {
    database.execute_batch("BEGIN").unwrap();
    for n in 0..count {
        let text = format!("note {n} {}", "words ".repeat(20));
        database.execute("INSERT INTO notes (text) VALUES (?1)", [text]).unwrap();
    }
    database.execute_batch("COMMIT").unwrap();
}

/// Pushes, restores on a blank machine, and says what came out, having made sure that it is what went in.
async fn snapshot(machine: &Machine, day: u64, reason: Reason) -> (String, Value) {
    let mut machine = machine.clone();
    machine.clock =
        Arc::new(Standing(UNIX_EPOCH + Duration::from_secs(1_771_459_200 + day * 86_400)));
    let report = ops::push(&machine.session().await, push_options(reason)).await.unwrap();
    assert_eq!(report.skipped, []);
    let id = report.snapshot.unwrap();
    let dir = tempdir().unwrap();
    let blank = machine.blank(dir.path().join("none"));
    let to = dir.path().join("to");
    assert_eq!(blank.restore(&id, &to).await.unwrap().failed, []);
    let restored = describe(&to);
    // A captured database counts its changes anew, so its bytes are its own.
    let but_database = |all: &Value| {
        let mut all = all.clone();
        for (path, one) in all.as_object_mut().unwrap() {
            if path.ends_with(".sqlite") {
                one.as_object_mut().unwrap().remove("sha256").unwrap();
            }
        }
        all
    };
    assert_eq!(but_database(&restored), but_database(&describe(&machine.settings.state_dir)));
    (id, restored)
}
