//! Progress, pools and cancellation for the core.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::mirror::IntoJs as _;
use super::options::ProgressEvent;
use crate::cpu::CpuPool;
use crate::error::Result;
use crate::ops::Ambient;
use crate::progress::{Event, Phase, Progress};

/// JavaScript hears of progress at most so often, and whenever the phase changes.
const INTERVAL: Duration = Duration::from_millis(100);

type Listener = Box<dyn Fn(ProgressEvent) + Send + Sync>;

/// Hands progress on, throttled.
pub(super) struct Events {
    listener: Listener,
    last: Mutex<Option<(Phase, Instant)>>,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Events(..)")
    }
}

impl Events {
    pub(super) fn new(listener: impl Fn(ProgressEvent) + Send + Sync + 'static) -> Self {
        Self { listener: Box::new(listener), last: Mutex::default() }
    }
}

impl Progress for Events {
    fn report(&self, event: Event) {
        let now = Instant::now();
        {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            if last.is_some_and(|(phase, at)| {
                phase == event.phase && now.duration_since(at) < INTERVAL
            }) {
                return;
            }
            *last = Some((event.phase, now));
        }
        (self.listener)(event.into_js());
    }
}

/// The surroundings of one operation. Its pool has `threads` threads; by default all cores but one, so that
/// the gateway keeps breathing.
pub(super) fn ambient(
    threads: Option<u32>,
    cancel: CancellationToken,
    events: Option<Events>,
) -> Result<Ambient> {
    let mut ambient = Ambient::system()?;
    if let Some(threads) = threads {
        ambient.cpu = CpuPool::new(usize::try_from(threads.clamp(1, 64)).unwrap_or(1))?;
    }
    ambient.cancel = cancel;
    if let Some(events) = events {
        ambient.progress = Arc::new(events);
    }
    Ok(ambient)
}
