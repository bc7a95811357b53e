//! Key slots: the master key, sealed under a secret of the user's.

use minicbor::{Decode, Encode};

use super::header::UNBOUND_VERSION;
use super::{Header, Malformed, ObjectKind, RepositoryId, cbor};
use crate::crypto::{Cipher, Domain, MasterKey, ScryptCost, derive_object, stretch};
use crate::secret::is_drawn;

/// Which secret opens a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum SecretKind {
    /// The B2 application key.
    #[n(0)]
    ApplicationKey,
    /// A passphrase from the configuration.
    #[n(1)]
    Passphrase,
    /// A printed recovery code.
    #[n(2)]
    Recovery,
}

impl SecretKind {
    /// The name that programs rely on.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ApplicationKey => "application-key",
            Self::Passphrase => "passphrase",
            Self::Recovery => "recovery-code",
        }
    }

    /// The name for people.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::ApplicationKey => "application key",
            Self::Passphrase => "passphrase",
            Self::Recovery => "recovery code",
        }
    }
}

/// A slot: clear parameters and the sealed key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySlot {
    header: Header,
    wire: Wire,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
struct Wire {
    #[n(0)]
    kind: SecretKind,
    #[n(1)]
    log_n: u8,
    #[n(2)]
    r: u32,
    #[n(3)]
    p: u32,
    /// Seconds since 1970, local clock; for people.
    #[n(4)]
    created: i64,
    #[cbor(n(5), with = "minicbor::bytes")]
    sealed: Vec<u8>,
    /// The prefix that it was made for; none in format 2.
    #[n(6)]
    prefix: Option<String>,
}

/// No slot is larger.
pub const MAX_SLOT_BYTES: usize = 4096;
/// No prefix is longer (that of the setting `prefix`).
const MAX_PREFIX_BYTES: usize = 100;

impl KeySlot {
    /// Seals the master key under `secret`, for the prefix that it will lie below. With a secret
    /// that somebody thought of it takes a third of a second and 128 MiB: run it on the CPU pool.
    #[must_use]
    pub fn seal(
        master: &MasterKey,
        (repository, prefix): (RepositoryId, &str),
        secret: &str,
        kind: SecretKind,
        salt: [u8; 32],
        created: i64,
    ) -> Option<Self> {
        let cost = cost_for(kind, secret);
        let (cipher, commitment) = slot_cipher(secret, &salt, cost, repository)?;
        let header = Header::new(ObjectKind::Slot, true, repository, salt, commitment);
        let mut sealed = master.expose().to_vec();
        let prefix = Some(prefix.to_owned());
        cipher.seal(Domain::Slot, 0, &context(&header, prefix.as_deref()), &mut sealed, 0).ok()?;
        let wire = Wire { kind, log_n: cost.log_n, r: cost.r, p: cost.p, created, sealed, prefix };
        Some(Self { header, wire })
    }

    /// The master key, if `secret` is the one. As slow as sealing.
    #[must_use]
    pub fn open(&self, secret: &str) -> Option<MasterKey> {
        let (cipher, commitment) =
            slot_cipher(secret, &self.header.salt, self.cost(), self.header.repository)?;
        if commitment != self.header.commitment {
            return None;
        }
        let mut key = self.wire.sealed.clone();
        cipher.open(Domain::Slot, 0, &context(&self.header, self.prefix()), &mut key).ok()?;
        let bytes: [u8; 32] = key.as_slice().try_into().ok()?;
        zeroize::Zeroize::zeroize(&mut key);
        Some(MasterKey::new(bytes))
    }

    /// How much work opening it is, in slots of a passphrase; `None` where its cost is out of bounds.
    #[must_use]
    pub fn work(&self) -> Option<u64> {
        self.cost().work()
    }

    fn cost(&self) -> ScryptCost {
        ScryptCost { log_n: self.wire.log_n, r: self.wire.r, p: self.wire.p }
    }

    /// When it was made, seconds since 1970 by the clock of who made it. Not authenticated.
    #[must_use]
    pub fn created(&self) -> i64 {
        self.wire.created
    }

    /// Which secret opens it.
    #[must_use]
    pub fn kind(&self) -> SecretKind {
        self.wire.kind
    }

    /// The prefix that it was made for; `None` in format 2, where a slot is bound to none. Where it opens, this is
    /// what its maker said.
    #[must_use]
    pub fn prefix(&self) -> Option<&str> {
        self.wire.prefix.as_deref()
    }

    /// The lowest format whose readers can read it.
    #[must_use]
    pub fn readable_by(&self) -> u8 {
        self.header.readable_by
    }

    /// Whose master key it holds.
    #[must_use]
    pub fn repository(&self) -> RepositoryId {
        self.header.repository
    }

    /// The bytes of the object.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.header.encode().to_vec();
        out.extend_from_slice(&cbor(&self.wire));
        out
    }

    /// Reads a slot. Its cost is checked when it is opened.
    ///
    /// # Errors
    /// [`Malformed`] for other bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.len() > MAX_SLOT_BYTES {
            return Err(Malformed::new("is too large for a key slot"));
        }
        let (header, rest) = Header::decode(bytes, ObjectKind::Slot)?;
        let mut wire: Wire = minicbor::decode(rest)?;
        if header.readable_by <= UNBOUND_VERSION {
            wire.prefix = None;
        } else if !wire.prefix.as_deref().is_some_and(is_prefix) {
            return Err(Malformed::new("does not say which prefix it was made for"));
        }
        Ok(Self { header, wire })
    }
}

/// A passphrase costs what guessing is to cost, however good it looks: somebody may have thought of it.
fn cost_for(kind: SecretKind, secret: &str) -> ScryptCost {
    let drawn = match kind {
        SecretKind::Recovery => true,
        SecretKind::ApplicationKey => is_drawn(secret),
        SecretKind::Passphrase => false,
    };
    if drawn { ScryptCost::DRAWN } else { ScryptCost::THOUGHT_OF }
}

/// What the seal is bound to: the header and, where there is one, the prefix.
fn context(header: &Header, prefix: Option<&str>) -> Vec<u8> {
    [&header.encode()[..], prefix.unwrap_or_default().as_bytes()].concat()
}

fn is_prefix(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'_' | b'-');
    (1..=MAX_PREFIX_BYTES).contains(&text.len()) && text.bytes().all(good)
}

fn slot_cipher(
    secret: &str,
    salt: &[u8; 32],
    cost: ScryptCost,
    repository: RepositoryId,
) -> Option<(Cipher, [u8; 32])> {
    let material = stretch(secret.as_bytes(), salt, cost)?;
    Some(derive_object(&material[..], ObjectKind::Slot.label(), &repository.0, salt))
}
