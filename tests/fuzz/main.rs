//! Replays the corpus of every target, and mutates it, a number of times that a seed decides.
//!
//! `targets/` is the one list of what is fuzzed. This runs it in `cargo test`; `node scripts/fuzz.mjs` runs it under
//! libFuzzer, which sees what an input reaches (`fuzz/`), and makes the corpus: `corpus/TARGET.hex`, an input in
//! hexadecimal in each line. The allocator counts: no input may take more than [`MAX_BYTES`].
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers may panic as the tests do"
)]

#[expect(clippy::cast_possible_truncation, reason = "a part of a random number is one")]
mod mutate;
#[path = "../support/mod.rs"]
mod support;
#[expect(unreachable_pub, unused_results, reason = "fuzz/ uses it, too")]
mod targets;

use crate::support::{campaign, peak};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use mutate::Mutator;
use targets::{TARGETS, Target};

#[global_allocator]
static ALLOCATOR: peak::Counting = peak::Counting;

/// No parser may have more than this at once: as libFuzzer's limit.
const MAX_BYTES: usize = 512 << 20;
/// Longest input, bytes.
const MAX_INPUT: usize = 4096;

fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    let text =
        std::fs::read_to_string(path.join(format!("{}.hex", target.name))).unwrap_or_default();
    let kept = text.lines().map(|line| hex::decode(line).unwrap());
    kept.chain((target.seeds)()).collect()
}

fn run(target: &Target, input: &[u8]) {
    let before = peak::start();
    let done = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let taken = peak::highest().saturating_sub(before);
    let named = || format!("{}: {}", target.name, hex::encode(input));
    assert!(done.is_ok(), "panics: {}", named());
    assert!(taken < MAX_BYTES, "takes {taken} bytes: {}", named());
}

#[test]
fn every_target_takes_anything() {
    for target in TARGETS {
        let corpus = corpus(target);
        assert!(!corpus.is_empty());
        for input in &corpus {
            run(target, input);
        }
        let mut mutator = Mutator::new(campaign::seed(), target.name);
        let inputs = campaign::cases(20_000, 100_000);
        for _ in 0..inputs {
            run(target, &mutator.next(&corpus, MAX_INPUT));
        }
        campaign::report(
            "fuzz-replay",
            target.name,
            &[("corpus", corpus.len() as u64), ("mutated", inputs)],
        );
    }
}

/// Two targets with one name would share a corpus, and a corpus without a target would never be run.
#[test]
fn every_corpus_has_its_target() {
    let mut names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(names.contains(&name.strip_suffix(".hex").unwrap()), "{name}");
    }
}

/// The first bytes that come out of a seed: a failure can be run again from what it prints.
#[test]
fn the_same_seed_gives_the_same_inputs() {
    let inputs = |seed| {
        let mut mutator = Mutator::new(seed, "x");
        let corpus = [b"abcdefgh".to_vec(), b"12345678".to_vec()];
        (0..50).map(|_| mutator.next(&corpus, 64)).collect::<Vec<_>>()
    };
    assert_eq!(inputs(1), inputs(1));
    assert_ne!(inputs(1), inputs(2));
}
