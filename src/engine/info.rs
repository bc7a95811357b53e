//! What a list says of one snapshot.

use super::problem::FileProblem;

/// A file that has much new content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedPath {
    /// The path for people; outside the state directory with its root before it.
    pub path: String,
    /// Bytes of its content that were new, before compression.
    pub bytes: u64,
}

/// What is new against the previous snapshot of the same machine. Directories are not counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotChanges {
    /// New files.
    pub added: u64,
    /// Files with another content or mode, links to elsewhere.
    pub changed: u64,
    /// Files that are gone.
    pub removed: u64,
    /// Bytes that were stored for it.
    pub stored_bytes: u64,
    /// At most five files, those with most new content first.
    pub most: Vec<ChangedPath>,
}

/// The schema of one of the host's databases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostSchema {
    /// The path below the state directory, for people.
    pub path: String,
    /// Its version, as the host counts it.
    pub version: i32,
}

/// One snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// Its name.
    pub id: String,
    /// `regular` or `safety`.
    pub kind: &'static str,
    /// Why it was made, where it can be read.
    pub reason: Option<&'static str>,
    /// Whose it is; empty for format 1.
    pub machine: String,
    /// What people call that machine, where the snapshot says so.
    pub machine_name: Option<String>,
    /// Whether this machine made it.
    pub this_machine: bool,
    /// When, ISO 8601, by the clock of the machine that made it.
    pub created_at: String,
    /// Version of the host that it was made under, where known.
    pub host_version: Option<String>,
    /// How the host was installed, where known.
    pub host_install: Option<String>,
    /// The schemas of the host's databases in it, where known.
    pub host_schemas: Option<Vec<HostSchema>>,
    /// Files in it.
    pub files: u64,
    /// Bytes of content of those files.
    pub bytes: u64,
    /// Whether only somebody with the key can have made it.
    pub authenticated: bool,
    /// Format of the repository: 1 is the original plugin's.
    pub format: u8,
    /// Why more is not known.
    pub problem: Option<String>,
    /// The stable code of the problem.
    pub problem_code: Option<&'static str>,
    /// What cannot be about its times: then it is never taken by itself, and `latest` says so.
    pub doubt: Option<String>,
    /// What is new in it; `None` for the first of a machine, and where it is not known.
    pub changes: Option<SnapshotChanges>,
    /// Whether something of the state is not in it.
    pub incomplete: bool,
    /// What is not in it, or not as it should be: at most 20, the worst first.
    pub remarks: Vec<FileProblem>,
    /// How many more there are.
    pub more_remarks: u64,
}
