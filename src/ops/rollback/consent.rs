//! Which rollbacks an agent may have without anybody being asked: a few files of plain text in its own workspace.
//!
//! A list of what is allowed. What it is decided from is the plan, never what was asked for.

use super::items::{Compared, Item};
use super::request::{Action, Mode};
use crate::engine::session::Session;
use crate::entry::EntryKind;
use crate::error::Result;
use crate::format::Entry;
use crate::repo::PackSource;
use crate::source::authority::Effect;
use crate::source::own::Own;

/// Files at once.
const MAX_FILES: usize = 5;
/// Bytes of them.
const MAX_BYTES: u64 = 256 << 10;
/// Reasons that are named; one is enough.
const NAMED: usize = 10;
/// Permission bits that make more of a file than something to read: to run it, and as somebody else.
const RUNS: u32 = 0o7111;

/// Why the owner has to be asked, in sentences; empty where nothing speaks against it.
pub(super) async fn reasons(
    session: &Session,
    compared: &Compared,
    source: &PackSource,
    effects: &[Effect],
    mode: Mode,
) -> Result<Vec<String>> {
    let Some(own) = session.own().await? else {
        return Ok(vec!["it is not known in whose workspace it is".to_owned()]);
    };
    let mut reasons = Vec::new();
    if mode == Mode::Exact {
        reasons.push("it removes what the snapshot does not have".to_owned());
    }
    if compared.arriving.is_some() {
        reasons.push("the machine is new".to_owned());
    }
    if !effects.is_empty() {
        reasons.push("it changes what runs or what is allowed".to_owned());
    }
    let changes = || compared.items.iter().filter(|item| item.action != Action::Keep);
    for item in changes() {
        if let Some(why) = why(compared, &own, item) {
            reasons.push(format!("{} {why}", compared.shown(item.root, &item.path)));
        }
    }
    let files = changes().filter(|item| !item.is_directory());
    let files: Vec<&Entry> = files.filter_map(|item| item.entry.as_ref()).collect();
    if files.len() > MAX_FILES {
        reasons.push(format!("it is about more than {MAX_FILES} files"));
    }
    if files.iter().map(|entry| entry.size).sum::<u64>() > MAX_BYTES {
        reasons.push(format!("it is about more than {} KiB", MAX_BYTES >> 10));
    }
    if reasons.is_empty() {
        let (contents, _) = source.contents(&files).await?;
        for (entry, content) in files.iter().zip(contents) {
            if !content.is_some_and(|content| is_text(&content)) {
                reasons.push(format!("{} is no text", entry.path));
            }
        }
    }
    reasons.truncate(NAMED);
    Ok(reasons)
}

fn why(compared: &Compared, own: &Own, item: &Item) -> Option<&'static str> {
    let Some(entry) = item.entry.as_ref().filter(|_| item.action != Action::Delete) else {
        return Some("is removed");
    };
    let directory = entry.kind == EntryKind::Directory;
    if item.database {
        return Some("is a database");
    }
    if compared.is_configuration(item) {
        return Some("is a part of the configuration");
    }
    match (entry.kind, item.found.as_ref().map(|found| found.kind)) {
        (EntryKind::File, None | Some(EntryKind::File)) | (EntryKind::Directory, None) => {}
        _ => return Some("is no plain file, there or here"),
    }
    if item.mode_only {
        return Some("gets other permissions");
    }
    let modes = [Some(entry.mode), item.found.as_ref().map(|found| found.mode)];
    if !directory && modes.into_iter().flatten().any(|mode| mode & RUNS != 0) {
        return Some("can be run");
    }
    let Some(root) = compared.roots.get(usize::from(item.root)) else {
        return Some("is in no place that is known");
    };
    own.why_not_written(root, &item.path, directory)
}

/// Whether it is text as people write it: without control characters, which may show another text than there is.
fn is_text(content: &[u8]) -> bool {
    let plain = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    std::str::from_utf8(content).is_ok_and(|text| text.chars().all(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_no_control_characters() {
        assert!(is_text("# Merkzettel\r\n\tÜber alles\n".as_bytes()) && is_text(b""));
        for content in [&b"\xff"[..], b"a\0b", b"a\x1b[2J", "a\u{9b}b".as_bytes()] {
            assert!(!is_text(content), "{content:?}");
        }
    }
}
