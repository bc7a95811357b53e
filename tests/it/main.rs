//! The operations on a bucket, a module for each subject. One binary: each more is linked anew after every change.
//!
//! No test here starts a process. Until its program begins, a child holds every lock of the process that starts it, and
//! so those of other tests; `tests/processes` is for them.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers may panic as the tests do"
)]
#![expect(clippy::clone_on_ref_ptr, reason = "what is shared becomes `dyn` on the way")]

#[path = "../support/mod.rs"]
mod support;

mod auto_restore;
mod bucket;
mod changes;
mod cycles;
mod damage;
mod faults;
// What came back is described with permission bits, links, and a name that is no text.
#[cfg(unix)]
mod golden;
mod history;
mod hostile;
mod interrupted;
mod keys;
mod legacy;
mod lineage;
mod proof;
mod properties;
mod prune;
mod rotation;
mod secrets;
mod simulation;
mod source_policy;
mod source_sqlite;
mod sparse;
mod store_b2;
mod store_conformance;
mod store_s3;
mod waiting;
