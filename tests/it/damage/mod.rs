//! Damage of every kind, to every kind of object: it is found and named, it costs what was in it and nothing
//! else, and nothing wrong is ever written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use b2_backup::ops::{self, Reading, RestoreReport, Session, VerifyOptions, VerifyReport};
use b2_backup::repo::{KeyRing, PackIndex, Secrets, Snapshot, read};
use b2_backup::store::memory::MemoryStore;
use bytes::Bytes;
use tempfile::{TempDir, tempdir};

mod forged;
mod healed;

use crate::support::machine;
use crate::support::machine::Machine;
use crate::support::plain::{Picture, assert_same, first_day, next_day, noise, picture, write};

/// Two snapshots in a bucket, and a blank machine that has the passphrase.
struct Repository {
    dir: TempDir,
    machine: Machine,
    store: Arc<MemoryStore>,
    days: Vec<(String, Picture)>,
    session: Session,
    /// Each pack, and what it holds.
    packs: BTreeMap<String, Pack>,
    /// Numbers the directories that are restored into.
    restores: std::cell::Cell<u32>,
}

struct Pack {
    index: PackIndex,
    footer_bytes: usize,
    /// Days with entries in it.
    entries: BTreeSet<usize>,
}

impl Repository {
    /// A small pack for each day.
    async fn new() -> Self {
        Self::with_large_files(0).await
    }

    /// With files of 2 MB on the first day: from nine on they fill a pack of their own.
    async fn with_large_files(large: u64) -> Self {
        let dir = tempdir().unwrap();
        let live = dir.path().join("state");
        first_day(&live);
        for number in 0..large {
            write(&live, &format!("workspace/large/{number}"), noise(number, 2 << 20));
        }
        let store = Arc::new(MemoryStore::default());
        let machine = Machine::new(&live, store.clone());
        let mut days = Vec::new();
        for day in 1..=2 {
            let snapshot = machine.push().await.unwrap().snapshot.unwrap();
            days.push((snapshot, picture(&live)));
            next_day(&live, day);
        }
        let secrets =
            Secrets { passphrase: machine.settings.passphrase.clone(), ..Secrets::default() };
        let ring = KeyRing::new(secrets, machine.ambient().cpu).below("p", None);
        let mut packs = BTreeMap::new();
        for (day, (id, _)) in days.iter().enumerate() {
            let id = id.as_str().try_into().unwrap();
            let snapshot = read(&*store, &ring, &id).await.unwrap();
            for reference in &snapshot.manifest.packs {
                let name = reference.name.object(id.machine);
                let index = open_pack(&store, &snapshot, reference);
                let footer_bytes = reference.footer_bytes as usize;
                let pack = Pack { index, footer_bytes, entries: BTreeSet::new() };
                packs.entry(name).or_insert(pack).entries.insert(day);
            }
        }
        let session = machine.blank(dir.path().join("blank")).session().await;
        let restores = std::cell::Cell::new(0);
        Self { dir, machine, store, days, session, packs, restores }
    }

    async fn verify(&self, read_data: bool) -> VerifyReport {
        ops::verify(
            &self.session,
            VerifyOptions { reading: if read_data { Reading::All } else { Reading::Structure } },
        )
        .await
        .unwrap()
    }

    /// Restores a snapshot. Whatever is there afterwards must be right, and what is not there must be named.
    async fn restore(&self, day: usize, what: &str) -> Result<RestoreReport, &'static str> {
        let (snapshot, expected) = &self.days[day];
        self.restores.set(self.restores.get() + 1);
        let to = self.dir.path().join(format!("to-{}", self.restores.get()));
        let restored = machine::restore_with(&self.session, snapshot, &to).await;
        let found = picture(&to);
        std::fs::remove_dir_all(&to).unwrap();
        match restored {
            Ok(report) => {
                let mut expected = expected.clone();
                for failed in &report.failed {
                    assert!(["B2_DAMAGED", "B2_OBJECT_MISSING"].contains(&failed.code.as_str()));
                    let lost = expected.remove(failed.path.as_bytes());
                    assert!(lost.is_some(), "{what}: {failed:?} was never there");
                }
                assert_same(&found, &expected, what);
                Ok(report)
            }
            Err(error) => {
                assert_eq!(found, Picture::new(), "{what}: {error}");
                Err(error.code())
            }
        }
    }

    fn manifest(&self, day: usize) -> String {
        format!("{}/manifest", self.days[day].0)
    }

    /// Puts the bucket into a state.
    fn put_back(&self, objects: &BTreeMap<String, Bytes>) {
        for name in self.store.objects().keys().filter(|name| !objects.contains_key(*name)) {
            self.store.raw_remove(name);
        }
        for (name, body) in objects {
            self.store.raw_replace(name, body.clone());
        }
    }
}

fn open_pack(
    store: &MemoryStore,
    snapshot: &Snapshot,
    reference: &b2_backup::format::PackRef,
) -> PackIndex {
    let bytes = store.raw_read(&reference.name.object(snapshot.id.machine)).unwrap();
    let tail = &bytes[bytes.len() - reference.footer_bytes as usize..];
    let (key, machine) = (&snapshot.key, snapshot.id.machine);
    PackIndex::open(key, snapshot.repository, machine, reference, tail).unwrap()
}

/// `None` deletes the object.
type Damage = (&'static str, Option<Vec<u8>>);

fn cuts(body: &Bytes) -> Vec<Damage> {
    let cut = |length: usize| Some(body[..length].to_vec());
    let longer = [&body[..], b"x"].concat();
    vec![
        ("deleted", None),
        ("emptied", cut(0)),
        ("cut to a header", cut(96)),
        ("cut in half", cut(body.len() / 2)),
        ("a byte short", cut(body.len() - 1)),
        ("a byte longer", Some(longer)),
    ]
}

fn flipped(body: &Bytes, at: usize) -> Vec<u8> {
    let mut bytes = body.to_vec();
    // Not a bit that makes one known version of another.
    bytes[at] ^= 4;
    bytes
}

/// Bits that make one known version of another.
fn other_versions(body: &Bytes) -> [(&'static str, usize, Vec<u8>); 2] {
    [("another known version", 8), ("readable by another known version", 9)].map(|(what, at)| {
        let mut bytes = body.to_vec();
        bytes[at] ^= 1;
        assert!([2, 3].contains(&bytes[at]), "{what}: {}", bytes[at]);
        (what, at, bytes)
    })
}

/// The places of a header.
const HEADER: [(&str, usize); 7] = [
    ("magic", 0),
    ("version", 8),
    ("readable by", 9),
    ("kind", 10),
    ("flags", 11),
    ("repository", 20),
    ("salt", 40),
];

#[tokio::test(flavor = "multi_thread")]
async fn packs() {
    let repository = Repository::new().await;
    let whole = repository.store.objects();
    assert_eq!(repository.packs.len(), 2);
    assert_eq!(repository.verify(true).await.problems, []);
    for (name, pack) in &repository.packs {
        let body = &whole[name];
        for (damage, bytes) in cuts(body) {
            let what = format!("{name} {damage}");
            let mut objects = whole.clone();
            match bytes {
                Some(bytes) => objects.insert(name.clone(), bytes.into()),
                None => objects.remove(name),
            };
            repository.put_back(&objects);
            // What is missing shows without reading content.
            assert_named(&repository.verify(false).await, name, &what);
            for day in 0..2 {
                let restored = repository.restore(day, &what).await;
                let harmed = pack.entries.contains(&day) && damage != "a byte longer";
                match restored {
                    Ok(report) => assert_eq!(!report.failed.is_empty(), harmed, "{what}"),
                    // The pack held a part of the tree.
                    Err(code) => {
                        assert!(harmed, "{what}");
                        assert!(
                            ["B2_DAMAGED", "B2_OBJECT_MISSING"].contains(&code),
                            "{what} {code}"
                        );
                    }
                }
            }
        }
        let footer = body.len() - pack.footer_bytes;
        let header = HEADER.iter().chain(&[("commitment", 80)]).copied();
        let places = header.chain([
            ("first frame", 100),
            ("middle", body.len() / 2),
            ("footer", footer + 3),
            ("copy of the header", body.len() - 60),
            ("trailing length", body.len() - 1),
        ]);
        let flips = places.map(|(place, at)| (place, at, flipped(body, at)));
        for (place, at, bytes) in flips.chain(other_versions(body)) {
            let what = format!("{name}, a bit in {place}");
            let mut objects = whole.clone();
            objects.insert(name.clone(), bytes.into());
            repository.put_back(&objects);
            assert_named(&repository.verify(true).await, name, &what);
            for day in 0..2 {
                let restored = repository.restore(day, &what).await;
                if at < 96 || !pack.entries.contains(&day) {
                    // The footer has a copy of the header: nothing is lost with it.
                    assert_eq!(restored.map(|report| report.failed), Ok(vec![]), "{what}");
                } else if let Err(code) = restored {
                    assert_eq!(code, "B2_DAMAGED", "{what}");
                }
            }
        }
    }
    repository.put_back(&whole);
    assert_eq!(repository.verify(true).await.problems, []);
}

/// Damage to a pack of files costs the files in it, and no others.
#[tokio::test(flavor = "multi_thread")]
async fn a_pack_of_files() {
    let repository = Repository::with_large_files(9).await;
    let whole = repository.store.objects();
    assert_eq!(repository.packs.len(), 3);
    let (name, pack) = repository.packs.iter().max_by_key(|(name, _)| whole[*name].len()).unwrap();
    let body = &whole[name];
    let footer = flipped(body, body.len() - pack.footer_bytes + 3);
    let half = body[..body.len() / 2].to_vec();
    for (damage, bytes) in [("deleted", None), ("cut", Some(half)), ("footer", Some(footer))] {
        match bytes {
            Some(bytes) => repository.store.raw_replace(name, bytes),
            None => assert!(repository.store.raw_remove(name)),
        }
        let verified = repository.verify(false).await;
        let found = assert_named(&verified, name, damage);
        for day in 0..2 {
            let report = repository.restore(day, damage).await.unwrap();
            let lost: BTreeSet<&String> = report.failed.iter().map(|lost| &lost.path).collect();
            assert!((8..15).contains(&lost.len()), "{damage}: {lost:?}");
            assert!(!lost.contains(&"workspace/large/8".to_owned()), "it is in another pack");
            assert!(lost.iter().all(|path| found.paths.contains(path)), "{damage}");
        }
        assert_eq!(found.snapshots.len(), 2);
    }
}

/// A bit in one frame costs the files of that frame, by name, and no others.
#[tokio::test(flavor = "multi_thread")]
async fn one_frame() {
    let repository = Repository::new().await;
    let whole = repository.store.objects();
    let mut lost_files = BTreeSet::new();
    for (name, pack) in &repository.packs {
        for frame in 0..pack.index.footer().frames.len() {
            let (offset, _, _) = pack.index.frame(frame).unwrap();
            let what = format!("{name}, frame {frame}");
            let at = usize::try_from(offset).unwrap() + 1;
            repository.store.raw_replace(name, flipped(&whole[name], at));
            // Frames of the tree cost the snapshot; frames of the other day's files cost this one nothing.
            let Ok(report) = repository.restore(0, &what).await else { continue };
            if report.failed.is_empty() {
                continue;
            }
            // Two files may have the same content.
            assert!((1..=2).contains(&report.failed.len()), "{what}: {:?}", report.failed);
            let verified = repository.verify(true).await;
            let found = assert_named(&verified, name, &what);
            let named = |lost: &ops::FileProblem| found.paths.contains(&lost.path);
            assert!(report.failed.iter().all(named), "{what}");
            assert!(found.snapshots.contains(&repository.days[0].0), "{what}");
            lost_files.extend(report.failed.into_iter().map(|failed| failed.path));
        }
        repository.store.raw_replace(name, whole[name].clone());
    }
    assert_eq!(lost_files.len(), 5, "each file has its own frames: {lost_files:?}");
}

#[track_caller]
fn assert_named<'r>(report: &'r VerifyReport, object: &str, what: &str) -> &'r ops::VerifyProblem {
    let named = report.problems.iter().find(|problem| problem.object == object);
    assert!(named.is_some(), "{what}: {:?}", report.problems);
    named.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn manifests() {
    let repository = Repository::new().await;
    let whole = repository.store.objects();
    for day in 0..2 {
        let name = repository.manifest(day);
        let body = &whole[&name];
        let header = HEADER.iter().chain(&[("commitment", 80)]).copied();
        let flips =
            header.chain([("slots", 130), ("middle", body.len() / 2), ("end", body.len() - 1)]);
        let flips = flips.map(|(place, at)| (place, Some(flipped(body, at))));
        let versions = other_versions(body).map(|(place, _, bytes)| (place, Some(bytes)));
        for (damage, bytes) in cuts(body).into_iter().chain(flips).chain(versions) {
            let what = format!("{name}: {damage}");
            let mut objects = whole.clone();
            let deleted = bytes.is_none();
            match bytes {
                Some(bytes) => objects.insert(name.clone(), bytes.into()),
                None => objects.remove(&name),
            };
            repository.put_back(&objects);
            let expected = match damage {
                // Nothing in the bucket tells that there was one; the machine itself knows.
                "deleted" => "B2_SNAPSHOT_NOT_FOUND",
                "readable by" => "B2_VERSION",
                "repository" => "B2_WRONG_KEY",
                _ => "B2_DAMAGED",
            };
            if deleted {
                let verified = repository.machine.verify(false).await;
                let problem = assert_named(&verified, &name, &what);
                assert_eq!(problem.code, "B2_OBJECT_MISSING", "{what}");
            } else {
                let verified = repository.verify(false).await;
                assert_eq!(assert_named(&verified, &name, &what).code, expected, "{what}");
            }
            assert_eq!(repository.restore(day, &what).await.unwrap_err(), expected, "{what}");
            let other = repository.restore(1 - day, &what).await;
            assert_eq!(other.map(|report| report.failed), Ok(vec![]), "{what}");
        }
        repository.put_back(&whole);
    }
}

/// Manifests hold a copy of the key slots, so that a lost slot locks nobody out.
#[tokio::test(flavor = "multi_thread")]
async fn key_slots() {
    let repository = Repository::new().await;
    let whole = repository.store.objects();
    let name = whole.keys().find(|key| key.starts_with("keys/")).unwrap();
    let body = &whole[name];
    let (short, flip) = (body[..body.len() - 1].to_vec(), flipped(body, body.len() - 1));
    for (number, bytes) in [None, Some(vec![]), Some(short), Some(flip)].into_iter().enumerate() {
        match bytes {
            Some(bytes) => repository.store.raw_replace(name, bytes),
            None => assert!(repository.store.raw_remove(name)),
        }
        // A changed seal shows to who remembers it; else only when the slot is opened, which takes the secret and a
        // third of a second.
        let names = |report: VerifyReport| {
            report.problems.iter().any(|problem| problem.object.starts_with("keys/"))
        };
        assert!(names(repository.machine.verify(false).await), "slot damage {number}");
        assert_eq!(names(repository.verify(false).await), number < 3, "slot damage {number}");
        let blank = repository.machine.blank(repository.dir.path().join("other"));
        let to = repository.dir.path().join(format!("slot-{number}"));
        assert_eq!(blank.restore("latest", &to).await.unwrap().failed, []);
        assert_same(&picture(&to), &repository.days[1].1, "without its slot");
    }
    // The machine itself goes on, too.
    assert!(repository.machine.push().await.unwrap().snapshot.is_some());
}
