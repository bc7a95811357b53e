//! A store that is cut off at one request, before or after its effect, by an error or by never answering.
#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::allow_attributes, reason = "an expectation would fail where all is used")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use b2_backup::error::{Error, Result};
use b2_backup::store::memory::MemoryStore;
use b2_backup::store::{Listing, ObjectKey, ObjectStore, ObjectVersion, Traffic};
use bytes::Bytes;
use tokio::sync::Notify;

/// How a request is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// It fails and has no effect.
    FailBefore,
    /// It takes effect and its answer is lost.
    FailAfter,
    /// It never gets there; the caller is killed meanwhile.
    HangBefore,
    /// It takes effect; the caller is killed before the answer.
    HangAfter,
    /// It only waits for its gate.
    Wait,
}

pub(crate) const EVERY_WAY: [How; 4] =
    [How::FailBefore, How::FailAfter, How::HangBefore, How::HangAfter];

type Gate = Box<dyn Fn() -> bool + Send + Sync>;

/// The store. Counts its requests from 1, whatever they are.
pub(crate) struct CutStore {
    pub(crate) inner: Arc<MemoryStore>,
    at: u64,
    how: How,
    count: AtomicU64,
    reached: Notify,
    identity: String,
    gate: Option<Gate>,
}

impl std::fmt::Debug for CutStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CutStore({}, {:?})", self.at, self.how)
    }
}

impl CutStore {
    pub(crate) fn new(inner: Arc<MemoryStore>, at: u64, how: How) -> Arc<Self> {
        let (count, reached, identity) = (AtomicU64::new(0), Notify::new(), inner.identity());
        Arc::new(Self { inner, at, how, count, reached, identity, gate: None })
    }

    /// A store that is never cut off and answers to the name of another: local memory goes by it.
    pub(crate) fn named(inner: Arc<MemoryStore>, other: &MemoryStore) -> Arc<Self> {
        let (count, reached) = (AtomicU64::new(0), Notify::new());
        let (at, how) = (u64::MAX, How::FailBefore);
        let identity = other.identity();
        Arc::new(Self { inner, at, how, count, reached, identity, gate: None })
    }

    /// A store that is cut off, and answers to the name of another.
    pub(crate) fn cut_named(
        inner: Arc<MemoryStore>,
        other: &MemoryStore,
        at: u64,
        how: How,
    ) -> Arc<Self> {
        let (count, reached) = (AtomicU64::new(0), Notify::new());
        let identity = other.identity();
        Arc::new(Self { inner, at, how, count, reached, identity, gate: None })
    }

    /// A store whose request fails as soon as something has happened.
    pub(crate) fn failing_when(inner: Arc<MemoryStore>, at: u64, gate: Gate) -> Arc<Self> {
        let (count, reached, identity) = (AtomicU64::new(0), Notify::new(), inner.identity());
        let how = How::FailBefore;
        Arc::new(Self { inner, at, how, count, reached, identity, gate: Some(gate) })
    }

    /// A store of which one request waits until something has happened, and is then answered.
    pub(crate) fn held_until(inner: Arc<MemoryStore>, at: u64, gate: Gate) -> Arc<Self> {
        let (count, reached, identity) = (AtomicU64::new(0), Notify::new(), inner.identity());
        Arc::new(Self { inner, at, how: How::Wait, count, reached, identity, gate: Some(gate) })
    }

    /// Whether the request was made.
    pub(crate) fn was_reached(&self) -> bool {
        self.count.load(Ordering::SeqCst) >= self.at
    }

    /// Returns when a request hangs.
    pub(crate) async fn hangs(&self) {
        self.reached.notified().await;
    }

    async fn cut<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        if self.count.fetch_add(1, Ordering::SeqCst) + 1 != self.at {
            return call.await;
        }
        while self.gate.as_ref().is_some_and(|gate| !gate()) {
            tokio::task::yield_now().await;
        }
        if self.how == How::Wait {
            return call.await;
        }
        if matches!(self.how, How::FailAfter | How::HangAfter) {
            drop(call.await);
        }
        if matches!(self.how, How::HangBefore | How::HangAfter) {
            self.reached.notify_one();
            std::future::pending::<()>().await;
        }
        Err(Error::Network { target: "test".into(), message: "cut off".into() })
    }
}

#[async_trait]
impl ObjectStore for CutStore {
    fn identity(&self) -> String {
        self.identity.clone()
    }

    async fn put(&self, key: &ObjectKey, body: Bytes) -> Result<()> {
        self.cut(self.inner.put(key, body)).await
    }

    async fn get(&self, key: &ObjectKey, max_bytes: u64) -> Result<Bytes> {
        self.cut(self.inner.get(key, max_bytes)).await
    }

    async fn get_version(&self, key: &ObjectKey, version: &str, max_bytes: u64) -> Result<Bytes> {
        self.cut(self.inner.get_version(key, version, max_bytes)).await
    }

    async fn get_range(&self, key: &ObjectKey, start: u64, length: u64) -> Result<Bytes> {
        self.cut(self.inner.get_range(key, start, length)).await
    }

    async fn list(&self, prefix: &str, delimited: bool) -> Result<Listing> {
        self.cut(self.inner.list(prefix, delimited)).await
    }

    async fn list_versions(&self, prefix: &str) -> Result<Option<Vec<ObjectVersion>>> {
        self.cut(self.inner.list_versions(prefix)).await
    }

    async fn delete(&self, key: &ObjectKey, version: Option<&str>) -> Result<()> {
        self.cut(self.inner.delete(key, version)).await
    }

    fn server_offset_ms(&self) -> i64 {
        self.inner.server_offset_ms()
    }

    fn traffic(&self) -> Traffic {
        self.inner.traffic()
    }
}
