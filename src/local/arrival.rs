//! What is remembered of a snapshot that a new machine is given, until the user was told of it.

use minicbor::{Decode, Encode};

/// What a machine that has nothing is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Arrival {
    /// Whether nobody agreed to it: it is only carried out as long as the machine has nothing.
    #[n(0)]
    pub by_itself: bool,
    /// When the snapshot was made, local clock of the machine that made it, milliseconds since 1970.
    #[n(1)]
    pub made_at_ms: i64,
    /// Where the state directory was on that machine.
    #[n(2)]
    pub from: String,
    /// Files that come.
    #[n(3)]
    pub files: u64,
    /// Whether the logins of that machine are in the snapshot.
    #[n(4)]
    pub with_secrets: bool,
    /// Logins that the configuration names.
    #[n(5)]
    pub logins: Vec<String>,
    /// What else does not come, in sentences.
    #[n(6)]
    pub notes: Vec<String>,
    /// What of it can run, in words: hooks, skills, plugins, servers, variables of the environment.
    #[n(7)]
    #[cbor(default)]
    pub runs: Vec<String>,
    /// What people call that machine, where the snapshot says so.
    #[n(8)]
    pub machine_name: Option<String>,
}
