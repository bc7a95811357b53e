//! What a rollback moved away is in a snapshot before it goes.

use std::fs;
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use b2_backup::ambient::{FailPoints, NoFailPoints};
use b2_backup::ops::{self, Action, Keep, Outcome, PruneOptions};
use b2_backup::progress::{Event, Phase, Progress};

use super::trouble::Staged;
use super::{Place, applied, exactly, lines, settled, to};
use crate::support::host::{agent, databases, run, shared, value};
use crate::support::plain::{assert_same, broken, first_day, noise, write};

/// Files in `old/` of all rollbacks.
fn old(live: &Path) -> Vec<PathBuf> {
    let Ok(folders) = fs::read_dir(live.join("b2-backup/restore")) else { return vec![] };
    let inside = |folder: PathBuf| fs::read_dir(folder.join("old")).into_iter().flatten();
    folders.flat_map(|folder| inside(folder.unwrap().path())).map(|it| it.unwrap().path()).collect()
}

async fn snapshots(place: &Place) -> Vec<String> {
    let list = place.machine.list().await;
    list.snapshots.into_iter().map(|snapshot| snapshot.id).collect()
}

/// A state that is rolled back while the agent still writes: returns what the agent wrote last.
async fn late(place: &mut Place) -> crate::support::plain::Picture {
    first_day(&place.live);
    write(&place.live, "workspace/gone.md", "was there");
    let snapshot = place.push().await;
    write(&place.live, "workspace/MEMORY.md", "other");
    fs::remove_file(place.live.join("workspace/gone.md")).unwrap();
    write(&place.live, "workspace/new.md", "new");
    let (live, seen) = (place.live.clone(), place.dir.path().join("seen"));
    let copy = seen.clone();
    place.machine.steps = Staged::new(&place.live, move || {
        for (path, text) in [("MEMORY.md", "late"), ("gone.md", "late, too"), ("new.md", "later")] {
            fs::write(live.join("workspace").join(path), text).unwrap();
        }
        crate::support::plain::copy_all(&live, &copy);
    });
    let report = place.roll_back(&exactly(&snapshot)).await.unwrap();
    place.machine.steps = Arc::new(NoFailPoints);
    assert_eq!(report.outcome, Outcome::Applied);
    assert_eq!(report.late.len(), 3, "{report:?}");
    assert_eq!(old(&place.live).len(), 3);
    settled(&seen)
}

/// There is nothing in a pipe that could be lost: no push goes on telling that it is in no snapshot.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_in_the_place_of_a_file_does_not_stay_aside() {
    let place = Place::new();
    first_day(&place.live);
    write(&place.live, "workspace/a", "a file");
    let snapshot = place.push().await;
    let file = place.live.join("workspace/a");
    fs::remove_file(&file).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&file).status().unwrap().success());
    let report = place.roll_back(&to(&snapshot)).await.unwrap();
    assert_eq!(report.outcome, Outcome::Applied);
    assert_eq!(report.late, ["workspace/a"]);
    assert_eq!(fs::read(&file).unwrap(), b"a file");
    let told = place.machine.push().await.unwrap().warnings;
    assert!(!told.iter().any(|text| text.contains("could not be put into a snapshot")), "{told:?}");
    assert_eq!(old(&place.live), Vec::<PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_push_saves_what_came_late() {
    let mut place = Place::new();
    let was = late(&mut place).await;
    let before = snapshots(&place).await;
    let pushed = place.machine.push().await.unwrap();
    let made: Vec<String> =
        snapshots(&place).await.into_iter().filter(|id| !before.contains(id)).collect();
    let safety = made.iter().find(|id| id.starts_with("safety-")).unwrap();
    let told = pushed.warnings.join("\n");
    for path in [safety.as_str(), "workspace/MEMORY.md", "workspace/gone.md", "workspace/new.md"] {
        assert!(told.contains(path), "{path} in {told}");
    }
    assert_eq!(old(&place.live), Vec::<PathBuf>::new());
    let restored = place.dir.path().join("restored");
    place.machine.restore(safety, &restored).await.unwrap();
    assert_same(&settled(&restored), &was, "right before the rollback");
    // And an undo goes by it.
    applied(&place.undo().await.unwrap());
    assert_same(&settled(&place.live), &was, "undone");
    assert_eq!(place.machine.push().await.unwrap().warnings, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_brings_back_what_came_late() {
    let mut place = Place::new();
    let was = late(&mut place).await;
    applied(&place.undo().await.unwrap());
    assert_same(&settled(&place.live), &was, "undone");
}

/// A safety snapshot that is lost before it was uploaded is made up for.
#[tokio::test(flavor = "multi_thread")]
async fn all_of_it_is_saved_where_the_bucket_was_emptied() {
    let mut place = Place::new();
    let was = late(&mut place).await;
    for key in place.store.objects().into_keys() {
        place.store.raw_remove(&key);
    }
    let pushed = place.machine.push_to_new_bucket().await.unwrap();
    let safety = snapshots(&place).await.into_iter().find(|id| id.starts_with("safety-"));
    let restored = place.dir.path().join("restored");
    place.machine.restore(&safety.unwrap(), &restored).await.unwrap();
    let found = settled(&restored);
    for path in [&b"workspace/MEMORY.md"[..], b"workspace/gone.md", b"workspace/new.md"] {
        assert_eq!(found[path].content, was[path].content, "{pushed:?}");
    }
}

/// Where nothing came late there is nothing to save, of databases neither.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn nothing_came_late() {
    let place = Place::new();
    first_day(&place.live);
    databases(&place.live);
    write(&place.live, "openclaw.json", "{}");
    std::os::unix::fs::symlink("then", place.live.join("workspace/to")).unwrap();
    let snapshot = place.push().await;
    write(&place.live, "workspace/MEMORY.md", "other");
    write(&place.live, "openclaw.json", "{ agents: {} }");
    fs::remove_file(place.live.join("workspace/to")).unwrap();
    std::os::unix::fs::symlink("now", place.live.join("workspace/to")).unwrap();
    run(&shared(&place.live), "DELETE FROM cron_jobs");
    applied(&place.roll_back(&to(&snapshot)).await.unwrap());
    assert!(old(&place.live).len() >= 4);
    let before = snapshots(&place).await.len();
    let pushed = place.machine.push().await.unwrap();
    assert_eq!((snapshots(&place).await.len(), &pushed.warnings[..]), (before + 1, &[][..]));
    assert_eq!(old(&place.live), Vec::<PathBuf>::new());
    applied(&place.undo().await.unwrap());
    assert_eq!(value(&shared(&place.live), "SELECT count(*) FROM cron_jobs"), "0");
    assert_eq!(fs::read_to_string(place.live.join("workspace/MEMORY.md")).unwrap(), "other");
}

/// A state with a file and a database that are rolled back, and nothing that came late.
async fn rolled_back() -> Place {
    let place = Place::new();
    first_day(&place.live);
    databases(&place.live);
    let snapshot = place.push().await;
    write(&place.live, "workspace/MEMORY.md", "other");
    run(&shared(&place.live), "DELETE FROM cron_jobs");
    applied(&place.roll_back(&to(&snapshot)).await.unwrap());
    assert_eq!(old(&place.live).len(), 2);
    place
}

/// What was set aside is in the snapshot that an undo goes by.
async fn assert_saved(place: &Place) {
    place.machine.push().await.unwrap();
    assert_eq!(old(&place.live), Vec::<PathBuf>::new());
    applied(&place.undo().await.unwrap());
    assert_eq!(fs::read_to_string(place.live.join("workspace/MEMORY.md")).unwrap(), "other");
    assert_eq!(value(&shared(&place.live), "SELECT count(*) FROM cron_jobs"), "0");
}

/// Settings that came with the restart have everything read again: what was set aside, where it is.
#[tokio::test(flavor = "multi_thread")]
async fn all_is_read_again_with_other_settings() {
    let mut place = rolled_back().await;
    place.machine.settings.exclude = vec!["workspace/none-of-that-name".into()];
    assert_saved(&place).await;
}

/// What lies in a pack that cannot be read is stored again: what was set aside, from where it is.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_damaged_pack_held_is_read_again() {
    let place = rolled_back().await;
    for (key, bytes) in place.store.objects() {
        if key.contains("packs/") {
            let mut bytes = bytes.to_vec();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            place.store.raw_replace(&key, bytes);
        }
    }
    let report = place.machine.verify(true).await;
    assert!(!report.problems.is_empty());
    assert_saved(&place).await;
}

/// A root more than the newest snapshot has: nothing of it is known to be the same.
#[tokio::test(flavor = "multi_thread")]
async fn all_is_read_again_where_a_root_was_set_aside() {
    let place = Place::new();
    first_day(&place.live);
    let elsewhere = place.dir.path().join("elsewhere");
    write(&elsewhere, "note.md", "then");
    write(
        &place.live,
        "openclaw.json",
        format!("{{ agents: {{ defaults: {{ workspace: {elsewhere:?} }} }} }}"),
    );
    let snapshot = place.push().await;
    write(&place.live, "workspace/MEMORY.md", "other");
    write(&place.live, "openclaw.json", "{}");
    write(&elsewhere, "note.md", "other note");
    let report = place.roll_back(&to(&snapshot)).await.unwrap();
    assert_eq!(report.outcome, Outcome::Applied, "{report:?}");
    place.machine.push().await.unwrap();
    assert_eq!(old(&place.live), Vec::<PathBuf>::new());
    place.undo().await.unwrap();
    assert_eq!(fs::read_to_string(place.live.join("workspace/MEMORY.md")).unwrap(), "other");
}

/// Bytes that were read since the state was last looked at.
#[derive(Debug, Default)]
struct Read(std::sync::Mutex<u64>);

impl Progress for Read {
    fn report(&self, event: Event) {
        let mut read = self.0.lock().unwrap();
        match event.phase {
            Phase::Scan => *read = 0,
            Phase::Capture => *read = event.done_bytes,
            _ => {}
        }
    }
}

/// What may have been written again and look the same is read again, also where a push saved what was set aside first.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_young_is_read_again() {
    let mut place = Place::new();
    let young = place.live.join("workspace/young.bin");
    write(&place.live, "workspace/young.bin", noise(4, 300_000));
    let soon = SystemTime::now() + Duration::from_mins(30);
    fs::File::open(&young).unwrap().set_modified(soon).unwrap();
    late(&mut place).await;
    place.machine.clock = crate::support::clock::TestClock::ahead(3600);
    let read = Arc::new(Read::default());
    place.machine.progress = read.clone();
    let pushed = place.machine.push().await.unwrap();
    assert!(pushed.snapshot.is_some(), "{pushed:?}");
    let read = *read.0.lock().unwrap();
    assert!(read > 300_000, "{read}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_database_that_was_replaced() {
    let place = Place::new();
    first_day(&place.live);
    let database = place.live.join("memory/notes.sqlite");
    fs::create_dir_all(database.parent().unwrap()).unwrap();
    run(&database, "CREATE TABLE t(x); INSERT INTO t VALUES ('then')");
    let snapshot = place.push().await;
    fs::write(&database, broken(1)).unwrap();
    let report = place.roll_back(&to(&snapshot)).await.unwrap();
    assert_eq!(
        (report.outcome, value(&database, "SELECT x FROM t")),
        (Outcome::Applied, "then".into())
    );
    let plan = ops::plan_undo(&place.machine.session().await).await.unwrap();
    assert_eq!(plan.count(Action::Keep), 1, "{:?}", lines(&plan));
    place.machine.push().await.unwrap();
    assert_eq!(old(&place.live), Vec::<PathBuf>::new());
    let saved = snapshots(&place).await.into_iter().filter(|id| id.starts_with("safety-"));
    let mut found = Vec::new();
    for id in saved {
        let restored = place.dir.path().join(&id);
        place.machine.restore(&id, &restored).await.unwrap();
        found.extend(fs::read(restored.join("memory/notes.sqlite")));
    }
    assert_eq!(found, [broken(1)], "it is in a snapshot, bit for bit");
}

/// One that SQLite cannot read is nothing without its log: they stay together.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_database_stays_with_its_log() {
    let place = Place::new();
    first_day(&place.live);
    let snapshot = place.push().await;
    write(&place.live, "memory/notes.sqlite", broken(1));
    write(&place.live, "memory/notes.sqlite-wal", noise(3, 5000));
    place.roll_back(&exactly(&snapshot)).await.unwrap();
    let files = || old(&place.live).into_iter().filter(|path| path.is_file()).count();
    // Those two, and what SQLite put beside them.
    assert!(files() >= 2);
    let told = place.machine.push().await.unwrap().warnings.join("\n");
    assert!(told.contains("stays in") && told.contains("-wal.old, memory/notes.sqlite."), "{told}");
    assert_eq!(files(), 2);
}

/// What somebody keeps locked is not copied without its log.
#[tokio::test(flavor = "multi_thread")]
async fn a_busy_database_that_was_replaced_stays() {
    let mut place = Place::new();
    first_day(&place.live);
    let database = place.live.join("memory/notes.sqlite");
    fs::create_dir_all(database.parent().unwrap()).unwrap();
    run(&database, "CREATE TABLE t(x); INSERT INTO t VALUES ('then')");
    let snapshot = place.push().await;
    run(&database, "UPDATE t SET x = 'now'");
    place.roll_back(&to(&snapshot)).await.unwrap();
    let [aside] = &old(&place.live)[..] else { panic!("one database") };
    let db = rusqlite::Connection::open(aside).unwrap();
    db.execute_batch("UPDATE t SET x = 'late'; BEGIN EXCLUSIVE; UPDATE t SET x = 'later'").unwrap();
    place.machine.clock = crate::support::clock::TestClock::ahead(0);
    let told = place.machine.push().await.unwrap().warnings.join("\n");
    assert!(told.contains("stays in") && told.contains("memory/notes.sqlite"), "{told}");
    assert!(aside.exists());
}

/// One that may hold secrets goes into no snapshot that anyone can read, and so it stays.
#[tokio::test(flavor = "multi_thread")]
async fn what_no_snapshot_may_have_stays() {
    let place = Place::new();
    databases(&place.live);
    let snapshot = place.push().await;
    let database = agent(&place.live, "main");
    fs::write(&database, broken(2)).unwrap();
    place.roll_back(&to(&snapshot)).await.unwrap();
    place.machine.push().await.unwrap();
    for text in ["one", "two"] {
        write(&place.live, "workspace/note.md", text);
        let before = snapshots(&place).await.len();
        let pushed = place.machine.push().await.unwrap();
        let told = pushed.warnings.join("\n");
        assert!(told.contains("openclaw-agent.sqlite") && told.contains("stays in"), "{told}");
        assert_eq!(snapshots(&place).await.len(), before + 1);
        let kept = old(&place.live);
        assert_eq!(kept.len(), 1, "{kept:?}");
        assert_eq!(fs::read(&kept[0]).unwrap(), broken(2));
    }
}

/// No room for anything as long as there is something in `old/`.
#[derive(Debug)]
struct Full(PathBuf);

impl FailPoints for Full {
    fn step(&self, name: &'static str) -> std::io::Result<()> {
        if name == "write" && !old(&self.0).is_empty() {
            return Err(Error::from(ErrorKind::StorageFull));
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_cleared_by_the_push() {
    let mut place = Place::new();
    first_day(&place.live);
    databases(&place.live);
    write(&place.live, "workspace/large.bin", noise(1, 300_000));
    let snapshot = place.push().await;
    write(&place.live, "workspace/large.bin", noise(2, 300_000));
    run(&shared(&place.live), "DELETE FROM cron_jobs");
    applied(&place.roll_back(&to(&snapshot)).await.unwrap());
    assert_eq!(old(&place.live).len(), 2);
    place.machine.steps = Arc::new(Full(place.live.clone()));
    let pushed = place.machine.push().await.unwrap();
    assert!(pushed.snapshot.is_some(), "{pushed:?}");
    assert_eq!(old(&place.live), Vec::<PathBuf>::new());
}

/// Nothing had changed since the newest snapshot, so that is what an undo needs.
#[tokio::test(flavor = "multi_thread")]
async fn pruning_keeps_what_an_undo_needs() {
    let place = Place::new();
    first_day(&place.live);
    let snapshot = place.push().await;
    write(&place.live, "workspace/MEMORY.md", "other");
    let newest = place.push().await;
    let now = settled(&place.live);
    let report = place.roll_back(&to(&snapshot)).await.unwrap();
    assert_eq!(report.safety.as_ref(), Some(&newest));
    for text in ["1", "2", "3"] {
        write(&place.live, "workspace/later.md", text);
        place.push().await;
    }
    fs::remove_file(place.live.join("workspace/later.md")).unwrap();
    let keep = Keep::new(1, 0, 0).unwrap();
    let options = PruneOptions { keep, dry_run: false, more_than_half: true, wait: Duration::ZERO };
    let pruned = ops::prune(&place.machine.session().await, options).await.unwrap();
    let kept = pruned.snapshots.iter().find(|snapshot| snapshot.id == newest).unwrap();
    assert_eq!(kept.reasons, ["undo"]);
    applied(&place.undo().await.unwrap());
    assert_same(&settled(&place.live), &now, "undone");
}
