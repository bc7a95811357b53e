//! Which lines differ: of small text files, and never of what may hold secrets.

use std::collections::HashMap;
use std::io::Read as _;
use std::path::PathBuf;

use super::pairs::{Difference, Item};
use super::report::DiffReport;
use crate::engine::roots::Places;
use crate::engine::session::Session;
use crate::engine::text::{
    MAX_FILE_BYTES, MAX_READ_BYTES, MAX_TEXT_BYTES, TextOmitted, Unshown, unified, why_not,
};
use crate::error::{Error, Result};
use crate::progress::Phase;
use crate::repo::PackSource;
use crate::source::{absolute, open_plain};

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
