//! What a snapshot says is new in it.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use b2_backup::format::Reason;
use b2_backup::ops::{self, SnapshotChanges, SnapshotInfo};
use b2_backup::store::memory::MemoryStore;

use crate::support::cut::{CutStore, How};
use crate::support::machine::{Machine, push_options};
use crate::support::plain::{noise, write};
use crate::support::plain_machine::plain_machine;
#[cfg(unix)]
use crate::support::system::set_mode;

async fn newest(machine: &Machine) -> SnapshotInfo {
    machine.list().await.snapshots.pop().unwrap()
}

/// Pushes, and says what is new in the snapshot.
async fn pushed(machine: &Machine) -> Option<SnapshotChanges> {
    let id = machine.push().await.unwrap().snapshot.unwrap();
    let newest = newest(machine).await;
    assert_eq!(newest.id, id);
    newest.changes
}

fn pack_bytes(store: &MemoryStore) -> u64 {
    let objects = store.objects();
    let packs = objects.iter().filter(|(key, _)| key.starts_with("packs/"));
    packs.map(|(key, _)| store.raw_read(key).unwrap().len() as u64).sum()
}

fn most(changes: &SnapshotChanges) -> Vec<(&str, u64)> {
    changes.most.iter().map(|one| (one.path.as_str(), one.bytes)).collect()
}

/// A safety snapshot is never `latest`: what it alone has goes into another, also where nothing has changed since.
#[tokio::test(flavor = "multi_thread")]
async fn what_only_a_safety_snapshot_has_gets_another() {
    let (dir, machine, _store) = plain_machine();
    machine.push().await.unwrap();
    write(&machine.settings.state_dir, "workspace/MEMORY.md", "since then\n");
    let session = machine.session().await;
    let safety = ops::push(&session, push_options(Reason::Safety)).await.unwrap().snapshot.unwrap();
    drop(session);
    assert!(safety.starts_with("safety-"));

    let regular = machine.push().await.unwrap().snapshot.unwrap();
    assert_eq!(machine.push().await.unwrap().snapshot, None, "once is enough");
    let (to, blank) = (dir.path().join("to"), machine.blank(dir.path().join("blank")));
    assert_eq!(blank.restore("latest", &to).await.unwrap().snapshot, regular);
    assert_eq!(fs::read(to.join("workspace/MEMORY.md")).unwrap(), b"since then\n");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_change_is_counted() {
    let (_dir, machine, store) = plain_machine();
    let live = machine.settings.state_dir.clone();
    assert_eq!(pushed(&machine).await, None, "the first is compared with nothing");
    let stored = pack_bytes(&store);

    write(&live, "workspace/new/a.bin", noise(7, 40_000));
    write(&live, "workspace/copy of a.bin", noise(7, 40_000));
    write(&live, "workspace/MEMORY.md", "# Memory\n- second day\n");
    set_mode(&live.join("workspace/notes/same.md"), 0o600);
    set_mode(&live.join("workspace/empty"), 0o700);
    fs::remove_file(live.join("agents/main/sessions/one.jsonl")).unwrap();
    fs::remove_file(live.join("workspace/link")).unwrap();
    std::os::unix::fs::symlink("MEMORY.md", live.join("workspace/link")).unwrap();
    let touched = fs::File::options().write(true).open(live.join("openclaw.json")).unwrap();
    touched.set_modified(std::time::UNIX_EPOCH).unwrap();

    let changes = pushed(&machine).await.unwrap();
    // Not the new directory, the touched file, nor the directory with another mode.
    assert_eq!((changes.added, changes.changed, changes.removed), (2, 3, 1), "{changes:?}");
    assert_eq!(changes.stored_bytes, pack_bytes(&store) - stored);
    assert_eq!(
        most(&changes),
        [
            ("workspace/copy of a.bin", 40_000),
            ("workspace/new/a.bin", 40_000),
            ("workspace/MEMORY.md", 22)
        ]
    );
    assert_eq!(newest(&machine).await.changes.unwrap(), changes, "also when it is read again");

    fs::remove_file(live.join("workspace/new/a.bin")).unwrap();
    fs::create_dir(live.join("workspace/new/a.bin")).unwrap();
    let changes = pushed(&machine).await.unwrap();
    assert_eq!((changes.added, changes.changed, changes.removed), (0, 1, 0), "a kind is changed");
    assert_eq!(changes.most, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_new_chunks_count_and_only_the_five_with_most() {
    let (_dir, machine, _store) = plain_machine();
    let live = machine.settings.state_dir.clone();
    write(&live, "workspace/large.bin", noise(1, 3_000_000));
    machine.push().await.unwrap();
    let mut large = noise(1, 3_000_000);
    large.extend(noise(2, 100));
    write(&live, "workspace/large.bin", &large);
    for number in 1..=7_u64 {
        // Shorter than any last chunk of the large one, wherever the key has it cut.
        let length = usize::try_from(number).unwrap() * 10;
        write(&live, &format!("workspace/{number}.bin"), noise(10 + number, length));
    }
    let changes = pushed(&machine).await.unwrap();
    assert_eq!((changes.added, changes.changed, changes.removed), (7, 1, 0));
    let most = most(&changes);
    assert_eq!(most[0].0, "workspace/large.bin");
    assert!((100..300_000).contains(&most[0].1), "its last chunk: {}", most[0].1);
    let names: Vec<&str> = most[1..].iter().map(|(path, _)| *path).collect();
    assert_eq!(names, [7, 6, 5, 4].map(|n| format!("workspace/{n}.bin")));
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn roots_that_come_and_go_and_names_that_are_no_text() {
    use std::os::unix::ffi::OsStrExt as _;
    let (dir, machine, _store) = plain_machine();
    let live = machine.settings.state_dir.clone();
    let base = dir.path().canonicalize().unwrap();
    let configure = |names: &[&str]| {
        let list: Vec<String> = names
            .iter()
            .map(|name| format!("{{ id: '{name}', workspace: '{}/{name}' }}", base.display()))
            .collect();
        write(&live, "openclaw.json", format!("{{ agents: {{ list: [{}] }} }}", list.join(", ")));
    };
    for name in ["b", "c"] {
        write(&base, &format!("{name}/note.md"), noise(3, 500));
    }
    configure(&["b", "c"]);
    machine.push().await.unwrap();
    // A root before the others moves them all in the tree: that is no change of theirs.
    write(&base, "a/new.md", noise(4, 2000));
    fs::write(base.join("a").join(std::ffi::OsStr::from_bytes(b"\xff.md")), noise(5, 1000))
        .unwrap();
    fs::write(base.join("c/note.md"), noise(6, 700)).unwrap();
    configure(&["a", "b", "c"]);
    let changes = pushed(&machine).await.unwrap();
    assert_eq!((changes.added, changes.changed, changes.removed), (2, 2, 0), "{changes:?}");
    let path = |name: &str| base.join(name).display().to_string();
    let named: Vec<String> = changes.most.iter().map(|one| one.path.clone()).collect();
    let wanted = [path("a/new.md"), path("a/\\xff.md"), path("c/note.md"), "openclaw.json".into()];
    assert_eq!(named, wanted);
    configure(&["c"]);
    let changes = pushed(&machine).await.unwrap();
    assert_eq!((changes.added, changes.changed, changes.removed), (0, 1, 3), "{changes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_known_is_not_said() {
    let (_dir, machine, store) = plain_machine();
    let live = machine.settings.state_dir.clone();
    let first = machine.push().await.unwrap().snapshot.unwrap();
    // The bucket lost it: everything is stored again.
    store.raw_remove(&format!("{first}/manifest"));
    write(&live, "workspace/a.md", "a");
    assert_eq!(pushed(&machine).await, None);
    // The memory of what the files were is lost.
    for repository in fs::read_dir(live.join("b2-backup/repositories")).unwrap() {
        fs::remove_file(repository.unwrap().path().join("files")).unwrap();
    }
    write(&live, "workspace/b.md", "b");
    assert_eq!(pushed(&machine).await, None);
    write(&live, "workspace/c.md", "c");
    assert_eq!(pushed(&machine).await.unwrap().added, 1);
}

/// What an interrupted push has stored already is new in the snapshot that uses it.
#[tokio::test(flavor = "multi_thread")]
async fn packs_of_an_interrupted_push_count() {
    let (_dir, machine, store) = plain_machine();
    let live = machine.settings.state_dir.clone();
    machine.push().await.unwrap();
    let stored = pack_bytes(&store);
    // Several packs, of which the second is cut off while others are still made.
    write(&live, "workspace/large.bin", noise(9, 60 << 20));
    let inner = Arc::clone(&store);
    let cut = CutStore::new(inner, 3, How::FailBefore);
    let through = Arc::clone(&cut);
    machine.through(through).push().await.unwrap_err();
    assert!(cut.was_reached());
    assert!(pack_bytes(&store) > stored, "one got there");
    write(&live, "workspace/a.md", "changed since");
    let changes = pushed(&machine).await.unwrap();
    assert_eq!(changes.added, 2);
    assert_eq!(most(&changes)[0], ("workspace/large.bin", 60 << 20));
    assert_eq!(changes.stored_bytes, pack_bytes(&store) - stored);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_not_readable_in_the_bucket() {
    let (_dir, mut machine, store) = plain_machine();
    machine.settings.encrypt = true;
    machine.push().await.unwrap();
    let name = "workspace/planted-name-4711.md";
    write(&machine.settings.state_dir, name, noise(1, 9000));
    assert_eq!(pushed(&machine).await.unwrap().most[0].path, name);
    for key in store.objects().keys() {
        let bytes = store.raw_read(key).unwrap();
        assert!(!bytes.windows(12).any(|part| part == b"planted-name"), "{key}");
    }
    let blank = machine.blank(Path::new("/nonexistent").join("state"));
    assert_eq!(newest(&blank).await.changes.unwrap().added, 1, "a blank machine knows it, too");
}
