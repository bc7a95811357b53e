//! One target of `tests/fuzz/targets` under libFuzzer: that which `B2_FUZZ_TARGET` names. `scripts/fuzz.mjs` runs it.
#![no_main]

#[path = "../tests/fuzz/targets/mod.rs"]
mod targets;

use std::path::Path;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use targets::{TARGETS, Target};

fn target() -> &'static Target {
    static CHOSEN: OnceLock<&Target> = OnceLock::new();
    CHOSEN.get_or_init(|| {
        let name = std::env::var("B2_FUZZ_TARGET").expect("B2_FUZZ_TARGET names a target");
        let target = TARGETS.iter().find(|target| target.name == name).expect("no such target");
        // Where a run begins: what the program itself writes.
        if let Ok(folder) = std::env::var("B2_FUZZ_SEEDS") {
            for (number, seed) in (target.seeds)().iter().enumerate() {
                std::fs::write(Path::new(&folder).join(format!("seed-{number}")), seed).unwrap();
            }
        }
        target
    })
}

fuzz_target!(init: {
    target();
}, |data: &[u8]| (target().run)(data));
