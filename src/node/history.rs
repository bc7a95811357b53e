//! Looking into snapshots, as JavaScript sees it: one snapshot, and one path through all of them.

use napi::bindgen_prelude::Buffer;
use napi_derive::napi;

use super::mirror::{IntoJs, derive, mirror};
use super::problem::FileProblem;
use crate::ops;

/// What to show.
#[napi(object, object_to_js = false)]
#[derive(Debug)]
pub struct ShowOptions {
    /// Id of a snapshot, or `latest`.
    pub snapshot: String,
    /// A file, a directory or a glob below the state directory, or from `/` on; everything when left out.
    pub path: Option<String>,
    /// Whether a snapshot may be used that anyone with access to the bucket can have made.
    pub allow_unauthenticated: Option<bool>,
}

impl From<ShowOptions> for ops::ShowOptions {
    fn from(options: ShowOptions) -> Self {
        Self {
            snapshot: options.snapshot,
            path: options.path,
            allow_unauthenticated: options.allow_unauthenticated.unwrap_or(false),
        }
    }
}

/// One path of a snapshot.
#[napi(object, object_from_js = false)]
#[derive(Debug, mirror!)]
pub struct ShownEntry {
    /// The path; bytes that are not UTF-8 and control characters as `\xNN`. Outside the state directory with its
    /// root before it.
    pub path: String,
    /// `file`, `directory` or `symlink`.
    pub kind: String,
    /// Bytes of content; 0 where it is no file.
    pub bytes: f64,
    /// Permission bits.
    pub mode: u32,
    /// When it was last written, ISO 8601.
    pub modified_at: String,
    /// Whether it is a database.
    pub database: bool,
    /// Where a symlink points.
    pub target: Option<String>,
}

/// What a snapshot holds.
#[napi(object, object_from_js = false)]
pub struct ShowReport {
    /// Id of the snapshot.
    pub snapshot: String,
    /// When it was made, ISO 8601, by the clock of the machine that made it.
    pub created_at: String,
    /// Everything that is meant, by root, the state directory first, then by path.
    pub entries: Vec<ShownEntry>,
    /// Whether something of the state is not in the snapshot.
    pub incomplete: bool,
    /// What is not in it, or not as it should be, as far as it is about what is meant, the worst first.
    pub remarks: Vec<FileProblem>,
    /// What is in the file, where the path is that of one file.
    pub content: Option<Buffer>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

// By hand: a buffer of JavaScript has none, and what is in a file is not for a log.
impl std::fmt::Debug for ShowReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { snapshot, created_at, entries, incomplete, remarks, content: _, warnings } =
            self;
        f.debug_struct("ShowReport")
            .field("snapshot", snapshot)
            .field("created_at", created_at)
            .field("entries", entries)
            .field("incomplete", incomplete)
            .field("remarks", remarks)
            .field("warnings", warnings)
            .finish_non_exhaustive()
    }
}

impl IntoJs for ops::ShowReport {
    type Js = ShowReport;

    fn into_js(self) -> ShowReport {
        ShowReport {
            snapshot: self.snapshot,
            created_at: self.created_at,
            entries: self.entries.into_js(),
            incomplete: self.incomplete,
            remarks: self.remarks.into_js(),
            content: self.content.map(Buffer::from),
            warnings: self.warnings,
        }
    }
}

/// Whose history.
#[napi(object, object_to_js = false)]
#[derive(Debug)]
pub struct HistoryOptions {
    /// A file or symlink below the state directory, or from `/` on.
    pub path: String,
    /// Whether to say which lines of small text files differ from one version to the next.
    pub text: Option<bool>,
    /// Whether snapshots may be used that anyone with access to the bucket can have made.
    pub allow_unauthenticated: Option<bool>,
    /// The workspace of the agent that asks, absolute: lines are told of its own plain files alone.
    pub agent_workspace: Option<String>,
}

impl From<HistoryOptions> for ops::HistoryOptions {
    fn from(options: HistoryOptions) -> Self {
        Self {
            path: options.path,
            text: options.text.unwrap_or(false),
            allow_unauthenticated: options.allow_unauthenticated.unwrap_or(false),
        }
    }
}

/// What a path was, from one snapshot of a machine to another.
#[napi(object, object_from_js = false)]
#[derive(Debug, mirror!)]
pub struct PathVersion {
    /// The path; outside the state directory with its root before it.
    pub path: String,
    /// Whose snapshots these are.
    pub machine: String,
    /// What people call that machine, where its newest snapshot says so.
    pub machine_name: Option<String>,
    /// The first snapshot that has it so.
    pub snapshot: String,
    /// When that was made, ISO 8601, by the clock of its machine.
    pub created_at: String,
    /// The last snapshot in a row that has it so.
    pub last_snapshot: String,
    /// How many snapshots in a row have it so.
    pub snapshots: f64,
    /// `added` (in the first snapshot there is, too), `removed` or `changed`.
    pub change: String,
    /// In what it differs from the version before: `content`, `mode`, `target` (of a symlink), `kind`.
    pub what: Vec<String>,
    /// `file`, `directory` or `symlink`; what it was where it is no more.
    pub kind: String,
    /// Bytes of content; 0 where it is no file, and where it is no more.
    pub bytes: f64,
    /// When it was last written, ISO 8601; not where it is no more.
    pub modified_at: Option<String>,
    /// Whether it is a database.
    pub database: bool,
    /// Hunks of a unified diff from the version before, without the lines that name the files; where text was
    /// asked for. Of the first version there is none.
    pub text: Option<String>,
    /// Why there is no text of a version whose content differs, where text was asked for; see `DiffEntry`.
    pub text_omitted: Option<String>,
}

/// The versions of a path.
#[napi(object, object_from_js = false)]
#[derive(Debug, mirror!)]
pub struct HistoryReport {
    /// By machine and path, this machine first, and the oldest version of each first.
    pub versions: Vec<PathVersion>,
    /// Snapshots that were looked at.
    pub snapshots: f64,
    /// What the user should know; snapshots that could not be looked at among it.
    pub warnings: Vec<String>,
    /// Requests made.
    pub requests: f64,
    /// Bytes received.
    pub downloaded_bytes: f64,
}
