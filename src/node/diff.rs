//! Comparing, as JavaScript sees it.

use napi_derive::napi;

use super::mirror::{derive, mirror};
use super::problem::FileProblem;
use crate::ops;

/// What to compare.
#[napi(object, object_to_js = false)]
#[derive(Debug)]
pub struct DiffOptions {
    /// Id of a snapshot, or `latest`.
    pub from: String,
    /// Id of another snapshot, `latest`, or `live` (default), which is the present state.
    pub to: Option<String>,
    /// Paths or globs below the state directory; everything when left out.
    pub paths: Option<Vec<String>>,
    /// Whether to say which lines of small text files differ.
    pub text: Option<bool>,
    /// Whether snapshots may be used that anyone with access to the bucket can have made.
    pub allow_unauthenticated: Option<bool>,
    /// The workspace of the agent that asks, absolute: lines are told of its own plain files alone.
    pub agent_workspace: Option<String>,
}

impl From<DiffOptions> for ops::DiffOptions {
    fn from(options: DiffOptions) -> Self {
        let to = options.to.filter(|to| to != ops::LIVE);
        Self {
            from: options.from,
            to: to.map_or(ops::DiffTo::Live, ops::DiffTo::Snapshot),
            paths: options.paths.unwrap_or_default(),
            text: options.text.unwrap_or(false),
            allow_unauthenticated: options.allow_unauthenticated.unwrap_or(false),
        }
    }
}

/// A path that is not the same on both sides.
#[napi(object, object_from_js = false)]
#[derive(Debug, mirror!)]
pub struct DiffEntry {
    /// The path; bytes that are not UTF-8 and control characters as `\xNN`. Outside the state directory with its
    /// root before it.
    pub path: String,
    /// `added`, `removed` or `changed`.
    pub change: String,
    /// In what it differs, where both sides have it: `content`, `mode`, `target` (of a symlink), `kind`.
    pub what: Vec<String>,
    /// `file`, `directory` or `symlink`; what it was where it is no more.
    pub kind: String,
    /// Bytes of content on the first side; 0 where it is no file.
    pub bytes_before: f64,
    /// Bytes of content on the second side; 0 where it is no file.
    pub bytes_after: f64,
    /// Whether it is a database.
    pub database: bool,
    /// Hunks of a unified diff without the lines that name the files; where text was asked for.
    pub text: Option<String>,
    /// Why there is no text of a file whose content differs, where text was asked for: `secret` (it may hold
    /// some), `database`, `too large` (more than 64 KiB on a side), `binary`, `limit` (256 KiB of text, or 16 MiB
    /// of content looked at), `unreadable`, and, where an agent asks, `hidden` or `not in the workspace of the agent`.
    pub text_omitted: Option<String>,
}

/// What is different.
#[napi(object, object_from_js = false)]
#[derive(Debug, mirror!)]
pub struct DiffReport {
    /// Id of the first snapshot.
    pub from: String,
    /// Id of the second one, or `live`.
    pub to: String,
    /// Files and symlinks that only the second side has.
    pub added: f64,
    /// Files and symlinks that only the first side has.
    pub removed: f64,
    /// Files and symlinks that are not the same.
    pub changed: f64,
    /// Bytes of content of all files in `entries`, on the first side.
    pub bytes_before: f64,
    /// The same on the second side.
    pub bytes_after: f64,
    /// Every difference, by root, the state directory first, then by path. Directories are listed when they
    /// are added or removed or have another mode.
    pub entries: Vec<DiffEntry>,
    /// What of the state could not be looked at, and is not compared.
    pub skipped: Vec<FileProblem>,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// Requests made.
    pub requests: f64,
    /// Bytes received.
    pub downloaded_bytes: f64,
    /// Milliseconds it took.
    pub duration_ms: f64,
}
