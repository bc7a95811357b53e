//! What comes from outside and tests must own: time and randomness.

use std::fmt::Debug;
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;

use crate::error::{Error, Result};

/// Time as the core sees it.
pub trait Clock: Debug + Send + Sync {
    /// The present wall-clock time of this machine.
    fn now(&self) -> SystemTime;
    /// Completes after `duration`.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

/// The machine's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// Randomness as the core sees it.
pub trait Entropy: Debug + Send + Sync {
    /// Fills `buffer` with random bytes.
    ///
    /// # Errors
    /// `B2_INTERNAL` when the system has none to give.
    fn fill(&self, buffer: &mut [u8]) -> Result<()>;
}

/// The operating system's randomness.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, buffer: &mut [u8]) -> Result<()> {
        getrandom::fill(buffer).map_err(|error| Error::internal(format!("no randomness: {error}")))
    }
}

/// `N` random bytes.
///
/// # Errors
/// `B2_INTERNAL` when the system has none to give.
pub fn random<const N: usize>(entropy: &dyn Entropy) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes)?;
    Ok(bytes)
}
