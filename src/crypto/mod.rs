//! Sealing, key derivation and chunk ids. Pure: no I/O, no clock; randomness is handed in.
//!
//! Every construction here is specified in `docs/format.md`, sections Keys and Seals.

mod cipher;
mod kdf;
mod legacy;

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

pub use cipher::{Broken, Cipher, Domain, TAG_BYTES};
pub use kdf::{ScryptCost, stretch};
pub use legacy::{looks_sealed, open_legacy, open_legacy_with};

/// Prefix of every HKDF label: product and format version, so that no other use of a key can meet ours.
const LABEL: &str = "openclaw-b2-backup/2/";

/// The 32 random bytes that everything else is derived from. Never derived from a password.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; 32]>);

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

impl MasterKey {
    /// Takes 32 random bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, to be sealed into a slot or kept in the local folder.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// A text that shows whether a secret is the one seen before, without storing it and without scrypt.
    #[must_use]
    pub fn secret_check(&self, secret: &str) -> [u8; 32] {
        let mut key = Zeroizing::new([0; 32]);
        expand(&self.0[..], &[], "secret-check", key.as_mut());
        hmac_sha256(&key, secret.as_bytes())
    }
}

/// What a repository's contents are protected with.
#[derive(Clone, Debug)]
pub enum RepoKey {
    /// `encrypt: true`.
    Sealed(MasterKey),
    /// `encrypt: false`: checksums instead of seals.
    Plain,
}

impl RepoKey {
    /// Whether objects are sealed.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        matches!(self, Self::Sealed(_))
    }

    /// The cipher and the commitment of one object: `label` is the object's kind, `salt` its own 32 random bytes.
    #[must_use]
    pub fn object(
        &self,
        label: &str,
        repository: &[u8; 16],
        salt: &[u8; 32],
    ) -> (Cipher, [u8; 32]) {
        match self {
            Self::Sealed(master) => derive_object(&master.0[..], label, repository, salt),
            Self::Plain => (Cipher::plain(), [0; 32]),
        }
    }

    /// Makes chunk ids.
    #[must_use]
    pub fn chunk_ids(&self, repository: &[u8; 16]) -> ChunkIds {
        match self {
            Self::Sealed(master) => {
                let mut key = Zeroizing::new([0; 32]);
                expand(&master.0[..], repository, "chunk-id", key.as_mut());
                ChunkIds { mac: Hmac::<Sha256>::new_from_slice(&key[..]).ok() }
            }
            Self::Plain => ChunkIds { mac: None },
        }
    }

    /// Seed of the content-defined chunker: keeps an outsider from knowing where known text is cut.
    #[must_use]
    pub fn chunker_seed(&self, repository: &[u8; 16]) -> u64 {
        let mut seed = [0; 8];
        match self {
            Self::Sealed(master) => expand(&master.0[..], repository, "chunker", &mut seed),
            Self::Plain => expand(&[], repository, "chunker", &mut seed),
        }
        u64::from_le_bytes(seed)
    }
}

/// The cipher and commitment that follow from some key material.
#[must_use]
pub fn derive_object(
    material: &[u8],
    label: &str,
    repository: &[u8; 16],
    salt: &[u8; 32],
) -> (Cipher, [u8; 32]) {
    let mut both = Zeroizing::new([0; 64]);
    let mut info = label.as_bytes().to_vec();
    info.push(0);
    info.extend_from_slice(repository);
    expand_raw(material, salt, &info, both.as_mut());
    let mut key = Zeroizing::new([0; 32]);
    let mut commitment = [0; 32];
    let (first, second) = both.split_at(32);
    key.copy_from_slice(first);
    commitment.copy_from_slice(second);
    (Cipher::sealed(&key), commitment)
}

fn expand(material: &[u8], salt: &[u8], label: &str, out: &mut [u8]) {
    expand_raw(material, salt, label.as_bytes(), out);
}

fn expand_raw(material: &[u8], salt: &[u8], info: &[u8], out: &mut [u8]) {
    let hkdf = Hkdf::<Sha256>::new(Some(salt), material);
    // RFC 5869 allows 255 x 32 bytes; nothing here asks for more than 64.
    let _never_too_long = hkdf.expand_multi_info(&[LABEL.as_bytes(), info], out);
}

fn hmac_sha256(key: &[u8; 32], data: &[u8]) -> [u8; 32] {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    mac.update(data);
    mac.finalize().into_bytes().into()
}

/// Makes chunk ids: HMAC-SHA256 under a key of the repository, plain SHA-256 where encryption is off.
#[derive(Clone)]
pub struct ChunkIds {
    mac: Option<Hmac<Sha256>>,
}

impl std::fmt::Debug for ChunkIds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ChunkIds(..)")
    }
}

impl ChunkIds {
    /// The id of a chunk's plaintext.
    #[must_use]
    pub fn of(&self, data: &[u8]) -> [u8; 32] {
        match &self.mac {
            Some(mac) => {
                let mut mac = mac.clone();
                mac.update(data);
                mac.finalize().into_bytes().into()
            }
            None => Sha256::digest(data).into(),
        }
    }
}

/// SHA-256 of a whole file, fed piece by piece.
#[derive(Clone, Default)]
pub struct ContentHash(Sha256);

impl std::fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ContentHash(..)")
    }
}

impl ContentHash {
    /// Takes the next piece.
    pub fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    /// The hash of everything taken.
    #[must_use]
    pub fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

/// SHA-256 of some bytes.
#[must_use]
pub fn sha256(data: &[u8]) -> [u8; 32] {
    Sha256::digest(data).into()
}

/// SHA-256 of plain bytes in hexadecimal.
#[must_use]
pub fn sha256_hex(data: &[u8]) -> String {
    hex::encode(sha256(data))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_use_has_its_own_key() {
        let master = MasterKey::new([7; 32]);
        let key = RepoKey::Sealed(master.clone());
        let (_, pack) = key.object("pack", &[1; 16], &[2; 32]);
        let (_, manifest) = key.object("manifest", &[1; 16], &[2; 32]);
        let (_, other_repository) = key.object("pack", &[3; 16], &[2; 32]);
        let (_, other_salt) = key.object("pack", &[1; 16], &[4; 32]);
        let all = [pack, manifest, other_repository, other_salt, master.secret_check("x")];
        for (i, a) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|b| a != b));
        }
        assert_ne!(key.chunk_ids(&[1; 16]).of(b"x"), key.chunk_ids(&[2; 16]).of(b"x"));
        assert_ne!(key.chunk_ids(&[1; 16]).of(b"x"), sha256(b"x"));
        assert_eq!(RepoKey::Plain.chunk_ids(&[1; 16]).of(b"x"), sha256(b"x"));
        assert_ne!(key.chunker_seed(&[1; 16]), RepoKey::Plain.chunker_seed(&[1; 16]));
    }

    #[test]
    fn hkdf_follows_rfc_5869() {
        // RFC 5869, test case 1: proves that crate and argument order are what the document says.
        let hkdf = Hkdf::<Sha256>::new(
            Some(&hex::decode("000102030405060708090a0b0c").unwrap()),
            &[0x0b; 22],
        );
        let mut out = [0; 42];
        hkdf.expand(&hex::decode("f0f1f2f3f4f5f6f7f8f9").unwrap(), &mut out).unwrap();
        assert_eq!(
            hex::encode(out),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
        );
    }
}
