//! A store as it was at a moment: names and bytes come from the versions of then.
//!
//! Hiding and overwriting leave the versions that were there, so a wiped bucket reads as before. Moments are by
//! the server's clock. Nothing can be written through it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::OnceCell;

use super::{BucketRules, Listing, ObjectInfo, ObjectKey, ObjectStore, ObjectVersion, Traffic};
use crate::error::{Error, Result};

/// A store as it was.
#[derive(Debug)]
pub struct AsOfStore {
    inner: Arc<dyn ObjectStore>,
    at: SystemTime,
    /// By name, the version of then. Asked for once: one LIST of everything.
    versions: OnceCell<BTreeMap<String, ObjectVersion>>,
}

impl AsOfStore {
    /// `inner` as it was at `at`, by the server's clock.
    #[must_use]
    pub fn new(inner: Arc<dyn ObjectStore>, at: SystemTime) -> Self {
        Self { inner, at, versions: OnceCell::new() }
    }

    async fn versions(&self) -> Result<&BTreeMap<String, ObjectVersion>> {
        let fetch = async || {
            let all = self.inner.list_versions("").await?.ok_or_else(|| {
                Error::config(
                    "--as-of",
                    "this store keeps no versions: it only has what is there now",
                )
            })?;
            Ok(then(all, self.at))
        };
        self.versions.get_or_try_init(fetch).await
    }

    async fn version(&self, key: &ObjectKey) -> Result<&str> {
        let found = self.versions().await?.get(key.as_str());
        found
            .map(|version| version.version.as_str())
            .ok_or_else(|| Error::ObjectMissing { object: key.to_string() })
    }
}

/// An instant as people write it: ISO 8601 with an offset.
#[must_use]
pub fn instant(text: &str) -> Option<SystemTime> {
    text.parse::<jiff::Timestamp>().ok().map(SystemTime::from)
}

/// What could be seen at a moment. Versions come by name, the newest first.
fn then(versions: Vec<ObjectVersion>, at: SystemTime) -> BTreeMap<String, ObjectVersion> {
    let mut seen = BTreeMap::new();
    // A version without a time cannot be placed, so it is not shown.
    for version in versions.into_iter().filter(|one| one.modified.is_some_and(|made| made <= at)) {
        seen.entry(version.key.clone()).or_insert(version);
    }
    seen.retain(|_, version| !version.hidden);
    seen
}

fn read_only() -> Error {
    Error::config("--as-of", "what was can be read only: leave it out to change something")
}

#[async_trait]
impl ObjectStore for AsOfStore {
    fn identity(&self) -> String {
        self.inner.identity()
    }

    async fn put(&self, _key: &ObjectKey, _body: Bytes) -> Result<()> {
        Err(read_only())
    }

    async fn get(&self, key: &ObjectKey, max_bytes: u64) -> Result<Bytes> {
        self.inner.get_version(key, self.version(key).await?, max_bytes).await
    }

    async fn get_range(&self, key: &ObjectKey, start: u64, length: u64) -> Result<Bytes> {
        self.inner.get_version_range(key, self.version(key).await?, start, length).await
    }

    async fn list(&self, prefix: &str, delimited: bool) -> Result<Listing> {
        let mut listing = Listing::default();
        let mut prefixes = BTreeSet::new();
        for (key, version) in self.versions().await?.range(prefix.to_owned()..) {
            let Some(rest) = key.strip_prefix(prefix) else { break };
            match rest.find('/').filter(|_| delimited) {
                Some(cut) => {
                    prefixes.insert(format!("{prefix}{}", rest.get(..=cut).unwrap_or_default()));
                }
                None => listing.objects.push(ObjectInfo {
                    key: key.clone(),
                    size: version.size,
                    modified: version.modified,
                }),
            }
        }
        listing.prefixes = prefixes.into_iter().collect();
        Ok(listing)
    }

    async fn list_versions(&self, prefix: &str) -> Result<Option<Vec<ObjectVersion>>> {
        self.inner.list_versions(prefix).await
    }

    async fn get_version(&self, key: &ObjectKey, version: &str, max_bytes: u64) -> Result<Bytes> {
        self.inner.get_version(key, version, max_bytes).await
    }

    async fn get_version_range(
        &self,
        key: &ObjectKey,
        version: &str,
        start: u64,
        length: u64,
    ) -> Result<Bytes> {
        self.inner.get_version_range(key, version, start, length).await
    }

    async fn bucket_rules(&self) -> Result<BucketRules> {
        self.inner.bucket_rules().await
    }

    async fn delete(&self, _key: &ObjectKey, _version: Option<&str>) -> Result<()> {
        Err(read_only())
    }

    fn server_offset_ms(&self) -> i64 {
        self.inner.server_offset_ms()
    }

    fn traffic(&self) -> Traffic {
        self.inner.traffic()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn version(key: &str, id: &str, second: Option<u64>, hidden: bool) -> ObjectVersion {
        ObjectVersion {
            key: key.into(),
            version: id.into(),
            latest: false,
            hidden,
            size: 1,
            modified: second.map(|second| SystemTime::UNIX_EPOCH + Duration::from_secs(second)),
            etag: None,
        }
    }

    #[test]
    fn the_newest_version_of_then_counts() {
        let all = vec![
            version("a", "a3", Some(30), false),
            version("a", "a2", Some(20), true),
            version("a", "a1", Some(10), false),
            version("b", "b?", None, false),
            version("b", "b1", Some(15), false),
        ];
        let seen = |second| {
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
            let ids = then(all.clone(), at).into_values().map(|one| one.version);
            ids.collect::<Vec<_>>().join(" ")
        };
        assert_eq!([5, 10, 15, 20, 29, 30].map(seen), ["", "a1", "a1 b1", "b1", "b1", "a3 b1"]);
    }
}
