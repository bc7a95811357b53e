//! Every operation is cut off at every step that it makes, before and after its effect: a request, a write, a rename,
//! an fsync, a removal. Once by the end of the process, which leaves nothing but what is on disk, and once by an
//! error. After each, what was committed restores bit for bit, the state is the old or the new one, and the next push
//! succeeds.
//!
//! `jobs` has the operations that change the bucket or local memory; `rollback` and `arrival` those that change the
//! state itself. Requests that are never answered to a future that is dropped: `tests/interrupted.rs`.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers may panic as the tests do"
)]
#![expect(clippy::clone_on_ref_ptr, reason = "a counter becomes a `dyn` one on the way")]

mod arrival;
#[path = "../support/calendar.rs"]
mod calendar;
#[path = "../support/campaign.rs"]
#[allow(dead_code, unreachable_pub, reason = "each test binary uses a part")]
#[allow(clippy::print_stderr, clippy::must_use_candidate, reason = "for tests only")]
#[allow(clippy::allow_attributes, reason = "an expectation would fail where all is used")]
mod campaign;
#[path = "../support/counted.rs"]
mod counted;
#[path = "../rollback/host.rs"]
mod host;
mod jobs;
#[path = "../support/killed.rs"]
mod killed;
#[path = "../support/machine.rs"]
mod machine;
#[path = "../support/plain.rs"]
mod plain;
mod rollback;
mod scene;
mod trial;

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
