//! What a rollback would do, for people to look at and agree to.

use super::items::{Compared, Item};
use super::request::{Action, Mode};
use crate::crypto::sha256;
use crate::engine::problem::FileProblem;
use crate::repo::Snapshot;
use crate::source::authority::Effect;

/// One path of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollbackEntry {
    /// The path for people; outside the state directory with its root before it.
    pub path: String,
    /// What happens.
    pub action: Action,
    /// Bytes of what comes; 0 where nothing does.
    pub bytes: u64,
    /// Whether it is a database.
    pub database: bool,
    /// Why it stays, or what of it changes where that is not its content.
    pub reason: Option<String>,
}

/// Places of the state that decide what OpenClaw does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Touches {
    /// OpenClaw's configuration.
    pub configuration: bool,
    /// Hooks: code that OpenClaw runs.
    pub hooks: bool,
    /// Skills: what the agent believes it can do.
    pub skills: bool,
}

/// What a rollback would do. What is the same already is not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    pub bytes: u64,
    /// Bytes of files that have to be fetched.
    pub fetch_bytes: u64,
    /// Which places that want a second look are among them.
    pub touches: Touches,
    /// What would run, what would be allowed, which secrets of the configuration change, and its other settings; in
    /// this order.
    pub effects: Vec<Effect>,
    /// Why the owner has to approve it when an agent asks for it; empty where nothing speaks against it.
    pub needs_approval: Vec<String>,
    /// Whether OpenClaw runs, and has to restart for this.
    pub needs_restart: bool,
    /// Hash over all of it, hex. Staging takes it, so that what was agreed to is what happens.
    pub hash: String,
    /// What the user should know.
    pub warnings: Vec<String>,
}

impl RollbackPlan {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.iter().all(|entry| entry.action == Action::Keep)
    }

    /// How many paths an action is for.
    #[must_use]
    pub fn count(&self, action: Action) -> usize {
        self.entries.iter().filter(|entry| entry.action == action).count()
    }
}

/// The plan that a comparison comes to.
pub(super) fn plan_of(
    compared: &Compared,
    snapshot: &Snapshot,
    hash: [u8; 32],
    effects: Vec<Effect>,
    warnings: Vec<String>,
) -> RollbackPlan {
    let mut plan = RollbackPlan {
        snapshot: snapshot.id.to_string(),
        created_at: crate::engine::time::time(snapshot.manifest.local_time_ms),
        warnings,
        left_out: compared.left_out.clone(),
        hash: hex::encode(hash),
        effects,
        ..RollbackPlan::default()
    };
    let mut restarts = false;
    for item in &compared.items {
        plan.entries.push(RollbackEntry {
            path: compared.shown(item.root, &item.path),
            action: item.action,
            bytes: item.bytes(),
            database: item.database,
            reason: item.reason.clone(),
        });
        if item.action == Action::Keep {
            continue;
        }
        plan.bytes += item.bytes();
        plan.fetch_bytes += item.bytes();
        let configuration = compared.is_configuration(item);
        plan.touches.configuration |= configuration;
        let has = |names: &[&[u8]]| {
            item.path.as_bytes().split(|byte| *byte == b'/').any(|part| names.contains(&part))
        };
        plan.touches.hooks |= has(&[b"hooks"]);
        plan.touches.skills |= has(&[b"skills", b"skill-workshop", b"SKILL.md"]);
        restarts |= item.database || configuration;
    }
    plan.needs_restart = restarts && compared.running.is_some();
    plan
}

/// SHA-256 over what would happen: the snapshot, the mode, every path with its action and content, and what comes of
/// it. Whether a restart is needed is of the moment, and not part of it.
pub(super) fn hash(
    compared: &Compared,
    snapshot: &Snapshot,
    mode: Mode,
    effects: &[Effect],
) -> [u8; 32] {
    let mut bytes = Vec::new();
    let mut put = |part: &[u8]| {
        bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
        bytes.extend_from_slice(part);
    };
    put(b"b2-backup rollback plan 2");
    put(&snapshot.sha256);
    put(&[u8::from(mode == Mode::Exact)]);
    for Item { root, path, action, database, reason, entry, .. } in &compared.items {
        put(&compared.root_path(*root));
        put(path.as_bytes());
        put(action.name().as_bytes());
        put(&[u8::from(*database)]);
        put(reason.as_deref().unwrap_or_default().as_bytes());
        match entry {
            None => put(&[]),
            Some(entry) => {
                put(&entry.sha256);
                put(&entry.target);
                put(&entry.size.to_le_bytes());
                put(&entry.mode.to_le_bytes());
            }
        }
    }
    for Effect { weight, text } in effects {
        put(weight.name().as_bytes());
        put(text.as_bytes());
    }
    sha256(&bytes)
}
