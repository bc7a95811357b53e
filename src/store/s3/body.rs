//! The way out: a body in small frames that counts, can be slowed down, and is watched for standstill.
//!
//! reqwest's `read_timeout` runs from the start of a request and would end a slow upload that moves all the
//! time; so uploads have none, and [`Progress::stalled`] instead.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body::{Body, Frame, SizeHint};

use crate::ambient::Clock;

/// Large enough to cost nothing, small enough to show that a slow line moves.
const FRAME_BYTES: usize = 64 * 1024;
/// No progress for this long means the connection is dead.
pub(super) const STALL: Duration = Duration::from_mins(2);
/// How often the watchdog looks.
const TICK: Duration = Duration::from_secs(5);
/// What the system may still hold in its socket buffer when the last frame is gone, and the slowest line
/// that must get it out.
const SOCKET_BUFFER_BYTES: u64 = 4 * 1024 * 1024;
const SLOWEST_BYTES_PER_SECOND: u64 = 8 * 1024;

/// Counters of everything that went over the line.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) requests: AtomicU64,
    pub(super) sent: AtomicU64,
    pub(super) received: AtomicU64,
}

/// Spreads uploads evenly so that all together stay below a rate.
#[derive(Debug)]
pub(super) struct Limiter {
    bytes_per_second: u64,
    clock: Arc<dyn Clock>,
    /// When the line is free again, and the time of the last look.
    schedule: Mutex<(SystemTime, SystemTime)>,
}

impl Limiter {
    pub(super) fn new(bytes_per_second: u64, clock: Arc<dyn Clock>) -> Self {
        let now = clock.now();
        Self { bytes_per_second: bytes_per_second.max(1), clock, schedule: Mutex::new((now, now)) }
    }

    fn frame_bytes(&self) -> usize {
        // Four frames a second, so that a low rate does not become a row of bursts.
        usize::try_from(self.bytes_per_second / 4).unwrap_or(FRAME_BYTES).clamp(1024, FRAME_BYTES)
    }

    /// Books `bytes`; the wait before they may leave.
    fn book(&self, bytes: usize) -> Duration {
        let now = self.clock.now();
        let mut schedule = self.schedule.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut free, last) = *schedule;
        // A wall clock set back must not stop the line for as long.
        if let Ok(back) = last.duration_since(now) {
            free -= back;
        }
        let start = free.max(now);
        let nanos = bytes as u128 * 1_000_000_000 / u128::from(self.bytes_per_second);
        let takes = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        *schedule = (start + takes, now);
        start.duration_since(now).unwrap_or_default()
    }
}

/// How far one upload has come.
#[derive(Debug)]
pub(super) struct Progress {
    total: u64,
    left: AtomicU64,
    /// Waiting for the rate limit is no standstill.
    waiting: AtomicBool,
}

impl Progress {
    pub(super) fn new(total: usize) -> Arc<Self> {
        Arc::new(Self {
            total: total as u64,
            left: AtomicU64::new(total as u64),
            waiting: AtomicBool::new(false),
        })
    }

    /// Completes when nothing has moved for [`STALL`]; after the last frame, when no answer came for that
    /// long plus the time a slow line needs to empty the socket buffer.
    pub(super) async fn stalled(&self) {
        let drain =
            Duration::from_secs(self.total.min(SOCKET_BUFFER_BYTES) / SLOWEST_BYTES_PER_SECOND);
        let (mut seen, mut idle) = (self.left.load(Ordering::Relaxed), Duration::ZERO);
        loop {
            // Not the injected clock: this is about the line, as all other timeouts of the client.
            tokio::time::sleep(TICK).await;
            let left = self.left.load(Ordering::Relaxed);
            if left != seen || self.waiting.load(Ordering::Relaxed) {
                (seen, idle) = (left, Duration::ZERO);
                continue;
            }
            idle += TICK;
            if idle >= if left == 0 { STALL + drain } else { STALL } {
                return;
            }
        }
    }
}

/// A request body of known length.
pub(super) struct FrameBody {
    rest: Bytes,
    progress: Arc<Progress>,
    counters: Arc<Counters>,
    limiter: Option<Arc<Limiter>>,
    /// The wait for the next frame. In a mutex only because the client wants a `Sync` body.
    wait: Mutex<Option<BoxFuture<'static, ()>>>,
    booked: bool,
}

impl FrameBody {
    pub(super) fn new(
        body: Bytes,
        progress: Arc<Progress>,
        counters: Arc<Counters>,
        limiter: Option<Arc<Limiter>>,
    ) -> Self {
        Self { rest: body, progress, counters, limiter, wait: Mutex::new(None), booked: false }
    }
}

impl Body for FrameBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if this.rest.is_empty() {
            return Poll::Ready(None);
        }
        let frame_bytes =
            this.limiter.as_ref().map_or(FRAME_BYTES, |limiter| limiter.frame_bytes());
        let size = this.rest.len().min(frame_bytes);
        let wait = this.wait.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let (Some(limiter), false) = (&this.limiter, this.booked) {
            this.booked = true;
            let delay = limiter.book(size);
            if !delay.is_zero() {
                this.progress.waiting.store(true, Ordering::Relaxed);
                *wait = Some(limiter.clock.sleep(delay));
            }
        }
        if let Some(pause) = wait {
            ready!(pause.as_mut().poll(cx));
            *wait = None;
            this.progress.waiting.store(false, Ordering::Relaxed);
        }
        this.booked = false;
        let frame = this.rest.split_to(size);
        this.progress.left.fetch_sub(size as u64, Ordering::Relaxed);
        this.counters.sent.fetch_add(size as u64, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(frame))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use http_body_util::BodyExt;

    use super::*;

    /// Time passes by sleeping only.
    #[derive(Debug)]
    struct Manual(Arc<Mutex<SystemTime>>);

    impl Clock for Manual {
        fn now(&self) -> SystemTime {
            *self.0.lock().unwrap()
        }
        fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
            *self.0.lock().unwrap() += duration;
            Box::pin(std::future::ready(()))
        }
    }

    #[tokio::test]
    async fn the_rate_is_kept_and_everything_arrives() {
        let time = Arc::new(Mutex::new(SystemTime::UNIX_EPOCH));
        let clock: Arc<dyn Clock> = Arc::new(Manual(Arc::clone(&time)));
        let limiter = Arc::new(Limiter::new(100_000, clock));
        let data = Bytes::from(vec![7; 1_000_000]);
        let counters = Arc::new(Counters::default());
        let body = FrameBody::new(
            data.clone(),
            Progress::new(data.len()),
            Arc::clone(&counters),
            Some(limiter),
        );
        assert_eq!(body.collect().await.unwrap().to_bytes(), data);
        assert_eq!(counters.sent.load(Ordering::Relaxed), 1_000_000);
        let took = time.lock().unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        // The last frame (a quarter of a second) leaves when the others have been paid for.
        assert_eq!(took, Duration::from_millis(9_750));
    }

    #[test]
    fn a_clock_set_back_does_not_stop_the_line() {
        let time = Arc::new(Mutex::new(SystemTime::UNIX_EPOCH + Duration::from_hours(9)));
        let limiter = Limiter::new(1000, Arc::new(Manual(Arc::clone(&time))));
        limiter.book(1000);
        *time.lock().unwrap() -= Duration::from_hours(8);
        assert_eq!(limiter.book(1000), Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn the_watchdog_fires_on_standstill_only() {
        let progress = Progress::new(1_000_000);
        let mut watch = Box::pin(progress.stalled());
        for _ in 0..10 {
            assert!(tokio::time::timeout(Duration::from_secs(119), &mut watch).await.is_err());
            progress.left.fetch_sub(1, Ordering::Relaxed);
        }
        progress.waiting.store(true, Ordering::Relaxed);
        assert!(tokio::time::timeout(Duration::from_hours(5), &mut watch).await.is_err());
        progress.waiting.store(false, Ordering::Relaxed);
        assert!(tokio::time::timeout(STALL + TICK * 2, &mut watch).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn after_the_last_frame_the_buffer_may_drain() {
        let progress = Progress::new(64 * 1024);
        progress.left.store(0, Ordering::Relaxed);
        let mut watch = Box::pin(progress.stalled());
        assert!(watch.as_mut().now_or_never().is_none());
        assert!(tokio::time::timeout(STALL, &mut watch).await.is_err());
        assert!(tokio::time::timeout(Duration::from_secs(20), &mut watch).await.is_ok());
    }
}
