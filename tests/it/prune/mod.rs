//! What goes and what stays, in every kind of store; every reason to stop; and that what stays restores.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use b2_backup::error::Result;
use b2_backup::format::Reason;
use b2_backup::ops::{
    self, Keep, PruneOptions, PruneReport, Reading, Session, VerifyOptions, VerifyReport,
};
use b2_backup::store::ObjectStore;
use b2_backup::store::memory::{MemoryStore, Operation};
use tempfile::{TempDir, tempdir};

mod beside;
mod clones;
mod denied;
mod forget;
mod grace;
mod lost;
mod missing;
mod stops;
mod stores;
mod unfinished;

use crate::support::calendar::{Calendar, DAY, HOUR};
use crate::support::machine::{Machine, push_options, restore_with};
use crate::support::plain::{Picture, assert_same, first_day, next_day, picture};

/// A machine that pushes day by day, and what its state was at each snapshot. Not encrypted, unless said.
struct Life {
    dir: TempDir,
    machine: Machine,
    store: Arc<MemoryStore>,
    clock: Arc<Calendar>,
    day: u64,
    states: BTreeMap<String, Picture>,
}

fn options(newest: u32, daily: u32, weekly: u32) -> PruneOptions {
    PruneOptions {
        keep: Keep::new(newest, daily, weekly).unwrap(),
        dry_run: false,
        more_than_half: false,
        wait: Duration::ZERO,
    }
}

impl Life {
    fn new() -> Self {
        Self::with(|clock| MemoryStore::new(clock))
    }

    fn with(store: impl FnOnce(Arc<Calendar>) -> MemoryStore) -> Self {
        let clock = Calendar::start();
        let store = Arc::new(store(clock.clone()));
        let mut life = Self::on(store.clone(), clock);
        life.store = store;
        life
    }

    fn on(store: Arc<dyn ObjectStore>, clock: Arc<Calendar>) -> Self {
        let dir = tempdir().unwrap();
        let live = dir.path().join("state");
        first_day(&live);
        let mut machine = Machine::new(&live, store);
        machine.settings.encrypt = false;
        machine.clock = clock.clone();
        let store = Arc::new(MemoryStore::default());
        Self { dir, machine, store, clock, day: 0, states: BTreeMap::new() }
    }

    fn live(&self) -> &Path {
        &self.machine.settings.state_dir
    }

    /// A day passes; the state is pushed as it is then.
    async fn day(&mut self) -> String {
        self.clock.pass(DAY);
        self.change_and_push(Reason::Scheduled).await
    }

    async fn days(&mut self, count: u64) -> Vec<String> {
        let mut ids = Vec::new();
        for _ in 0..count {
            ids.push(self.day().await);
        }
        ids
    }

    async fn change_and_push(&mut self, reason: Reason) -> String {
        self.day += 1;
        next_day(self.live(), self.day);
        let session = self.machine.session().await;
        let report = ops::push(&session, push_options(reason)).await.unwrap();
        assert_eq!(report.warnings, Vec::<String>::new());
        let id = report.snapshot.unwrap();
        self.states.insert(id.clone(), picture(self.live()));
        id
    }

    async fn prune(&self, options: PruneOptions) -> Result<PruneReport> {
        ops::prune(&self.machine.session().await, options).await
    }

    /// Every snapshot that is listed restores completely on a machine that has nothing, and every byte in the
    /// bucket opens.
    async fn all_restore(&self) -> Vec<String> {
        all_restore(&self.machine, &self.states).await
    }

    fn objects(&self, prefix: &str) -> Vec<String> {
        self.store.objects().into_keys().filter(|key| key.starts_with(prefix)).collect()
    }

    /// Everything in the store with all its versions.
    async fn versions(&self) -> Vec<(String, String, bool)> {
        let all = self.store.fork().list_versions("").await.unwrap().unwrap();
        all.into_iter().map(|one| (one.key, one.version, one.hidden)).collect()
    }
}

async fn all_restore(machine: &Machine, states: &BTreeMap<String, Picture>) -> Vec<String> {
    let listed = machine.list().await.snapshots;
    let dir = tempdir().unwrap();
    let blank: Session = machine.blank(dir.path().join("blank")).session().await;
    for snapshot in &listed {
        assert_eq!(snapshot.problem, None, "{}", snapshot.id);
        let to = dir.path().join(&snapshot.id);
        let report = restore_with(&blank, &snapshot.id, &to).await;
        let report = report.unwrap_or_else(|error| panic!("{}: {error}", snapshot.id));
        assert_eq!(report.failed, [], "{}", snapshot.id);
        assert_same(&picture(&to), &states[&snapshot.id], &snapshot.id);
    }
    let everything = VerifyOptions { reading: Reading::All };
    assert_eq!(ops::verify(&blank, everything).await.unwrap().problems, []);
    // The machine itself remembers what somebody else deleted, and has nothing else to say.
    let gone = |object: &str| {
        let id = object.strip_suffix("/manifest");
        id.is_some_and(|id| listed.iter().all(|snapshot| snapshot.id != id))
    };
    let problems = machine.verify(true).await.problems;
    assert!(problems.iter().all(|problem| gone(&problem.object)), "{problems:?}");
    listed.into_iter().map(|snapshot| snapshot.id).collect()
}

/// The footers of packs that a machine remembers.
fn footers(machine: &Machine) -> BTreeSet<String> {
    let folders = std::fs::read_dir(machine.settings.state_dir.join("b2-backup/repositories"));
    let of = |folder: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_dir(folder.unwrap().path().join("footers")).unwrap()
    };
    let all = folders.unwrap().flat_map(of);
    all.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
}

fn kept(report: &PruneReport) -> Vec<(&str, String)> {
    let kept = report.snapshots.iter().filter(|snapshot| !snapshot.reasons.is_empty());
    kept.map(|snapshot| (snapshot.id.as_str(), snapshot.reasons.join(", "))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_go_at_once_and_packs_a_day_later() {
    let mut life = Life::new();
    let ids = life.days(8).await;
    let before = life.objects("packs/").len();
    let report = life.prune(options(3, 2, 0)).await.unwrap();
    let expected =
        [(3, "daily 2"), (4, "daily 1"), (5, "newest 3"), (6, "newest 2"), (7, "newest 1")];
    let expected = expected.map(|(at, why)| (ids[at].as_str(), why.to_owned()));
    assert_eq!(kept(&report), expected);
    assert_eq!((report.deleted_snapshots, report.deleted_packs, report.freed_bytes), (3, 0, 0));
    assert!(report.waiting_packs > 0 && report.waiting_bytes > 0, "{report:?}");
    assert_eq!(life.all_restore().await, ids[3..]);
    assert_eq!(life.objects("packs/").len(), before, "a restore may be reading them");

    life.clock.pass(DAY - 1);
    let report = life.prune(options(3, 2, 0)).await.unwrap();
    assert_eq!((report.deleted_snapshots, report.deleted_packs), (0, 0));
    let waiting = (report.waiting_packs, report.waiting_bytes);
    life.clock.pass(1);
    let remembered = footers(&life.machine);
    let report = life.prune(options(3, 2, 0)).await.unwrap();
    assert_eq!(footers(&life.machine), remembered, "of packs that stay");
    assert_eq!((report.deleted_packs, report.freed_bytes), waiting);
    assert_eq!((report.waiting_packs, report.waiting_bytes), (0, 0));
    assert_eq!(life.objects("packs/").len() as u64, before as u64 - waiting.0);
    assert_eq!(life.all_restore().await, ids[3..]);

    // Nothing is left behind, no version and no marker.
    let named = life.versions().await;
    assert!(named.iter().all(|(_, _, hidden)| !hidden), "{named:?}");
    assert!(!named.iter().any(|(key, ..)| ids[..3].iter().any(|id| key.starts_with(id.as_str()))));
    // And the machine goes on as if nothing had been.
    let next = life.day().await;
    assert_eq!(life.all_restore().await, [&ids[3..], &[next]].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_tells_all_of_it_and_changes_nothing() {
    let mut life = Life::new();
    life.days(6).await;
    let before = life.versions().await;
    let dry = PruneOptions { dry_run: true, ..options(3, 0, 0) };
    let told = life.prune(dry).await.unwrap();
    assert_eq!(life.versions().await, before);
    assert_eq!((told.deleted_snapshots, told.deleted_packs, told.stop.clone()), (3, 0, None));
    let done = life.prune(options(3, 0, 0)).await.unwrap();
    assert_eq!(told.snapshots, done.snapshots);
    assert_eq!((told.waiting_packs, told.waiting_bytes), (done.waiting_packs, done.waiting_bytes));
    life.clock.pass(DAY);
    let told = life.prune(dry).await.unwrap();
    let before = life.versions().await;
    assert!(told.freed_bytes > 0);
    assert_eq!(life.versions().await, before);
    let done = life.prune(options(3, 0, 0)).await.unwrap();
    assert_eq!((told.deleted_packs, told.freed_bytes), (done.deleted_packs, done.freed_bytes));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_without_snapshots_has_nothing_to_prune() {
    let life = Life::new();
    let report = life.prune(options(1, 0, 0)).await.unwrap();
    assert_eq!((report.snapshots.len(), report.warnings.len()), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn other_machines_format_1_and_unknown_objects_are_left_alone() {
    let mut life = Life::new();
    let mut other = Life::on(life.store.clone(), life.clock.clone());
    let theirs = other.days(3).await;
    for old in ["2026-01-01T00-00-00Z/a", "safety-2026-01-02T00-00-00Z/b", "packs/readme", "else"] {
        life.store.raw_replace(old, "x");
    }
    life.days(6).await;
    let others: Vec<String> = life
        .objects("")
        .into_iter()
        .filter(|key| {
            theirs.iter().any(|id| key.starts_with(id)) || life.store.raw_read(key).unwrap() == "x"
        })
        .collect();
    assert_eq!(others.len(), 7);
    let their_packs =
        life.objects(&format!("packs/{}/", theirs[0].split('-').next_back().unwrap()));
    for _ in 0..3 {
        let report = life.prune(options(3, 0, 0)).await.unwrap();
        assert_eq!(report.others, 5);
        life.clock.pass(2 * DAY);
        life.day().await;
    }
    let left = life.objects("");
    assert!(others.iter().chain(&their_packs).all(|key| left.contains(key)));
}

/// `undo` needs it, however old it is.
#[tokio::test(flavor = "multi_thread")]
async fn safety_snapshots_stay() {
    let mut life = Life::new();
    life.days(2).await;
    let safety = life.change_and_push(Reason::Safety).await;
    assert!(safety.starts_with("safety-"));
    let ids = life.days(5).await;
    for _ in 0..3 {
        let report = life.prune(options(3, 0, 0)).await.unwrap();
        assert!(kept(&report).contains(&(safety.as_str(), "safety".to_owned())));
        life.clock.pass(2 * DAY);
    }
    assert_eq!(life.all_restore().await, [&[safety], &ids[2..]].concat());
}

/// The clock was ahead for a day. What was made then is neither the newest nor a reason to delete another.
#[tokio::test(flavor = "multi_thread")]
async fn snapshots_from_the_future() {
    let mut life = Life::new();
    let first = life.days(2).await;
    life.clock.pass(300 * DAY);
    let ahead = life.days(2).await;
    life.clock.pass(-302 * DAY);
    let last = life.days(3).await;
    let report = life.prune(options(2, 1, 0)).await.unwrap();
    let why: Vec<String> = kept(&report).into_iter().map(|(_, why)| why).collect();
    assert_eq!(why, ["future", "future", "daily 1", "newest 2", "newest 1"]);
    life.clock.pass(2 * DAY);
    life.prune(options(2, 1, 0)).await.unwrap();
    let mut listed = life.all_restore().await;
    listed.sort();
    let mut expected = [&ahead[..], &last[..]].concat();
    expected.sort();
    assert_eq!(listed, expected);
    assert!(!listed.contains(&first[0]));
}

/// The names of a lineage are never used twice: a DELETE that comes late must not hit a new manifest.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_was_deleted_is_not_used_again() {
    let mut life = Life::new();
    let now = life.clock.seconds() + DAY;
    let ids = life.days(4).await;
    life.prune(options(2, 0, 0)).await.unwrap();
    life.clock.set(now);
    let next = life.change_and_push(Reason::Manual).await;
    assert!(!ids.contains(&next), "{next}");
}

/// Requests do not grow with what was deleted.
#[tokio::test(flavor = "multi_thread")]
async fn what_it_asks_for_is_bounded_by_what_there_is() {
    let mut life = Life::new();
    life.days(5).await;
    let mut counts = Vec::new();
    for _ in 0..4 {
        life.clock.pass(HOUR);
        life.day().await;
        life.store.clear_calls();
        life.prune(options(4, 0, 0)).await.unwrap();
        let deletes =
            life.store.calls().iter().filter(|c| c.operation == Operation::Delete).count();
        counts.push(life.store.calls().len() - deletes);
    }
    // A LIST, each manifest, versions of packs and of what goes.
    assert_eq!(counts, [1 + 6 + 1 + 2, 1 + 5 + 1 + 1, 1 + 5 + 1 + 1, 1 + 5 + 1 + 1]);
}
