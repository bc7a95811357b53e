//! Objects of the original plugin (format 1): AES-256-GCM under a key that scrypt makes of the application key.

use aes_gcm::aead::{AeadInOut as _, KeyInit as _};
use aes_gcm::{Aes256Gcm, Key, Nonce, Tag};
use zeroize::Zeroizing;

use super::{ScryptCost, stretch};

const MAGIC: &[u8; 4] = b"B2EN";
const SALT_BYTES: usize = 32;
const IV_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
/// Magic, salt, IV and tag, before the ciphertext; there is no additional data.
const HEADER_BYTES: usize = MAGIC.len() + SALT_BYTES + IV_BYTES + TAG_BYTES;
/// What the original stretched its key with, once for each object.
const COST: ScryptCost = ScryptCost { log_n: 14, r: 8, p: 1 };

/// Whether an object looks sealed. A plain one may start like this, too.
#[must_use]
pub fn looks_sealed(object: &[u8]) -> bool {
    object.len() >= HEADER_BYTES && object.starts_with(MAGIC)
}

/// The content, if `secret` is the application key of then. Slow: run it on the CPU pool.
#[must_use]
pub fn open_legacy(object: &[u8], secret: &str) -> Option<Vec<u8>> {
    open_legacy_with(object, |salt| stretch(secret.as_bytes(), salt, COST))
}

/// The content, where the key that `key` makes of the salt opens it.
#[doc(hidden)]
pub fn open_legacy_with(
    object: &[u8],
    key: impl FnOnce(&[u8; SALT_BYTES]) -> Option<Zeroizing<[u8; 32]>>,
) -> Option<Vec<u8>> {
    let rest = object.strip_prefix(MAGIC)?;
    let (salt, rest) = rest.split_first_chunk::<SALT_BYTES>()?;
    let (iv, rest) = rest.split_first_chunk::<IV_BYTES>()?;
    let (tag, sealed) = rest.split_first_chunk::<TAG_BYTES>()?;
    let cipher = Aes256Gcm::new(&Key::<Aes256Gcm>::from(*key(salt)?));
    let mut content = sealed.to_vec();
    let buffer = content.as_mut_slice().into();
    cipher.decrypt_inout_detached(&Nonce::from(*iv), &[], buffer, &Tag::from(*tag)).ok()?;
    Some(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with the original's own code.
    #[test]
    fn opens_the_originals_vector() {
        let mut object = [b"B2EN".as_slice(), &[0; SALT_BYTES + IV_BYTES]].concat();
        object.extend(hex::decode("01114925b5837140987efe7a39c4e79cb9c99b569f").unwrap());
        assert!(looks_sealed(&object));
        let key = "K004fixtureAppKeyForTestsOnly0000";
        assert_eq!(open_legacy(&object, key).unwrap(), b"hello");
        assert!(open_legacy(&object, "K004another").is_none());
        for at in [40, 50, 68] {
            let mut changed = object.clone();
            changed[at] ^= 1;
            assert!(open_legacy(&changed, key).is_none(), "{at}");
        }
        assert!(open_legacy(&object[..63], key).is_none());
        assert!(!looks_sealed(&object[..63]) && !looks_sealed(&[0; 64]));
    }
}
