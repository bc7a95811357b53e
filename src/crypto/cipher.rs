//! AES-256-GCM with counted nonces, or a checksum of the same shape where encryption is off.

use aes_gcm::aead::{AeadInOut as _, KeyInit as _};
use aes_gcm::{Aes256Gcm, Key, Nonce, Tag};
use sha2::{Digest as _, Sha256};

/// Bytes that sealing adds: a GCM tag, or a truncated SHA-256 where encryption is off.
pub const TAG_BYTES: usize = 16;

/// Which part of an object is sealed; part of the nonce, so that no two parts can share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// A frame of a pack, counted from 0.
    Frame = 0,
    /// The footer of a pack.
    Footer = 1,
    /// The body of a manifest.
    Manifest = 2,
    /// The master key in a key slot.
    Slot = 3,
    /// That a key slot was removed.
    Removal = 4,
}

/// The bytes are not what was sealed under this key, name and place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

/// Seals the parts of one object. The key is used for nothing else, so counted nonces never repeat.
#[derive(Clone)]
pub struct Cipher(Option<Box<Aes256Gcm>>);

impl std::fmt::Debug for Cipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Cipher(sealed)" } else { "Cipher(plain)" })
    }
}

impl Cipher {
    pub(super) fn sealed(key: &[u8; 32]) -> Self {
        Self(Some(Box::new(Aes256Gcm::new(&Key::<Aes256Gcm>::from(*key)))))
    }

    pub(super) fn plain() -> Self {
        Self(None)
    }

    /// Seals `buffer[from..]` in place and appends the tag.
    ///
    /// # Errors
    /// [`Broken`] only beyond GCM's limit of 64 GiB, which no object reaches.
    pub fn seal(
        &self,
        domain: Domain,
        counter: u64,
        context: &[u8],
        buffer: &mut Vec<u8>,
        from: usize,
    ) -> Result<(), Broken> {
        let part = buffer.get_mut(from..).ok_or(Broken)?;
        let tag: [u8; TAG_BYTES] = match &self.0 {
            Some(cipher) => cipher
                .encrypt_inout_detached(&nonce(domain, counter), context, part.into())
                .map_err(|_| Broken)?
                .into(),
            None => checksum(domain, counter, context, part),
        };
        buffer.extend_from_slice(&tag);
        Ok(())
    }

    /// Opens sealed bytes in place and drops the tag. On failure `sealed` is left unusable.
    ///
    /// # Errors
    /// [`Broken`] when key, place, context or bytes are not those of sealing.
    pub fn open(
        &self,
        domain: Domain,
        counter: u64,
        context: &[u8],
        sealed: &mut Vec<u8>,
    ) -> Result<(), Broken> {
        let length = sealed.len().checked_sub(TAG_BYTES).ok_or(Broken)?;
        let (part, tag) = sealed.split_at_mut(length);
        let tag: [u8; TAG_BYTES] = (&*tag).try_into().map_err(|_| Broken)?;
        match &self.0 {
            Some(cipher) => cipher
                .decrypt_inout_detached(
                    &nonce(domain, counter),
                    context,
                    part.into(),
                    &Tag::from(tag),
                )
                .map_err(|_| Broken)?,
            None if checksum(domain, counter, context, part) == tag => {}
            None => return Err(Broken),
        }
        sealed.truncate(length);
        Ok(())
    }
}

/// One byte of domain, three zeros, a big-endian counter.
fn nonce(domain: Domain, counter: u64) -> Nonce<<Aes256Gcm as aes_gcm::aead::AeadCore>::NonceSize> {
    let mut bytes = [0; 12];
    let (head, tail) = bytes.split_at_mut(4);
    head.copy_from_slice(&[domain as u8, 0, 0, 0]);
    tail.copy_from_slice(&counter.to_be_bytes());
    Nonce::from(bytes)
}

fn checksum(domain: Domain, counter: u64, context: &[u8], part: &[u8]) -> [u8; TAG_BYTES] {
    let mut hash = Sha256::new();
    hash.update(b"openclaw-b2-backup/2/plain");
    hash.update([domain as u8]);
    hash.update(counter.to_be_bytes());
    hash.update((context.len() as u64).to_be_bytes());
    hash.update(context);
    hash.update(part);
    let full: [u8; 32] = hash.finalize().into();
    let mut tag = [0; TAG_BYTES];
    tag.iter_mut().zip(full).for_each(|(to, from)| *to = from);
    tag
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both() -> [Cipher; 2] {
        [Cipher::sealed(&[9; 32]), Cipher::plain()]
    }

    #[test]
    fn opens_what_it_sealed() {
        for cipher in both() {
            let mut buffer = b"head".to_vec();
            buffer.extend_from_slice(b"body");
            cipher.seal(Domain::Frame, 3, b"ctx", &mut buffer, 4).unwrap();
            assert_eq!(&buffer[..4], b"head");
            let mut sealed = buffer[4..].to_vec();
            cipher.open(Domain::Frame, 3, b"ctx", &mut sealed).unwrap();
            assert_eq!(sealed, b"body");
        }
    }

    #[test]
    fn refuses_another_place_context_or_byte() {
        for cipher in both() {
            let mut sealed = b"body".to_vec();
            cipher.seal(Domain::Frame, 3, b"ctx", &mut sealed, 0).unwrap();
            let opened = |domain, counter, context: &[u8], flip: Option<usize>| {
                let mut copy = sealed.clone();
                if let Some(i) = flip {
                    copy[i] ^= 1;
                }
                cipher.open(domain, counter, context, &mut copy).is_ok()
            };
            assert!(opened(Domain::Frame, 3, b"ctx", None));
            assert!(!opened(Domain::Footer, 3, b"ctx", None));
            assert!(!opened(Domain::Frame, 4, b"ctx", None));
            assert!(!opened(Domain::Frame, 3, b"ctX", None));
            assert!((0..sealed.len()).all(|i| !opened(Domain::Frame, 3, b"ctx", Some(i))));
            assert!(cipher.open(Domain::Frame, 3, b"ctx", &mut vec![1; 5]).is_err());
        }
    }
}
