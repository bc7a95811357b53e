//! What the state and a snapshot both are made of: paths as bytes and kinds of entries.

use std::fmt::{Debug, Display};

/// How the names of files begin that are written before they get their own.
pub(crate) const PART: &str = ".b2-part-";

/// A path below a root: raw bytes with `/` between components, never empty, never absolute.
///
/// Bytes and not text, because a POSIX file name is any bytes but `/` and NUL.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelPath(Vec<u8>);

impl RelPath {
    /// Takes bytes as they are; checking them is the reader's task (restore refuses what may not be written).
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The raw bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The path of what is at `below`, seen from where this path begins.
    #[must_use]
    pub fn join(&self, below: &Self) -> Self {
        Self([self.as_bytes(), b"/", below.as_bytes()].concat())
    }

    /// Whether this is `place`, or lies below it.
    #[must_use]
    pub fn is_in(&self, place: &Self) -> bool {
        let rest = self.0.strip_prefix(place.as_bytes());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    }

    /// The directories above, from the outermost to the nearest.
    #[must_use]
    pub fn above(&self) -> impl DoubleEndedIterator<Item = Self> {
        let ends: Vec<usize> = self
            .0
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'/')
            .map(|(at, _)| at)
            .collect();
        ends.into_iter().map(|end| Self(self.0.get(..end).unwrap_or_default().to_vec()))
    }

    /// The path for people and JSON: UTF-8 as it is, other bytes and control characters as `\xNN`,
    /// a backslash as `\\`. Reversible.
    #[must_use]
    pub fn escaped(&self) -> String {
        use std::fmt::Write as _;
        let mut out = String::with_capacity(self.0.len());
        for part in self.0.utf8_chunks() {
            for c in part.valid().chars() {
                match c {
                    '\\' => out.push_str("\\\\"),
                    c if (c as u32) < 0x20 || c == '\x7f' => {
                        let _infallible = write!(out, "\\x{:02x}", c as u32);
                    }
                    c => out.push(c),
                }
            }
            for byte in part.invalid() {
                let _infallible = write!(out, "\\x{byte:02x}");
            }
        }
        out
    }

    /// The path that [`Self::escaped`] writes as `text`; `None` for what it never writes.
    #[must_use]
    pub fn unescaped(text: &str) -> Option<Self> {
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('\\') {
            bytes.extend_from_slice(before.as_bytes());
            rest = if let Some(after) = after.strip_prefix('\\') {
                bytes.push(b'\\');
                after
            } else {
                let hex = after.strip_prefix('x')?;
                bytes.push(u8::from_str_radix(hex.get(..2)?, 16).ok()?);
                hex.get(2..)?
            };
        }
        bytes.extend_from_slice(rest.as_bytes());
        Some(Self::from_bytes(bytes))
    }
}

impl Display for RelPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.escaped())
    }
}

impl Debug for RelPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.escaped())
    }
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, never followed.
    Symlink,
}

impl EntryKind {
    /// The name that users and other programs see.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Directory => "directory",
            Self::Symlink => "symlink",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaping_is_readable_and_reversible() {
        let escaped = |bytes: &[u8]| RelPath::from_bytes(bytes.to_vec()).escaped();
        assert_eq!(escaped("naïve 日 & + % #.md".as_bytes()), "naïve 日 & + % #.md");
        assert_eq!(escaped(b"a\nb\\c\xff"), "a\\x0ab\\\\c\\xff");
    }
}
