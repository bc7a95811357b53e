//! What comes from outside and tests must own: time, randomness, and the moment at which a process ends.

use std::fmt::Debug;
use std::path::Path;
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

/// Called before and after each step that changes this machine's disk (local memory, the spool, a restore, a rollback):
/// tests end the process there, or let the step fail.
pub trait FailPoints: Debug + Send + Sync {
    /// `name` says what is about to be done, or was just done.
    ///
    /// # Errors
    /// What the system is to have answered.
    fn step(&self, name: &'static str) -> std::io::Result<()>;
}

/// Nothing fails by itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFailPoints;

impl FailPoints for NoFailPoints {
    fn step(&self, _name: &'static str) -> std::io::Result<()> {
        Ok(())
    }
}

/// Does `work` as one step.
///
/// # Errors
/// Those of `work`.
pub fn stepped<T>(
    steps: &dyn FailPoints,
    name: &'static str,
    work: impl FnOnce() -> std::io::Result<T>,
) -> std::io::Result<T> {
    steps.step(name)?;
    let done = work()?;
    steps.step(name)?;
    Ok(done)
}

/// Makes directories that only their owner may enter.
#[must_use]
pub fn private_dirs() -> std::fs::DirBuilder {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "same shape as on unix"))]
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

/// As [`stepped`], for what SQLite does with the database at `path`: it knows itself whether it was done.
///
/// # Errors
/// Those of `work`.
pub fn announced<T>(
    steps: &dyn FailPoints,
    name: &'static str,
    path: &Path,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    steps.step(name).map_err(|error| Error::io(name, path, error))?;
    let done = work();
    let _done_all_the_same = steps.step(name);
    done
}
