//! Doors for `tests/fuzz` to what reads bytes from outside and is private otherwise. No part of the interface.

use std::path::Path;

use super::recovery::{Change, merge};
use crate::engine::file_cache::Memory;
use crate::engine::select::Selection;
use crate::engine::tree;
use crate::entry::RelPath;
use crate::error::Result;
use crate::format::{Entry, RootRecord};
use crate::source::naming::Naming;

/// The entries of a tree with so many roots, checked as before a restore.
///
/// # Errors
/// Those of the check.
pub fn entries(tree: &[u8], roots: usize) -> Result<Vec<Entry>> {
    tree::checked(tree, "tree", roots)
}

/// The entries that paths and globs mean.
///
/// # Errors
/// `B2_CONFIG`
pub fn selected(paths: &[String], entries: Vec<Entry>, roots: &[RootRecord]) -> Result<Vec<Entry>> {
    Ok(Selection::new(paths)?.choose(entries, roots))
}

/// What a file system that is exact, that folds names, and that of Windows finds a path under.
///
/// # Errors
/// `B2_UNSAFE_PATH`, for each.
pub fn names(base: &Path, path: &RelPath) -> [Result<Option<String>>; 3] {
    [Naming::Exact, Naming::Folding, Naming::Windows].map(|naming| naming.check(base, path))
}

/// The configuration that a rollback writes, from that of a snapshot and the live one.
#[must_use]
pub fn config(snapshot: &[u8], live: &str) -> Vec<u8> {
    let change = Change { live: Some(live), moved: Some(("/old", "/new")), keep_logins: true };
    merge(snapshot, &change)
}

/// How many entries the memory of a snapshot's files has, where it can be read.
#[must_use]
pub fn memory(bytes: &[u8], snapshot: &str) -> Option<usize> {
    Memory::decode(bytes, snapshot).map(|memory| memory.len())
}
