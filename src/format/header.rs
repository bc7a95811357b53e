//! The 96 bytes at the start of every object.

use super::{Malformed, RepositoryId};

/// Length of a header.
pub const HEADER_BYTES: usize = 96;
/// The format that is written, and the newest that is read.
pub const FORMAT_VERSION: u8 = 3;
/// The format whose readers know no slots that are bound to a prefix, and can read everything else.
pub(super) const UNBOUND_VERSION: u8 = 2;
const MAGIC: &[u8; 8] = b"OCLAWB2\0";
const FLAG_SEALED: u8 = 1;

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectKind {
    /// A key slot.
    Slot = 1,
    /// A pack.
    Pack = 2,
    /// A manifest.
    Manifest = 3,
    /// That a key slot was removed.
    Removal = 4,
}

impl ObjectKind {
    /// Label in key derivation.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Slot => "slot",
            Self::Pack => "pack",
            Self::Manifest => "manifest",
            Self::Removal => "removal",
        }
    }
}

/// The clear start of an object: says what it is, whose, and how to derive its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Format of the program that wrote it.
    pub version: u8,
    /// The lowest format whose programs can read it.
    pub readable_by: u8,
    /// What the object is.
    pub kind: ObjectKind,
    /// Whether it is sealed (else only checksummed).
    pub sealed: bool,
    /// Which repository it belongs to.
    pub repository: RepositoryId,
    /// Random, of this object alone.
    pub salt: [u8; 32],
    /// Derived beside the object's key: tells a wrong key from damage. Zeros where encryption is off.
    pub commitment: [u8; 32],
}

impl Header {
    /// The header of an object that is written now. Readers of format 2 can read packs and manifests.
    #[must_use]
    pub fn new(
        kind: ObjectKind,
        sealed: bool,
        repository: RepositoryId,
        salt: [u8; 32],
        commitment: [u8; 32],
    ) -> Self {
        let readable_by = match kind {
            ObjectKind::Slot | ObjectKind::Removal => FORMAT_VERSION,
            ObjectKind::Pack | ObjectKind::Manifest => UNBOUND_VERSION,
        };
        Self { version: FORMAT_VERSION, readable_by, kind, sealed, repository, salt, commitment }
    }

    /// The bytes; of a header that was read the same ones, since seals are bound to them.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut out = Vec::with_capacity(HEADER_BYTES);
        out.extend_from_slice(MAGIC);
        let flags = if self.sealed { FLAG_SEALED } else { 0 };
        out.extend_from_slice(&[
            self.version,
            self.readable_by,
            self.kind as u8,
            flags,
            0,
            0,
            0,
            0,
        ]);
        out.extend_from_slice(&self.repository.0);
        out.extend_from_slice(&self.salt);
        out.extend_from_slice(&self.commitment);
        let mut bytes = [0; HEADER_BYTES];
        bytes.iter_mut().zip(out).for_each(|(to, from)| *to = from);
        bytes
    }

    /// Reads a header of the given kind and what follows it.
    ///
    /// # Errors
    /// [`Malformed`] for other bytes, another kind, or a version that this program does not read.
    pub fn decode(bytes: &[u8], kind: ObjectKind) -> Result<(Self, &[u8]), Malformed> {
        let short = || Malformed::new("is too short for a header");
        let (magic, rest) = bytes.split_first_chunk::<8>().ok_or_else(short)?;
        let (fixed, rest) = rest.split_first_chunk::<8>().ok_or_else(short)?;
        let (repository, rest) = rest.split_first_chunk::<16>().ok_or_else(short)?;
        let (salt, rest) = rest.split_first_chunk::<32>().ok_or_else(short)?;
        let (commitment, rest) = rest.split_first_chunk::<32>().ok_or_else(short)?;
        if magic != MAGIC {
            return Err(Malformed::new("is not an object of this program"));
        }
        let [version, readable_by, found, flags, reserved @ ..] = *fixed;
        if readable_by > FORMAT_VERSION {
            return Err(Malformed::Version(readable_by));
        }
        if found != kind as u8 {
            return Err(Malformed::new(format!("is of kind {found}, not a {}", kind.label())));
        }
        if flags & !FLAG_SEALED != 0 || reserved != [0; 4] {
            return Err(Malformed::new("has unknown flags"));
        }
        let header = Self {
            version,
            readable_by,
            kind,
            sealed: flags & FLAG_SEALED != 0,
            repository: RepositoryId(*repository),
            salt: *salt,
            commitment: *commitment,
        };
        Ok((header, rest))
    }
}
