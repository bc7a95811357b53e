//! Packs of which little is used are left, without a snapshot that nothing else asks for.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use b2_backup::cpu::CpuPool;
use b2_backup::format::{Manifest, Reason, SnapshotId};
use b2_backup::ops::{self, Keep, PruneOptions, PushReport};
use b2_backup::repo::{KeyRing, Secrets, Snapshot};
use b2_backup::store::memory::{MemoryStore, Operation};
use tempfile::{TempDir, tempdir};

use crate::support::calendar::{Calendar, DAY};
use crate::support::machine::{Machine, push_options};
use crate::support::plain::{assert_same, noise, picture, write};
use crate::support::system::set_mode;

const FILE: usize = 100_000;

struct Place {
    _dir: TempDir,
    machine: Machine,
    store: Arc<MemoryStore>,
    clock: Arc<Calendar>,
}

impl Place {
    fn new() -> Self {
        let dir = tempdir().unwrap();
        let live = dir.path().join("state");
        fs::create_dir(&live).unwrap();
        let clock = Calendar::start();
        let store = Arc::new(MemoryStore::new(clock.clone()));
        let mut machine = Machine::new(&live, store.clone());
        machine.settings.encrypt = false;
        machine.clock = clock.clone();
        Self { _dir: dir, machine, store, clock }
    }

    fn live(&self) -> &Path {
        &self.machine.settings.state_dir
    }

    fn file(&self, number: u64, seed: u64) {
        write(self.live(), &format!("workspace/{number}.md"), noise(number * 1000 + seed, FILE));
    }

    async fn push(&self, reason: Reason) -> PushReport {
        self.clock.pass(60);
        ops::push(&self.machine.session().await, push_options(reason)).await.unwrap()
    }

    async fn manifest(&self, snapshot: &str) -> Manifest {
        let ring = KeyRing::new(Secrets::default(), CpuPool::new(1).unwrap());
        let object = self.store.raw_read(&format!("{snapshot}/manifest")).unwrap();
        let id = SnapshotId::parse(snapshot).unwrap();
        Snapshot::open(&ring, &id, &object).await.unwrap().manifest
    }

    async fn packs(&self, snapshot: &str) -> BTreeSet<u32> {
        self.manifest(snapshot).await.packs.iter().map(|pack| pack.number).collect()
    }

    async fn comes_back(&self, snapshot: &str) {
        let dir = tempdir().unwrap();
        let to = dir.path().join("to");
        let blank = self.machine.blank(dir.path().join("blank"));
        assert_eq!(blank.restore(snapshot, &to).await.unwrap().failed, []);
        assert_same(&picture(&to), &picture(self.live()), snapshot);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pack_of_which_little_is_left() {
    let place = Place::new();
    (0..10).for_each(|number| place.file(number, 0));
    let first = place.push(Reason::Manual).await.snapshot.unwrap();
    assert_eq!(place.packs(&first).await, BTreeSet::from([0]));
    // Half of it goes: it stays in use.
    (0..5).for_each(|number| place.file(number, 1));
    let second = place.push(Reason::Scheduled).await;
    assert!(second.uploaded_bytes < 6 * FILE as u64, "{}", second.uploaded_bytes);
    assert!(place.packs(&second.snapshot.unwrap()).await.contains(&0));
    // A quarter is left: what is left moves out, and nothing else.
    (5..8).for_each(|number| place.file(number, 1));
    let third = place.push(Reason::Scheduled).await;
    assert!(third.uploaded_bytes > 5 * FILE as u64 && third.uploaded_bytes < 6 * FILE as u64);
    let third = third.snapshot.unwrap();
    assert!(!place.packs(&third).await.contains(&0));
    place.comes_back(&third).await;
    // For people, the files that moved are not what changed.
    let changes = place.manifest(&third).await.changes.unwrap();
    assert_eq!((changes.changed, changes.most.len()), (3, 3));

    // It dies with the last snapshot that names it.
    let before = place.store.objects().len();
    let options = PruneOptions {
        keep: Keep::new(1, 0, 0).unwrap(),
        dry_run: false,
        more_than_half: true,
        wait: Duration::ZERO,
    };
    ops::prune(&place.machine.session().await, options).await.unwrap();
    place.clock.pass(DAY);
    let report = ops::prune(&place.machine.session().await, options).await.unwrap();
    assert_eq!((report.deleted_packs, place.store.objects().len()), (1, before - 3));
    assert!(report.freed_bytes > 9 * FILE as u64);
    place.comes_back(&third).await;
    assert_eq!(place.machine.verify(true).await.problems, []);
    assert_eq!(place.push(Reason::Manual).await.snapshot, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn alone_it_is_no_reason_for_a_snapshot() {
    let place = Place::new();
    (0..10).for_each(|number| place.file(number, 0));
    place.push(Reason::Manual).await;
    (0..9).for_each(|number| place.file(number, 1));
    // A hook has no time for it.
    for reason in [Reason::Compaction, Reason::Reset, Reason::Shutdown] {
        place.file(0, 7 + reason as u64);
        let hook = place.push(reason).await.snapshot.unwrap();
        assert!(place.packs(&hook).await.contains(&0), "{reason:?}");
    }
    // Files that have to be read, and say what they said.
    for path in ["workspace/9.md", "workspace/3.md"] {
        for mode in [0o600, 0o644] {
            set_mode(&place.live().join(path), mode);
        }
    }
    for _ in 0..2 {
        place.store.clear_calls();
        let report = place.push(Reason::Scheduled).await;
        assert_eq!(report.snapshot, None);
        let puts = place.store.calls().into_iter().filter(|call| call.operation == Operation::Put);
        assert_eq!(puts.count(), 0);
    }
    write(place.live(), "workspace/new.md", "new");
    let next = place.push(Reason::Scheduled).await.snapshot.unwrap();
    assert!(!place.packs(&next).await.contains(&0));
    place.comes_back(&next).await;
}

/// Every push makes a small pack: they do not pile up, and are not moved again and again.
#[tokio::test(flavor = "multi_thread")]
async fn small_packs_are_put_together() {
    let place = Place::new();
    let (mut most, mut sent, mut last) = (0, 0, String::new());
    for day in 0..200 {
        write(place.live(), &format!("workspace/day-{day}.md"), noise(day, 3000));
        let report = place.push(Reason::Scheduled).await;
        sent += report.uploaded_bytes;
        last = report.snapshot.unwrap();
        most = most.max(place.packs(&last).await.len());
    }
    assert!((60..=66).contains(&most), "{most}");
    place.comes_back(&last).await;
    let stored = place.manifest(&last).await.packs.iter().map(|pack| pack.bytes).sum::<u64>();
    let alone: u64 = 200 * 3000;
    assert!(stored < alone * 2, "{stored}");
    // What every push sends anyway (tree, footer, manifest) is the larger part.
    assert!(sent < alone * 12, "{sent}");
}

/// Writes a file as soon as some others are read.
#[derive(Debug)]
struct Meanwhile(PathBuf, Vec<u8>);

impl b2_backup::progress::Progress for Meanwhile {
    fn report(&self, event: b2_backup::progress::Event) {
        if event.phase == b2_backup::progress::Phase::Capture && event.done_files >= 3 {
            fs::write(&self.0, &self.1).unwrap();
        }
    }
}

/// A database that SQLite cannot read is nothing without its log: neither is taken as it is now without the other.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_together_is_not_read_again_alone() {
    let mut place = Place::new();
    let broken = |seed| [b"SQLite format 3\0", &noise(seed, 5000)[..]].concat();
    write(place.live(), "memory/notes.sqlite", broken(1));
    write(place.live(), "memory/notes.sqlite-wal", noise(2, 5000));
    (0..10).for_each(|number| place.file(number, 0));
    place.push(Reason::Manual).await;
    let then = picture(&place.live().join("memory"));
    (0..9).for_each(|number| place.file(number, 1));
    let database = place.live().join("memory/notes.sqlite");
    place.machine.progress = Arc::new(Meanwhile(database, broken(3)));
    let snapshot = place.push(Reason::Manual).await.snapshot.unwrap();
    let to = tempdir().unwrap();
    place.machine.restore(&snapshot, to.path()).await.unwrap();
    let [then, restored] = [then, picture(&to.path().join("memory"))].map(|files| {
        let saved = files.into_iter().filter(|(path, _)| !path.ends_with(b"-shm"));
        saved.map(|(path, file)| (path, file.content)).collect::<Vec<_>>()
    });
    assert_eq!(restored, then);
}
