//! A new machine is given what another one had, by itself: the newest snapshot, as long as nothing of a user's is
//! here. The course is that of a rollback, but for the safety snapshot: there is nothing to be safe.

use std::time::Instant;

use super::recovery::no_longer_blank;
use super::rollback::{in_use, stage_arrival};
use crate::engine::newest::{Head, Heads};
use crate::engine::session::Session;
use crate::engine::time::time;
use crate::error::{Error, Result};
use crate::format::{SnapshotId, SnapshotName};
use crate::local::{Arrival, Phase};
use crate::repo::find;

/// What became of looking for something to give to this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AutoRestoreOutcome {
    /// It has been backed up, or rolled back, before.
    #[default]
    NotNew,
    /// It has content of its own.
    Used,
    /// There is no snapshot that could be given to it.
    NoSnapshot,
    /// It was tried before and could not be carried out; the next push begins a life of its own.
    Failed,
    /// Something is ready already, and waits for OpenClaw to stop.
    Waiting,
    /// Something is ready now, and waits for OpenClaw to stop.
    Staged,
}

impl AutoRestoreOutcome {
    /// The name that users and other programs see.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NotNew => "not-new",
            Self::Used => "used",
            Self::NoSnapshot => "no-snapshot",
            Self::Failed => "failed",
            Self::Waiting => "waiting",
            Self::Staged => "staged",
        }
    }
}

/// What [`auto_restore`] came to.
#[derive(Clone, Debug, Default)]
pub struct AutoRestoreReport {
    /// What became of it.
    pub outcome: AutoRestoreOutcome,
    /// What shows that the machine is in use.
    pub used: Option<String>,
    /// The id of the rollback, where one waits.
    pub id: Option<String>,
    /// The snapshot, where one waits, or waited until the machine was used.
    pub snapshot: Option<String>,
    /// What comes with it.
    pub arrival: Option<Arrival>,
    /// Body bytes received.
    pub downloaded_bytes: u64,
    /// Requests made.
    pub requests: u64,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// How long it took, milliseconds.
    pub duration_ms: u64,
}

/// Makes the newest snapshot ready for a machine that has nothing; [`recover`](super::recovery::recover) carries it out.
///
/// It takes the newest that is authenticated, where one machine alone stored backups lately. A machine that was backed up or rolled back
/// before, or that has content, costs no request.
///
/// # Errors
/// `B2_LOCKED`; `B2_NEEDS_CHOICE` where several machines are alive, or the times of the snapshot do not agree;
/// `B2_WRONG_KEY` when there are snapshots and none opens, `B2_NOT_AUTHENTICATED` when all that open
/// are not sealed; `B2_HOST_TOO_OLD`, `B2_DAMAGED`, `B2_UNSAFE_PATH`, `B2_DATABASE_IN_PROCESS`, and those of the store
/// and the file system. Whatever happens, nothing of the state is changed here.
///
/// # Cancel safety
/// It can be cancelled at any moment, and leaves nothing.
pub async fn auto_restore(session: &Session) -> Result<AutoRestoreReport> {
    let started = Instant::now();
    let mut report = prepare(session).await?;
    let traffic = session.traffic();
    report.downloaded_bytes = traffic.received_bytes;
    report.requests = traffic.requests;
    report.warnings.splice(0..0, session.warnings.iter().cloned());
    report.duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(report)
}

async fn prepare(session: &Session) -> Result<AutoRestoreReport> {
    let outcome = |outcome| Ok(AutoRestoreReport { outcome, ..AutoRestoreReport::default() });
    let rollbacks = session.local.rollbacks();
    if session.local.machine()?.is_some() {
        return outcome(AutoRestoreOutcome::NotNew);
    }
    let _lock = session.local.lock()?;
    if let Some((folder, journal, phase)) = rollbacks.open()? {
        if phase == Phase::Staged
            && let Some(used) = no_longer_blank(&session.settings, &journal)?
        {
            // The restart did not come, and somebody began to work: that must be backed up.
            folder.remove()?;
            return Ok(AutoRestoreReport {
                outcome: AutoRestoreOutcome::Used,
                used: Some(used),
                snapshot: Some(journal.snapshot),
                ..AutoRestoreReport::default()
            });
        }
        return Ok(AutoRestoreReport {
            outcome: AutoRestoreOutcome::Waiting,
            id: Some(folder.id().to_owned()),
            snapshot: Some(journal.snapshot),
            arrival: journal.arrival,
            ..AutoRestoreReport::default()
        });
    }
    if rollbacks.last()?.is_some() {
        return outcome(AutoRestoreOutcome::NotNew);
    }
    if rollbacks.arrival_failed()? {
        return outcome(AutoRestoreOutcome::Failed);
    }
    if let Some(used) = session.cancellable(in_use(session)).await? {
        return Ok(AutoRestoreReport {
            outcome: AutoRestoreOutcome::Used,
            used: Some(used),
            ..AutoRestoreReport::default()
        });
    }
    session.cancellable(stage_newest(session)).await
}

async fn stage_newest(session: &Session) -> Result<AutoRestoreReport> {
    let names = find(&*session.store).await?;
    let regular = names.iter().filter_map(|name| match name {
        SnapshotName::Current(id) if !id.safety => Some(id.clone()),
        _ => None,
    });
    let regular: Vec<SnapshotId> = regular.collect();
    if regular.is_empty() {
        let mut report = AutoRestoreReport {
            outcome: AutoRestoreOutcome::NoSnapshot,
            ..AutoRestoreReport::default()
        };
        if names.iter().any(|name| matches!(name, SnapshotName::Legacy(_))) {
            report.warnings.push(
                "the bucket holds backups of the original plugin, which are not authenticated and never come by \
                 themselves: `b2-backup list` shows them, `b2-backup restore ID --to DIR` brings them back"
                    .to_owned(),
            );
        }
        return Ok(report);
    }
    let heads = Heads::find(session, regular).await?;
    refuse_to_guess(&heads)?;
    let Some((snapshot, warnings)) = heads.newest()? else {
        return Ok(AutoRestoreReport {
            outcome: AutoRestoreOutcome::NoSnapshot,
            ..AutoRestoreReport::default()
        });
    };
    let Some(staged) = stage_arrival(session, &snapshot.id).await? else {
        return Ok(AutoRestoreReport {
            outcome: AutoRestoreOutcome::NoSnapshot,
            ..AutoRestoreReport::default()
        });
    };
    Ok(AutoRestoreReport {
        outcome: AutoRestoreOutcome::Staged,
        id: Some(staged.id),
        snapshot: Some(staged.snapshot),
        arrival: staged.arrival,
        warnings: warnings.into_iter().chain(staged.warnings).collect(),
        ..AutoRestoreReport::default()
    })
}

/// Nobody is asked before a new machine is given something: so it must be clear what.
fn refuse_to_guess(heads: &Heads) -> Result<()> {
    let alive: Vec<&Head> = heads.alive().collect();
    let message = match alive[..] {
        [Head { doubt: None, .. }] | [] => return Ok(()),
        [Head { snapshot, doubt: Some(doubt), .. }] => format!(
            "{}, the last snapshot of machine {}, is odd: {doubt}",
            snapshot.id, snapshot.id.machine
        ),
        _ => {
            let one = |head: &&Head| {
                let Head { snapshot, at_ms, doubt, .. } = head;
                let at = at_ms.map_or_else(String::new, |at| format!(", stored {}", time(at)));
                let doubt = doubt.as_ref().map_or_else(String::new, |doubt| format!(" ({doubt})"));
                format!("{} of machine {}{at}{doubt}", snapshot.id, snapshot.id.machine)
            };
            let each: Vec<String> = alive.iter().map(one).collect();
            format!(
                "{} machines store backups in this bucket, and only you know which of them this one is to be. The \
                 newest of each: {}",
                each.len(),
                each.join("; ")
            )
        }
    };
    let message = format!(
        "{message}. Choose with `b2-backup restore SNAPSHOT`; if this machine replaces that one, say \
         `b2-backup adopt MACHINE` as well"
    );
    Err(Error::NeedsChoice { message })
}
