//! The one error type of the core. Each variant has a stable code, which is what other programs may
//! rely on; the sentence is for people. No secret is ever part of a message.

use std::path::{Path, PathBuf};

/// A result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong, in the words of the user.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting is missing or makes no sense.
    #[error("configuration: {field}: {message}")]
    Config {
        /// The setting's name as the user writes it.
        field: String,
        /// What is wrong and what would be right.
        message: String,
    },
    /// Another process works on the same state directory.
    #[error("another backup operation is running on {} (lock {})", state_dir.display(), lock.display())]
    Locked {
        /// The state directory.
        state_dir: PathBuf,
        /// The lock file.
        lock: PathBuf,
    },
    /// The caller asked to stop.
    #[error("cancelled")]
    Cancelled,
    /// The server could not be reached, or stopped answering, after all retries.
    #[error("cannot reach {target}: {message}")]
    Network {
        /// Host or URL without query.
        target: String,
        /// The last reason seen.
        message: String,
    },
    /// Key id or key refused.
    #[error("{message}")]
    Credentials {
        /// What the server said, and what to check.
        message: String,
    },
    /// The key may not do what is needed.
    #[error("{message}")]
    Capability {
        /// Names the capability and what it is needed for.
        message: String,
    },
    /// The bucket does not exist or is not this key's.
    #[error("{message}")]
    Bucket {
        /// Which bucket, and what to check.
        message: String,
    },
    /// A bucket in which this machine stored snapshots, and that holds nothing now.
    #[error("{message}")]
    BucketEmpty {
        /// What was there, and how to go on.
        message: String,
    },
    /// An account cap stops the work until it is raised or reset.
    #[error("account cap reached (see Caps & Alerts in your Backblaze account): {message}")]
    CapExceeded {
        /// What the server said.
        message: String,
    },
    /// The local clock is too far from the server's, and correcting for it did not help.
    #[error("the clock of this machine is wrong: {message}")]
    Clock {
        /// Local and server time.
        message: String,
    },
    /// The store gave an answer that cannot be used.
    #[error("{operation} {object}: {message}")]
    Store {
        /// The operation, as `PUT` or `LIST`.
        operation: &'static str,
        /// The object's key, or the prefix.
        object: String,
        /// Status and message of the server, or what is wrong with its answer.
        message: String,
    },
    /// An object that should be there is not.
    #[error("{object} is not in the bucket")]
    ObjectMissing {
        /// The object's key.
        object: String,
    },
    /// No snapshot of that name.
    #[error("no snapshot {snapshot}: {message}")]
    SnapshotNotFound {
        /// What was asked for.
        snapshot: String,
        /// What there is instead.
        message: String,
    },
    /// None of the secrets at hand opens the repository.
    #[error("{message}")]
    WrongKey {
        /// Whose snapshots these are, and the ways out.
        message: String,
    },
    /// A new machine could be given several things, or something odd: somebody has to choose.
    #[error("{message}")]
    NeedsChoice {
        /// What there is, and how to choose.
        message: String,
    },
    /// A recovery code that was not typed as it was printed.
    #[error("the recovery code is mistyped: {message}")]
    RecoveryCode {
        /// Which group, in words that hold nothing of the code.
        message: String,
    },
    /// A key slot that cannot be added or removed as asked.
    #[error("{message}")]
    KeySlot {
        /// Why, and what to do instead.
        message: String,
    },
    /// A passphrase that would be guessed.
    #[error("{message}")]
    WeakPassphrase {
        /// How weak, and what would do.
        message: String,
    },
    /// An object's bytes are not what was written.
    #[error("{object} is damaged: {message}")]
    Damaged {
        /// The object's key.
        object: String,
        /// What does not fit.
        message: String,
    },
    /// Written by a newer version of this program.
    #[error(
        "{object} needs format version {needed}, this program reads up to {known}: update the plugin"
    )]
    Version {
        /// The object's key.
        object: String,
        /// The version that is needed.
        needed: u8,
        /// The newest version that is known here.
        known: u8,
    },
    /// A plain snapshot where only authenticated ones may be used unasked.
    #[error(
        "{snapshot} is not authenticated: anyone who can write to the bucket can have made it; name it and confirm to use it"
    )]
    NotAuthenticated {
        /// The snapshot's id.
        snapshot: String,
    },
    /// A snapshot of the original plugin, where only our own can be used.
    #[error(
        "{snapshot} was made by the original plugin: it can be shown, and restored into a directory with `restore {snapshot} --to DIR`"
    )]
    OldFormat {
        /// The snapshot's name.
        snapshot: String,
    },
    /// A database could not be captured or is broken.
    #[error("database {}: {message}", path.display())]
    Database {
        /// The database file.
        path: PathBuf,
        /// What SQLite said.
        message: String,
    },
    /// Somebody else keeps a database locked.
    #[error("database {} is in use: {message}", path.display())]
    DatabaseBusy {
        /// The database file.
        path: PathBuf,
        /// By whom, as far as that is known, and for how long.
        message: String,
    },
    /// The host holds a database open in this very process: touching it would drop its locks.
    #[error("{} is open in this process; backups must run in a process of their own", path.display())]
    DatabaseInProcess {
        /// The database file.
        path: PathBuf,
    },
    /// The place to restore to is not empty.
    #[error("{} is not an empty directory: give a new or an empty one", path.display())]
    TargetNotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// A path in a snapshot that must not be written.
    #[error("refused to restore {path}: {message}")]
    UnsafePath {
        /// The path, escaped.
        path: String,
        /// Which rule it breaks.
        message: String,
    },
    /// What a rollback would do is no longer what the user agreed to.
    #[error("nothing was changed: {message}; look at the plan again")]
    PlanChanged {
        /// What is different.
        message: String,
    },
    /// A rollback is under way and has to be finished first.
    #[error("{message}")]
    RollbackOpen {
        /// Which one, and how to finish it.
        message: String,
    },
    /// Pruning found something that it must not go on with.
    #[error("nothing was deleted: {message}")]
    PruneStopped {
        /// What it found, and what to do.
        message: String,
    },
    /// A database in a snapshot has a newer schema than the OpenClaw that is installed here.
    #[error("{message}")]
    HostTooOld {
        /// Which database, both versions, and the OpenClaw that is needed.
        message: String,
    },
    /// The OpenClaw that is installed here would not start with the state that a rollback brings.
    #[error(
        "nothing was changed, because OpenClaw would not start afterwards: it says {message:?}"
    )]
    HostRefuses {
        /// What OpenClaw says.
        message: String,
    },
    /// No space left.
    #[error("disk full: cannot {action} {}", path.display())]
    DiskFull {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
    },
    /// The file system or folder cannot be written.
    #[error("no permission to {action} {}: {source}", path.display())]
    Permission {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// Any other error of the local file system.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A rollback failed, and all is back, but not exactly as it was. The code is that of the error.
    #[error("{error}. Everything is back, but not exactly as before: {refused}")]
    NotAsBefore {
        /// Why it failed.
        error: Box<Self>,
        /// What could not be put back beside content, and where.
        refused: String,
    },
    /// A defect of this program.
    #[error("internal error: {message}; please report it")]
    Internal {
        /// What was found.
        message: String,
    },
}

/// Every stable code, for the documentation and the TypeScript side.
pub const CODES: &[&str] = &[
    "B2_CONFIG",
    "B2_LOCKED",
    "B2_CANCELLED",
    "B2_NETWORK",
    "B2_CREDENTIALS",
    "B2_CAPABILITY",
    "B2_BUCKET",
    "B2_BUCKET_EMPTY",
    "B2_CAP_EXCEEDED",
    "B2_CLOCK",
    "B2_STORE",
    "B2_OBJECT_MISSING",
    "B2_SNAPSHOT_NOT_FOUND",
    "B2_WRONG_KEY",
    "B2_NEEDS_CHOICE",
    "B2_RECOVERY_CODE",
    "B2_KEY_SLOT",
    "B2_WEAK_PASSPHRASE",
    "B2_DAMAGED",
    "B2_VERSION",
    "B2_NOT_AUTHENTICATED",
    "B2_OLD_FORMAT",
    "B2_DATABASE",
    "B2_DATABASE_BUSY",
    "B2_DATABASE_IN_PROCESS",
    "B2_TARGET_NOT_EMPTY",
    "B2_UNSAFE_PATH",
    "B2_PLAN_CHANGED",
    "B2_ROLLBACK_OPEN",
    "B2_PRUNE_STOPPED",
    "B2_HOST_TOO_OLD",
    "B2_HOST_REFUSES",
    "B2_DISK_FULL",
    "B2_PERMISSION",
    "B2_IO",
    "B2_INTERNAL",
];

impl Error {
    /// The object in the bucket that is at fault: of a snapshot whose tree cannot be read it is often a pack.
    #[must_use]
    pub fn object(&self) -> Option<&str> {
        match self {
            Self::Damaged { object, .. }
            | Self::ObjectMissing { object }
            | Self::Version { object, .. } => Some(object),
            _ => None,
        }
    }

    /// The stable code of this error, one of [`CODES`].
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Config { .. } => "B2_CONFIG",
            Self::Locked { .. } => "B2_LOCKED",
            Self::Cancelled => "B2_CANCELLED",
            Self::Network { .. } => "B2_NETWORK",
            Self::Credentials { .. } => "B2_CREDENTIALS",
            Self::Capability { .. } => "B2_CAPABILITY",
            Self::Bucket { .. } => "B2_BUCKET",
            Self::BucketEmpty { .. } => "B2_BUCKET_EMPTY",
            Self::CapExceeded { .. } => "B2_CAP_EXCEEDED",
            Self::Clock { .. } => "B2_CLOCK",
            Self::Store { .. } => "B2_STORE",
            Self::ObjectMissing { .. } => "B2_OBJECT_MISSING",
            Self::SnapshotNotFound { .. } => "B2_SNAPSHOT_NOT_FOUND",
            Self::WrongKey { .. } => "B2_WRONG_KEY",
            Self::NeedsChoice { .. } => "B2_NEEDS_CHOICE",
            Self::RecoveryCode { .. } => "B2_RECOVERY_CODE",
            Self::KeySlot { .. } => "B2_KEY_SLOT",
            Self::WeakPassphrase { .. } => "B2_WEAK_PASSPHRASE",
            Self::Damaged { .. } => "B2_DAMAGED",
            Self::Version { .. } => "B2_VERSION",
            Self::NotAuthenticated { .. } => "B2_NOT_AUTHENTICATED",
            Self::OldFormat { .. } => "B2_OLD_FORMAT",
            Self::Database { .. } => "B2_DATABASE",
            Self::DatabaseBusy { .. } => "B2_DATABASE_BUSY",
            Self::DatabaseInProcess { .. } => "B2_DATABASE_IN_PROCESS",
            Self::TargetNotEmpty { .. } => "B2_TARGET_NOT_EMPTY",
            Self::UnsafePath { .. } => "B2_UNSAFE_PATH",
            Self::PlanChanged { .. } => "B2_PLAN_CHANGED",
            Self::RollbackOpen { .. } => "B2_ROLLBACK_OPEN",
            Self::PruneStopped { .. } => "B2_PRUNE_STOPPED",
            Self::HostTooOld { .. } => "B2_HOST_TOO_OLD",
            Self::HostRefuses { .. } => "B2_HOST_REFUSES",
            Self::DiskFull { .. } => "B2_DISK_FULL",
            Self::Permission { .. } => "B2_PERMISSION",
            Self::Io { .. } => "B2_IO",
            Self::NotAsBefore { error, .. } => error.code(),
            Self::Internal { .. } => "B2_INTERNAL",
        }
    }

    /// Whether the same operation may succeed later without anybody changing anything.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Network { .. }
                | Self::Locked { .. }
                | Self::DatabaseBusy { .. }
                | Self::CapExceeded { .. }
                | Self::Clock { .. }
        )
    }

    /// A file-system error, sorted into full disk, missing permission and the rest.
    #[must_use]
    pub fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        use std::io::ErrorKind as K;
        let path = path.to_path_buf();
        match source.kind() {
            K::StorageFull | K::QuotaExceeded => Self::DiskFull { action, path },
            K::PermissionDenied | K::ReadOnlyFilesystem => {
                Self::Permission { action, path, source }
            }
            _ => Self::Io { action, path, source },
        }
    }

    /// A wrong setting.
    pub fn config(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Config { field: field.into(), message: message.into() }
    }

    /// An object whose bytes do not fit.
    pub fn damaged(object: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Damaged { object: object.into(), message: message.into() }
    }

    /// A defect of this program.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::Internal { message: message.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn io_errors_are_sorted() {
        let code =
            |kind: std::io::ErrorKind| Error::io("write", Path::new("/x"), kind.into()).code();
        assert_eq!(code(std::io::ErrorKind::StorageFull), "B2_DISK_FULL");
        assert_eq!(code(std::io::ErrorKind::ReadOnlyFilesystem), "B2_PERMISSION");
        assert_eq!(code(std::io::ErrorKind::PermissionDenied), "B2_PERMISSION");
        assert_eq!(code(std::io::ErrorKind::NotFound), "B2_IO");
    }

    #[test]
    fn codes_are_unique_and_known() {
        let mut seen = CODES.to_vec();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), CODES.len());
        assert!(CODES.contains(&Error::Cancelled.code()));
        assert!(CODES.contains(&Error::internal("x").code()));
    }
}
