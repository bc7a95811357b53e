//! What rollbacks of wild states (`tests/oracle`) found.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::Arc;

use b2_backup::ambient::NoFailPoints;
use rusqlite::Connection;

use super::trouble::Staged;
use super::{Place, applied, exactly, to};
use crate::support::host::{run, value};
use crate::support::plain::{first_day, write};

fn bits(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_bits(path: &Path, bits: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(bits)).unwrap();
}

/// A database is written into, and is still the file that it was in the snapshot: one that others may read.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_gets_its_permission_bits_back() {
    let place = Place::new();
    first_day(&place.live);
    let database = place.live.join("memory/shared.sqlite");
    fs::create_dir_all(database.parent().unwrap()).unwrap();
    run(&database, "CREATE TABLE t(x); INSERT INTO t VALUES ('then')");
    set_bits(&database, 0o644);
    let snapshot = place.push().await;
    run(&database, "UPDATE t SET x = 'now'");
    set_bits(&database, 0o640);
    applied(&place.roll_back(&to(&snapshot)).await.unwrap());
    assert_eq!((value(&database, "SELECT x FROM t"), bits(&database)), ("then".into(), 0o644));
    applied(&place.undo().await.unwrap());
    assert_eq!((value(&database, "SELECT x FROM t"), bits(&database)), ("now".into(), 0o640));
    fs::remove_file(&database).unwrap();
    applied(&place.roll_back(&to(&snapshot)).await.unwrap());
    assert_eq!((value(&database, "SELECT x FROM t"), bits(&database)), ("then".into(), 0o644));
}

/// The snapshot of what a rollback set aside has a link, and not what it leads to.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_was_set_aside_is_still_named() {
    let mut place = Place::new();
    first_day(&place.live);
    let snapshot = place.push().await;
    let outside = place.dir.path().join("outside.md");
    fs::write(&outside, "outside of everything").unwrap();
    symlink(&outside, place.live.join("workspace/far")).unwrap();
    write(&place.live, "workspace/MEMORY.md", "other");
    let memory = place.live.join("workspace/MEMORY.md");
    place.machine.steps =
        Staged::new(&place.live, move || fs::write(&memory, "written late").unwrap());
    place.roll_back(&exactly(&snapshot)).await.unwrap();
    place.machine.steps = Arc::new(NoFailPoints);
    place.machine.push().await.unwrap();
    let listed = place.machine.list().await.snapshots;
    let safety: Vec<_> = listed.iter().filter(|info| info.id.starts_with("safety-")).collect();
    assert_eq!(safety.len(), 2, "one before the rollback, and one with what came late");
    for info in safety {
        let told: Vec<_> = info.remarks.iter().map(|it| (&*it.path, &*it.code)).collect();
        assert_eq!(told, [("workspace/far", "B2_SKIPPED_LINK")], "{}", info.id);
    }
}

/// A link that somebody made between staging and the moves is in no snapshot but the one of what was set aside.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_arrives_late_is_named() {
    let mut place = Place::new();
    first_day(&place.live);
    let snapshot = place.push().await;
    let outside = place.dir.path().join("outside.md");
    fs::write(&outside, "outside of everything").unwrap();
    write(&place.live, "workspace/MEMORY.md", "other");
    let memory = place.live.join("workspace/MEMORY.md");
    let target = outside.clone();
    place.machine.steps = Staged::new(&place.live, move || {
        fs::remove_file(&memory).unwrap();
        symlink(&target, &memory).unwrap();
    });
    place.roll_back(&exactly(&snapshot)).await.unwrap();
    place.machine.steps = Arc::new(NoFailPoints);
    place.machine.push().await.unwrap();
    let listed = place.machine.list().await.snapshots;
    let last = listed.iter().rfind(|info| info.id.starts_with("safety-")).unwrap();
    let told: Vec<_> = last.remarks.iter().map(|it| (&*it.path, &*it.code)).collect();
    assert_eq!(told, [("workspace/MEMORY.md", "B2_SKIPPED_LINK")]);
    let to = place.dir.path().join("to");
    place.machine.restore(&last.id, &to).await.unwrap();
    assert_eq!(fs::read_link(to.join("workspace/MEMORY.md")).unwrap(), outside);
}

/// A name of 250 bytes has no room for the names of its logs.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_whose_name_leaves_no_room_for_logs_comes_back() {
    let place = Place::new();
    first_day(&place.live);
    let database = place.live.join("memory").join("n".repeat(250));
    let put = |value: &str| {
        let made = place.dir.path().join("made.sqlite");
        let _none = fs::remove_file(&made);
        run(&made, &format!("CREATE TABLE t(x); INSERT INTO t VALUES ('{value}')"));
        fs::create_dir_all(database.parent().unwrap()).unwrap();
        fs::rename(&made, &database).unwrap();
    };
    let value_there = || {
        let copy = place.dir.path().join("copy.sqlite");
        fs::copy(&database, &copy).unwrap();
        value(&copy, "SELECT x FROM t")
    };
    put("then");
    let snapshot = place.push().await;
    put("now");
    applied(&place.roll_back(&to(&snapshot)).await.unwrap());
    assert_eq!(value_there(), "then");
    applied(&place.undo().await.unwrap());
    assert_eq!(value_there(), "now");
    fs::remove_file(&database).unwrap();
    applied(&place.roll_back(&to(&snapshot)).await.unwrap());
    assert_eq!(value_there(), "then");
}

/// With a name of 251 bytes it has room for a log, and none for a journal: SQLite works with it all the same, so it is
/// written into, and nothing is moved away under whoever has it open.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_with_a_log_and_no_room_for_a_journal_is_written_into() {
    let place = Place::new();
    first_day(&place.live);
    let memory = place.live.join("memory");
    fs::create_dir_all(&memory).unwrap();
    let name = "n".repeat(251);
    let (database, log) = (memory.join(&name), memory.join(format!("{name}-wal")));
    // Somebody has it open: what he wrote last is in the log alone.
    let made = place.dir.path().join("made.sqlite");
    run(&made, "PRAGMA journal_mode = WAL; CREATE TABLE t(x); INSERT INTO t VALUES ('at first')");
    let user = Connection::open(&made).unwrap();
    let write = |value: &str| {
        user.execute("UPDATE t SET x = ?1", [value]).unwrap();
        fs::copy(&made, &database).unwrap();
        fs::copy(place.dir.path().join("made.sqlite-wal"), &log).unwrap();
    };
    let said = || value(&database, "SELECT x FROM t");
    write("then");
    let snapshot = place.push().await;
    write("now");
    let inode = || fs::metadata(&database).unwrap().ino();
    let before = inode();
    applied(&place.roll_back(&to(&snapshot)).await.unwrap());
    assert_eq!((said(), inode()), ("then".into(), before));
    applied(&place.undo().await.unwrap());
    assert_eq!((said(), inode()), ("now".into(), before));
    let left: Vec<_> = fs::read_dir(&memory).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert!(!left.iter().any(|it| it.to_string_lossy().ends_with(".old")), "{left:?}");
}
