//! How much of the campaign runs, and what it counted.
//!
//! `npm test` runs a bounded part of each suite; `npm run campaign` sets `B2_CAMPAIGN=full` and runs all of it.
//! `B2_CAMPAIGN_SEED` (1) is where everything random starts, so that a failure can be run again; each suite names
//! its seed when it fails. What a suite counted is appended to the file `B2_CAMPAIGN_REPORT`, a line of JSON each,
//! from which `docs/reliability.md` is made.

use std::fs::OpenOptions;
use std::io::Write;

/// Whether the whole campaign runs.
pub fn full() -> bool {
    std::env::var("B2_CAMPAIGN").is_ok_and(|text| text == "full")
}

/// How many cases to run: the first number in `npm test`, the second in `npm run campaign`.
pub fn cases(bounded: u64, whole: u64) -> u64 {
    if full() { whole } else { bounded }
}

/// Where everything random starts.
pub fn seed() -> u64 {
    std::env::var("B2_CAMPAIGN_SEED").map_or(1, |text| text.parse().unwrap())
}

/// Notes what a suite counted: `report("crash", "daily push", &[("points", 212)])`.
pub fn report(suite: &str, part: &str, counted: &[(&str, u64)]) {
    let counted: serde_json::Map<_, _> =
        counted.iter().map(|&(name, number)| (name.to_owned(), number.into())).collect();
    let line =
        serde_json::json!({ "suite": suite, "part": part, "seed": seed(), "counted": counted });
    eprintln!("{line}");
    let Ok(path) = std::env::var("B2_CAMPAIGN_REPORT") else { return };
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(format!("{line}\n").as_bytes()).unwrap();
}
