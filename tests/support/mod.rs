//! What several test binaries share. Not every binary uses everything.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]
#![allow(clippy::missing_panics_doc, clippy::must_use_candidate, reason = "for tests only")]
#![allow(clippy::allow_attributes, reason = "an expectation would fail where all is used")]

pub mod b2_server;
pub mod clock;
pub mod s3_server;
pub mod scripted;
