//! What could not be saved or restored, and what follows from it.

use crate::format::{Manifest, Remark};
use crate::source::{Skipped, host_config};

/// Something that could not be backed up or restored, or not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileProblem {
    /// The path for people, or the object where there is no path.
    pub path: String,
    /// A stable code.
    pub code: String,
    /// A sentence.
    pub message: String,
}

/// Codes that are a failure of the backup for health and alerts, although the rest was saved.
const FAILURES: &[&str] =
    &["B2_SKIPPED_HOST_DATABASE", "B2_HOST_DATABASE_AS_BYTES", SKIPPED_ROOT, ROOT_GONE, ROOT_EMPTY];
/// Codes of what is in the snapshot all the same, byte for byte as it was read.
const SAVED: &[&str] = &["B2_CHANGED_WHILE_READ", "B2_DATABASE_AS_BYTES", host_config::AS_BYTES];
/// The code of a file that stays out of a snapshot on purpose: it may hold secrets that must not be in it.
pub(crate) const WITHHELD: &str = "B2_SKIPPED_SECRET";
/// The code of a directory that is configured and cannot be used.
pub(crate) const SKIPPED_ROOT: &str = "B2_SKIPPED_ROOT";
/// The code of a root, or of a part of one, that was there at the snapshot before and is gone.
pub(crate) const ROOT_GONE: &str = "B2_ROOT_GONE";
/// The code of one that has little or nothing in it.
pub(crate) const ROOT_EMPTY: &str = "B2_ROOT_EMPTY";
/// Stands for all that a list has no room for.
pub(crate) const MORE: &str = "B2_MORE_PROBLEMS";

/// A manifest with more remarks than this would not be read: docs/format.md, Bounds.
const MAX_REMARKS: usize = 100_000;
/// Paths that a sentence names.
const NAMED: usize = 3;

impl FileProblem {
    pub(crate) fn new(path: impl Into<String>, error: &crate::error::Error) -> Self {
        Self { path: path.into(), code: error.code().to_owned(), message: error.to_string() }
    }

    /// For people: with the path, which some messages begin with themselves.
    pub(crate) fn text(&self) -> String {
        let Self { path, message, .. } = self;
        if message.starts_with(path.as_str()) {
            message.clone()
        } else {
            format!("{path}: {message}")
        }
    }

    /// The code, where it is a failure of the backup: health says so and the user is told, although the snapshot of the
    /// rest is kept.
    #[must_use]
    pub fn failure(&self) -> Option<&'static str> {
        FAILURES.iter().find(|code| **code == self.code).copied()
    }

    /// Whether the snapshot lacks something because of it that should be in it. What a newer version notes is taken for that.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        !SAVED.contains(&self.code.as_str()) && self.code != WITHHELD
    }

    /// The worst first.
    fn rank(&self) -> u8 {
        match (self.failure(), self.is_missing()) {
            (Some(_), _) => 0,
            (None, true) => 1,
            (None, false) => 2,
        }
    }
}

impl From<Skipped> for FileProblem {
    fn from(skipped: Skipped) -> Self {
        Self { path: skipped.path, code: skipped.code.to_owned(), message: skipped.message }
    }
}

impl From<Remark> for FileProblem {
    fn from(remark: Remark) -> Self {
        Self { path: remark.path, code: remark.code, message: remark.message }
    }
}

impl From<FileProblem> for Remark {
    fn from(problem: FileProblem) -> Self {
        Self { path: problem.path, code: problem.code, message: problem.message }
    }
}

/// Whether a snapshot with these problems is incomplete: something of the state is not in it.
#[must_use]
pub fn is_incomplete(problems: &[FileProblem]) -> bool {
    problems.iter().any(FileProblem::is_missing)
}

/// Sorts problems, the worst first, and keeps as many as a manifest may name; the last says how many more there are.
pub(crate) fn sorted(mut problems: Vec<FileProblem>) -> Vec<FileProblem> {
    problems.sort_by(|a, b| (a.rank(), &a.path, &a.code).cmp(&(b.rank(), &b.path, &b.code)));
    if problems.len() > MAX_REMARKS {
        let more = problems.len() - (MAX_REMARKS - 1);
        problems.truncate(MAX_REMARKS - 1);
        problems.push(FileProblem {
            path: format!("{more} others"),
            code: MORE.to_owned(),
            message: "too many to be listed one by one".to_owned(),
        });
    }
    problems
}

/// Whether two lists, both [`sorted`], are about the same. Their sentences may differ.
pub(crate) fn same(a: &[FileProblem], b: &[Remark]) -> bool {
    let agree = |(a, b): (&FileProblem, &Remark)| a.path == b.path && a.code == b.code;
    a.len() == b.len() && a.iter().zip(b).all(agree)
}

/// What is said about the files of a snapshot, the worst first.
pub(crate) fn of_manifest(manifest: &Manifest) -> Vec<FileProblem> {
    sorted(manifest.remarks.iter().cloned().map(FileProblem::from).collect())
}

/// What a snapshot lacks, in words; `None` when it is complete.
pub(crate) fn lacks(problems: &[FileProblem]) -> Option<String> {
    let missing: Vec<&FileProblem> = problems.iter().filter(|one| one.is_missing()).collect();
    let named: Vec<&str> = missing.iter().take(NAMED).map(|one| one.path.as_str()).collect();
    match missing.len().checked_sub(named.len())? {
        _ if named.is_empty() => None,
        0 => Some(format!("it lacks {}", named.join(", "))),
        more => Some(format!("it lacks {} and {more} more", named.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(path: &str, code: &str) -> FileProblem {
        FileProblem { path: path.into(), code: code.into(), message: String::new() }
    }

    #[test]
    fn what_people_read_names_the_path_once() {
        let problem = |message: &str| FileProblem {
            path: "workspace/pipe".into(),
            code: "B2_SKIPPED_SPECIAL".into(),
            message: message.into(),
        };
        assert_eq!(problem("it has no content").text(), "workspace/pipe: it has no content");
        let named = "workspace/pipe is a link";
        assert_eq!(problem(named).text(), named);
    }

    #[test]
    fn what_codes_mean() {
        let of = |code: &str| {
            let problem = problem("a", code);
            (problem.failure().is_some(), problem.is_missing())
        };
        assert_eq!(of("B2_SKIPPED_HOST_DATABASE"), (true, true));
        assert_eq!(of("B2_ROOT_GONE"), (true, true));
        assert_eq!(of("B2_SKIPPED_ROOT"), (true, true));
        assert_eq!(of("B2_ROOT_IS_STATE"), (false, true));
        assert_eq!(of("B2_SKIPPED_UNREADABLE"), (false, true));
        assert_eq!(of("B2_CHANGED_WHILE_READ"), (false, false));
        assert_eq!(of("B2_OF_A_NEWER_VERSION"), (false, true));
    }

    #[test]
    fn the_worst_are_kept_and_the_rest_is_counted() {
        let many = (0..MAX_REMARKS).map(|i| problem(&format!("{i:06}"), "B2_CHANGED_WHILE_READ"));
        let all =
            sorted(many.chain([problem("zz", "B2_ROOT_GONE"), problem("z", "B2_IO")]).collect());
        assert_eq!(all.len(), MAX_REMARKS);
        assert_eq!((all[0].path.as_str(), all[1].path.as_str()), ("zz", "z"));
        let last = all.last().unwrap();
        assert_eq!((last.path.as_str(), last.code.as_str()), ("3 others", MORE));
        assert!(last.is_missing(), "nobody can tell what is among them");
    }

    #[test]
    fn words_name_some() {
        let missing = |n: usize| -> Vec<FileProblem> {
            (0..n).map(|i| problem(&i.to_string(), "B2_IO")).collect()
        };
        assert_eq!(lacks(&[problem("a", "B2_CHANGED_WHILE_READ")]), None);
        assert_eq!(lacks(&missing(2)).unwrap(), "it lacks 0, 1");
        assert_eq!(lacks(&missing(5)).unwrap(), "it lacks 0, 1, 2 and 2 more");
    }
}
