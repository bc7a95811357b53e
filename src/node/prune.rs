//! Pruning, as JavaScript sees it.

use std::time::Duration;

use napi_derive::napi;

use super::mirror::{derive, mirror};
use super::options::wait;
use crate::error::{Error, Result};
use crate::ops;

/// How to prune.
#[napi(object, object_to_js = false)]
#[derive(Debug)]
pub struct PruneOptions {
    /// How many of the newest snapshots are kept; at least 1.
    pub keep_snapshots: f64,
    /// Of how many days, beyond those, the last snapshot is kept.
    pub keep_daily: f64,
    /// Of how many weeks, beyond those, the last snapshot is kept.
    pub keep_weekly: f64,
    /// Of how many of the last updates of OpenClaw, besides all that, the last snapshot before each is kept, for 90 days at
    /// most; none by default.
    pub keep_updates: Option<f64>,
    /// Whether to tell what would be done, and to delete nothing.
    pub dry_run: Option<bool>,
    /// Whether to go on where more than half of the snapshots would go.
    pub more_than_half: Option<bool>,
    /// How long to wait for another process that works on the same state directory, in milliseconds; 0 by
    /// default, which fails at once with `B2_LOCKED`.
    pub wait_ms: Option<f64>,
}

impl TryFrom<PruneOptions> for ops::PruneOptions {
    type Error = Error;

    fn try_from(options: PruneOptions) -> Result<Self> {
        let keep = ops::Keep::new(
            whole("keepSnapshots", options.keep_snapshots)?,
            whole("keepDaily", options.keep_daily)?,
            whole("keepWeekly", options.keep_weekly)?,
        )?
        .with_updates(whole("keepUpdates", options.keep_updates.unwrap_or(0.0))?);
        let wait: Duration = wait(options.wait_ms)?;
        Ok(Self {
            keep,
            dry_run: options.dry_run.unwrap_or(false),
            more_than_half: options.more_than_half.unwrap_or(false),
            wait,
        })
    }
}

/// A whole number from 0; more than there can be snapshots is as good as all of them.
fn whole(field: &str, value: f64) -> Result<u32> {
    if !(value >= 0.0 && value.fract() == 0.0) {
        return Err(Error::config(field, "must be a whole number from 0"));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked, and a cast of floats saturates"
    )]
    Ok(value as u32)
}

/// A snapshot of this machine, and what becomes of it.
#[napi(object, object_from_js = false)]
#[derive(Debug, mirror!)]
pub struct PrunedSnapshot {
    /// Its name.
    pub id: String,
    /// When it was made by the server's clock, ISO 8601.
    pub created_at: String,
    /// Why it is kept: `newest 3`, `daily 2`, `weekly 1`, `safety`, `future`, `undo`. Empty: it goes.
    pub reasons: Vec<String>,
}

/// What pruning did, or would do.
#[napi(object, object_from_js = false)]
#[derive(Debug, mirror!)]
pub struct PruneReport {
    /// Every snapshot of this machine, oldest first.
    pub snapshots: Vec<PrunedSnapshot>,
    /// Snapshots that are deleted.
    pub deleted_snapshots: f64,
    /// Packs that are deleted.
    pub deleted_packs: f64,
    /// Bytes that this frees now.
    pub freed_bytes: f64,
    /// Packs that nothing needs, and that wait for their day to be over.
    pub waiting_packs: f64,
    /// Bytes that these will free.
    pub waiting_bytes: f64,
    /// Objects that were hidden, because the key may not delete.
    pub hidden: f64,
    /// Snapshots of other machines and of format 1, which are left alone.
    pub others: f64,
    /// Why nothing would be deleted; only of a dry run.
    pub stop: Option<String>,
    /// Requests made.
    pub requests: f64,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// Milliseconds it took.
    pub duration_ms: f64,
}

/// What forgetting a machine did, or would do.
#[napi(object, object_from_js = false)]
#[derive(Debug, mirror!)]
pub struct ForgetReport {
    /// The machine.
    pub machine: String,
    /// Its snapshots, which are deleted.
    pub snapshots: Vec<String>,
    /// Packs that are deleted.
    pub deleted_packs: f64,
    /// Bytes that this frees now.
    pub freed_bytes: f64,
    /// Packs that wait for a day to be over.
    pub waiting_packs: f64,
    /// Bytes that these will free.
    pub waiting_bytes: f64,
    /// Requests made.
    pub requests: f64,
    /// What the user should know.
    pub warnings: Vec<String>,
}
