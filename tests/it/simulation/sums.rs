//! What all lives came to.

use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) static PUSHES: AtomicU64 = AtomicU64::new(0);
pub(crate) static SNAPSHOTS: AtomicU64 = AtomicU64::new(0);
pub(crate) static DELETED: AtomicU64 = AtomicU64::new(0);
pub(crate) static PACKS: AtomicU64 = AtomicU64::new(0);
pub(crate) static FAILED: AtomicU64 = AtomicU64::new(0);
/// In the end, in thousandths of what is needed.
pub(crate) static WORST: AtomicU64 = AtomicU64::new(0);
/// After any step, without what may lie there.
pub(crate) static WORST_STEP: AtomicU64 = AtomicU64::new(0);

/// What all lives came to.
pub(crate) fn sums() -> String {
    let of = |sum: &AtomicU64| sum.load(Ordering::SeqCst);
    format!(
        "{} pushes made {} snapshots; {} of them and {} packs were deleted; {} operations failed; of the space that \
         is needed at most {}.{:03} times was taken in the end, and {}.{:03} times after any step",
        of(&PUSHES),
        of(&SNAPSHOTS),
        of(&DELETED),
        of(&PACKS),
        of(&FAILED),
        of(&WORST) / 1000,
        of(&WORST) % 1000,
        of(&WORST_STEP) / 1000,
        of(&WORST_STEP) % 1000,
    )
}

/// The same for the report of the campaign; space in per cent of what is needed.
pub(crate) fn counted() -> [(&'static str, u64); 6] {
    let of = |sum: &AtomicU64| sum.load(Ordering::SeqCst);
    [
        ("pushes", of(&PUSHES)),
        ("snapshots", of(&SNAPSHOTS)),
        ("of them deleted", of(&DELETED)),
        ("packs deleted", of(&PACKS)),
        ("operations that failed", of(&FAILED)),
        ("% of the space needed at most", of(&WORST).max(of(&WORST_STEP)) / 10),
    ]
}
