//! Rolling back: what JavaScript gives and gets.

use napi_derive::napi;

use super::mirror::{IntoJs, derive, mirror};
use super::problem::FileProblem;
use crate::ops::{self, Mode};

/// What to roll back to, and how.
#[napi(object, object_to_js = false)]
#[derive(Debug, Default)]
pub struct RollbackOptions {
    /// Id of a snapshot, or `latest`; not looked at with `undo`.
    pub snapshot: Option<String>,
    /// Whether to undo the last rollback instead.
    pub undo: Option<bool>,
    /// Paths or globs below the state directory; everything when left out.
    pub paths: Option<Vec<String>>,
    /// Whether files that the snapshot does not have are removed.
    pub exact: Option<bool>,
    /// Whether the rest is rolled back when some files of the snapshot are damaged.
    pub partial: Option<bool>,
    /// Whether a snapshot may be used that anyone with access to the bucket can have made.
    pub allow_unauthenticated: Option<bool>,
    /// The workspace of the agent that asks, absolute: what it needs no approval for is in there.
    pub agent_workspace: Option<String>,
}

impl From<RollbackOptions> for ops::RollbackRequest {
    fn from(options: RollbackOptions) -> Self {
        let exact = options.exact.unwrap_or(false);
        Self {
            snapshot: options.snapshot.unwrap_or_else(|| "latest".to_owned()),
            paths: options.paths.unwrap_or_default(),
            mode: if exact { Mode::Exact } else { Mode::Overlay },
            partial: options.partial.unwrap_or(false),
            allow_unauthenticated: options.allow_unauthenticated.unwrap_or(false),
        }
    }
}

/// One path of a plan.
#[napi(object, object_from_js = false)]
#[derive(Debug, mirror!)]
pub struct RollbackEntry {
    /// The path for people; outside the state directory with its root before it.
    pub path: String,
    /// `add`, `replace`, `delete` or `keep-live`.
    pub action: String,
    /// Bytes of what comes; 0 where nothing does.
    pub bytes: f64,
    /// Whether it is a database.
    pub database: bool,
    /// Why it stays, or what of it changes where that is not its content.
    pub reason: Option<String>,
}

/// Places of the state that decide what OpenClaw does.
#[napi(object, object_from_js = false)]
#[derive(Debug, mirror!)]
#[custom(of = ops::Touches)]
pub struct RollbackTouches {
    /// OpenClaw's configuration.
    pub configuration: bool,
    /// Hooks: code that OpenClaw runs.
    pub hooks: bool,
    /// Skills: what the agent believes it can do.
    pub skills: bool,
}

/// One thing that a rollback does beside changing files.
#[napi(object, object_from_js = false)]
#[derive(Debug, mirror!)]
#[custom(of = ops::Effect)]
pub struct RollbackEffect {
    /// `runs` (something would run, or the agent would be told something else to do), `allows` (something would be
    /// allowed, or not any more), `secret` (a secret of the configuration changes) or `setting` (any other one).
    pub weight: String,
    /// A sentence, never with a secret in it.
    pub text: String,
}

/// What a rollback would do. What is the same already is not in it.
#[napi(object, object_from_js = false)]
#[derive(Debug, mirror!)]
pub struct RollbackPlan {
    /// Id of the snapshot.
    pub snapshot: String,
    /// When it was made, ISO 8601.
    pub created_at: String,
    /// Every path that is not as in the snapshot: directories above roots that come or go, then all others, sorted.
    pub entries: Vec<RollbackEntry>,
    /// What of the snapshot does not come, though it should: names that the file system here cannot hold
    /// (`B2_UNSAFE_PATH`), and directories whose disk seems not to be mounted (`B2_ROOT_GONE`), or that cannot be used
    /// (`B2_SKIPPED_ROOT`).
    pub left_out: Vec<FileProblem>,
    /// Bytes of all files that come.
    pub bytes: f64,
    /// Bytes of files that have to be fetched.
    pub fetch_bytes: f64,
    /// Which places that want a second look are among them.
    pub touches: RollbackTouches,
    /// What would run, what would be allowed, which secrets of the configuration change, and its other settings; in
    /// this order.
    pub effects: Vec<RollbackEffect>,
    /// Why the owner has to approve it when an agent asks for it; empty where nothing speaks against it.
    pub needs_approval: Vec<String>,
    /// Whether OpenClaw runs, and has to restart for this.
    pub needs_restart: bool,
    /// Hash over all of it, which `rollBack` takes.
    pub hash: String,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// What became of a rollback.
#[napi(object, object_from_js = false)]
#[derive(Debug, mirror!)]
#[custom(of = ops::RecoverReport)]
pub struct RollbackReport {
    /// `nothing` (there was nothing to do), `waiting` (until OpenClaw restarts), `applied`, `rolled-back` (it could not
    /// be finished, and everything is as it was before) or `given-up` (it was for a machine that has nothing, and
    /// somebody uses it by now).
    pub outcome: String,
    /// Its id; not set when there was nothing to do.
    pub id: Option<String>,
    /// The snapshot that is restored.
    pub snapshot: Option<String>,
    /// The snapshot of what was there.
    pub safety: Option<String>,
    /// Bytes received.
    #[custom(|_| 0_u64)]
    pub downloaded_bytes: f64,
    /// Requests made.
    #[custom(|_| 0_u64)]
    pub requests: f64,
    /// Files of the snapshot that are damaged, or have a name that cannot be here, and stay as they are.
    pub failed: Vec<FileProblem>,
    /// Paths that changed between the plan and the end; what was there is kept until the next push.
    pub late: Vec<String>,
    /// Directories that should have gone, and hold something that is no part of backups.
    pub left: Vec<String>,
    /// Why it could not be finished.
    pub problem: Option<String>,
    /// What the user should know.
    #[custom(|_| Vec::<String>::new())]
    pub warnings: Vec<String>,
    /// Set where a machine that had nothing is given what another one had.
    pub arrival: Option<Arrival>,
    /// Milliseconds it took.
    #[custom(|_| 0_u64)]
    pub duration_ms: f64,
}

/// What a machine that has nothing is given.
#[napi(object, object_from_js = false)]
#[derive(Debug, mirror!)]
pub struct Arrival {
    /// Whether nobody asked for it.
    pub by_itself: bool,
    /// When the snapshot was made, ISO 8601.
    #[custom(|arrival| ops::iso_time(arrival.made_at_ms))]
    pub made_at: String,
    /// Where the state directory was on the machine that made it.
    pub from: String,
    /// What people call that machine, where the snapshot says so.
    pub machine_name: Option<String>,
    /// Files that come.
    pub files: f64,
    /// Whether the logins of that machine come, too.
    pub with_secrets: bool,
    /// Logins that the configuration names.
    pub logins: Vec<String>,
    /// What else does not come, in sentences.
    pub notes: Vec<String>,
    /// What of it can run, in words: hooks, skills, plugins, MCP servers, variables of the environment.
    pub runs: Vec<String>,
}

/// What was found for a machine that may be new.
#[napi(object, object_from_js = false)]
#[derive(Debug, mirror!)]
pub struct AutoRestoreReport {
    /// `not-new` (backed up or rolled back before), `used` (it has content of its own), `no-snapshot`, `failed` (tried
    /// before, and put back), `waiting` (something was ready already) or `staged` (something is ready now, and waits for
    /// OpenClaw to stop).
    pub outcome: String,
    /// What shows that the machine is in use.
    pub used: Option<String>,
    /// The id of the rollback, where one waits.
    pub id: Option<String>,
    /// The snapshot, where one waits, or waited until the machine was used.
    pub snapshot: Option<String>,
    /// What comes with it.
    pub arrival: Option<Arrival>,
    /// Bytes received.
    pub downloaded_bytes: f64,
    /// Requests made.
    pub requests: f64,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// Milliseconds it took.
    pub duration_ms: f64,
}

impl IntoJs for ops::RollbackReport {
    type Js = RollbackReport;

    fn into_js(self) -> RollbackReport {
        RollbackReport {
            outcome: self.outcome.into_js(),
            id: self.id,
            snapshot: Some(self.snapshot),
            safety: self.safety,
            downloaded_bytes: self.downloaded_bytes.into_js(),
            requests: self.requests.into_js(),
            failed: self.failed.into_js(),
            late: self.late,
            left: self.left,
            problem: None,
            arrival: self.arrival.into_js(),
            warnings: self.warnings,
            duration_ms: self.duration_ms.into_js(),
        }
    }
}
