//! Which lines differ between two versions of a small text file, and which files are never shown so.

use similar::TextDiff;

use super::roots;
use super::session::Session;
use crate::error::Result;
use crate::format::{Entry, EntryFlags, RootRecord};
use crate::source::RelPath;
use crate::source::confidential::Confidential;
use crate::source::own::{NotOwn, Own};

/// Why the lines of a file are not in the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextOmitted {
    /// The file may hold secrets.
    Secret,
    /// It is a database.
    Database,
    /// One side is larger than 64 KiB.
    TooLarge,
    /// One side is no UTF-8, or has a NUL in it.
    Binary,
    /// The report holds as much text as it may, or as much was fetched for it.
    Limit,
    /// One side cannot be read.
    Unreadable,
    /// An agent asks, and a part of the path begins with a dot.
    Hidden,
    /// An agent asks, and it is not in its workspace.
    Elsewhere,
}

impl TextOmitted {
    /// The name that users and other programs see.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Database => "database",
            Self::TooLarge => "too large",
            Self::Binary => "binary",
            Self::Limit => "limit",
            Self::Unreadable => "unreadable",
            Self::Hidden => "hidden",
            Self::Elsewhere => "not in the workspace of the agent",
        }
    }
}

/// A file that is larger on either side is not for reading in a report.
pub(crate) const MAX_FILE_BYTES: u64 = 64 << 10;

/// Text in one report.
pub(crate) const MAX_TEXT_BYTES: usize = 256 << 10;

/// Content that is looked at for one report: what turns out to be no text costs as much as what is.
pub(crate) const MAX_READ_BYTES: u64 = 16 << 20;

/// Tells what must not be shown to whoever asks.
pub(crate) struct Unshown {
    confidential: Confidential,
    own: Option<Own>,
}

impl Unshown {
    pub(crate) async fn of(session: &Session) -> Result<Self> {
        let settings = session.settings.clone();
        let confidential = Session::blocking(move || {
            Confidential::new(&settings.state_dir, settings.config_path.as_deref())
        });
        Ok(Self { confidential: confidential.await?, own: session.own().await? })
    }

    fn why(&self, root: Option<&RootRecord>, path: &RelPath) -> Option<TextOmitted> {
        let root = root.and_then(roots::recorded);
        if self.confidential.is(root.as_ref(), path) {
            return Some(TextOmitted::Secret);
        }
        Some(match self.own.as_ref()?.why_not_seen(root.as_ref(), path)? {
            NotOwn::Confidential => TextOmitted::Secret,
            NotOwn::Hidden => TextOmitted::Hidden,
            NotOwn::Elsewhere => TextOmitted::Elsewhere,
        })
    }
}

/// Why the text of a file is left out, as far as it can be told without its content. Each side with its root.
pub(crate) fn why_not(
    sides: &[(Option<&RootRecord>, &Entry)],
    unshown: &Unshown,
) -> Option<TextOmitted> {
    let any = |is: &dyn Fn(&Entry) -> bool| sides.iter().any(|(_, entry)| is(entry));
    if let Some(why) = sides.iter().find_map(|(root, entry)| unshown.why(*root, &entry.path)) {
        Some(why)
    } else if any(&|entry| entry.flags.has(EntryFlags::DATABASE)) {
        Some(TextOmitted::Database)
    } else if any(&|entry| entry.size > MAX_FILE_BYTES) {
        Some(TextOmitted::TooLarge)
    } else {
        None
    }
}

/// Hunks of a unified diff, with three lines around each change.
pub(crate) fn unified(before: &[u8], after: &[u8]) -> Result<String, TextOmitted> {
    let text = |bytes| {
        let text = std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'));
        text.ok_or(TextOmitted::Binary)
    };
    Ok(TextDiff::from_lines(text(before)?, text(after)?).unified_diff().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hunks_have_context_and_no_names() {
        let before = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";
        let after = before.replace("5\n", "five\n");
        assert_eq!(
            unified(before.as_bytes(), after.as_bytes()).unwrap(),
            "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n"
        );
        assert_eq!(
            unified(b"", b"no end").unwrap(),
            "@@ -0,0 +1 @@\n+no end\n\\ No newline at end of file\n"
        );
        assert_eq!(unified(b"a\0", b""), Err(TextOmitted::Binary));
        assert_eq!(unified(b"a", b"\xff"), Err(TextOmitted::Binary));
    }

    /// The hardest there is for an algorithm that looks for the shortest way.
    #[test]
    fn files_without_a_line_in_common_are_no_endless_work() {
        let lines = |from: u32| {
            let lines: Vec<_> = (from..from + 13_000).map(|n| format!("{n:04x}\n")).collect();
            lines.concat()
        };
        let text = unified(lines(0).as_bytes(), lines(20_000).as_bytes()).unwrap();
        assert_eq!(text.lines().filter(|line| line.starts_with('-')).count(), 13_000);
    }
}
