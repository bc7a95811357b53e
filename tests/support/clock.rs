//! A clock that tests own: sleeping takes no time and is written down.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use b2_backup::ambient::{Clock, Entropy};
use b2_backup::error::Result;
use futures_util::future::BoxFuture;

/// Wall clock shifted by a fixed offset; `sleep` returns at once.
#[derive(Debug, Default)]
pub struct TestClock {
    offset: Mutex<i64>,
    sleeps: Mutex<Vec<Duration>>,
}

impl TestClock {
    /// A clock that is `seconds` ahead of the real time (negative: behind).
    pub fn ahead(seconds: i64) -> Arc<Self> {
        Arc::new(Self { offset: Mutex::new(seconds), ..Self::default() })
    }

    /// Moves it: it is so many seconds ahead from now on.
    pub fn set_ahead(&self, seconds: i64) {
        *self.offset.lock().unwrap() = seconds;
    }

    /// Every sleep so far.
    pub fn sleeps(&self) -> Vec<Duration> {
        self.sleeps.lock().unwrap().clone()
    }
}

impl Clock for TestClock {
    fn now(&self) -> SystemTime {
        let offset = *self.offset.lock().unwrap();
        let by = Duration::from_secs(offset.unsigned_abs());
        if offset < 0 { SystemTime::now() - by } else { SystemTime::now() + by }
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.sleeps.lock().unwrap().push(duration);
        Box::pin(std::future::ready(()))
    }
}

/// No randomness: no jitter.
#[derive(Debug)]
pub struct Zeros;

impl Entropy for Zeros {
    fn fill(&self, buffer: &mut [u8]) -> Result<()> {
        buffer.fill(0);
        Ok(())
    }
}
