//! A store with something in front of some of its requests.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use b2_backup::error::Result;
use b2_backup::store::memory::MemoryStore;
use b2_backup::store::{Listing, ObjectKey, ObjectStore, ObjectVersion, Traffic};
use bytes::Bytes;

/// What stands in front.
#[async_trait]
pub(crate) trait Guard: Debug + Send + Sync {
    /// Called before a part of an object is read.
    async fn before_range(&self) {}

    /// Called before something is deleted, or hidden where no version is given.
    async fn before_delete(&self, _version: Option<&str>) -> Result<()> {
        Ok(())
    }
}

/// See above.
#[derive(Debug)]
pub(crate) struct Guarded<G> {
    pub(crate) inner: Arc<MemoryStore>,
    pub(crate) guard: G,
}

#[async_trait]
impl<G: Guard> ObjectStore for Guarded<G> {
    fn identity(&self) -> String {
        self.inner.identity()
    }

    async fn put(&self, key: &ObjectKey, body: Bytes) -> Result<()> {
        self.inner.put(key, body).await
    }

    async fn get(&self, key: &ObjectKey, max_bytes: u64) -> Result<Bytes> {
        self.inner.get(key, max_bytes).await
    }

    async fn get_version(&self, key: &ObjectKey, version: &str, max_bytes: u64) -> Result<Bytes> {
        self.inner.get_version(key, version, max_bytes).await
    }

    async fn get_range(&self, key: &ObjectKey, start: u64, length: u64) -> Result<Bytes> {
        self.guard.before_range().await;
        self.inner.get_range(key, start, length).await
    }

    async fn list(&self, prefix: &str, delimited: bool) -> Result<Listing> {
        self.inner.list(prefix, delimited).await
    }

    async fn list_versions(&self, prefix: &str) -> Result<Option<Vec<ObjectVersion>>> {
        self.inner.list_versions(prefix).await
    }

    async fn delete(&self, key: &ObjectKey, version: Option<&str>) -> Result<()> {
        self.guard.before_delete(version).await?;
        self.inner.delete(key, version).await
    }

    fn server_offset_ms(&self) -> i64 {
        self.inner.server_offset_ms()
    }

    fn traffic(&self) -> Traffic {
        self.inner.traffic()
    }
}
