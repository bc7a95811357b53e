//! Keys as users and other programs see them.

use crate::secret::Secret;

/// A key slot in the bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInfo {
    /// Its name; the first eight characters are enough to name it.
    pub id: String,
    /// `application-key`, `passphrase` or `recovery-code`.
    pub kind: &'static str,
    /// When it was made, ISO 8601, by the clock of who made it.
    pub created_at: String,
    /// Which repository it belongs to: the first eight digits of its id.
    pub repository: String,
    /// Whether this machine backs up into that repository.
    pub this_machine: bool,
    /// Whether a secret that is given here opens it; `None` where there is none of its kind, or enough was tried.
    pub opens: Option<bool>,
    /// Whether it is that of the secret that this machine is configured with.
    pub in_use: bool,
    /// The prefix that it was made for; `None` where it opens below every prefix (made in format 2).
    pub prefix: Option<String>,
}

/// The key slots of a prefix.
#[derive(Clone, Debug, Default)]
pub struct KeyReport {
    /// Those of this machine's repository first, then by repository, oldest first.
    pub slots: Vec<KeyInfo>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// Which secret gets a slot.
#[derive(Clone, Debug, Default)]
pub enum NewKey {
    /// The one that this machine is configured with: the passphrase, else the application key.
    #[default]
    Configured,
    /// The application key, even where there is a passphrase.
    ApplicationKey,
    /// A passphrase that need not be configured.
    Passphrase(Secret),
}

/// What was added.
#[derive(Clone, Debug, Default)]
pub struct AddedKeys {
    /// The new slots; empty where the secret has one in each repository already.
    pub slots: Vec<KeyInfo>,
    /// Repositories of the prefix in which nothing could be added, since nothing opens them here.
    pub locked: Vec<String>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// A new recovery code, and where it is good for.
#[derive(Clone, Debug)]
pub struct NewRecoveryCode {
    /// The code, as it is to be written down.
    pub code: Secret,
    /// Where it has a slot.
    pub added: AddedKeys,
}

/// What was removed.
#[derive(Clone, Debug)]
pub struct RemovedKey {
    /// The slot.
    pub slot: KeyInfo,
    /// What the user should know.
    pub warnings: Vec<String>,
}
