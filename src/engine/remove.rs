//! Deleting objects for good, or, with a key that may not, hiding them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::error::{Error, Result};
use crate::store::{ObjectKey, ObjectStore, ObjectVersion};

/// What became of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removed {
    /// It and its space are gone.
    Gone,
    /// It is not listed or read any more, but still takes space.
    Hidden,
    /// Nothing could be done.
    Stays,
}

/// Removes objects. Asks no further once the key was refused.
#[derive(Debug)]
pub(crate) struct Remover<'a> {
    store: &'a dyn ObjectStore,
    may_not_delete: AtomicBool,
    may_not_hide: AtomicBool,
    gone: AtomicU64,
    hidden: AtomicU64,
}

impl<'a> Remover<'a> {
    pub(crate) fn new(store: &'a dyn ObjectStore) -> Self {
        Self {
            store,
            may_not_delete: AtomicBool::new(false),
            may_not_hide: AtomicBool::new(false),
            gone: AtomicU64::new(0),
            hidden: AtomicU64::new(0),
        }
    }

    /// Removes an object with all its `versions`, the newest first; `None` on a store that keeps none.
    ///
    /// # Errors
    /// Those of the store, but for a key that may not: that is an answer.
    pub(crate) async fn remove(
        &self,
        key: &ObjectKey,
        versions: Option<&[ObjectVersion]>,
    ) -> Result<Removed> {
        let Some(versions) = versions else {
            return self.hide(key, Removed::Gone, &self.gone).await;
        };
        if !self.may_not_delete.load(Ordering::Relaxed) {
            // The oldest first: a marker goes last, so nothing that is hidden shows up in between.
            let mut refused = false;
            for version in versions.iter().rev() {
                match self.store.delete(key, Some(&version.version)).await {
                    Err(Error::Capability { message }) => {
                        tracing::warn!(message, "the key may not delete");
                        self.may_not_delete.store(true, Ordering::Relaxed);
                        refused = true;
                        break;
                    }
                    other => other?,
                }
            }
            if !refused {
                self.gone.fetch_add(1, Ordering::Relaxed);
                return Ok(Removed::Gone);
            }
        }
        if versions.first().is_some_and(|latest| latest.hidden) {
            return Ok(Removed::Hidden);
        }
        self.only_hide(key).await
    }

    /// Hides an object whose versions the key may not even list.
    ///
    /// # Errors
    /// As [`Self::remove`].
    pub(crate) async fn only_hide(&self, key: &ObjectKey) -> Result<Removed> {
        self.hide(key, Removed::Hidden, &self.hidden).await
    }

    async fn hide(&self, key: &ObjectKey, done: Removed, counter: &AtomicU64) -> Result<Removed> {
        if self.may_not_hide.load(Ordering::Relaxed) {
            return Ok(Removed::Stays);
        }
        match self.store.delete(key, None).await {
            Err(Error::Capability { message }) => {
                tracing::warn!(message, "the key may not hide");
                self.may_not_hide.store(true, Ordering::Relaxed);
                Ok(Removed::Stays)
            }
            Err(error) => Err(error),
            Ok(()) => {
                counter.fetch_add(1, Ordering::Relaxed);
                Ok(done)
            }
        }
    }

    /// Objects that were hidden now.
    pub(crate) fn hidden(&self) -> u64 {
        self.hidden.load(Ordering::Relaxed)
    }

    /// What the user has to know of the key, if it was refused; `None` as well when there was nothing to try.
    pub(crate) fn refused(&self) -> Option<&'static str> {
        if self.may_not_hide.load(Ordering::Relaxed) {
            return Some(
                "the key may neither delete nor hide what is not needed any more, so storage only grows: give it the \
                 capabilities deleteFiles and writeFiles",
            );
        }
        self.may_not_delete.load(Ordering::Relaxed).then_some(
            "the key may not delete, so what is not needed any more is hidden, and still costs storage: give the key \
             the capability deleteFiles, or give the bucket a lifecycle rule for this prefix that deletes hidden \
             files (daysFromHidingToDeleting: 1)",
        )
    }

    /// Whether something was deleted.
    pub(crate) fn any_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed) > 0
    }
}
