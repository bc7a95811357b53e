//! What to read, and what a look at the repository says.

/// How much of the content is fetched, every frame opened, and each chunk compared with its id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reading {
    /// Nothing: only the structure of every snapshot of every machine.
    #[default]
    Structure,
    /// Of this machine's packs those that were not read for longest, as many as make this many per cent of their
    /// bytes (1 to 100), and the structure of this machine's snapshots. As often as 100 / `percent` times, and
    /// everything was read.
    Sample {
        /// Per cent.
        percent: u8,
    },
    /// Of this machine's packs what is due, when this is done once a week, for every byte of them to be read within
    /// `weeks` weeks, those first that were not read for longest; and the structure as above. What was read in the
    /// last six days is taken off, so that one that was cut off may be done again.
    Due {
        /// Weeks, at least 1.
        weeks: u32,
        /// So many bytes are read in a week at most, but for the rest of the last pack.
        most_bytes: u64,
    },
    /// All of every machine.
    All,
}

/// How to verify.
#[derive(Clone, Copy, Debug, Default)]
pub struct VerifyOptions {
    /// How much is read.
    pub reading: Reading,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyProblem {
    /// The object.
    pub object: String,
    /// A stable code.
    pub code: &'static str,
    /// A sentence.
    pub message: String,
    /// Snapshots that it harms.
    pub snapshots: Vec<String>,
    /// Files that it costs, at most 200.
    pub paths: Vec<String>,
}

/// What was verified.
#[derive(Clone, Debug, Default)]
pub struct VerifyReport {
    /// Snapshots looked at.
    pub snapshots: u64,
    /// Packs looked at.
    pub packs: u64,
    /// Bytes of those packs.
    pub bytes: u64,
    /// Bytes of the packs that were read in whole.
    pub read_bytes: u64,
    /// What is wrong; empty when all is well.
    pub problems: Vec<VerifyProblem>,
    /// Requests made.
    pub requests: u64,
    /// Body bytes received.
    pub downloaded_bytes: u64,
    /// How long it took, milliseconds.
    pub duration_ms: u64,
}
