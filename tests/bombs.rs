//! Small objects that ask for much: in a plain repository, where whoever can write can make them, and nothing but the
//! bounds of docs/format.md stands between them and this machine's memory.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers may panic as the tests do"
)]
#![expect(clippy::clone_on_ref_ptr, reason = "a store becomes a `dyn` store on the way")]

mod support;

use std::path::Path;
use std::sync::Arc;

use b2_backup::chunk::compress;
use b2_backup::crypto::{Domain, RepoKey};
use b2_backup::format::{Header, MachineId, Manifest, ObjectKind, RepositoryId, SnapshotId};
use b2_backup::ops::{self, ShowOptions};
use b2_backup::store::memory::MemoryStore;
use minicbor::Encoder;
use tempfile::{TempDir, tempdir};

use crate::support::forge::{CONTENT, directory, file, forge, run, tree};
use crate::support::machine::Machine;
use crate::support::{campaign, peak};

#[global_allocator]
static ALLOCATOR: peak::Counting = peak::Counting;

/// What a manifest, and everything in it, may take.
const MANIFEST_BYTES: usize = 512 << 20;
/// What a tree of 512 MiB may take while it is read and compared, and all its entries with it.
const TREE_BYTES: usize = 3 << 30;

struct Place {
    dir: TempDir,
    machine: Machine,
    store: Arc<MemoryStore>,
}

impl Place {
    fn new() -> Self {
        let dir = tempdir().unwrap();
        let store = Arc::new(MemoryStore::default());
        let mut machine = Machine::new(&dir.path().join("state"), store.clone());
        std::fs::create_dir(&machine.settings.state_dir).unwrap();
        machine.settings.encrypt = false;
        Self { dir, machine, store }
    }

    fn live(&self) -> &Path {
        &self.machine.settings.state_dir
    }

    /// Puts a manifest whose body is a compressed part of this content.
    fn plant(&self, body: &[u8]) -> String {
        let count = i64::try_from(self.store.objects().len()).unwrap();
        let id = SnapshotId::new(1_800_000_000 + count, MachineId([3; 4]), false);
        let repository = RepositoryId([1; 16]);
        let (cipher, commitment) = RepoKey::Plain.object("manifest", &repository.0, &[5; 32]);
        let header = Header::new(ObjectKind::Manifest, false, repository, [5; 32], commitment);
        let mut object = Manifest::encode_clear(&header, &[]);
        let context = [&object[..], id.object().as_bytes()].concat();
        let start = object.len();
        object.extend_from_slice(body);
        cipher.seal(Domain::Manifest, 0, &context, &mut object, start).unwrap();
        assert!(object.len() < 1 << 20, "a bomb is small: {}", object.len());
        self.store.raw_replace(&id.object(), object);
        id.to_string()
    }

    /// How a restore ends, and the most memory that it, `list` and `show` took.
    async fn peak(&self, snapshot: &str) -> (Result<(), &'static str>, usize) {
        let session = self.machine.session().await;
        let before = peak::start();
        let show =
            ShowOptions { snapshot: snapshot.into(), path: None, allow_unauthenticated: false };
        let shown = ops::show(&session, &show).await.map(drop).map_err(|error| error.code());
        drop(ops::list(&session).await.unwrap());
        let to = self.dir.path().join(snapshot);
        let restored = self.machine.restore(snapshot, &to).await;
        let restored = restored.map(drop).map_err(|error| error.code());
        assert_eq!(shown.is_err(), restored.is_err(), "{snapshot}");
        (restored, peak::highest() - before)
    }
}

/// A compressed part that says it gives so many bytes, and gives `content`.
fn part(length: usize, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(length).unwrap().to_le_bytes();
    match compress(content) {
        Some(small) => [&length[..], &[1], &small].concat(),
        None => [&length[..], &[0], content].concat(),
    }
}

/// The body of a manifest in which one list, that of key `field`, has `count` elements.
fn body(field: u8, count: usize, element: &[u8]) -> Vec<u8> {
    let list = |e: &mut Encoder<Vec<u8>>, here: bool| {
        e.array(if here { count as u64 } else { 0 }).unwrap();
        if here {
            e.writer_mut().extend_from_slice(&element.repeat(count));
        }
    };
    let mut e = Encoder::new(Vec::new());
    e.map(12).unwrap();
    e.u8(0).unwrap().u8(1).unwrap().u8(2).unwrap().u8(0).unwrap();
    e.u8(3).unwrap().u8(0).unwrap().u8(4).unwrap().u8(0).unwrap();
    e.u8(6).unwrap().str("0").unwrap().u8(7).unwrap().bool(false).unwrap();
    e.u8(8).unwrap();
    list(&mut e, field == 8);
    e.u8(9).unwrap().map(4).unwrap();
    for key in 0..4 {
        e.u8(key).unwrap().u8(0).unwrap();
    }
    e.u8(10).unwrap();
    list(&mut e, field == 10);
    e.u8(11).unwrap().map(4).unwrap().u8(0).unwrap().u8(0).unwrap();
    e.u8(1).unwrap().bytes(&[0; 32]).unwrap().u8(2).unwrap();
    list(&mut e, field == 102);
    e.u8(3).unwrap();
    list(&mut e, field == 103);
    e.u8(12).unwrap();
    list(&mut e, field == 12);
    e.into_writer()
}

/// One test, one after the other: the allocator counts for the whole process.
#[tokio::test(flavor = "multi_thread")]
async fn small_objects_that_ask_for_much() {
    manifests().await;
    trees().await;
    content().await;
}

async fn manifests() {
    let place = Place::new();
    // The smallest element of each list: roots, packs, runs of the tree, its tails, remarks.
    let pack = [&[0x85, 0, 0x50][..], &[7; 16], &[0, 0, 0]].concat();
    let elements: [(u8, &[u8]); 5] = [
        (8, &[0xa2, 0, 0, 1, 0x40]),
        (10, &pack),
        (102, &[0x84, 0, 0, 0, 0]),
        (103, &[0x82, 0, 0]),
        (12, &[0xa3, 0, 0x60, 1, 0x60, 2, 0x60]),
    ];
    // A quarter of a gigabyte is far beyond the bound, and slow to make.
    let sizes = if campaign::full() { vec![60 << 20, 255 << 20] } else { vec![16 << 20] };
    for (field, element) in elements {
        for bytes in sizes.clone() {
            let body = body(field, bytes / element.len(), element);
            let snapshot = place.plant(&part(body.len(), &body));
            drop(body);
            let (restored, peak) = place.peak(&snapshot).await;
            // Few large ones may be a manifest; then it is what it names that is not there.
            assert!(restored.is_err(), "{field} {bytes}");
            assert!(peak < MANIFEST_BYTES, "{field} {bytes}: {} MiB", peak >> 20);
        }
        // With few it is a manifest like any other.
        let few = body(field, 1, element);
        let snapshot = place.plant(&part(few.len(), &few));
        let (restored, _) = place.peak(&snapshot).await;
        assert!(restored.is_err() || field != 12, "{field}");
    }
    let zeros = vec![0; 64 << 20];
    for (what, bomb) in [
        ("zeros", part(zeros.len(), &zeros)),
        ("more than it says", part(5, &zeros)),
        ("less than it says", part(60 << 20, &zeros[..5000])),
        ("4 GiB", part(u32::MAX as usize, &zeros)),
        ("nested", part(60 << 20, &[0x81].repeat(60 << 20))),
        ("a list without end", part(60 << 20, &[0x9f].repeat(60 << 20))),
        ("a list that says 2^64", part(9, &[0x9b, 255, 255, 255, 255, 255, 255, 255, 255])),
    ] {
        let snapshot = place.plant(&bomb);
        let (restored, peak) = place.peak(&snapshot).await;
        assert_eq!(restored, Err("B2_DAMAGED"), "{what}");
        assert!(peak < MANIFEST_BYTES, "{what}: {} MiB", peak >> 20);
    }
}

async fn trees() {
    let place = Place::new();
    let run_of_tree = |_: &mut Manifest| {};
    // Ten million entries take long to make.
    if campaign::full() {
        let mut many = Vec::new();
        for number in 0..10_000_000 {
            directory(&format!("{number:08x}")).encode(&mut many);
        }
        let snapshot = forge(&place.store, place.live(), &many, &run_of_tree);
        drop(many);
        let (restored, peak) = place.peak(&snapshot).await;
        assert_eq!(restored, Err("B2_DAMAGED"));
        assert!(peak < TREE_BYTES, "entries: {} MiB", peak >> 20);
    }
    // One file of so many runs.
    let mut runs = tree(&[file("a")]);
    let one = minicbor::to_vec(run(CONTENT.len() as u64)).unwrap();
    let at = runs.windows(one.len()).position(|part| part == one).unwrap();
    runs.truncate(at - 1);
    let count = usize::try_from(campaign::cases(13_000_000, 60_000_000)).unwrap();
    Encoder::new(&mut runs).array(count as u64).unwrap();
    runs.extend(one.repeat(count));
    runs.extend_from_slice(&[0, 0x40]);
    let snapshot = forge(&place.store, place.live(), &runs, &run_of_tree);
    drop(runs);
    let (restored, peak) = place.peak(&snapshot).await;
    assert_eq!(restored, Err("B2_DAMAGED"));
    assert!(peak < TREE_BYTES, "runs: {} MiB", peak >> 20);
}

/// A file that says it is larger than any disk, made of one piece again and again: refused, or ended by what there is,
/// before anything much is written.
async fn content() {
    let place = Place::new();
    let mut entry = file("a");
    let count = 1_000_000;
    entry.runs = vec![run(CONTENT.len() as u64); count];
    entry.size = (CONTENT.len() * count) as u64;
    let snapshot = forge(&place.store, place.live(), &tree(&[entry]), &|_| {});
    let to = place.dir.path().join("to");
    let before = peak::start();
    let report = place.machine.restore(&snapshot, &to).await;
    let peak = peak::highest() - before;
    assert!(report.is_err() || !report.unwrap().failed.is_empty());
    assert!(peak < MANIFEST_BYTES, "{} MiB", peak >> 20);
}
