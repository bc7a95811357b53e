//! The bucket without trouble, for who looks whether all is well.

use std::sync::Arc;

use b2_backup::error::Result;
use b2_backup::store::{Listing, ObjectKey, ObjectStore, ObjectVersion, Traffic};
use bytes::Bytes;

use super::bucket::Bucket;

/// The bucket as it is.
#[derive(Debug)]
pub(crate) struct Truth(pub(crate) Arc<Bucket>);

#[async_trait::async_trait]
impl ObjectStore for Truth {
    fn identity(&self) -> String {
        "simulation".into()
    }

    async fn put(&self, key: &ObjectKey, body: Bytes) -> Result<()> {
        self.0.store.put(key, body).await
    }

    async fn get(&self, key: &ObjectKey, max_bytes: u64) -> Result<Bytes> {
        self.0.store.get(key, max_bytes).await
    }

    async fn get_version(&self, key: &ObjectKey, version: &str, max_bytes: u64) -> Result<Bytes> {
        self.0.store.get_version(key, version, max_bytes).await
    }

    async fn get_range(&self, key: &ObjectKey, start: u64, length: u64) -> Result<Bytes> {
        self.0.store.get_range(key, start, length).await
    }

    async fn list(&self, prefix: &str, delimited: bool) -> Result<Listing> {
        self.0.store.list(prefix, delimited).await
    }

    async fn list_versions(&self, prefix: &str) -> Result<Option<Vec<ObjectVersion>>> {
        self.0.store.list_versions(prefix).await
    }

    async fn delete(&self, key: &ObjectKey, version: Option<&str>) -> Result<()> {
        self.0.store.delete(key, version).await
    }

    fn server_offset_ms(&self) -> i64 {
        0
    }

    fn traffic(&self) -> Traffic {
        Traffic::default()
    }
}
