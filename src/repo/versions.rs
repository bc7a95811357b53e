//! What became of objects in a bucket that keeps versions.
//!
//! Every object is written once and never again, so the first version of a name is the right one. What came later
//! is the same (a PUT was repeated), a hide marker, or somebody else's.

use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::store::ObjectVersion;

/// All versions of one object, the newest first.
#[derive(Clone, Debug, Default)]
pub struct History(Vec<ObjectVersion>);

/// How an object stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is there as it was written.
    Seen,
    /// A marker hides it.
    Hidden,
    /// Something else stands in its place.
    Overwritten,
}

/// What makes a version the visible one again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cure {
    /// It is.
    Nothing,
    /// These markers stand above it, and nothing else.
    RemoveMarkers(Vec<String>),
    /// Other content stands above it, which is not for us to delete: it is written once more.
    WriteAgain,
}

/// Sorts the versions of a prefix (as [`crate::store::ObjectStore::list_versions`] gives them) by object.
#[must_use]
pub fn histories(versions: Vec<ObjectVersion>) -> BTreeMap<String, History> {
    let mut all: BTreeMap<String, History> = BTreeMap::new();
    for version in versions {
        all.entry(version.key.clone()).or_default().0.push(version);
    }
    all
}

/// Whether two versions are known to have the same content.
fn same(one: &ObjectVersion, other: &ObjectVersion) -> bool {
    let tags_agree = one.etag.is_some() && one.etag == other.etag;
    one.version == other.version || (!one.hidden && one.size == other.size && tags_agree)
}

impl History {
    /// All versions, the newest first.
    #[must_use]
    pub fn versions(&self) -> &[ObjectVersion] {
        &self.0
    }

    /// What the object may really be, the likeliest first: each content once, in the order of writing.
    pub fn candidates(&self) -> impl Iterator<Item = &ObjectVersion> {
        let content = || self.0.iter().rev().filter(|version| !version.hidden);
        content()
            .enumerate()
            .filter(move |(place, version)| {
                !content().take(*place).any(|earlier| same(earlier, version))
            })
            .map(|(_, version)| version)
    }

    /// How the object stands, as far as that can be told without reading it.
    #[must_use]
    pub fn standing(&self) -> Standing {
        match (self.0.first(), self.candidates().next()) {
            (Some(latest), Some(first)) if same(latest, first) => Standing::Seen,
            (Some(latest), Some(_)) if !latest.hidden => Standing::Overwritten,
            _ => Standing::Hidden,
        }
    }

    /// What makes `right` the visible version.
    #[must_use]
    pub fn cure(&self, right: &ObjectVersion) -> Cure {
        let above = || self.0.iter().take_while(|version| !same(version, right));
        if above().any(|version| !version.hidden) {
            return Cure::WriteAgain;
        }
        let markers: Vec<String> = above().map(|marker| marker.version.clone()).collect();
        if markers.is_empty() { Cure::Nothing } else { Cure::RemoveMarkers(markers) }
    }

    /// When the object was hidden or overwritten: the time of the newest version above `right`.
    #[must_use]
    pub fn changed(&self, right: &ObjectVersion) -> Option<SystemTime> {
        self.0.first().filter(|latest| !same(latest, right)).and_then(|latest| latest.modified)
    }

    /// Bytes that are stored and not seen.
    #[must_use]
    pub fn unseen_bytes(&self) -> u64 {
        self.0.iter().filter(|version| !version.latest).map(|version| version.size).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `x1 y1 x2`: the newest first; `-` is a marker, a letter a content, a digit makes the id unique.
    fn history(text: &str) -> History {
        let version = |(place, id): (usize, &str)| {
            let content = id.get(..1).filter(|letter| *letter != "-");
            ObjectVersion {
                key: "k".into(),
                version: id.into(),
                latest: place == 0,
                hidden: content.is_none(),
                size: content.map_or(0, |_| 5),
                modified: None,
                etag: content.map(str::to_owned),
            }
        };
        History(text.split(' ').enumerate().map(version).collect())
    }

    #[test]
    fn what_became_of_an_object_is_told() {
        let markers =
            |ids: &[&str]| Cure::RemoveMarkers(ids.iter().map(|id| (*id).to_owned()).collect());
        for (text, standing, cure, candidates) in [
            ("x1", Standing::Seen, Cure::Nothing, "x1"),
            ("x2 x1", Standing::Seen, Cure::Nothing, "x1"),
            ("-1 x1", Standing::Hidden, markers(&["-1"]), "x1"),
            ("-2 -1 x2 x1", Standing::Hidden, markers(&["-2", "-1"]), "x1"),
            ("y1 x1", Standing::Overwritten, Cure::WriteAgain, "x1 y1"),
            ("-1 y1 x1", Standing::Hidden, Cure::WriteAgain, "x1 y1"),
            ("x2 y1 x1", Standing::Seen, Cure::Nothing, "x1 y1"),
            ("y1 -1 x1", Standing::Overwritten, Cure::WriteAgain, "x1 y1"),
        ] {
            let history = history(text);
            let found: Vec<&str> = history.candidates().map(|one| one.version.as_str()).collect();
            assert_eq!(
                (history.standing(), found.join(" ").as_str()),
                (standing, candidates),
                "{text}"
            );
            let right = history.candidates().next().unwrap();
            assert_eq!(history.cure(right), cure, "{text}");
        }
        assert_eq!(history("-1").standing(), Standing::Hidden);
        assert_eq!(history("-1").candidates().count(), 0);
    }

    #[test]
    fn content_is_only_called_the_same_when_the_server_says_so() {
        let mut history = history("x2 x1");
        for version in &mut history.0 {
            version.etag = None;
        }
        assert_eq!(history.standing(), Standing::Overwritten);
        assert_eq!(history.candidates().count(), 2);
    }
}
