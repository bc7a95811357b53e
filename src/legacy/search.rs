//! Where the content of a file may be: the likely places first.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::bucket::{Bucket, Object, Push};
use super::{Manifest, Sha256};

/// So many objects are tried for one content: each may cost a download and the stretching of each key.
const MAX_TRIES: usize = 64;
/// What sealing added to a file.
const SEAL_BYTES: u64 = 64;

/// An object that may hold a content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The object.
    pub object: Object,
    /// Whether nothing says that it is something else.
    pub likely: bool,
}

/// The last class of candidates: those that are said to be something else.
const UNLIKELY: u8 = 4;

/// A content that is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its hash.
    pub sha256: Sha256,
    /// Where the snapshot has it.
    pub paths: Vec<String>,
    /// Its size as the manifest has it; a hint.
    pub bytes: u64,
}

/// Looks for contents of one snapshot in a bucket.
#[derive(Debug)]
pub struct Search<'b> {
    bucket: &'b Bucket,
    by_hash: HashMap<Sha256, Vec<(Arc<str>, &'b str)>>,
}

impl Bucket {
    /// Notes what a push's manifest says about what is wanted; the rest of it is forgotten.
    pub fn claim(&mut self, base: &str, manifest: &Manifest, wanted: &[Wanted]) {
        let hashes: HashSet<&Sha256> = wanted.iter().map(|one| &one.sha256).collect();
        let paths: HashSet<&str> =
            wanted.iter().flat_map(|one| &one.paths).map(String::as_str).collect();
        if let Some(push) = self.pushes.get_mut(base) {
            let matters = manifest.files.iter().filter(|(path, file)| {
                hashes.contains(&file.sha256) || paths.contains(path.as_str())
            });
            push.claims = Some(matters.map(|(path, file)| (path.clone(), file.sha256)).collect());
        }
    }

    /// Objects of a path. Names with `%41` in them lie under the decoded name, as the original's server took them.
    fn at<'b>(&'b self, path: &str) -> impl Iterator<Item = &'b Object> {
        let decoded = decoded(path).and_then(|path| self.objects.get(&path));
        self.objects.get(path).into_iter().chain(decoded).flatten()
    }
}

impl<'b> Search<'b> {
    /// Over everything in a bucket, of whose pushes the manifests were read as far as they can be.
    #[must_use]
    pub fn new(bucket: &'b Bucket) -> Self {
        let mut by_hash: HashMap<Sha256, Vec<(Arc<str>, &'b str)>> = HashMap::new();
        for (base, push) in &bucket.pushes {
            for (path, hash) in push.claims.iter().flatten() {
                by_hash.entry(*hash).or_default().push((Arc::clone(base), path));
            }
        }
        Self { bucket, by_hash }
    }

    /// Objects that may hold the content, for the snapshot in the folder `base`, made at `stamp`. First its own;
    /// then those of the same path in older pushes, newest first, and in newer ones; then those that another
    /// manifest gives this hash; at last those of the same path and size that are said to be something else.
    #[must_use]
    pub fn candidates(&self, wanted: &Wanted, base: &str, stamp: &str) -> Vec<Candidate> {
        let mut found: Vec<(u8, &Push, &'b Object)> = Vec::new();
        for path in &wanted.paths {
            for object in self.bucket.at(path) {
                let Some(push) = self.bucket.pushes.get(&object.base) else { continue };
                let claim = push.claims.as_ref().and_then(|claims| claims.get(path));
                let fits = object.bytes == wanted.bytes
                    || object.bytes == wanted.bytes.saturating_add(SEAL_BYTES);
                let class = match claim {
                    _ if &*object.base == base => 0,
                    Some(hash) if *hash == wanted.sha256 => 1,
                    None => 2,
                    Some(_) if fits => UNLIKELY,
                    Some(_) => continue,
                };
                found.push((class, push, object));
            }
        }
        for (base, path) in self.by_hash.get(&wanted.sha256).into_iter().flatten() {
            let Some(push) = self.bucket.pushes.get(base) else { continue };
            let here = self.bucket.at(path).filter(|object| object.base == *base);
            found.extend(here.map(|object| (3, push, object)));
        }
        found.sort_by(|(class_a, a, _), (class_b, b, _)| {
            let newer = |push: &Push| push.stamp.as_str() > stamp;
            let by_age = if newer(a) { a.stamp.cmp(&b.stamp) } else { b.stamp.cmp(&a.stamp) };
            class_a.cmp(class_b).then(newer(a).cmp(&newer(b))).then(by_age)
        });
        let mut seen = HashSet::new();
        let mut fresh = |object: &Object| seen.insert((object.key.clone(), object.version.clone()));
        let mut candidates: Vec<Candidate> = found
            .into_iter()
            .map(|(class, _, object)| Candidate {
                object: object.clone(),
                likely: class < UNLIKELY,
            })
            .collect();
        candidates.retain(|candidate| fresh(&candidate.object));
        candidates.truncate(MAX_TRIES);
        candidates
    }
}

/// `%41` decoded as the original's server did; `None` where nothing is to be decoded.
fn decoded(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let pair = after.get(..2).filter(|_| *byte == b'%');
        let value =
            pair.and_then(|pair| hex::decode(pair).ok()).and_then(|one| one.first().copied());
        bytes.push(value.unwrap_or(*byte));
        rest = if value.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    String::from_utf8(bytes).ok().filter(|decoded| decoded != path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_names_are_decoded() {
        assert_eq!(decoded("a/p%20q.md").as_deref(), Some("a/p q.md"));
        assert_eq!(decoded("%41%zz%4").as_deref(), Some("A%zz%4"));
        assert_eq!(decoded("plain"), None);
        assert_eq!(decoded("%ff"), None);
    }
}
