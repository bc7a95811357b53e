//! Finding snapshots and reading their manifests.

use bytes::Bytes;

use super::keys::KeyRing;
use crate::ambient::{Entropy, random};
use crate::crypto::{Domain, RepoKey, sha256};
use crate::error::{Error, Result};
use crate::format::{
    Header, KeySlot, MAX_MANIFEST_BYTES, Malformed, Manifest, ObjectKind, RepositoryId, SnapshotId,
    SnapshotName,
};
use crate::store::{ObjectKey, ObjectStore};

/// An opened manifest.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Its id.
    pub id: SnapshotId,
    /// Which repository it belongs to.
    pub repository: RepositoryId,
    /// What opens its packs.
    pub key: RepoKey,
    /// Its body.
    pub manifest: Manifest,
    /// SHA-256 of the object.
    pub sha256: [u8; 32],
}

/// Every snapshot folder in the prefix, of every machine and format, sorted by name. One LIST.
///
/// # Errors
/// Those of the store.
pub async fn find(store: &dyn ObjectStore) -> Result<Vec<SnapshotName>> {
    let listing = store.list("", true).await?;
    Ok(listing.prefixes.iter().filter_map(|p| SnapshotName::parse(p.strip_suffix('/')?)).collect())
}

/// Reads and opens a manifest. One GET; where its own key slots do not open, those in `keys/` are asked for.
///
/// # Errors
/// `B2_SNAPSHOT_NOT_FOUND`, `B2_WRONG_KEY`, `B2_DAMAGED`, `B2_VERSION`, and those of the store.
pub async fn read(store: &dyn ObjectStore, ring: &KeyRing, id: &SnapshotId) -> Result<Snapshot> {
    let key = ObjectKey::new(id.object())?;
    let object = match store.get(&key, MAX_MANIFEST_BYTES).await {
        Err(Error::ObjectMissing { .. }) => {
            return Err(Error::SnapshotNotFound {
                snapshot: id.to_string(),
                message: "its manifest is not in the bucket; `list` shows what there is".to_owned(),
            });
        }
        other => other?,
    };
    match Snapshot::open(ring, id, &object).await {
        // A manifest has the slots of its time. A secret that came later has its slot in `keys/` alone.
        Err(wrong @ Error::WrongKey { .. }) => {
            let (header, ..) = Manifest::split(&object).map_err(|m| m.of(&id.object()))?;
            let slots = ring.stored(store).await?;
            match ring.unlock(header.repository, header.sealed, slots).await? {
                Some(_) => Snapshot::open(ring, id, &object).await,
                None => Err(wrong),
            }
        }
        other => other,
    }
}

impl Snapshot {
    /// Opens the bytes of a manifest.
    ///
    /// # Errors
    /// `B2_WRONG_KEY`, `B2_DAMAGED`, `B2_VERSION`.
    pub async fn open(ring: &KeyRing, id: &SnapshotId, object: &Bytes) -> Result<Self> {
        let name = id.object();
        let (header, slots, clear, body) = Manifest::split(object).map_err(|m| m.of(&name))?;
        let key = ring.unlock(header.repository, header.sealed, &slots).await?;
        let key = key.ok_or_else(|| wrong_key(id, ring.elsewhere(header.repository, &slots)))?;
        let manifest = open_body(&key, &header, clear, body, &name).map_err(|m| m.of(&name))?;
        Ok(Self {
            id: id.clone(),
            repository: header.repository,
            key,
            manifest,
            sha256: sha256(object),
        })
    }

    /// Seals a manifest into the bytes of its object, and opens them again before they are given out.
    ///
    /// # Errors
    /// `B2_INTERNAL`.
    pub fn seal(
        manifest: &Manifest,
        id: &SnapshotId,
        key: &RepoKey,
        repository: RepositoryId,
        slots: &[Vec<u8>],
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>> {
        let salt = random(entropy)?;
        let (cipher, commitment) = key.object(ObjectKind::Manifest.label(), &repository.0, &salt);
        let mut header =
            Header::new(ObjectKind::Manifest, key.is_sealed(), repository, salt, commitment);
        // A reader that can read none of its slots is to say that it is too old, not that the key is wrong.
        let slots_need = slots.iter().filter_map(|slot| KeySlot::decode(slot).ok());
        if let Some(least) = slots_need.map(|slot| slot.readable_by()).min() {
            header.readable_by = least;
        }
        let mut object = Manifest::encode_clear(&header, slots);
        let name = id.object();
        let context = context(&object, &name);
        let start = object.len();
        object.extend_from_slice(&manifest.encode());
        let broken = |_| Error::internal("a manifest cannot be sealed");
        cipher.seal(Domain::Manifest, 0, &context, &mut object, start).map_err(broken)?;
        let again = Manifest::split(&object)
            .and_then(|(header, _, clear, body)| open_body(key, &header, clear, body, &name));
        if again.as_ref() != Ok(manifest) {
            return Err(Error::internal("a manifest opens to something else"));
        }
        Ok(object)
    }
}

/// `elsewhere` is the prefix that its slots were made for, where that is another one.
fn wrong_key(id: &SnapshotId, elsewhere: Option<&str>) -> Error {
    let message = match elsewhere {
        Some(prefix) => format!(
            "snapshot {id} was made for the prefix {prefix} and copied here. Where you moved it yourself, add \
             --moved-from {prefix}"
        ),
        None => format!(
            "snapshot {id} is sealed with a key that the secrets given here do not open. It opens with the \
             application key that was in use when it was made, or with the passphrase or recovery code of \
             that backup"
        ),
    };
    Error::WrongKey { message }
}

fn context(clear: &[u8], name: &str) -> Vec<u8> {
    [clear, name.as_bytes()].concat()
}

fn open_body(
    key: &RepoKey,
    header: &Header,
    clear: &[u8],
    body: &[u8],
    name: &str,
) -> Result<Manifest, Malformed> {
    let bad = |message: &str| Malformed::Bytes(message.to_owned());
    let (cipher, commitment) =
        key.object(ObjectKind::Manifest.label(), &header.repository.0, &header.salt);
    if commitment != header.commitment {
        return Err(bad("its header was changed"));
    }
    let mut plain = body.to_vec();
    cipher
        .open(Domain::Manifest, 0, &context(clear, name), &mut plain)
        .map_err(|_| bad("its content was changed, or it was moved here from another name"))?;
    Manifest::decode(&plain)
}
