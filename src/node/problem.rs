//! What could not be saved or restored, as JavaScript sees it.

use napi_derive::napi;

use super::mirror::{derive, mirror};

/// Something that could not be backed up or restored, or not as it should be.
#[napi(object, object_from_js = false)]
#[derive(Debug, mirror!)]
pub struct FileProblem {
    /// The path; bytes that are not UTF-8 and control characters as `\xNN`.
    pub path: String,
    /// A stable code.
    pub code: String,
    /// A sentence.
    pub message: String,
    /// Whether it is a failure of the backup, although the rest was saved: of which health and the user are told.
    #[custom(|problem| problem.failure().is_some())]
    pub failure: bool,
    /// Whether the snapshot lacks something because of it; else it is in there, as it was read.
    #[custom(|problem| problem.is_missing())]
    pub missing: bool,
}
