//! Two lists of entries laid side by side.

use std::cmp::Ordering;

use crate::engine::aspects::{Aspect, aspects};
use crate::entry::{EntryKind, RelPath};
use crate::format::{Entry, EntryFlags};

/// An entry of one side.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// Its root in the numbering of both sides.
    pub(super) place: usize,
    pub(super) entry: Entry,
    /// Whether its content is known to be another than that of the other side. Its hash then says nothing.
    pub(super) other_content: bool,
}

impl From<Entry> for Item {
    fn from(entry: Entry) -> Self {
        Self { place: usize::from(entry.root), entry, other_content: false }
    }
}

impl Item {
    fn key(&self) -> (usize, &RelPath) {
        (self.place, &self.entry.path)
    }

    fn is(&self, kind: EntryKind) -> bool {
        self.entry.kind == kind
    }
}

/// A path at which the two sides are not the same.
#[derive(Clone, Debug)]
pub(super) struct Difference {
    pub(super) before: Option<Item>,
    pub(super) after: Option<Item>,
    /// In what they differ, where both sides have it.
    pub(super) what: Vec<Aspect>,
}

impl Difference {
    fn between(before: Option<Item>, after: Option<Item>) -> Option<Self> {
        let (Some(old), Some(new)) = (&before, &after) else {
            return Some(Self { before, after, what: Vec::new() });
        };
        let mut what = aspects(&old.entry, &new.entry);
        let file = old.is(EntryKind::File) && new.is(EntryKind::File);
        if file && new.other_content && !what.contains(&Aspect::Content) {
            what.insert(0, Aspect::Content);
        }
        (!what.is_empty()).then_some(Self { before, after, what })
    }

    /// Both sides, as far as they are there, the older first.
    pub(super) fn sides(&self) -> impl Iterator<Item = &Item> {
        self.before.iter().chain(&self.after)
    }

    /// Whether it is about a file or a link on either side.
    pub(super) fn is_of_file(&self) -> bool {
        self.sides().any(|item| !item.is(EntryKind::Directory))
    }

    /// Whether it is about a database on either side.
    pub(super) fn is_of_database(&self) -> bool {
        self.sides().any(|item| item.entry.flags.has(EntryFlags::DATABASE))
    }

    /// Whether it is about what is in a file, and nothing but files.
    pub(super) fn is_of_content(&self) -> bool {
        self.sides().all(|item| item.is(EntryKind::File))
            && (self.what.is_empty() || self.what.contains(&Aspect::Content))
    }
}

/// What differs, by place and path.
pub(super) fn differences(mut before: Vec<Item>, mut after: Vec<Item>) -> Vec<Difference> {
    before.sort_by(|a, b| a.key().cmp(&b.key()));
    after.sort_by(|a, b| a.key().cmp(&b.key()));
    let (mut before, mut after) = (before.into_iter().peekable(), after.into_iter().peekable());
    let mut differences = Vec::new();
    loop {
        let order = match (before.peek(), after.peek()) {
            (None, None) => return differences,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(old), Some(new)) => old.key().cmp(&new.key()),
        };
        let old = before.next_if(|_| order.is_le());
        let new = after.next_if(|_| order.is_ge());
        differences.extend(Difference::between(old, new));
    }
}
