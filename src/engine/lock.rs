//! The lock of a state directory: one operation at a time.

use std::time::Duration;

use super::session::Session;
use crate::error::{Error, Result};
use crate::local::LockFile;
use crate::progress::Phase;

/// How often the lock is tried while waiting for it. Locking with a wait in the system's hands could not be
/// cancelled.
const LOCK_INTERVAL: Duration = Duration::from_millis(250);

/// Takes the lock of the state directory. Waiting is counted in sleeps: a wall clock may jump.
pub(crate) async fn lock(session: &Session, wait: Duration) -> Result<LockFile> {
    let mut left = wait;
    loop {
        match session.local.lock() {
            Err(Error::Locked { .. }) if !left.is_zero() => {
                session.report(Phase::Wait, 0, None, 0);
                let step = left.min(LOCK_INTERVAL);
                tokio::select! {
                    biased;
                    () = session.ambient.cancel.cancelled() => return Err(Error::Cancelled),
                    () = session.ambient.clock.sleep(step) => left -= step,
                }
            }
            done => return done,
        }
    }
}
