//! What could not be saved or restored, as JavaScript sees it.

use napi_derive::napi;

use crate::ops;

/// Something that could not be backed up or restored, or not as it should be.
#[napi(object, object_from_js = false)]
#[derive(Debug)]
pub struct FileProblem {
    /// The path; bytes that are not UTF-8 and control characters as `\xNN`.
    pub path: String,
    /// A stable code.
    pub code: String,
    /// A sentence.
    pub message: String,
    /// Whether it is a failure of the backup, although the rest was saved: of which health and the user are told.
    pub failure: bool,
    /// Whether the snapshot lacks something because of it; else it is in there, as it was read.
    pub missing: bool,
}

impl From<ops::FileProblem> for FileProblem {
    fn from(problem: ops::FileProblem) -> Self {
        Self {
            failure: problem.failure().is_some(),
            missing: problem.is_missing(),
            path: problem.path,
            code: problem.code,
            message: problem.message,
        }
    }
}

pub(super) fn problems(all: Vec<ops::FileProblem>) -> Vec<FileProblem> {
    all.into_iter().map(FileProblem::from).collect()
}
