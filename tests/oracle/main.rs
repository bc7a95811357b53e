//! The oracle: wild states are pushed, restored on a blank machine, and compared by eyes that are not the product's.
//!
//! Each state is drawn from a seed, lives on for some rounds (edits that keep size and time, a workspace that goes
//! and comes back, clocks that jump), and is pushed in each. After each push the newest snapshot is restored with
//! nothing but bucket and secret. What is in the state and did not come back as it was, and that no report named, is
//! a loss. Some are rolled back, too (`rollbacks`). `B2_ORACLE_SEED=N` runs one state alone.
// What it draws are the states of a POSIX system: names that are no text, fifos, sockets, owners, permission bits.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "helpers may panic as the tests do"
)]

use std::future::Future;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use b2_backup::ambient::SystemEntropy;
use b2_backup::store::folder::FolderStore;

use tempfile::TempDir;

#[path = "../support/campaign.rs"]
#[allow(dead_code, unreachable_pub, reason = "each test binary uses a part")]
#[allow(clippy::print_stderr, clippy::must_use_candidate, reason = "for tests only")]
#[allow(clippy::allow_attributes, reason = "an expectation would fail where all is used")]
mod campaign;
mod days;
mod disks;
mod dump;
#[path = "../support/elsewhere.rs"]
mod elsewhere;
mod hold;
mod judge;
#[path = "../support/machine.rs"]
mod machine;
mod moment;
mod picture;
mod rollbacks;
mod sharp;
#[path = "../support/skipped.rs"]
mod skipped;
#[path = "../support/state/mod.rs"]
#[allow(dead_code, unused_imports, reason = "each test binary uses a part")]
#[allow(clippy::allow_attributes, reason = "an expectation would fail where all is used")]
mod state;
mod tree;
mod wild;
mod world;

use disks::Disk;
use machine::Machine;
use skipped::skipped;
use state::rng;
use world::World;

/// The life of one state; its losses.
async fn life(base: PathBuf, seed: u64, disk: Disk) -> Vec<String> {
    let mut world = World::new(base, seed, disk).await;
    let mut found = Vec::new();
    let rounds = world.wild.rng().between(2, 4);
    for round in 0..rounds {
        let losses = world.round().await;
        found.extend(losses.into_iter().map(|loss| format!("round {round}: {loss}")));
        world.live_on(disk);
    }
    found
}

/// Lives on a disk, as many as the campaign says, each from a seed of its own.
async fn lives<L: Future<Output = Vec<String>>>(
    what: &str,
    disk: Disk,
    count: u64,
    live: impl Fn(PathBuf, u64, Disk) -> L,
) {
    if dump::reader().is_none() {
        return skipped(&format!("{what}: neither sqlite3 nor python3 is here"));
    }
    let Some((place, _mounted)) = disk.place(what) else { return };
    let mut found = Vec::new();
    let first = campaign::seed() * 1_000_000;
    let one: Option<u64> = std::env::var("B2_ORACLE_SEED").ok().map(|seed| seed.parse().unwrap());
    for seed in one.map_or(first..first + count, |seed| seed..seed + 1) {
        let dir = TempDir::new_in(&place).unwrap();
        let base = dir.path().canonicalize().unwrap().join("machine");
        std::fs::create_dir(&base).unwrap();
        for loss in live(base, seed, disk).await {
            let loss = format!("seed {seed}, {loss}");
            eprintln!("{loss}");
            found.push(loss);
        }
    }
    campaign::report("oracle", &format!("{what}, {disk:?}"), &[("states", count)]);
    assert!(found.is_empty(), "{} losses:\n{}", found.len(), found.join("\n"));
}

async fn wild_states(disk: Disk, bounded: u64, whole: u64) {
    lives("wild states", disk, campaign::cases(bounded, whole), life).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wild_states_on_the_usual_disk() {
    wild_states(Disk::Usual, 20, 400).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wild_states_in_memory() {
    wild_states(Disk::Memory, 20, 300).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wild_states_where_times_are_whole_seconds() {
    wild_states(Disk::CoarseExt4, 20, 300).await;
}

/// ext4 with small inodes ends in 2038, and the kernel takes a later time for its last one without an error.
#[tokio::test(flavor = "multi_thread")]
async fn a_time_that_the_disk_cannot_hold_is_named() {
    let Some((place, _mounted)) = Disk::CoarseExt4.place("a time after 2038") else { return };
    let dir = TempDir::new().unwrap();
    let state = dir.path().canonicalize().unwrap().join("state");
    std::fs::create_dir_all(state.join("workspace/far")).unwrap();
    let far = SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 365 * 130);
    for name in ["workspace/far/a.md", "workspace/near.md"] {
        std::fs::write(state.join(name), "a").unwrap();
    }
    symlink("near.md", state.join("workspace/link")).unwrap();
    for name in ["workspace/far/a.md", "workspace/far"] {
        std::fs::File::open(state.join(name)).unwrap().set_modified(far).unwrap();
    }
    let mut touch = Command::new("touch");
    touch.args(["-h", "-d", "2100-01-01", "link"]).current_dir(state.join("workspace"));
    assert!(touch.status().unwrap().success());
    let store = FolderStore::open(dir.path().join("bucket"), "p".into(), Arc::new(SystemEntropy));
    let machine = Machine::new(&state, Arc::new(store.await.unwrap()));
    machine.push().await.unwrap();

    let report = machine.restore("latest", &place.join("to")).await.unwrap();
    let [refused] = &report.failed[..] else { panic!("{:?}", report.failed) };
    assert_eq!(refused.code, "B2_REFUSED");
    assert!(refused.path.ends_with("workspace/far and 2 others"), "{refused:?}");
    assert!(
        refused.message.ends_with("the file system has no time so far from now"),
        "{refused:?}"
    );
    let usual = machine.restore("latest", &dir.path().join("to")).await.unwrap();
    assert_eq!(usual.failed.len(), 0, "{usual:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wild_states_on_fat() {
    wild_states(Disk::Fat, 3, 100).await;
}
