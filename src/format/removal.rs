//! Removals: that somebody who has the key removed a key slot, and not just anybody who may write to the bucket.

use minicbor::{Decode, Encode};

use super::{HEADER_BYTES, Header, ObjectKind, RepositoryId, cbor};
use crate::crypto::{Cipher, Domain, MasterKey, RepoKey};

/// No removal is larger.
pub const MAX_REMOVAL_BYTES: usize = 4096;
const SUFFIX: &str = ".removed";

#[derive(Encode, Decode)]
#[cbor(map)]
struct Wire {
    /// Seconds since 1970, local clock; for people.
    #[n(0)]
    when: i64,
}

/// The name below `keys/` of the removal of a slot.
#[must_use]
pub fn removal_name(slot: &str) -> String {
    format!("{slot}{SUFFIX}")
}

/// The slot whose removal has this name below `keys/`.
#[must_use]
pub fn removed_slot(name: &str) -> Option<&str> {
    name.strip_suffix(SUFFIX)
}

/// The object that says that a slot was removed at a time (seconds since 1970). `None` where sealing fails.
#[must_use]
pub fn seal_removal(
    master: &MasterKey,
    repository: RepositoryId,
    slot: &str,
    salt: [u8; 32],
    when: i64,
) -> Option<Vec<u8>> {
    let (cipher, commitment) = cipher(master, repository, &salt);
    let header = Header::new(ObjectKind::Removal, true, repository, salt, commitment);
    let mut object = header.encode().to_vec();
    object.extend_from_slice(&cbor(&Wire { when }));
    cipher.seal(Domain::Removal, 0, &context(&header, slot), &mut object, HEADER_BYTES).ok()?;
    Some(object)
}

/// Whether an object says, under the key of the repository, that this slot was removed.
#[must_use]
pub fn is_removal(master: &MasterKey, repository: RepositoryId, slot: &str, object: &[u8]) -> bool {
    let Ok((header, body)) = Header::decode(object, ObjectKind::Removal) else { return false };
    let (cipher, commitment) = cipher(master, repository, &header.salt);
    header.sealed
        && header.repository == repository
        && header.commitment == commitment
        && cipher.open(Domain::Removal, 0, &context(&header, slot), &mut body.to_vec()).is_ok()
}

fn cipher(master: &MasterKey, repository: RepositoryId, salt: &[u8; 32]) -> (Cipher, [u8; 32]) {
    let label = ObjectKind::Removal.label();
    RepoKey::Sealed(master.clone()).object(label, &repository.0, salt)
}

fn context(header: &Header, slot: &str) -> Vec<u8> {
    [&header.encode()[..], b"keys/", removal_name(slot).as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_key_removes_and_only_the_slot_that_is_named() {
        let (master, repository) = (MasterKey::new([1; 32]), RepositoryId([2; 16]));
        let object = seal_removal(&master, repository, "0a", [3; 32], 5).unwrap();
        assert!(object.len() <= MAX_REMOVAL_BYTES);
        assert!(is_removal(&master, repository, "0a", &object));
        assert!(!is_removal(&master, repository, "0b", &object));
        assert!(!is_removal(&MasterKey::new([9; 32]), repository, "0a", &object));
        assert!(!is_removal(&master, RepositoryId([9; 16]), "0a", &object));
        for at in 0..object.len() {
            let mut changed = object.clone();
            changed[at] ^= 1;
            assert!(!is_removal(&master, repository, "0a", &changed), "{at}");
        }
        assert_eq!(removed_slot(&removal_name("0a")), Some("0a"));
        assert_eq!(removed_slot("0a"), None);
    }
}
