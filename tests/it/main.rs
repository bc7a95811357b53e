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
#![cfg_attr(
    unix,
    expect(clippy::clone_on_ref_ptr, reason = "what is shared becomes `dyn` on the way")
)]

#[path = "../support/mod.rs"]
mod support;

#[cfg(unix)]
mod auto_restore;
#[cfg(unix)]
mod bucket;
#[cfg(unix)]
mod changes;
#[cfg(unix)]
mod cycles;
#[cfg(unix)]
mod damage;
#[cfg(unix)]
mod faults;
#[cfg(unix)]
mod golden;
#[cfg(target_os = "linux")]
mod history;
#[cfg(unix)]
mod hostile;
#[cfg(unix)]
mod interrupted;
#[cfg(unix)]
mod keys;
mod legacy;
#[cfg(unix)]
mod lineage;
#[cfg(target_os = "linux")]
mod proof;
#[cfg(unix)]
mod properties;
#[cfg(unix)]
mod prune;
mod rotation;
#[cfg(unix)]
mod secrets;
#[cfg(unix)]
mod simulation;
mod source_policy;
mod source_sqlite;
#[cfg(unix)]
mod sparse;
mod store_b2;
mod store_conformance;
mod store_s3;
#[cfg(unix)]
mod waiting;
