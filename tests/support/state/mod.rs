//! Realistic `OpenClaw` states for tests and benchmarks: one to begin with, days of use after that, and a digest to tell
//! whether a restored copy is the same.
//!
//! Everything but the modification times of databases and the salts of their write-ahead logs is a pure function of
//! the options. Included by `#[path]`; a test that leaves a part unused says
//! `#[expect(dead_code, unused_imports, reason = "..")]` on its `mod state;`.

use std::path::Path;

use rusqlite::Connection;

mod database;
mod day;
mod digest;
mod documents;
mod generate;
pub(crate) mod rng;
mod text;
mod transcript;
mod tree;

pub(crate) use day::{DayOptions, day};
pub(crate) use digest::digest;
pub(crate) use generate::{StateOptions, generate};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Where a state keeps its conversations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Transcripts as JSONL files, the memory index in `SQLite` (`OpenClaw` before summer 2026).
    Legacy,
    /// Everything in `openclaw-agent.sqlite` (2026.9).
    Db,
}

/// The connections of a gateway that still runs: while this lives, or after [`Live::abandon`], the databases have a
/// live write-ahead log. Dropping it closes them, which empties and removes the logs.
#[derive(Debug, Default)]
#[must_use = "dropping it closes the databases and removes their write-ahead logs"]
pub(crate) struct Live(Vec<Connection>);

impl Live {
    /// Leaves the write-ahead logs behind, as a killed gateway does.
    pub(crate) fn abandon(self) {
        for connection in self.0 {
            std::mem::forget(connection);
        }
    }
}

/// Whether a backup leaves this path out; `relative` has `/` between its parts.
fn excluded(relative: &str) -> bool {
    let top = relative.split('/').next().unwrap_or_default();
    let name = relative.rsplit('/').next().unwrap_or_default();
    ["credentials", "media", "extensions", "devices", "identity", "b2-backup"].contains(&top)
        || name == "auth-profiles.json"
        || [".lock", ".tmp", "-wal", "-shm"].iter().any(|end| name.ends_with(end))
}

/// The files of a folder, sorted by path, that have this extension; empty without the folder.
fn files_in(folder: &Path, extension: &str) -> Result<Vec<std::path::PathBuf>> {
    let mut found = Vec::new();
    if folder.is_dir() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_file()
                && (extension.is_empty() || path.extension().is_some_and(|is| is == extension))
            {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
