//! Which lines differ: of small text files, and never of what may hold secrets.

use std::collections::HashMap;
use std::io::Read as _;
use std::path::PathBuf;

use similar::TextDiff;

use super::pairs::{Difference, Item};
use super::report::{DiffReport, TextOmitted};
use crate::error::{Error, Result};
use crate::format::{Entry, EntryFlags, RootRecord};
use crate::ops::roots::{self, Places};
use crate::ops::session::Session;
use crate::progress::Phase;
use crate::repo::PackSource;
use crate::source::confidential::Confidential;
use crate::source::own::{NotOwn, Own};
use crate::source::{RelPath, absolute, open_plain};

/// A file that is larger on either side is not for reading in a report.
const MAX_FILE_BYTES: u64 = 64 << 10;
/// Text in one report.
pub(in crate::ops) const MAX_TEXT_BYTES: usize = 256 << 10;
/// Content that is looked at for one report: what turns out to be no text costs as much as what is.
pub(in crate::ops) const MAX_READ_BYTES: u64 = 16 << 20;
/// Content in memory at once.
const BATCH_BYTES: u64 = 2 << 20;

/// Where the content of the second side is.
pub(super) enum After {
    /// In the packs of a snapshot.
    Snapshot(PackSource),
    /// In the state: directories of its roots by place.
    State(HashMap<usize, PathBuf>),
}

/// What a side of a file holds, or why it cannot be said.
type Content = Result<Vec<u8>, TextOmitted>;

/// Adds text to the entries of `report`, which are about `differences` one by one.
pub(super) async fn add(
    session: &Session,
    before: &PackSource,
    after: &After,
    places: &Places,
    differences: &[Difference],
    report: &mut DiffReport,
) -> Result<()> {
    let unshown = Unshown::of(session).await?;
    let mut wanted = Vec::new();
    let mut read_bytes = 0u64;
    for (index, difference) in differences.iter().enumerate() {
        if !difference.is_of_content() {
            continue;
        }
        let size: u64 = difference.sides().map(|item| item.entry.size).sum();
        let sides = difference.sides().map(|item| (places.root(item.place), &item.entry));
        let sides: Vec<_> = sides.collect();
        let omitted = why_not(&sides, &unshown)
            .or((read_bytes + size > MAX_READ_BYTES).then_some(TextOmitted::Limit));
        match (omitted, report.entries.get_mut(index)) {
            (Some(omitted), Some(entry)) => entry.text_omitted = Some(omitted),
            _ => {
                read_bytes += size;
                wanted.push((index, size, difference));
            }
        }
    }
    let mut left = MAX_TEXT_BYTES;
    while !wanted.is_empty() {
        let mut bytes = 0;
        let fit = wanted.iter().take_while(|(_, size, _)| {
            bytes += size;
            bytes <= BATCH_BYTES
        });
        let batch: Vec<_> = wanted.drain(..fit.count().max(1)).collect();
        let (indexes, sides): (Vec<usize>, Vec<&Difference>) =
            batch.into_iter().map(|(index, _, difference)| (index, difference)).unzip();
        let old = fetched(before, sides.iter().map(|side| side.before.as_ref()), report).await?;
        let new = sides.iter().map(|side| side.after.as_ref());
        let new = match after {
            After::Snapshot(source) => fetched(source, new, report).await?,
            After::State(directories) => {
                let paths = new.map(|item| {
                    let item = item?;
                    Some(absolute(directories.get(&item.place)?, &item.entry.path))
                });
                let paths: Vec<Option<PathBuf>> = paths.collect();
                Session::blocking(move || Ok(paths.into_iter().map(read).collect())).await?
            }
        };
        let texts = session.ring.cpu().run(move || -> Vec<Result<String, TextOmitted>> {
            old.into_iter().zip(new).map(|(old, new)| unified(&old?, &new?)).collect()
        });
        for (index, text) in indexes.into_iter().zip(texts.await?) {
            let Some(entry) = report.entries.get_mut(index) else { continue };
            match text {
                Ok(text) if text.len() > left => entry.text_omitted = Some(TextOmitted::Limit),
                Ok(text) => {
                    left -= text.len();
                    entry.text = Some(text);
                }
                Err(omitted) => entry.text_omitted = Some(omitted),
            }
        }
        session.report(Phase::Compare, session.traffic().received_bytes, None, 0);
    }
    Ok(())
}

/// Tells what must not be shown to whoever asks.
pub(in crate::ops) struct Unshown {
    confidential: Confidential,
    own: Option<Own>,
}

impl Unshown {
    pub(in crate::ops) async fn of(session: &Session) -> Result<Self> {
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
pub(in crate::ops) fn why_not(
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

/// The content of files of a snapshot; that of no file is empty.
async fn fetched(
    source: &PackSource,
    items: impl Iterator<Item = Option<&Item>>,
    report: &mut DiffReport,
) -> Result<Vec<Content>> {
    let items: Vec<Option<&Item>> = items.collect();
    let files: Vec<_> = items.iter().flatten().map(|item| &item.entry).collect();
    let (contents, problems) = source.contents(&files).await?;
    let warning = |error: Error| format!("{error} ({})", error.code());
    report.warnings.extend(problems.into_iter().map(warning));
    let mut contents = contents.into_iter();
    let content = |item: Option<&Item>| match item {
        Some(_) => contents.next().flatten().ok_or(TextOmitted::Unreadable),
        None => Ok(Vec::new()),
    };
    Ok(items.into_iter().map(content).collect())
}

/// The content of a file of the state; that of no file is empty. It may have changed since it was compared.
fn read(path: Option<PathBuf>) -> Content {
    let Some(path) = path else { return Ok(Vec::new()) };
    let mut content = Vec::new();
    open_plain(&path)
        .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut content))
        .map_err(|_| TextOmitted::Unreadable)?;
    if content.len() as u64 > MAX_FILE_BYTES { Err(TextOmitted::TooLarge) } else { Ok(content) }
}

/// Hunks of a unified diff, with three lines around each change.
pub(in crate::ops) fn unified(before: &[u8], after: &[u8]) -> Result<String, TextOmitted> {
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
