//! Manifests and objects that somebody else put into the bucket.

use b2_backup::store::memory::Operation;
use sha2::{Digest as _, Sha256};

use super::bucket::{Bucket, content_of, manifest};
use super::{FIRST, SECOND};

fn hash(content: &[u8]) -> String {
    hex::encode(Sha256::digest(content))
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_that_lead_out() {
    let deep = "a/".repeat(20_000) + "x";
    let cases: [(&str, &[&str]); 11] = [
        ("above", &["../planted"]),
        ("above, hidden", &["workspace/../../planted"]),
        ("absolute", &["/tmp/planted"]),
        ("empty", &[""]),
        ("empty part", &["a//b"]),
        ("slash at the end", &["a/"]),
        ("here", &["./a"]),
        ("NUL", &["a\0b"]),
        ("below a file", &["a", "a/b"]),
        ("below a file, with others between", &["a", "a-b", "a/b/c"]),
        ("far above", &["../../../../../../../../root/.ssh/authorized_keys"]),
    ];
    for (what, paths) in cases {
        let bucket = Bucket::empty();
        let mut files = vec![("fine.md", hash(b"planted"), 7)];
        files.extend(paths.iter().map(|path| (*path, hash(b"planted"), 7)));
        bucket.store.raw_replace(&format!("{FIRST}/manifest.json"), manifest(&files));
        for path in paths.iter().chain(&["fine.md"]) {
            bucket.store.raw_replace(&format!("{FIRST}/{path}"), b"planted".to_vec());
        }
        let error = bucket.restore(FIRST).await.unwrap_err();
        assert_eq!(error.code(), "B2_UNSAFE_PATH", "{what}");
        assert!(!bucket.dir.path().join("planted").exists(), "{what}");
    }
    // Names that are only strange are files like any other, where the system can have them.
    let bucket = Bucket::empty();
    let strange: [(&str, &[u8]); 3] =
        [("C:\\planted", b"1"), ("...", b"2"), ("workspace/..hidden", b"3")];
    bucket.push(FIRST, &strange, &strange);
    if cfg!(unix) {
        let (report, to) = bucket.restore(FIRST).await.unwrap();
        assert_eq!((report.failed.len(), content_of(&to).len()), (0, 3));
    }
    // No object can have such a name, so it is as lost as any other.
    let bucket = Bucket::empty();
    let files = [(deep.as_str(), hash(b"planted"), 7), ("fine.md", hash(b""), 0)];
    bucket.store.raw_replace(&format!("{FIRST}/manifest.json"), manifest(&files));
    bucket.store.raw_replace(&format!("{FIRST}/{deep}"), b"planted".to_vec());
    let (report, to) = bucket.restore(FIRST).await.unwrap();
    assert_eq!((report.failed.len(), content_of(&to).len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn manifests_that_are_none() {
    let cases: [(&str, Vec<u8>); 8] = [
        ("empty", vec![]),
        ("null", b"null".to_vec()),
        ("no files", b"{\"version\":1}".to_vec()),
        ("a list", b"{\"version\":1,\"files\":[]}".to_vec()),
        ("another version", b"{\"version\":99,\"files\":{}}".to_vec()),
        ("no hash", manifest(&[("a", "x".repeat(64), 1)])),
        ("cut off", manifest(&[("a", hash(b"a"), 1)])[..90].to_vec()),
        ("deep", [b"{\"version\":1,\"files\":".as_slice(), &b"[".repeat(200_000)].concat()),
    ];
    for (what, bytes) in cases {
        let bucket = Bucket::empty();
        bucket.store.raw_replace(&format!("{FIRST}/manifest.json"), bytes);
        assert_eq!(bucket.restore(FIRST).await.unwrap_err().code(), "B2_DAMAGED", "{what}");
        assert!(bucket.machine.list().await.snapshots[0].problem.is_some(), "{what}");
    }
    // Larger than any manifest: not even fetched as a whole.
    let bucket = Bucket::empty();
    bucket.store.raw_replace(&format!("{FIRST}/manifest.json"), vec![b' '; (64 << 20) + 1]);
    assert_eq!(bucket.restore(FIRST).await.unwrap_err().code(), "B2_STORE");
}

/// A copy with another content is never taken, whatever its name; and the search ends.
#[tokio::test(flavor = "multi_thread")]
async fn copies_that_are_others() {
    let bucket = Bucket::empty();
    bucket.push(SECOND, &[], &[("workspace/a.md", b"right")]);
    for day in 1..=28 {
        for second in 0..10 {
            let id = format!("2026-01-{day:02}T00-00-{second:02}-000Z-ab12cd34");
            bucket.store.raw_replace(&format!("{id}/workspace/a.md"), b"wrong".to_vec());
        }
    }
    bucket.store.clear_calls();
    let (report, to) = bucket.restore(SECOND).await.unwrap();
    assert_eq!(report.failed.len(), 1);
    assert_eq!(report.failed[0].code, "B2_DAMAGED");
    assert_eq!(content_of(&to).len(), 0);
    let gets = bucket.store.calls().iter().filter(|call| call.operation == Operation::Get).count();
    assert!((64..=70).contains(&gets), "{gets}");
}
