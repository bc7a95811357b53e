//! What several test binaries share. Not every binary uses everything.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]
#![allow(clippy::missing_panics_doc, clippy::must_use_candidate, reason = "for tests only")]
#![allow(clippy::print_stderr, reason = "what was counted or not run is said")]
#![allow(clippy::allow_attributes, reason = "an expectation would fail where all is used")]

pub mod b2_server;
pub mod calendar;
pub mod campaign;
pub mod clock;
pub mod counted;
pub mod cut;
pub mod forge;
pub mod guarded;
pub mod host;
pub mod killed;
pub mod machine;
pub mod peak;
pub mod plain;
pub mod plain_machine;
pub mod s3_server;
pub mod scripted;
pub mod skipped;
pub mod system;
