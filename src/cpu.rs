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

    /// Starts a job and goes on.
    pub fn spawn(&self, job: impl FnOnce() + Send + 'static) {
        self.pool.spawn(job);
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
