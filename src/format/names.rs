//! Ids and object names.

use std::fmt::{Debug, Display};

use crate::error::{Error, Result};

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $bytes]);

        impl $name {
            /// Reads lower-case hex.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                if text.bytes().any(|b| b.is_ascii_uppercase()) {
                    return None;
                }
                let mut bytes = [0; $bytes];
                hex::decode_to_slice(text, &mut bytes).ok()?;
                Some(Self(bytes))
            }
        }

        impl Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({})", stringify!($name), self)
            }
        }

        impl<C> minicbor::Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                e: &mut minicbor::Encoder<W>,
                _: &mut C,
            ) -> std::result::Result<(), minicbor::encode::Error<W::Error>> {
                e.bytes(&self.0)?;
                Ok(())
            }
        }

        impl<'b, C> minicbor::Decode<'b, C> for $name {
            fn decode(
                d: &mut minicbor::Decoder<'b>,
                _: &mut C,
            ) -> std::result::Result<Self, minicbor::decode::Error> {
                let bytes = d.bytes()?;
                bytes.try_into().map(Self).map_err(|_| {
                    minicbor::decode::Error::message(concat!(stringify!($name), " of wrong length"))
                })
            }
        }
    };
}

hex_id!(
    /// Which master key: made at random with it.
    RepositoryId, 16
);
hex_id!(
    /// A lineage: the snapshots and packs of one machine.
    MachineId, 4
);
hex_id!(
    /// A pack's random name, never used twice.
    PackName, 16
);
hex_id!(
    /// HMAC-SHA256 of a chunk's plaintext under the repository's key (SHA-256 where encryption is off).
    ChunkId, 32
);

/// Where a machine's packs lie, with a trailing slash.
#[must_use]
pub fn pack_prefix(machine: MachineId) -> String {
    format!("packs/{machine}/")
}

impl PackName {
    /// The object of this pack.
    #[must_use]
    pub fn object(self, machine: MachineId) -> String {
        format!("packs/{machine}/{self}")
    }
}

/// A snapshot of format 2: `[safety-]2026-02-19T00-00-00Z-0a1b2c3d`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotId {
    /// `2026-02-19T00-00-00Z`, for people: the order of a lineage is the sequence number.
    timestamp: String,
    /// Whose snapshot.
    pub machine: MachineId,
    /// Made before a rollback; never pruned by itself.
    pub safety: bool,
}

impl SnapshotId {
    /// Names a snapshot made at `seconds` since 1970 by the local clock.
    #[must_use]
    pub fn new(seconds: i64, machine: MachineId, safety: bool) -> Self {
        // Years beyond four digits would not sort or parse; a clock that far off is clamped.
        let seconds = seconds.clamp(0, 253_402_300_799);
        let time = jiff::Timestamp::from_second(seconds).unwrap_or_default();
        Self { timestamp: time.strftime("%Y-%m-%dT%H-%M-%SZ").to_string(), machine, safety }
    }

    /// Reads an id; `None` for anything that is not exactly of this form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (safety, rest) = match text.strip_prefix("safety-") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (timestamp, machine) = rest.split_at_checked(20)?;
        let machine = MachineId::parse(machine.strip_prefix('-')?)?;
        let id = Self { timestamp: timestamp.to_owned(), machine, safety };
        let again = Self::new(id.seconds()?, machine, safety);
        (again == id).then_some(id)
    }

    /// Local time of the machine that made it, seconds since 1970.
    #[must_use]
    pub fn seconds(&self) -> Option<i64> {
        let time = jiff::civil::DateTime::strptime("%Y-%m-%dT%H-%M-%SZ", &self.timestamp).ok()?;
        Some(time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
    }

    /// The object whose PUT commits the snapshot.
    #[must_use]
    pub fn object(&self) -> String {
        format!("{self}/manifest")
    }
}

impl Display for SnapshotId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}-{}", if self.safety { "safety-" } else { "" }, self.timestamp, self.machine)
    }
}

/// A folder of the prefix that holds a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotName {
    /// Ours.
    Current(SnapshotId),
    /// Of the original plugin: `[safety-]2026-11-22T07-15-50Z` or `...-904Z-9681abb5`.
    Legacy(String),
}

impl SnapshotName {
    /// Reads the name of a folder, without the slash; `None` for what is no snapshot.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(id) = SnapshotId::parse(text) {
            return Some(Self::Current(id));
        }
        let time = text.strip_prefix("safety-").unwrap_or(text);
        let date = time.get(..20)?;
        let shape = date.bytes().enumerate().all(|(i, b)| match i {
            4 | 7 | 13 | 16 => b == b'-',
            10 => b == b'T',
            19 => matches!(b, b'Z' | b'-'),
            _ => b.is_ascii_digit(),
        });
        let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        (shape && plain).then(|| Self::Legacy(text.to_owned()))
    }
}

/// A name that the program made itself does not fit: a defect.
impl TryFrom<&str> for SnapshotId {
    type Error = Error;

    fn try_from(text: &str) -> Result<Self> {
        Self::parse(text).ok_or_else(|| Error::SnapshotNotFound {
            snapshot: text.to_owned(),
            message: "this is not the name of a snapshot; `list` shows the names".to_owned(),
        })
    }
}
