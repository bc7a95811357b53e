//! Every operation is cut off at every step that it makes, before and after its effect: a request, a write, a rename,
//! an fsync, a removal. Once by the end of the process, which leaves nothing but what is on disk, and once by an
//! error. After each, what was committed restores bit for bit, the state is the old or the new one, and the next push
//! succeeds.
//!
//! `jobs` has the operations that change the bucket or local memory; `rollback` and `arrival` those that change the
//! state itself. Requests that are never answered to a future that is dropped: `tests/it/interrupted.rs`.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers may panic as the tests do"
)]
#![expect(clippy::clone_on_ref_ptr, reason = "a counter becomes a `dyn` one on the way")]

mod arrival;
mod jobs;
mod rollback;
mod scene;
#[path = "../support/mod.rs"]
mod support;
mod trial;

use crate::support::campaign;
use std::path::Path;

use tempfile::{TempDir, tempdir, tempdir_in};

/// A directory where syncing costs nothing: each test does the same some hundred times.
fn in_memory() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempdir_in(memory) } else { tempdir() }.unwrap()
}

/// Which of the points from 1 to `last` are tried: all in the whole campaign, else every `stride`-th, another each seed.
fn points(last: usize, stride: u64) -> impl Iterator<Item = usize> {
    let stride = usize::try_from(campaign::cases(stride, 1)).unwrap();
    let first = usize::try_from(campaign::seed()).unwrap() % stride;
    (1..=last).skip(first).step_by(stride)
}
