//! A machine's own clock and dice.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use b2_backup::ambient::{Clock, Entropy};
use b2_backup::error::Result;
use futures_util::future::BoxFuture;

use super::rng::Rng;
use crate::support::calendar::Calendar;

/// A machine's own clock, ahead of the server's by some seconds.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) calendar: Arc<Calendar>,
    pub(crate) ahead: Arc<AtomicI64>,
}

impl Clock for Watch {
    fn now(&self) -> SystemTime {
        let seconds = self.calendar.seconds() + self.ahead.load(Ordering::SeqCst);
        UNIX_EPOCH + Duration::from_secs(seconds.unsigned_abs())
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// Randomness that can be had again.
#[derive(Debug)]
pub(crate) struct Dice(pub(crate) Mutex<Rng>);

impl Entropy for Dice {
    fn fill(&self, buffer: &mut [u8]) -> Result<()> {
        let mut rng = self.0.lock().unwrap();
        for some in buffer.chunks_mut(8) {
            let bytes = rng.next().to_le_bytes();
            some.copy_from_slice(&bytes[..some.len()]);
        }
        Ok(())
    }
}
