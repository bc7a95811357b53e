//! Names that a file system cannot hold, or takes for another: known before anything is written.
//!
//! What is harmless on one system is a trap on another: `a:b` is a file on Linux and a hidden stream of `a` on
//! Windows, `B2-Backup` is our own folder where case does not count.

use std::collections::HashMap;
use std::path::Path;

use unicode_normalization::UnicodeNormalization as _;

use crate::entry::RelPath;
use crate::error::{Error, Result};

/// How the file system below a directory treats names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Naming {
    /// Any bytes, each name itself: Linux, as a rule.
    Exact,
    /// Names that differ in case or in the form of accents are one: macOS, as a rule.
    Folding,
    /// As `Folding`, and some names are devices or cannot be written at all.
    Windows,
}

/// Longest name of one component, bytes: what all file systems in use have in common.
const MAX_NAME_BYTES: usize = 255;
/// Longest absolute path, bytes, that the system takes.
const MAX_PATH_BYTES: usize = if cfg!(target_os = "macos") {
    1023
} else if cfg!(windows) {
    32_000
} else {
    4095
};

impl Naming {
    /// Finds out without writing: a directory that is also there under its name in other case folds names.
    #[must_use]
    pub(crate) fn of(directory: &Path) -> Self {
        if cfg!(windows) {
            return Self::Windows;
        }
        let folds = || {
            let name = directory.file_name()?.to_str()?;
            let other: String =
                name.chars()
                    .map(|c| {
                        if c.is_lowercase() {
                            c.to_ascii_uppercase()
                        } else {
                            c.to_ascii_lowercase()
                        }
                    })
                    .collect();
            let same = |path: &Path| path.canonicalize().ok();
            let (here, there) = (same(directory)?, same(&directory.with_file_name(&other))?);
            (other != name).then_some(here == there)
        };
        if folds().unwrap_or(cfg!(target_os = "macos")) { Self::Folding } else { Self::Exact }
    }

    /// Why no links can be made, if so.
    #[must_use]
    pub(crate) fn without_links(self) -> Option<&'static str> {
        (self == Self::Windows).then_some("links need a privilege on Windows, and are left out")
    }

    /// The name under which the file system finds a path below `base`, where that is not the path itself.
    ///
    /// # Errors
    /// `B2_UNSAFE_PATH` for what cannot be written here.
    pub(crate) fn check(self, base: &Path, path: &RelPath) -> Result<Option<String>> {
        let bytes = path.as_bytes();
        if bytes.split(|byte| *byte == b'/').any(|part| part.len() > MAX_NAME_BYTES)
            || base.as_os_str().len() + 1 + bytes.len() > MAX_PATH_BYTES
        {
            return Err(unsafe_path(path, "it is too long for the file system"));
        }
        self.name(path)
    }

    /// As [`Self::check`], for whom the file system itself tells what is too long.
    ///
    /// # Errors
    /// `B2_UNSAFE_PATH` for what cannot be written here.
    pub(crate) fn name(self, path: &RelPath) -> Result<Option<String>> {
        let refuse = |message: &str| Err(unsafe_path(path, message));
        let bytes = path.as_bytes();
        if bytes.contains(&0) {
            return refuse("it has a NUL in it");
        }
        if self == Self::Exact {
            return Ok(None);
        }
        let Ok(text) = std::str::from_utf8(bytes) else {
            return refuse("it is no text, which the file system here needs");
        };
        if self == Self::Windows
            && let Some(message) = text.split('/').find_map(not_for_windows)
        {
            return refuse(message);
        }
        Ok(Some(folded(text)))
    }
}

fn unsafe_path(path: &RelPath, message: &str) -> Error {
    Error::UnsafePath { path: path.escaped(), message: message.to_owned() }
}

/// What no difference of case or of accents' forms is left in.
fn folded(text: &str) -> String {
    text.nfd().flat_map(char::to_uppercase).flat_map(char::to_lowercase).nfd().collect()
}

fn not_for_windows(name: &str) -> Option<&'static str> {
    if name.ends_with(['.', ' ']) {
        return Some("Windows drops the dot or space at the end of its name");
    }
    if name.contains(|c| matches!(c, '<' | '>' | ':' | '"' | '|' | '?' | '*' | '\\') || c < ' ') {
        return Some("Windows does not take a character of its name");
    }
    let stem = name.split('.').next().unwrap_or_default().trim_end_matches(' ').to_uppercase();
    let numbered = |device: &str| {
        let number = stem.strip_prefix(device);
        number.is_some_and(|number| {
            let mut digits = number.chars();
            matches!(digits.next(), Some('0'..='9' | '¹' | '²' | '³')) && digits.next().is_none()
        })
    };
    let device = matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$");
    if device || numbered("COM") || numbered("LPT") {
        return Some("its name is a device on Windows");
    }
    // The short name of our own folder.
    let short = name.to_lowercase();
    short
        .strip_prefix("b2-bac~")
        .is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
        .then_some("its name stands for another on Windows")
}

/// Notices names that the file system takes for one.
#[derive(Debug, Default)]
pub(crate) struct Collisions(HashMap<(u16, String), RelPath>);

impl Collisions {
    /// # Errors
    /// `B2_UNSAFE_PATH` when another path was seen that is the same here.
    pub(crate) fn see(&mut self, root: u16, folded: String, path: &RelPath) -> Result<()> {
        match self.0.insert((root, folded), path.clone()) {
            Some(other) if other != *path => Err(Error::UnsafePath {
                path: path.escaped(),
                message: format!("the file system here takes it for the same as {other}"),
            }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::from_bytes(text.as_bytes().to_vec())
    }

    fn refused(naming: Naming, text: &str) -> bool {
        match naming.check(Path::new("/state"), &path(text)) {
            Ok(_) => false,
            Err(error) => {
                assert_eq!(error.code(), "B2_UNSAFE_PATH");
                true
            }
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn names_and_paths_may_be_as_long_as_the_system_takes() {
        let fits = |base: &str, path: String| {
            let path = RelPath::from_bytes(path.into_bytes());
            Naming::Exact.check(Path::new(base), &path).is_ok()
        };
        assert!(fits("/b", "n".repeat(255)) && !fits("/b", "n".repeat(256)));
        // With the directory and a slash between: 4,095 bytes.
        let path = |bytes: usize| "0123456789abcde/".repeat(300)[..bytes].to_owned();
        assert!(fits("/b", path(4092)) && !fits("/b", path(4093)));
        assert!(fits("/base", path(4089)) && !fits("/base", path(4090)));
    }

    #[test]
    fn what_windows_cannot_hold() {
        let traps = [
            "CON",
            "con",
            "Con.txt",
            "a/PRN",
            "AUX.md",
            "nul",
            "NUL.tar.gz",
            "COM1",
            "com9.log",
            "COM0",
            "LPT1",
            "lpt³",
            "COM²",
            "CONIN$",
            "conout$",
            "CON .txt",
            "a/aux/b",
            "trailing.",
            "trailing ",
            "dir./x",
            "dir /x",
            "...",
            "C:",
            "C:/x",
            "c:x",
            "a:b",
            "x::$DATA",
            "\\\\server\\share",
            "\\\\?\\C:\\x",
            "a\\..\\b",
            "a*b",
            "a?b",
            "a<b",
            "a>b",
            "a|b",
            "a\"b",
            "tab\tname",
            "line\nfeed",
            "b2-bac~1/machine",
            "B2-BAC~2",
        ];
        for trap in traps {
            assert!(refused(Naming::Windows, trap), "{trap:?}");
            assert!(!refused(Naming::Exact, trap), "{trap:?} is a name like any other on Linux");
        }
        for fine in
            ["console", "com10", "nullable", "a.b.c", ".env", "CO", "lpt", "b2-back~x", "日本"]
        {
            assert!(!refused(Naming::Windows, fine), "{fine:?}");
        }
        let long = "x".repeat(256);
        let deep = "a/".repeat(4096) + "a";
        for naming in [Naming::Exact, Naming::Folding] {
            assert!(refused(naming, &long) && refused(naming, &deep));
        }
        let bytes = RelPath::from_bytes(b"caf\xe9".to_vec());
        assert!(Naming::Folding.check(Path::new("/"), &bytes).is_err());
        assert!(Naming::Exact.check(Path::new("/"), &bytes).is_ok());
    }

    #[test]
    fn names_that_are_one() {
        let same = [
            ("README.md", "readme.MD"),
            ("caf\u{e9}", "cafe\u{301}"),
            ("CAF\u{c9}", "cafe\u{301}"),
            ("\u{212b}ngstrom", "\u{e5}ngstrom"),
            ("stra\u{df}e", "STRASSE"),
            ("\u{3a3}", "\u{3c2}"),
            ("dir/A", "DIR/a"),
        ];
        for (one, other) in same {
            let mut seen = Collisions::default();
            let mut see = |text: &str| {
                let folded = Naming::Folding.check(Path::new("/"), &path(text)).unwrap().unwrap();
                seen.see(0, folded, &path(text))
            };
            see(one).unwrap();
            assert_eq!(see(other).unwrap_err().code(), "B2_UNSAFE_PATH", "{one} {other}");
        }
        assert_eq!(Naming::Exact.check(Path::new("/"), &path("README.md")).unwrap(), None);
    }

    #[test]
    fn finding_out_writes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        std::fs::create_dir(&state).unwrap();
        assert_eq!(Naming::of(&state), Naming::Exact);
        // As a file system that folds names shows it.
        #[cfg(unix)]
        std::os::unix::fs::symlink(&state, dir.path().join("STATE")).unwrap();
        assert_eq!(Naming::of(&state), Naming::Folding);
        assert_eq!(std::fs::read_dir(&state).unwrap().count(), 0);
    }
}
