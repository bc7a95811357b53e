//! That what is stored can be read: sampling over time, healing what was found damaged, and trial restores.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use b2_backup::error::{Error, Result};
use b2_backup::ops::{self, DrillReport, Reading, StatusReport, VerifyOptions, VerifyReport};
use b2_backup::secret::Secret;
use b2_backup::store::memory::{MemoryStore, Operation};

use crate::support::clock::TestClock;
use crate::support::machine::Machine;
use crate::support::plain::{assert_same, next_day, noise, picture, write};
use crate::support::plain_machine::plain_machine;
use crate::support::system::set_mode;

fn live(machine: &Machine) -> &Path {
    &machine.settings.state_dir
}

async fn push(machine: &Machine) -> String {
    machine.push().await.unwrap().snapshot.unwrap()
}

async fn drill(machine: &Machine) -> Result<DrillReport> {
    ops::drill(&machine.session().await).await
}

async fn status(machine: &Machine) -> StatusReport {
    ops::status(&machine.session().await).await.unwrap()
}

async fn sample(machine: &Machine, percent: u8) -> VerifyReport {
    machine.verify_with(Reading::Sample { percent }).await
}

fn packs(store: &MemoryStore) -> BTreeSet<String> {
    store.objects().into_keys().filter(|key| key.starts_with("packs/")).collect()
}

/// Packs of which more was read than a footer.
fn read_in_whole(store: &MemoryStore) -> BTreeSet<String> {
    let objects = store.objects();
    let whole =
        |key: &String, bytes: u64| objects.get(key).is_some_and(|it| it.len() as u64 == bytes);
    store
        .calls()
        .into_iter()
        .filter(|call| call.operation == Operation::GetRange && call.key.starts_with("packs/"))
        .filter(|call| whole(&call.key, call.bytes))
        .map(|call| call.key)
        .collect()
}

fn flip(store: &MemoryStore, key: &str, at: usize) {
    let mut bytes = store.raw_read(key).unwrap().to_vec();
    bytes[at] ^= 1;
    store.raw_replace(key, bytes);
}

/// Six packs of more than a megabyte, which are not fetched whole for their footer.
async fn with_packs(machine: &Machine) {
    for day in 0..6 {
        write(live(machine), &format!("workspace/large/{day}"), noise(day, 1_500_000));
        push(machine).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_read_everything_in_turn() {
    let (_dir, machine, store) = plain_machine();
    with_packs(&machine).await;
    let all = packs(&store);
    assert_eq!(all.len(), 6);
    let mut seen = BTreeSet::new();
    for week in 1..=6 {
        let later = Machine { clock: TestClock::ahead(week * 7 * 24 * 3600), ..machine.clone() };
        store.clear_calls();
        let report = sample(&later, 15).await;
        assert_eq!(report.problems, []);
        assert_eq!((report.snapshots, report.packs), (6, 6));
        assert!(report.read_bytes >= report.bytes * 15 / 100, "{report:?}");
        assert!(report.read_bytes <= report.bytes * 35 / 100, "{report:?}");
        let read = read_in_whole(&store);
        assert!(!read.is_empty() && read.len() <= 2, "{read:?}");
        seen.extend(read);
    }
    assert_eq!(seen, all, "after seven times 15 per cent at the latest");
    // And again from the beginning.
    let later = Machine { clock: TestClock::ahead(60 * 24 * 3600), ..machine.clone() };
    assert!(sample(&later, 15).await.read_bytes > 0);
    assert_eq!(sample(&later, 100).await.read_bytes, sample(&later, 100).await.bytes);
}

const WEEK: i64 = 7 * 24 * 3600;

async fn due(machine: &Machine, weeks: u32, most_bytes: u64) -> VerifyReport {
    machine.verify_with(Reading::Due { weeks, most_bytes }).await
}

/// The same by the week, while the state changes and the bucket grows.
#[tokio::test(flavor = "multi_thread")]
async fn every_live_byte_is_read_within_so_many_weeks() {
    let (_dir, machine, store) = plain_machine();
    with_packs(&machine).await;
    let first = packs(&store);
    let mut seen = BTreeSet::new();
    for week in 1..=3 {
        let later = Machine { clock: TestClock::ahead(week * WEEK), ..machine.clone() };
        let number = u64::try_from(week).unwrap();
        write(live(&machine), &format!("workspace/later/{week}"), noise(40 + number, 1_500_000));
        push(&later).await;
        store.clear_calls();
        let report = due(&later, 3, u64::MAX).await;
        assert_eq!(report.problems, []);
        assert!(report.read_bytes <= report.bytes * 2 / 3, "{report:?}");
        seen.extend(read_in_whole(&store));
    }
    assert!(first.is_subset(&seen), "{first:?} {seen:?}");
    let bounded = Machine { clock: TestClock::ahead(4 * WEEK), ..machine.clone() };
    assert!(due(&bounded, 1, 2_000_000).await.read_bytes <= 3_500_000);
    assert_eq!(due(&bounded, 1, 2_000_000).await.read_bytes, 0, "the week's bytes are spent");
}

/// Cancels when so many packs have been looked at.
#[derive(Debug)]
struct CutAfter(u64, tokio_util::sync::CancellationToken);

impl b2_backup::progress::Progress for CutAfter {
    fn report(&self, event: b2_backup::progress::Event) {
        if event.phase == b2_backup::progress::Phase::Verify && event.done_files >= self.0 {
            self.1.cancel();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_cut_off_goes_on_where_it_was() {
    let (_dir, machine, store) = plain_machine();
    with_packs(&machine).await;
    let mut seen = 0;
    let mut turns = 0;
    loop {
        turns += 1;
        store.clear_calls();
        let cancel = tokio_util::sync::CancellationToken::new();
        let progress = Arc::new(CutAfter(2, cancel.clone()));
        let cut = Machine { cancel, progress, ..machine.clone() };
        let options = VerifyOptions { reading: Reading::Due { weeks: 1, most_bytes: u64::MAX } };
        let done = ops::verify(&cut.session().await, options).await;
        let read = read_in_whole(&store).len();
        seen += read;
        match done {
            Err(error) => assert_eq!(error.code(), "B2_CANCELLED"),
            Ok(report) => assert_eq!(report.problems, []),
        }
        if read == 0 {
            break;
        }
    }
    assert!(turns > 2, "{turns}");
    // Those that were on their way when it was cut off are read once more.
    assert!((6..=6 + 2 * turns).contains(&seen), "{seen} packs in {turns} turns");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_is_of_this_machine_alone() {
    let (_dir, machine, _store) = plain_machine();
    let (_other_dir, other, _) = plain_machine();
    let other = Machine { settings: other.settings, ..machine.clone() };
    push(&machine).await;
    next_day(live(&other), 1);
    push(&other).await;
    assert_eq!(sample(&machine, 100).await.snapshots, 1);
    assert_eq!(machine.verify_with(Reading::All).await.snapshots, 2);
    let blank = machine.blank(live(&machine).with_file_name("blank"));
    assert_eq!(
        sample(&blank, 100).await.snapshots,
        2,
        "a machine that stored nothing looks at all"
    );
    assert!(!live(&blank).exists(), "reading must not create a state directory");
}

/// Bits rot. What is still here is stored again by the next push, though no file has changed.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_found_damaged_is_stored_again() {
    let (dir, machine, store) = plain_machine();
    with_packs(&machine).await;
    let state = picture(live(&machine));
    let victim = packs(&store).into_iter().next().unwrap();
    flip(&store, &victim, 100_000);
    // Nobody knows yet.
    assert_eq!(machine.push().await.unwrap().snapshot, None);
    let report = sample(&machine, 100).await;
    assert_eq!(report.problems.len(), 1, "{report:?}");
    assert_eq!(status(&machine).await.damaged_packs, 1);
    assert!(status(&machine).await.warnings.iter().any(|warning| warning.contains("damaged")));

    let healed = push(&machine).await;
    store.raw_remove(&victim);
    let to = dir.path().join("restored");
    let blank = machine.blank(dir.path().join("blank"));
    let restored = blank.restore(&healed, &to).await.unwrap();
    assert_eq!(restored.failed, []);
    assert_same(&picture(&to), &state, "healed");
    assert_eq!(machine.push().await.unwrap().snapshot, None, "once is enough");
    // The older snapshots still need it, which stays known and named.
    assert_eq!(sample(&machine, 1).await.problems.len(), 1);
    assert_eq!(status(&machine).await.damaged_packs, 1);
}

#[derive(Debug)]
struct FullDisk;

impl b2_backup::ambient::FailPoints for FullDisk {
    fn step(&self, _name: &'static str) -> std::io::Result<()> {
        Err(std::io::ErrorKind::StorageFull.into())
    }
}

/// What is wrong with the bucket is said although it cannot be noted; that all is well is not.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_hides_no_damage() {
    let (_dir, mut machine, store) = plain_machine();
    with_packs(&machine).await;
    machine.steps = Arc::new(FullDisk);
    let all = VerifyOptions { reading: Reading::All };
    let error = ops::verify(&machine.session().await, all).await.unwrap_err();
    assert_eq!(error.code(), "B2_DISK_FULL");
    let pack = packs(&store).pop_last().unwrap();
    flip(&store, &pack, 200);
    let report = machine.verify(true).await;
    assert!(report.problems.iter().any(|problem| problem.object == pack), "{:?}", report.problems);
}

/// Makes a second snapshot that is new in nothing but the mode of a file, and damages the pack that holds its tree.
#[cfg(unix)]
async fn damage_the_tree(machine: &Machine, store: &MemoryStore) {
    push(machine).await;
    let before = packs(store);
    let file = live(machine).join("workspace/MEMORY.md");
    set_mode(&file, 0o600);
    push(machine).await;
    let now = packs(store);
    let new: Vec<_> = now.difference(&before).collect();
    assert_eq!(new.len(), 1);
    flip(store, new[0], 100);
}

/// A pack that holds nothing but the tree.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_tree_is_stored_again() {
    let (dir, machine, store) = plain_machine();
    damage_the_tree(&machine, &store).await;
    let state = picture(live(&machine));
    assert!(!machine.verify_with(Reading::All).await.problems.is_empty());
    let healed = push(&machine).await;
    let to = dir.path().join("restored");
    machine.blank(dir.path().join("blank")).restore(&healed, &to).await.unwrap();
    assert_same(&picture(&to), &state, "healed");
    assert_eq!(machine.push().await.unwrap().snapshot, None);
}

/// What becomes of the bytes of an object.
type Damage<'a> = &'a dyn Fn(&[u8]) -> Vec<u8>;

/// A push says that nothing has changed of no snapshot but one that is there, also where nobody has verified.
#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_is_not_what_was_written_is_made_up_for() {
    let (dir, machine, store) = plain_machine();
    let first = push(&machine).await;
    next_day(live(&machine), 1);
    let mut newest = push(&machine).await;
    let manifest = |of: &str| format!("{of}/manifest");
    let flipped =
        |bytes: &[u8]| [&bytes[..bytes.len() - 1], &[bytes[bytes.len() - 1] ^ 1]].concat();
    let older = store.raw_read(&manifest(&first)).unwrap();
    let damages: [Damage<'_>; 3] = [&|bytes| bytes[..100].to_vec(), &|_| older.to_vec(), &flipped];
    for (number, damage) in damages.iter().enumerate() {
        let written = store.raw_read(&manifest(&newest)).unwrap();
        store.raw_replace(&manifest(&newest), damage(&written));
        let report = machine.push().await.unwrap();
        let told = format!("the manifest of the newest snapshot, {newest}, is damaged");
        assert!(report.warnings.iter().any(|text| text.starts_with(&told)), "{report:?}");
        newest = report.snapshot.unwrap();
        let to = dir.path().join(format!("restored {number}"));
        let blank = machine.blank(dir.path().join(format!("blank {number}")));
        assert_eq!(blank.restore(&newest, &to).await.unwrap().failed, []);
        assert_same(&picture(&to), &picture(live(&machine)), "made up for");
        assert_eq!(machine.push().await.unwrap().snapshot, None, "once is enough");
    }
}

/// Found missing by a look at the structure, with the footer still in the cache.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_found_missing_is_stored_again() {
    let (dir, machine, store) = plain_machine();
    with_packs(&machine).await;
    let state = picture(live(&machine));
    let victim = packs(&store).pop_last().unwrap();
    store.raw_remove(&victim);
    assert_eq!(machine.verify(false).await.problems[0].code, "B2_OBJECT_MISSING");
    let healed = push(&machine).await;
    let to = dir.path().join("restored");
    let restored = machine.blank(dir.path().join("blank")).restore(&healed, &to).await.unwrap();
    assert_eq!(restored.failed, []);
    assert_same(&picture(&to), &state, "healed");
}

fn drill_folder(machine: &Machine) -> Vec<String> {
    let entries = fs::read_dir(live(machine).join("b2-backup/drill")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_proves_the_newest_snapshot() {
    let (_dir, mut machine, _store) = plain_machine();
    machine.settings.encrypt = true;
    assert_eq!(drill(&machine).await.unwrap_err().code(), "B2_SNAPSHOT_NOT_FOUND");
    let path = live(&machine).join("workspace/notes.sqlite");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch("create table t(x); insert into t values(zeroblob(20000));").unwrap();
    drop(connection);
    fs::create_dir(live(&machine).join("workspace/locked")).unwrap();
    write(live(&machine), "workspace/locked/file", "x");
    set_mode(&live(&machine).join("workspace/locked"), 0o500);
    push(&machine).await;
    write(live(&machine), "workspace/MEMORY.md", "later");
    let newest = push(&machine).await;
    let before = picture(live(&machine));
    assert_eq!(status(&machine).await.proven_snapshot, None);
    let report = drill(&machine).await.unwrap();
    assert_eq!(report.failed, []);
    assert_eq!((report.snapshot.as_str(), report.files, report.databases), (newest.as_str(), 7, 1));
    let status = status(&machine).await;
    assert_eq!(status.proven_snapshot, Some(newest));
    assert!(status.proven_at.is_some());
    assert_eq!(drill_folder(&machine), ["lock"], "nothing is left");
    assert_same(&picture(live(&machine)), &before, "the state is as it was");
    assert_eq!(machine.push().await.unwrap().snapshot, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_finds_what_does_not_come_back() {
    let (_dir, machine, store) = plain_machine();
    with_packs(&machine).await;
    drill(&machine).await.unwrap();
    let proven = status(&machine).await.proven_at;
    let victim = packs(&store).into_iter().next().unwrap();
    flip(&store, &victim, 100_000);
    let report = drill(&machine).await.unwrap();
    assert_eq!(report.failed.len(), 1, "{report:?}");
    assert_eq!(report.failed[0].code, "B2_DAMAGED");
    assert_eq!(status(&machine).await.proven_at, proven, "the last proof was another");
    assert_eq!(drill_folder(&machine), ["lock"]);
    // What it found is stored again by the next push, though nothing has changed.
    assert_eq!(status(&machine).await.damaged_packs, 1);
    push(&machine).await;
    assert_eq!(drill(&machine).await.unwrap().failed, []);
}

/// Without the pack of the tree nothing at all comes back.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_drill_whose_tree_is_damaged_is_healed_too() {
    let (_dir, machine, store) = plain_machine();
    damage_the_tree(&machine, &store).await;
    assert_eq!(drill(&machine).await.unwrap_err().code(), "B2_DAMAGED");
    assert!(status(&machine).await.damaged_packs > 0);
    push(&machine).await;
    assert_eq!(drill(&machine).await.unwrap().failed, []);
}

/// The machine remembers its key; a new one could not.
#[tokio::test(flavor = "multi_thread")]
async fn a_drill_needs_the_secret_and_not_memory() {
    let (_dir, mut machine, _store) = plain_machine();
    machine.settings.encrypt = true;
    push(&machine).await;
    let made = ops::new_recovery_code(&machine.session().await, Duration::ZERO).await.unwrap();
    machine.settings.passphrase = Some(Secret::new("battery staple".into()));
    assert_eq!(
        machine.restore("latest", &live(&machine).with_file_name("x")).await.unwrap().failed,
        []
    );
    assert_eq!(drill(&machine).await.unwrap_err().code(), "B2_WRONG_KEY");
    // A code that somebody gave says nothing about what is configured.
    let with_code = ops::Settings { recovery_code: Some(made.code), ..machine.settings.clone() };
    let with_code = Machine { settings: with_code, ..machine.clone() };
    assert_eq!(drill(&with_code).await.unwrap_err().code(), "B2_WRONG_KEY");
    // The next push notices the new passphrase, and gives it a slot.
    machine.push().await.unwrap();
    assert_eq!(drill(&machine).await.unwrap().failed, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_drill_at_a_time_and_none_leaves_anything_behind() {
    let (_dir, machine, _store) = plain_machine();
    push(&machine).await;
    let folder = live(&machine).join("b2-backup/drill");
    write(&folder, "files/of a killed one/x", "x");
    set_mode(&folder.join("files/of a killed one"), 0o500);
    let held = fs::File::create(folder.join("lock")).unwrap();
    held.lock().unwrap();
    let error = drill(&machine).await.unwrap_err();
    assert!(matches!(error, Error::Locked { .. }), "{error}");
    drop(held);
    drill(&machine).await.unwrap();
    assert_eq!(drill_folder(&machine), ["lock"]);
}
