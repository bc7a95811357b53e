//! A push that finds another one at work waits for it, when it is told to.

use std::fmt::Debug;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use b2_backup::ambient::Clock;
use b2_backup::error::{Error, Result};
use b2_backup::format::Reason;
use b2_backup::local::{Local, LockFile};
use b2_backup::ops::{self, PushOptions, PushReport};
use b2_backup::progress::{Event, Phase, Progress};
use b2_backup::store::memory::MemoryStore;
use futures_util::future::BoxFuture;
use tempfile::{TempDir, tempdir};

use crate::support::machine::Machine;
use crate::support::plain::first_day;

/// The other one: lets go of the lock when it has been waited for often enough. Sleeping takes no time meanwhile.
struct Other {
    lock: Mutex<Option<LockFile>>,
    sleeps: Mutex<Vec<Duration>>,
    lets_go_after: usize,
    on_sleep: Box<dyn Fn() + Send + Sync>,
}

impl Debug for Other {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Other")
    }
}

impl Clock for Other {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let mut lock = self.lock.lock().unwrap();
        if lock.is_none() {
            return Box::pin(tokio::time::sleep(duration));
        }
        let mut sleeps = self.sleeps.lock().unwrap();
        sleeps.push(duration);
        if sleeps.len() == self.lets_go_after {
            *lock = None;
        }
        (self.on_sleep)();
        Box::pin(std::future::ready(()))
    }
}

/// Counts reports of waiting.
#[derive(Debug, Default)]
struct Waits(AtomicU32);

impl Progress for Waits {
    fn report(&self, event: Event) {
        if event.phase == Phase::Wait {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// A machine whose state directory another one has locked.
fn locked(
    lets_go_after: usize,
    on_sleep: impl Fn() + Send + Sync + 'static,
) -> (TempDir, Machine, Arc<Other>, Arc<Waits>) {
    let dir = tempdir().unwrap();
    let live = dir.path().join("state");
    first_day(&live);
    let other = Arc::new(Other {
        lock: Mutex::new(Some(Local::at(&live).lock().unwrap())),
        sleeps: Mutex::default(),
        lets_go_after,
        on_sleep: Box::new(on_sleep),
    });
    let mut machine = Machine::new(&live, Arc::new(MemoryStore::default()));
    machine.settings.encrypt = false;
    let (clock, waits) = (Arc::clone(&other), Arc::new(Waits::default()));
    machine.clock = clock;
    let watching = Arc::clone(&waits);
    machine.progress = watching;
    (dir, machine, other, waits)
}

async fn push(machine: &Machine, wait_ms: u64) -> Result<PushReport> {
    let wait = Duration::from_millis(wait_ms);
    let (reason, accept_missing) = (Reason::Manual, vec![]);
    let options = PushOptions { reason, wait, new_bucket: false, accept_missing };
    ops::push(&machine.session().await, options).await
}

#[tokio::test(flavor = "multi_thread")]
async fn goes_on_when_the_other_is_done() {
    let (_dir, machine, other, waits) = locked(7, || {});
    assert!(push(&machine, 600_000).await.unwrap().snapshot.is_some());
    assert_eq!(other.sleeps.lock().unwrap().len(), 7);
    assert_eq!(waits.0.load(Ordering::SeqCst), 7, "whoever watches is told");
}

#[tokio::test(flavor = "multi_thread")]
async fn gives_up_after_exactly_the_given_time() {
    let (_dir, machine, other, _) = locked(usize::MAX, || {});
    for wait_ms in [0, 1, 1234] {
        other.sleeps.lock().unwrap().clear();
        assert!(matches!(push(&machine, wait_ms).await, Err(Error::Locked { .. })), "{wait_ms}");
        let waited: Duration = other.sleeps.lock().unwrap().iter().sum();
        assert_eq!(waited, Duration::from_millis(wait_ms));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stops_waiting_when_it_is_cancelled() {
    let cancel = tokio_util::sync::CancellationToken::new();
    let cancelling = cancel.clone();
    let (_dir, mut machine, other, _) = locked(usize::MAX, move || cancelling.cancel());
    machine.cancel = cancel;
    // So long that without a look at the token it would not end.
    assert!(matches!(push(&machine, u64::MAX).await, Err(Error::Cancelled)));
    assert!(other.lock.lock().unwrap().is_some(), "the other one still has it");
}
