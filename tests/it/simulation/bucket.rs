//! A bucket that answers late, twice, with what was, or not at all; each machine has its own way to it.

use std::collections::{BTreeMap, HashMap};
use std::fmt::{Debug, Formatter};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use b2_backup::error::{Error, Result};
use b2_backup::store::memory::MemoryStore;
use b2_backup::store::{Listing, ObjectKey, ObjectStore, ObjectVersion, Traffic};
use bytes::Bytes;
use tokio::sync::Notify;

use super::rng::Rng;
use crate::support::calendar::{Calendar, HOUR};

/// No listing is older than this, in seconds.
const STALE: i64 = 12 * HOUR;

/// A DELETE that is still on its way, and when it gets there.
type Late = (i64, ObjectKey, Option<String>);

/// What all machines share.
pub(crate) struct Bucket {
    pub(crate) store: MemoryStore,
    pub(crate) calendar: Arc<Calendar>,
    pub(crate) trouble: AtomicBool,
    seed: u64,
    /// How often each question was asked since time last passed.
    asked: Mutex<HashMap<String, u64>>,
    /// What listings showed at some moment.
    was: Mutex<(i64, Arc<MemoryStore>)>,
    late: Mutex<Vec<Late>>,
    /// When a machine last asked for the deletion of a manifest.
    asked_to_go: Mutex<BTreeMap<String, i64>>,
    /// How often something was kept from being as it seems: an old or empty listing, a late DELETE, a clock.
    tricks: AtomicU64,
}

impl Bucket {
    pub(crate) fn new(calendar: Arc<Calendar>, versions: bool, seed: u64) -> Arc<Self> {
        let store = MemoryStore::new(calendar.clone());
        let store = if versions { store } else { store.without_versions() };
        let was = Mutex::new((calendar.seconds(), Arc::new(store.fork())));
        Arc::new(Self {
            store,
            calendar,
            trouble: AtomicBool::new(true),
            seed,
            asked: Mutex::default(),
            was,
            late: Mutex::default(),
            asked_to_go: Mutex::default(),
            tricks: AtomicU64::new(0),
        })
    }

    /// Time has passed: deletes that were late arrive, and listings may begin to lag behind this moment.
    pub(crate) async fn settle(&self, freeze: bool) {
        let now = self.calendar.seconds();
        self.asked.lock().unwrap().clear();
        let due: Vec<Late> = {
            let mut late = self.late.lock().unwrap();
            let all = std::mem::take(&mut *late);
            let (due, rest) = all.into_iter().partition(|(at, ..)| *at <= now);
            *late = rest;
            due
        };
        for (_, key, version) in due {
            self.store.delete(&key, version.as_deref()).await.unwrap();
        }
        if freeze {
            *self.was.lock().unwrap() = (now, Arc::new(self.store.fork()));
        }
    }

    /// Whether a DELETE of it is on its way.
    pub(crate) fn is_late(&self, key: &str) -> bool {
        self.late.lock().unwrap().iter().any(|(_, late, _)| late.as_str() == key)
    }

    /// When the deletion of this manifest was last asked for, in seconds since 1970.
    pub(crate) fn asked_to_go(&self, manifest: &str) -> Option<i64> {
        self.asked_to_go.lock().unwrap().get(manifest).copied()
    }

    /// See the field.
    pub(crate) fn tricks(&self) -> u64 {
        self.tricks.load(Ordering::SeqCst)
    }

    fn trick(&self) {
        self.tricks.fetch_add(1, Ordering::SeqCst);
    }

    /// A number that follows from the seed, the time, and what is asked for: not from the order in which threads ask.
    fn number(&self, what: &str) -> u64 {
        let count = {
            let mut asked = self.asked.lock().unwrap();
            let count = asked.entry(what.to_owned()).or_default();
            *count += 1;
            *count
        };
        let mut hash = DefaultHasher::new();
        (self.seed, self.calendar.seconds(), what, count).hash(&mut hash);
        Rng::new(hash.finish()).next()
    }

    fn chance(&self, what: &str, percent: u64) -> bool {
        self.trouble.load(Ordering::SeqCst) && self.number(what) % 100 < percent
    }

    fn some_hours(&self, what: &str) -> i64 {
        self.calendar.seconds() + i64::try_from(self.number(what) % 96).unwrap() * HOUR
    }
}

/// One machine's way to the bucket.
pub(crate) struct Way {
    pub(crate) bucket: Arc<Bucket>,
    /// How far the machine's clock is ahead of the server's, in seconds.
    pub(crate) ahead: Arc<AtomicI64>,
    /// How far it was when the server last answered.
    measured: AtomicI64,
    /// After so many requests none is answered any more.
    hangs_after: AtomicU64,
    hanging: Notify,
}

impl Debug for Bucket {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bucket(..)")
    }
}

impl Debug for Way {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("Way(..)")
    }
}

fn lost() -> Error {
    Error::Network { target: "simulation".into(), message: "lost".into() }
}

impl Way {
    pub(crate) fn new(bucket: Arc<Bucket>, ahead: Arc<AtomicI64>, hangs_after: u64) -> Arc<Self> {
        let hangs_after = AtomicU64::new(hangs_after);
        let measured = AtomicI64::new(ahead.load(Ordering::SeqCst));
        Arc::new(Self { bucket, ahead, measured, hangs_after, hanging: Notify::new() })
    }

    /// Returns when a request hangs.
    pub(crate) async fn hangs(&self) {
        self.hanging.notified().await;
    }

    async fn call<T>(&self, what: &str, call: impl Future<Output = Result<T>>) -> Result<T> {
        let left = self.hangs_after.load(Ordering::SeqCst);
        if left == 0 {
            // Some get there all the same.
            if self.bucket.chance(what, 50) {
                call.await?;
            }
            self.hanging.notify_one();
            std::future::pending::<()>().await;
            return Err(lost());
        }
        self.hangs_after.store(left.saturating_sub(1), Ordering::SeqCst);
        if self.bucket.chance(what, 1) {
            return Err(lost());
        }
        let answer = call.await;
        if self.bucket.chance(what, 1) {
            return Err(lost());
        }
        self.measured.store(self.ahead.load(Ordering::SeqCst), Ordering::SeqCst);
        if self.bucket.chance(what, 1) {
            // Somebody sets the machine's clock: until the next answer nobody knows.
            let hours = i64::try_from(self.bucket.number(what) % 200).unwrap() - 100;
            let years = if self.bucket.chance(what, 10) { 20_000 } else { 0 };
            self.ahead.fetch_add((hours + years) * HOUR, Ordering::SeqCst);
            self.bucket.trick();
        }
        answer
    }

    /// What a listing sees: mostly what there is.
    fn seen(&self, prefix: &str) -> Option<Arc<MemoryStore>> {
        let (at, was) = self.bucket.was.lock().unwrap().clone();
        let recent = self.bucket.calendar.seconds() - at < STALE;
        let old = recent && self.bucket.chance(prefix, 8);
        if old {
            self.bucket.trick();
        }
        old.then_some(was)
    }
}

#[async_trait]
impl ObjectStore for Way {
    fn identity(&self) -> String {
        "simulation".into()
    }

    async fn put(&self, key: &ObjectKey, body: Bytes) -> Result<()> {
        self.call(key.as_str(), self.bucket.store.put(key, body)).await
    }

    async fn get(&self, key: &ObjectKey, max_bytes: u64) -> Result<Bytes> {
        self.call(key.as_str(), self.bucket.store.get(key, max_bytes)).await
    }

    async fn get_version(&self, key: &ObjectKey, version: &str, max_bytes: u64) -> Result<Bytes> {
        self.call(key.as_str(), self.bucket.store.get_version(key, version, max_bytes)).await
    }

    async fn get_range(&self, key: &ObjectKey, start: u64, length: u64) -> Result<Bytes> {
        self.call(key.as_str(), self.bucket.store.get_range(key, start, length)).await
    }

    async fn list(&self, prefix: &str, delimited: bool) -> Result<Listing> {
        if self.bucket.chance(prefix, 1) {
            self.bucket.trick();
            return Ok(Listing::default());
        }
        match self.seen(prefix) {
            Some(was) => self.call(prefix, was.list(prefix, delimited)).await,
            None => self.call(prefix, self.bucket.store.list(prefix, delimited)).await,
        }
    }

    async fn list_versions(&self, prefix: &str) -> Result<Option<Vec<ObjectVersion>>> {
        match self.seen(prefix) {
            Some(was) => self.call(prefix, was.list_versions(prefix)).await,
            None => self.call(prefix, self.bucket.store.list_versions(prefix)).await,
        }
    }

    async fn delete(&self, key: &ObjectKey, version: Option<&str>) -> Result<()> {
        if key.as_str().ends_with("/manifest") {
            let now = self.bucket.calendar.seconds();
            self.bucket.asked_to_go.lock().unwrap().insert(key.as_str().to_owned(), now);
        }
        let again = (self.bucket.some_hours(key.as_str()), key.clone(), version.map(str::to_owned));
        if self.bucket.chance(key.as_str(), 12) {
            // Late, while the caller takes it for lost; or for done.
            self.bucket.trick();
            self.bucket.late.lock().unwrap().push(again);
            return if self.bucket.chance(key.as_str(), 50) { Ok(()) } else { Err(lost()) };
        }
        if self.bucket.chance(key.as_str(), 20) {
            self.bucket.late.lock().unwrap().push(again);
        }
        self.call(key.as_str(), self.bucket.store.delete(key, version)).await
    }

    fn server_offset_ms(&self) -> i64 {
        -self.measured.load(Ordering::SeqCst) * 1000
    }

    fn traffic(&self) -> Traffic {
        Traffic::default()
    }
}
