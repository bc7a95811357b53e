//! What a bucket does with objects by itself: lifecycle rules and object lock.

/// Something about the bucket that not every server has and not every key may ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Setting<T> {
    /// So it is.
    Known(T),
    /// The key may not ask.
    Forbidden,
    /// The server knows no such thing.
    #[default]
    Unknown,
}

/// The rules of a bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BucketRules {
    /// Lifecycle rules.
    pub lifecycle: Setting<Vec<LifecycleRule>>,
    /// Object lock; `None` where it is off.
    pub lock: Setting<Option<ObjectLock>>,
}

/// What happens to objects with age. B2's own words stand beside the S3 ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LifecycleRule {
    /// The names it is for start with this; it is the full name, with the configured prefix.
    pub prefix: String,
    /// Whether it is for some objects below the prefix only (by tag or size).
    pub partial: bool,
    /// Days from uploading to hiding (`Expiration`).
    pub hides_after_days: Option<u32>,
    /// Whether it hides from a date on (`Expiration` with a date).
    pub hides_by_date: bool,
    /// Days from hiding to deleting (`NoncurrentVersionExpiration`).
    pub deletes_hidden_after_days: Option<u32>,
}

impl LifecycleRule {
    /// Whether it hides objects that nobody has touched.
    #[must_use]
    pub fn hides(&self) -> bool {
        self.hides_after_days.is_some() || self.hides_by_date
    }

    /// Whether it is for names below `prefix` (which has no slash at its end), or for some of them.
    #[must_use]
    pub fn touches(&self, prefix: &str) -> bool {
        let ours = format!("{prefix}/");
        ours.starts_with(&self.prefix) || self.prefix.starts_with(&ours)
    }

    /// Whether it is for every name below `prefix`.
    #[must_use]
    pub fn covers(&self, prefix: &str) -> bool {
        !self.partial && format!("{prefix}/").starts_with(&self.prefix)
    }
}

/// Object lock of a bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectLock {
    /// `GOVERNANCE` or `COMPLIANCE`, where new objects are locked without being asked for.
    pub mode: Option<String>,
    /// For how many days.
    pub days: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_compared_with_our_names() {
        let rule = |prefix: &str| LifecycleRule { prefix: prefix.into(), ..Default::default() };
        for (prefix, touches, covers) in [
            ("", true, true),
            ("a", true, true),
            ("a/1/", true, true),
            ("a/1/packs/", true, false),
            ("a/11", false, false),
            ("b", false, false),
        ] {
            assert_eq!(
                (rule(prefix).touches("a/1"), rule(prefix).covers("a/1")),
                (touches, covers)
            );
        }
        assert!(!LifecycleRule { partial: true, ..rule("") }.covers("a"));
    }
}
