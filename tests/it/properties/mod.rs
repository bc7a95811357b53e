//! What holds for whatever there is: content that is cut and put together again, records that are written and read,
//! rollbacks of any state to any other. (Retention has its properties beside the code.)
#![expect(clippy::cast_possible_truncation, reason = "a part of a random number is one")]

mod chunks;
mod draw;
// Its states have links and permission bits.
#[cfg(unix)]
mod plans;
mod records;

use crate::support::campaign;
use draw::Draw;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Runs so many cases, the same for the same seed of the campaign, and reports them.
fn cases(part: &str, count: u64, case: impl Fn(Draw)) {
    let config = Config {
        cases: u32::try_from(count).unwrap(),
        failure_persistence: None,
        ..Config::default()
    };
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&campaign::seed().to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let run = |(word, size)| {
        case(Draw::new(word, size));
        Ok(())
    };
    // A smaller size is a simpler case: that is what a failure is shrunk to.
    let ran = runner.run(&(any::<u64>(), 1..=12_usize), run);
    assert!(ran.is_ok(), "{part}, seed {}: {}", campaign::seed(), ran.unwrap_err());
    campaign::report("properties", part, &[("cases", count)]);
}
