//! Lifecycle rules and object lock of the bucket.

use serde::Deserialize;

use super::retry::{Again, Failure};
use super::{S3Store, list};
use crate::error::{Error, Result};
use crate::store::{LifecycleRule, ObjectLock, Setting};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct LifecycleDocument {
    #[serde(rename = "Rule")]
    rules: Vec<RuleEntry>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct RuleEntry {
    prefix: Option<String>,
    filter: Option<Filter>,
    status: String,
    expiration: Option<Expiration>,
    noncurrent_version_expiration: Option<Noncurrent>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Filter {
    prefix: Option<String>,
    /// Several conditions; besides a prefix they are tags and sizes.
    and: Option<FilterAnd>,
    tag: Option<serde::de::IgnoredAny>,
    object_size_greater_than: Option<serde::de::IgnoredAny>,
    object_size_less_than: Option<serde::de::IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct FilterAnd {
    prefix: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Expiration {
    days: Option<u32>,
    date: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Noncurrent {
    noncurrent_days: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct LockDocument {
    object_lock_enabled: String,
    rule: Option<LockRule>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct LockRule {
    default_retention: Option<Retention>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Retention {
    mode: Option<String>,
    days: Option<u32>,
    years: Option<u32>,
}

impl S3Store {
    /// Lifecycle rules that are switched on.
    pub(super) async fn lifecycle(&self) -> Result<Setting<Vec<LifecycleRule>>> {
        let (none, read) = ("NoSuchLifecycleConfiguration", lifecycle);
        self.setting("LIFECYCLE", "lifecycle", none, Vec::new(), read).await
    }

    /// Object lock, where it is on.
    pub(super) async fn lock(&self) -> Result<Setting<Option<ObjectLock>>> {
        let (none, read) = ("ObjectLockConfigurationNotFoundError", lock);
        self.setting("LOCK", "object-lock", none, None, read).await
    }

    async fn setting<T>(
        &self,
        operation: &'static str,
        query: &'static str,
        none: &str,
        empty: T,
        read: fn(&[u8]) -> Result<T, list::Unusable>,
    ) -> Result<Setting<T>> {
        let mut request = self.listing("", &[(query, String::new())]);
        request.operation = operation;
        match self.send(&request).await {
            Ok(answer) => Ok(read(&answer.body).map_or(Setting::Unknown, Setting::Known)),
            Err(failure) if failure.status == 404 && failure.code == none => {
                Ok(Setting::Known(empty))
            }
            Err(Failure { error: Error::Capability { .. }, .. }) => Ok(Setting::Forbidden),
            Err(Failure {
                error: Error::Store { .. } | Error::ObjectMissing { .. },
                again: Again::Never,
                ..
            }) => Ok(Setting::Unknown),
            Err(failure) => Err(failure.error),
        }
    }
}

pub(super) fn lifecycle(body: &[u8]) -> Result<Vec<LifecycleRule>, list::Unusable> {
    let document: LifecycleDocument = list::document(body, "LifecycleConfiguration")?;
    let enabled = document.rules.into_iter().filter(|rule| rule.status == "Enabled");
    Ok(enabled.map(LifecycleRule::from).collect())
}

impl From<RuleEntry> for LifecycleRule {
    fn from(entry: RuleEntry) -> Self {
        let filter = entry.filter.unwrap_or_default();
        let partial = filter.and.is_some()
            || filter.tag.is_some()
            || filter.object_size_greater_than.is_some()
            || filter.object_size_less_than.is_some();
        let prefix = filter.prefix.or(filter.and.and_then(|and| and.prefix)).or(entry.prefix);
        let expiration = entry.expiration.unwrap_or_default();
        let noncurrent = entry.noncurrent_version_expiration.unwrap_or_default();
        Self {
            prefix: prefix.unwrap_or_default(),
            partial,
            hides_after_days: expiration.days,
            hides_by_date: expiration.date.is_some(),
            deletes_hidden_after_days: noncurrent.noncurrent_days,
        }
    }
}

pub(super) fn lock(body: &[u8]) -> Result<Option<ObjectLock>, list::Unusable> {
    let document: LockDocument = list::document(body, "ObjectLockConfiguration")?;
    if document.object_lock_enabled != "Enabled" {
        return Ok(None);
    }
    let retention = document.rule.and_then(|rule| rule.default_retention).unwrap_or_default();
    let years = retention.years.map(|years| years.saturating_mul(365));
    Ok(Some(ObjectLock { mode: retention.mode, days: retention.days.or(years) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifecycle_rules_are_read() {
        let rules = lifecycle(
            br#"<LifecycleConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
            <Rule><ID>1</ID><Filter><Prefix>a/</Prefix></Filter><Status>Enabled</Status>
              <Expiration><Days>30</Days></Expiration>
              <NoncurrentVersionExpiration><NoncurrentDays>7</NoncurrentDays></NoncurrentVersionExpiration></Rule>
            <Rule><Prefix>old/</Prefix><Status>Enabled</Status>
              <AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>
            <Rule><Filter><And><Prefix>t/</Prefix><Tag><Key>k</Key><Value>v</Value></Tag></And></Filter><Status>Enabled</Status>
              <Expiration><Date>2030-01-01T00:00:00Z</Date></Expiration></Rule>
            <Rule><Filter/><Status>Disabled</Status><Expiration><Days>1</Days></Expiration></Rule>
            </LifecycleConfiguration>"#,
        )
        .unwrap();
        assert_eq!(rules.len(), 3);
        let first = LifecycleRule {
            prefix: "a/".into(),
            hides_after_days: Some(30),
            deletes_hidden_after_days: Some(7),
            ..LifecycleRule::default()
        };
        assert_eq!(rules[0], first);
        assert!(!rules[1].hides() && rules[1].prefix == "old/");
        assert!(rules[2].hides() && rules[2].partial && rules[2].prefix == "t/");
        assert!(lifecycle(b"<LifecycleConfiguration/>").unwrap().is_empty());
        assert!(lifecycle(b"<ListBucketResult/>").is_err());
    }

    #[test]
    fn object_lock_is_read() {
        let on = b"<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>
            <Mode>GOVERNANCE</Mode><Years>2</Years></DefaultRetention></Rule></ObjectLockConfiguration>";
        let expected = ObjectLock { mode: Some("GOVERNANCE".into()), days: Some(730) };
        assert_eq!(lock(on), Ok(Some(expected)));
        let bare = b"<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>";
        assert_eq!(lock(bare), Ok(Some(ObjectLock::default())));
        assert_eq!(lock(b"<ObjectLockConfiguration/>"), Ok(None));
    }
}
