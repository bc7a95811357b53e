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
use std::path::PathBuf;

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

#[tokio::test(flavor = "multi_thread")]
async fn wild_states_on_fat() {
    wild_states(Disk::Fat, 3, 100).await;
}
