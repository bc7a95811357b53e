//! Months of a few machines that share a bucket, in seconds: pushes, prunes, restores, rotated keys, clones, kills,
//! clocks that jump, listings that are old, answers that are lost, deletes that come late and twice.
//!
//! After every step every snapshot in the bucket has every byte that it needs, no pack of a deleted one has gone before
//! its day was over, and none is left that pruning should have deleted by then; at the end all of them are restored
//! once more, and nothing is left that nobody needs. `B2_SIMULATION_SEEDS` says how many lives are lived (300),
//! `B2_SIMULATION_FIRST` which is the first (1); a failure names its seed.
#![expect(clippy::print_stderr, reason = "the sums are said")]

use crate::support::campaign;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

mod acts;
mod bucket;
mod checks;
mod life;
mod rng;
mod senses;
mod sums;
mod template;
mod truth;
mod waste;

use life::Life;
use template::Template;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

/// Lives `count` lives of `days` days, as many at a time as there are processors.
async fn live(count: u64, days: u64) {
    // Each seed of the campaign has ten thousand of its own.
    let first = number("B2_SIMULATION_FIRST", (campaign::seed() - 1) * 10_000 + 1);
    let template = Arc::new(Template::make().await);
    let next = Arc::new(AtomicU64::new(first));
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..std::thread::available_parallelism().unwrap().get() {
        let (template, next) = (template.clone(), next.clone());
        workers.spawn(async move {
            loop {
                let seed = next.fetch_add(1, Ordering::SeqCst);
                if seed >= first + count {
                    return;
                }
                let living = tokio::spawn(Life::live(template.clone(), seed, days));
                assert!(
                    living.await.is_ok(),
                    "seed {seed} fails: B2_SIMULATION_FIRST={seed} B2_SIMULATION_SEEDS=1"
                );
            }
        });
    }
    while let Some(done) = workers.join_next().await {
        done.unwrap();
    }
    let seeds = format!("months {first} to {}", first + count - 1);
    eprintln!("{seeds}: {}", sums::sums());
    campaign::report("simulation", &seeds, &sums::counted());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_of_three_machines_and_a_clone() {
    live(number("B2_SIMULATION_SEEDS", 300), 30).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes an hour: for the night"]
async fn ten_thousand_months() {
    live(number("B2_SIMULATION_SEEDS", 10_000), 30).await;
}
