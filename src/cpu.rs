//! The bridge to the CPU pool: the only user of rayon.
//!
//! Work that takes long enough to starve a tokio worker (compressing, stretching keys, hashing packs) runs
//! here. A job never blocks on a channel (rayon#835): whoever waits, waits outside.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::error::{Error, Result};

/// A pool of threads for computing.
#[derive(Clone, Debug)]
pub struct CpuPool {
    pool: Arc<rayon::ThreadPool>,
}

impl CpuPool {
    /// A pool of `threads`; 0 means all cores but one, and at least one.
    ///
    /// # Errors
    /// `B2_INTERNAL` when the system gives no threads.
    pub fn new(threads: usize) -> Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = if threads == 0 { cores.saturating_sub(1).max(1) } else { threads };
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("b2-cpu-{index}"))
            // Without a handler a panic in `spawn` ends the whole host process.
            .panic_handler(|_| {})
            .build()
            .map_err(|error| Error::internal(format!("cannot start threads: {error}")))?;
        Ok(Self { pool: Arc::new(pool) })
    }

    /// Starts a job and goes on; `done` gets its result in any case, `B2_INTERNAL` when it panicked. Whoever waits
    /// for a result outside must not wait for ever.
    pub fn start<T>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
        done: impl FnOnce(Result<T>) + Send + 'static,
    ) {
        self.pool.spawn(move || {
            // Nothing of the job is used after a panic, so there is no broken state to see.
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
            done(result.map_err(|_| Error::internal("a computation failed")));
        });
    }

    /// Runs a job and waits for its result. A job whose caller has gone is not started.
    ///
    /// # Errors
    /// `B2_INTERNAL` when the job panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let (sender, receiver) = oneshot::channel();
        self.pool.spawn(move || {
            if !sender.is_closed() {
                let _caller_gone = sender.send(job());
            }
        });
        receiver.await.map_err(|_| Error::internal("a computation failed"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_panics_is_told() {
        let (sender, results) = std::sync::mpsc::channel();
        let pool = CpuPool::new(1).unwrap();
        let other = sender.clone();
        pool.start(|| panic!("planted"), move |result: Result<()>| sender.send(result).unwrap());
        assert_eq!(results.recv().unwrap().unwrap_err().code(), "B2_INTERNAL");
        pool.start(|| (), move |result| other.send(result).unwrap());
        assert!(results.recv().unwrap().is_ok(), "the pool goes on");
    }
}
