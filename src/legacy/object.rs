//! Fetching objects of the original and opening them with the keys at hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use super::Sha256;
use super::bucket::Object;
use super::manifest::{MAX_MANIFEST_BYTES, Manifest};
use super::search::Candidate;
use crate::cpu::CpuPool;
use crate::crypto::{looks_sealed, open_legacy, sha256};
use crate::error::{Error, Result};
use crate::secret::Secret;
use crate::store::ObjectStore;

/// Application keys to try: that of today, and former ones. The original had a key of its own for each object.
#[derive(Debug)]
pub struct Keys {
    secrets: Vec<Secret>,
    /// The one that opened the last object is tried first.
    last: AtomicUsize,
}

impl Keys {
    /// In the order in which they are tried.
    #[must_use]
    pub fn new(secrets: Vec<Secret>) -> Self {
        Self { secrets, last: AtomicUsize::new(0) }
    }

    fn open(&self, object: &[u8]) -> Option<Vec<u8>> {
        let last = self.last.load(Ordering::Relaxed);
        let others = (0..self.secrets.len()).filter(|index| *index != last);
        std::iter::once(last).chain(others).find_map(|index| {
            let content = open_legacy(object, self.secrets.get(index)?.expose())?;
            self.last.store(index, Ordering::Relaxed);
            Some(content)
        })
    }
}

/// What came of looking for a content.
#[derive(Debug)]
pub enum Found {
    /// It was found.
    Content(Content),
    /// It was not.
    No(Tried),
}

/// A content whose hash was checked.
pub type Content = Vec<u8>;

/// Why a content was not found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tried {
    /// Objects that were looked at, but for those that were said to be something else.
    pub objects: usize,
    /// Whether one of them opened with no key at hand.
    pub wrong_key: bool,
}

enum Opened {
    Content(Vec<u8>),
    Other,
    WrongKey,
}

/// Which kind an object is can only be told by opening it: `encrypt` could be switched at any time, and a plain file
/// may start like a sealed one.
fn open(object: Bytes, wanted: &Sha256, keys: &Keys) -> Opened {
    if looks_sealed(&object)
        && let Some(content) = keys.open(&object)
    {
        let same = sha256(&content) == *wanted;
        return if same { Opened::Content(content) } else { Opened::Other };
    }
    if sha256(&object) == *wanted {
        return Opened::Content(object.into());
    }
    if looks_sealed(&object) { Opened::WrongKey } else { Opened::Other }
}

/// Tries objects one after the other until one has the content.
///
/// # Errors
/// Those of the store, but for an object that is gone or cannot be read, which is passed over.
pub async fn fetch(
    store: &dyn ObjectStore,
    cpu: &CpuPool,
    keys: &Arc<Keys>,
    candidates: &[Candidate],
    wanted: Sha256,
) -> Result<Found> {
    let mut tried = Tried::default();
    for Candidate { object, likely } in candidates {
        let bytes = match get(store, object, object.bytes).await {
            Err(Error::ObjectMissing { .. } | Error::Store { .. } | Error::Damaged { .. }) => {
                continue;
            }
            other => other?,
        };
        tried.objects += usize::from(*likely);
        let keys = Arc::clone(keys);
        match cpu.run(move || open(bytes, &wanted, &keys)).await? {
            Opened::Content(content) => return Ok(Found::Content(content)),
            Opened::WrongKey => tried.wrong_key = true,
            Opened::Other => {}
        }
    }
    Ok(Found::No(tried))
}

async fn get(store: &dyn ObjectStore, object: &Object, max_bytes: u64) -> Result<Bytes> {
    match &object.version {
        Some(version) => store.get_version(&object.key, version, max_bytes).await,
        None => store.get(&object.key, max_bytes).await,
    }
}

/// Reads a manifest. The original's successor sealed it, the original itself did not.
///
/// # Errors
/// `B2_WRONG_KEY`, `B2_DAMAGED`, and those of the store.
pub async fn read_manifest(
    store: &dyn ObjectStore,
    cpu: &CpuPool,
    keys: &Arc<Keys>,
    object: &Object,
) -> Result<Manifest> {
    let bytes = get(store, object, MAX_MANIFEST_BYTES).await?;
    let (keys, name) = (Arc::clone(keys), object.key.to_string());
    cpu.run(move || {
        if !looks_sealed(&bytes) {
            return Manifest::parse(&bytes, &name);
        }
        let content = keys.open(&bytes).ok_or_else(|| Error::WrongKey {
            message: format!("{name} opens with none of the application keys at hand"),
        })?;
        Manifest::parse(&content, &name)
    })
    .await?
}
