//! Holds the code to its floors: who may use whom, which crate is used where, how long a file may be, and that
//! every error code is documented.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests may panic as the tests do"
)]

mod graph;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use graph::{Graph, Module, circles};

/// Modules from the top of the house to its ground. A module uses the floors below it, never one above and no
/// neighbour; `error` alone is for the ground floor, too. (Insides are kept by `pub`, which the compiler holds.)
const FLOORS: &[&[&str]] = &[
    &["node"],
    &["ops"],
    &["engine"],
    &["repo"],
    &["local", "source", "legacy"],
    &["format"],
    &["crypto", "chunk", "store"],
    &["error", "progress", "ambient", "cpu", "secret", "entry", "core_dump"],
];

/// Which verb stands on which others: on what those offer, since their insides are private to them.
const VERBS: &[(&str, &[&str])] = &[
    ("auto_restore", &["recovery", "rollback"]),
    ("history", &["diff"]),
    ("push", &["adopt", "recovery"]),
    ("rollback", &["push", "recovery"]),
    // Doors for tests.
    ("probe", &["recovery", "rollback"]),
];

/// Crates that one place alone may use, so that each can be replaced there.
const ONLY_USERS: &[(&str, &[&str])] = &[
    ("aes_gcm", &["crypto/"]),
    ("aws_credential_types", &["store/s3/"]),
    ("aws_sigv4", &["store/s3/"]),
    ("fastcdc", &["chunk/"]),
    ("getrandom", &["ambient.rs"]),
    ("hkdf", &["crypto/"]),
    ("hmac", &["crypto/"]),
    ("jwalk", &["source/walk.rs"]),
    ("md5", &["store/s3/"]),
    ("napi", &["node/"]),
    ("napi_derive", &["node/"]),
    ("quick_xml", &["store/s3/"]),
    ("rayon", &["cpu.rs"]),
    ("reqwest", &["store/s3/", "store/b2.rs"]),
    (
        "rusqlite",
        &["source/sqlite.rs", "source/sqlite/", "source/scrub.rs", "source/private_copy.rs"],
    ),
    ("scrypt", &["crypto/"]),
    ("similar", &["engine/text.rs"]),
    ("zstd", &["chunk/"]),
    ("zxcvbn", &["secret.rs"]),
];

/// What has no business in code that only computes.
const PURE: &[&str] = &["format/", "crypto/", "chunk/"];
const IMPURE: &[&str] =
    &["std::fs", "std::net", "std::env", "std::time", "std::thread", "tokio", "rayon", "getrandom"];

const MAX_LINES: usize = 450;

/// A file of `src/`: path below it, and its code without comments and without tests.
struct Source {
    path: String,
    code: String,
    lines: usize,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut open: Vec<PathBuf> = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let below: Vec<_> = path
                .strip_prefix(&root)
                .unwrap()
                .iter()
                .map(|part| part.to_str().unwrap())
                .collect();
            found.push(Source {
                path: below.join("/"),
                lines: text.lines().count(),
                code: code_of(&text),
            });
        }
    }
    assert!(found.len() > 40, "where is the code?");
    found.retain(|source| !source.path.ends_with("tests.rs"));
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Without line comments and what follows `#[cfg(test)]`, which tests may use as they like.
fn code_of(text: &str) -> String {
    let lines = text.lines().take_while(|line| *line != "#[cfg(test)]");
    let code = lines.map(|line| line.split_once("//").map_or(line, |(code, _)| code));
    code.collect::<Vec<_>>().join("\n")
}

fn module(path: &str) -> &str {
    path.split(['/', '.']).next().unwrap()
}

fn floor(module: &str) -> usize {
    let here = FLOORS.iter().position(|floor| floor.contains(&module));
    here.unwrap_or_else(|| panic!("src/{module} is on no floor: add it to FLOORS"))
}

/// Whether `path` (`crate::ops`, `rayon`) is named in `code`, as a whole word.
fn names(code: &str, path: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    code.match_indices(path).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + path.len()..]);
        !before.ends_with(word)
            && (after.starts_with("::") || after.starts_with(';') || !after.starts_with(word))
    })
}

/// Every module of this crate that `code` names: `crate::error::Error`, `use crate::{error, format::Entry}`.
fn used(code: &str) -> Vec<String> {
    let mut used = Vec::new();
    for (at, start) in code.match_indices("crate::") {
        let rest = &code[at + start.len()..];
        match rest.strip_prefix('{') {
            None => used.push(first_word(rest)),
            Some(group) => used.extend(group_members(group)),
        }
    }
    used.sort();
    used.dedup();
    used
}

/// The first word of each member of a `use` group, whose opening brace is gone.
fn group_members(group: &str) -> Vec<String> {
    let (mut depth, mut members, mut member) = (0, Vec::new(), String::new());
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => members.push(std::mem::take(&mut member)),
            c => member.push(c),
        }
    }
    members.push(member);
    members.iter().map(|member| first_word(member.trim())).filter(|word| !word.is_empty()).collect()
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn assert_none(breaches: &[String]) {
    assert!(breaches.is_empty(), "\n{}", breaches.join("\n"));
}

#[test]
fn no_floor_uses_one_above_or_its_neighbours_insides() {
    let mut breaches = Vec::new();
    for source in sources().iter().filter(|source| source.path != "lib.rs") {
        let here = module(&source.path);
        for other in used(&source.code).iter().filter(|other| *other != here) {
            let allowed =
                floor(other) > floor(here) || (floor(here) == FLOORS.len() - 1 && other == "error");
            if !allowed {
                breaches.push(format!("src/{} uses crate::{other}", source.path));
            }
        }
    }
    assert_none(&breaches);
}

fn shown(module: &Module) -> String {
    module.join("::")
}

#[test]
fn no_verb_stands_on_another_unless_it_is_said_so() {
    let edges = Graph::of(&sources()).edges();
    let verb = |module: &Module| {
        let mut parts = module.iter();
        (parts.next()? == "ops").then(|| parts.next().cloned())?
    };
    let mut breaches = Vec::new();
    for (from, to) in &edges {
        let Some(verb_here) = verb(from) else { continue };
        let allowed = VERBS.iter().find(|(name, _)| *name == verb_here).map_or(&[][..], |it| it.1);
        for used in to {
            let other = verb(used).filter(|other| *other != verb_here);
            if other.is_some_and(|other| !allowed.contains(&other.as_str())) {
                breaches.push(format!("{} uses {}", shown(from), shown(used)));
            }
        }
    }
    assert_none(&breaches);
}

#[test]
fn nothing_uses_itself_in_a_circle() {
    let found = circles(&Graph::of(&sources()).edges());
    let one = |circle: &BTreeSet<Module>| circle.iter().map(shown).collect::<Vec<_>>().join(", ");
    assert_none(&found.iter().map(one).collect::<Vec<_>>());
}

/// A planted circle: through a re-export, a nested group, a path in the code, and the parent's name.
#[test]
fn a_planted_circle_is_seen() {
    let source =
        |path: &str, code: &str| Source { path: path.to_owned(), code: code.to_owned(), lines: 1 };
    let planted = [
        source("a/mod.rs", "mod one;\npub use one::{One};\n"),
        source("a/one.rs", "use crate::{c, b::{self, Two as Other}};\npub struct One;"),
        source("b.rs", "pub struct Two;\nfn f() { super::c::go(); }"),
        source("c.rs", "pub fn go() -> crate::a::One { todo() }"),
        source("d.rs", "use crate::a::One;"),
    ];
    let edges = Graph::of(&planted).edges();
    let of = |path: &str| edges.get(&graph::module_of(path)).cloned().unwrap_or_default();
    let names = |modules: BTreeSet<Module>| modules.iter().map(shown).collect::<Vec<_>>();
    assert_eq!(names(of("d.rs")), ["a::one"]);
    assert_eq!(names(of("a/one.rs")), ["b", "c"]);
    let found = circles(&edges);
    assert_eq!(found.into_iter().map(names).collect::<Vec<_>>(), [["a::one", "b", "c"]]);
    assert!(circles(&BTreeMap::new()).is_empty());
}

#[test]
fn every_outside_crate_stays_where_it_belongs() {
    let mut breaches = Vec::new();
    for source in sources() {
        for (krate, places) in ONLY_USERS {
            let here = places.iter().any(|place| {
                if place.ends_with('/') {
                    source.path.starts_with(place)
                } else {
                    source.path == *place
                }
            });
            if !here && names(&source.code, krate) {
                breaches.push(format!("src/{} uses {krate}, which is for {places:?}", source.path));
            }
        }
    }
    assert_none(&breaches);
}

#[test]
fn format_crypto_and_chunk_only_compute() {
    let mut breaches = Vec::new();
    for source in sources() {
        if !PURE.iter().any(|place| source.path.starts_with(place)) {
            continue;
        }
        for outside in IMPURE.iter().filter(|outside| names(&source.code, outside)) {
            breaches.push(format!("src/{} uses {outside}", source.path));
        }
    }
    assert_none(&breaches);
}

#[test]
fn the_store_knows_no_keys_and_the_source_no_store() {
    let mut breaches = Vec::new();
    for (place, others) in
        [("store", ["crypto", "format", "chunk"]), ("source", ["store", "crypto", "local"])]
    {
        for source in sources().iter().filter(|source| module(&source.path) == place) {
            for other in used(&source.code).iter().filter(|other| others.contains(&other.as_str()))
            {
                breaches.push(format!("src/{} uses crate::{other}", source.path));
            }
        }
    }
    assert_none(&breaches);
}

#[test]
fn no_file_is_too_long() {
    let long = sources().into_iter().filter(|source| source.lines > MAX_LINES);
    let long: Vec<_> =
        long.map(|source| format!("src/{}: {} lines", source.path, source.lines)).collect();
    assert_none(&long);
}

#[test]
fn every_error_code_is_documented() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/errors.md");
    let docs = std::fs::read_to_string(docs).unwrap();
    let missing =
        b2_backup::error::CODES.iter().filter(|code| !docs.contains(&format!("| `{code}` |")));
    assert_none(
        &missing.map(|code| format!("{code} is not in docs/errors.md")).collect::<Vec<_>>(),
    );
}

#[test]
fn the_reader_of_use_lines_reads_them() {
    assert_eq!(
        used("use crate::{error::{A, B}, format, ops::x::{C}};\ncrate::cpu::run()"),
        ["cpu", "error", "format", "ops"]
    );
    assert!(names("use rayon::prelude::*;", "rayon") && names("zstd::bulk()", "zstd"));
    assert!(!names("our_rayon::x(); crate::rayon", "rayon") && !names("napi_derive", "napi"));
    assert!(!code_of("a // crate::ops\n#[cfg(test)]\nuse crate::ops;").contains("ops"));
}

/// What only tests use, and the line that declares it.
const FOR_TESTS: &[(&str, &str)] = &[
    ("engine/session.rs", "pub weak_passphrase:"),
    ("ops/mod.rs", "pub mod probe;"),
    ("store/b2.rs", "pub api_url:"),
    ("store/b2.rs", "pub trusted_hosts:"),
    ("store/mod.rs", "pub mod memory;"),
    ("store/open.rs", "pub b2_api_url:"),
    ("store/open.rs", "pub trusted_hosts:"),
    ("store/s3/mod.rs", "pub mod probe;"),
];

/// Each of these is there with the feature `testing` alone, and what builds the addon asks for no feature.
#[test]
fn what_only_tests_use_is_not_in_the_addon() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let mut breaches = Vec::new();
    for (path, line) in FOR_TESTS {
        let text = read(&format!("src/{path}"));
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let at = lines.iter().position(|found| found.starts_with(line));
        let behind = at.is_some_and(|at| lines[at - 1] == "#[cfg(feature = \"testing\")]");
        if !behind {
            breaches.push(format!("src/{path}: {line} is not behind the feature testing"));
        }
    }
    let manifest = read("Cargo.toml");
    assert!(manifest.contains("\ndefault = [\"node\"]\n") && manifest.contains("\ntesting = []\n"));
    let (shipped, _) = manifest.split_once("\n[dev-dependencies]").unwrap();
    if shipped.matches("testing").count() != 1 {
        breaches.push("Cargo.toml: testing is for [dev-dependencies]".into());
    }
    for path in ["package.json", "scripts/setup.mjs", ".github/workflows/release.yml"] {
        if read(path).contains("--features") {
            breaches.push(format!("{path} builds the addon with features of its own"));
        }
    }
    assert_none(&breaches);
}

#[test]
fn every_dependency_is_explained() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = std::fs::read_to_string(root.join("docs/dependencies.md")).unwrap();
    let explained: Vec<&str> = docs
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" | ").next())
        .flat_map(|crates| crates.split(", "))
        .collect();
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let (mut missing, mut inside) = (Vec::new(), false);
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]");
        } else if let Some((name, _)) = line.split_once(" = ").filter(|_| inside)
            && name != env!("CARGO_PKG_NAME")
            && !explained.contains(&name)
        {
            missing.push(format!("{name} is not in docs/dependencies.md"));
        }
    }
    assert!(explained.len() > 30);
    assert_none(&missing);
}
