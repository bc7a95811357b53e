//! A store of which each request is a step, before it and after it, as those of the disk are; and somebody who lets
//! one step fail.
#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::allow_attributes, reason = "an expectation would fail where all is used")]

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use b2_backup::ambient::FailPoints;
use b2_backup::error::{Error, Result};
use b2_backup::store::{BucketRules, Listing, ObjectKey, ObjectStore, ObjectVersion, Traffic};
use bytes::Bytes;

/// The store.
#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) inner: Arc<dyn ObjectStore>,
    pub(crate) steps: Arc<dyn FailPoints>,
}

impl Counted {
    async fn step<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        let step = || {
            let lost = |error: std::io::Error| Error::Network {
                target: "test".into(),
                message: error.to_string(),
            };
            self.steps.step("request").map_err(lost)
        };
        step()?;
        let answer = call.await?;
        step()?;
        Ok(answer)
    }
}

#[async_trait]
impl ObjectStore for Counted {
    fn identity(&self) -> String {
        self.inner.identity()
    }

    async fn put(&self, key: &ObjectKey, body: Bytes) -> Result<()> {
        self.step(self.inner.put(key, body)).await
    }

    async fn get(&self, key: &ObjectKey, max_bytes: u64) -> Result<Bytes> {
        self.step(self.inner.get(key, max_bytes)).await
    }

    async fn get_version(&self, key: &ObjectKey, version: &str, max_bytes: u64) -> Result<Bytes> {
        self.step(self.inner.get_version(key, version, max_bytes)).await
    }

    async fn get_range(&self, key: &ObjectKey, start: u64, length: u64) -> Result<Bytes> {
        self.step(self.inner.get_range(key, start, length)).await
    }

    async fn get_version_range(
        &self,
        key: &ObjectKey,
        version: &str,
        start: u64,
        length: u64,
    ) -> Result<Bytes> {
        self.step(self.inner.get_version_range(key, version, start, length)).await
    }

    async fn bucket_rules(&self) -> Result<BucketRules> {
        self.step(self.inner.bucket_rules()).await
    }

    async fn list(&self, prefix: &str, delimited: bool) -> Result<Listing> {
        self.step(self.inner.list(prefix, delimited)).await
    }

    async fn list_versions(&self, prefix: &str) -> Result<Option<Vec<ObjectVersion>>> {
        self.step(self.inner.list_versions(prefix)).await
    }

    async fn delete(&self, key: &ObjectKey, version: Option<&str>) -> Result<()> {
        self.step(self.inner.delete(key, version)).await
    }

    fn server_offset_ms(&self) -> i64 {
        self.inner.server_offset_ms()
    }

    fn traffic(&self) -> Traffic {
        self.inner.traffic()
    }
}

/// Lets one step fail, of which those are even that come after the effect: for want of space before it, as a broken
/// disk after it.
#[derive(Debug)]
pub(crate) struct FailAt {
    at: usize,
    seen: AtomicUsize,
}

impl FailAt {
    pub(crate) fn new(at: usize) -> Arc<Self> {
        Arc::new(Self { at, seen: AtomicUsize::new(0) })
    }

    /// Steps so far.
    pub(crate) fn seen(&self) -> usize {
        self.seen.load(Ordering::SeqCst)
    }
}

impl FailPoints for FailAt {
    fn step(&self, _name: &'static str) -> std::io::Result<()> {
        const EIO: i32 = 5;
        if self.seen.fetch_add(1, Ordering::SeqCst) + 1 != self.at {
            return Ok(());
        }
        Err(match self.at % 2 {
            1 => ErrorKind::StorageFull.into(),
            _ => std::io::Error::from_raw_os_error(EIO),
        })
    }
}
