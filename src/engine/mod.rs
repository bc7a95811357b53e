//! What all verbs stand on: a session with a bucket, which snapshot is meant, what the state on this machine is, and what
//! was not as it should be. Knows no verb.

pub(crate) mod aspects;
pub(crate) mod file_cache;
pub(crate) mod head;
pub(crate) mod info;
pub(crate) mod legacy;
pub(crate) mod lock;
pub(crate) mod newest;
pub(crate) mod problem;
pub(crate) mod remove;
pub(crate) mod roots;
pub(crate) mod scan;
pub(crate) mod select;
pub(crate) mod session;
pub(crate) mod slots;
pub(crate) mod text;
pub(crate) mod time;
pub(crate) mod tree;
pub(crate) mod unpack;
pub(crate) mod withheld;
