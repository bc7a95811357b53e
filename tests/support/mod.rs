//! What several test binaries share. Not every binary uses everything.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part")]
#![allow(clippy::allow_attributes, reason = "an expectation would fail where all is used")]

pub mod clock;
pub mod s3_server;
pub mod scripted;
