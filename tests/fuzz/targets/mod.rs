//! Everything that reads bytes which somebody else may have made. One list: the driver of `cargo test` and the
//! coverage-guided one in `fuzz/` both run it.
//!
//! A target takes any bytes. It fails by a panic, and holds two things beside: what is accepted says the same when it
//! is written and read again, and what must hold of everything accepted holds (a path that passed leads nowhere else).

mod bucket;
mod format;
mod local;
mod pack;
mod text;

/// A parser under test.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and that of its corpus.
    pub name: &'static str,
    /// What is done with an input.
    pub run: fn(&[u8]),
    /// Inputs that a mutation should begin with: what the program itself writes.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "header", run: format::header, seeds: format::header_seeds },
    Target { name: "key-slot", run: format::key_slot, seeds: format::key_slot_seeds },
    Target { name: "recovery-code", run: text::recovery_code, seeds: text::recovery_code_seeds },
    Target { name: "compressed-part", run: format::compressed, seeds: format::compressed_seeds },
    Target { name: "pack-tail", run: pack::tail, seeds: pack::tail_seeds },
    Target { name: "footer", run: pack::footer, seeds: pack::footer_seeds },
    Target { name: "frame", run: pack::frame, seeds: pack::frame_seeds },
    Target { name: "tree", run: format::tree, seeds: format::tree_seeds },
    Target { name: "manifest", run: format::manifest, seeds: format::manifest_seeds },
    Target { name: "manifest-object", run: format::object, seeds: format::object_seeds },
    Target {
        name: "legacy-manifest",
        run: bucket::legacy_manifest,
        seeds: bucket::legacy_manifest_seeds,
    },
    Target {
        name: "legacy-object",
        run: bucket::legacy_object,
        seeds: bucket::legacy_object_seeds,
    },
    Target { name: "list-xml", run: bucket::list, seeds: bucket::list_seeds },
    Target { name: "error-xml", run: bucket::error, seeds: bucket::error_seeds },
    Target { name: "names", run: bucket::names, seeds: bucket::names_seeds },
    Target { name: "paths", run: text::paths, seeds: text::paths_seeds },
    Target { name: "selection", run: text::selection, seeds: text::selection_seeds },
    Target { name: "policy", run: text::policy, seeds: text::policy_seeds },
    Target { name: "journal", run: local::journal, seeds: local::journal_seeds },
    Target { name: "local-memory", run: local::memory, seeds: local::memory_seeds },
    Target { name: "proof", run: local::proof, seeds: local::proof_seeds },
    Target { name: "configuration", run: text::configuration, seeds: text::configuration_seeds },
    Target { name: "instant", run: text::instant, seeds: text::instant_seeds },
];

/// The first byte, which chooses among several, and the rest.
fn choice(data: &[u8]) -> (u8, &[u8]) {
    data.split_first().map_or((0, data), |(first, rest)| (*first, rest))
}

/// Reads a value, and expects the same from what is written of it.
fn again<T>(data: &[u8])
where
    T: for<'b> minicbor::Decode<'b, ()> + minicbor::Encode<()> + PartialEq + std::fmt::Debug,
{
    if let Ok(value) = minicbor::decode::<T>(data) {
        let bytes = minicbor::to_vec(&value).unwrap();
        assert_eq!(minicbor::decode::<T>(&bytes).unwrap(), value);
    }
}
