//! One suite over every kind of store: what a store promises, all of them keep.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::support::s3_server::S3Server;
use b2_backup::ambient::{SystemClock, SystemEntropy};
use b2_backup::secret::Secret;
use b2_backup::store::folder::FolderStore;
use b2_backup::store::memory::MemoryStore;
use b2_backup::store::s3::{RetryPolicy, S3Config, S3Store};
use b2_backup::store::{ObjectKey, ObjectStore};
use bytes::Bytes;
use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

fn key(name: &str) -> ObjectKey {
    ObjectKey::new(name).unwrap()
}

fn bytes(length: usize) -> Bytes {
    (0..length).map(|place| u8::try_from(place * 31 % 251).unwrap()).collect()
}

async fn names(store: &dyn ObjectStore, prefix: &str) -> Vec<String> {
    store.list(prefix, false).await.unwrap().objects.into_iter().map(|object| object.key).collect()
}

async fn whole_objects(store: &dyn ObjectStore) {
    for length in [0, 1, 63, 65_536, 65_537, 1_000_003] {
        let name = key(&format!("sizes/{length}"));
        store.put(&name, bytes(length)).await.unwrap();
        assert_eq!(store.get(&name, length as u64).await.unwrap(), bytes(length), "{length}");
    }
    let error = store.get(&key("sizes/65537"), 65_536).await.unwrap_err();
    assert_eq!(error.code(), "B2_STORE");
    store.put(&key("again"), Bytes::from_static(b"old")).await.unwrap();
    store.put(&key("again"), Bytes::from_static(b"newer")).await.unwrap();
    assert_eq!(store.get(&key("again"), 9).await.unwrap(), "newer");
    // Not a name above or below another's: s3s-fs cannot, and no name of ours is.
    assert_eq!(store.get(&key("absent"), 9).await.unwrap_err().code(), "B2_OBJECT_MISSING");
}

async fn ranges(store: &dyn ObjectStore) {
    let name = key("ranged");
    let body = bytes(200_001);
    store.put(&name, body.clone()).await.unwrap();
    for (start, length) in [(0, 1), (0, 200_001), (65_535, 2), (200_000, 1), (7, 131_072)] {
        let part = store.get_range(&name, start, length).await.unwrap();
        let (start, length) = (usize::try_from(start).unwrap(), usize::try_from(length).unwrap());
        assert_eq!(part, body.slice(start..start + length), "{start} {length}");
    }
    assert!(store.get_range(&name, 5, 0).await.unwrap().is_empty());
    for (start, length) in [(200_000, 2), (200_001, 1), (900_000, 1), (0, 200_002)] {
        let error = store.get_range(&name, start, length).await.unwrap_err();
        assert_eq!(error.code(), "B2_DAMAGED", "{start} {length}");
    }
    assert_eq!(store.get_range(&name, u64::MAX, 2).await.unwrap_err().code(), "B2_INTERNAL");
    assert_eq!(
        store.get_range(&key("absent"), 0, 1).await.unwrap_err().code(),
        "B2_OBJECT_MISSING"
    );
}

/// Names that others gave: the original plugin's objects are named as its files are.
async fn foreign_names(store: &dyn ObjectStore) {
    for name in ["f/a b.md", "f/100% ü日.md", "f/a+b&c=d;e,f'(g)!@$~.md", "f/p%20q.md"] {
        let name = ObjectKey::listed(name).unwrap();
        store.put(&name, Bytes::from_static(b"there")).await.unwrap();
        assert_eq!(store.get(&name, 9).await.unwrap(), "there", "{name}");
    }
    assert_eq!(names(store, "f/").await.len(), 4);
}

async fn listings(store: &dyn ObjectStore) {
    for name in ["l/b", "l/a/2", "l/a/1", "l/a.x", "l/ab/c/d", "l-other"] {
        store.put(&key(name), Bytes::from_static(b"xyz")).await.unwrap();
    }
    assert_eq!(names(store, "l/").await, ["l/a.x", "l/a/1", "l/a/2", "l/ab/c/d", "l/b"]);
    assert_eq!(names(store, "l/a").await, ["l/a.x", "l/a/1", "l/a/2", "l/ab/c/d"]);
    assert_eq!(names(store, "l/a/").await, ["l/a/1", "l/a/2"]);
    assert_eq!(names(store, "l").await.len(), 6);
    assert!(names(store, "nothing/").await.is_empty());
    let cut = store.list("l/", true).await.unwrap();
    assert_eq!(cut.prefixes, ["l/a/", "l/ab/"]);
    let found: Vec<_> =
        cut.objects.iter().map(|object| (object.key.as_str(), object.size)).collect();
    assert_eq!(found, [("l/a.x", 3), ("l/b", 3)]);
    assert!(cut.objects.iter().all(|object| object.modified.is_some()));
    assert_eq!(store.list("l/a", true).await.unwrap().prefixes, ["l/a/", "l/ab/"]);
    assert!(store.list("", true).await.unwrap().prefixes.contains(&"l/".to_owned()));
}

async fn deletions(store: &dyn ObjectStore) {
    let name = key("d/gone");
    store.put(&name, bytes(9)).await.unwrap();
    store.delete(&name, None).await.unwrap();
    assert_eq!(store.get(&name, 9).await.unwrap_err().code(), "B2_OBJECT_MISSING");
    assert!(names(store, "d/").await.is_empty());
    assert!(store.list("", true).await.unwrap().prefixes.iter().all(|prefix| prefix != "d/"));
    store.delete(&name, None).await.unwrap();
    store.delete(&key("never/was"), None).await.unwrap();
    store.put(&name, bytes(3)).await.unwrap();
    assert_eq!(store.get(&name, 9).await.unwrap(), bytes(3));
}

async fn versions(store: &dyn ObjectStore) {
    let name = key("v/one");
    store.put(&name, Bytes::from_static(b"1")).await.unwrap();
    store.put(&name, Bytes::from_static(b"22")).await.unwrap();
    store.delete(&name, None).await.unwrap();
    let Some(found) = store.list_versions("v/").await.unwrap() else { return };
    let shape: Vec<_> = found.iter().map(|one| (one.latest, one.hidden, one.size)).collect();
    assert_eq!(shape, [(true, true, 0), (false, false, 2), (false, false, 1)]);
    // What is hidden or replaced can still be read by its version.
    for (place, body) in [(1, "22"), (2, "1")] {
        assert_eq!(store.get_version(&name, &found[place].version, 9).await.unwrap(), body);
    }
    let error = store.get_version(&name, &found[1].version, 1).await.unwrap_err();
    assert_eq!(error.code(), "B2_STORE");
    assert_eq!(store.get_version(&name, "no", 9).await.unwrap_err().code(), "B2_OBJECT_MISSING");
    store.delete(&name, Some(&found[0].version)).await.unwrap();
    assert_eq!(store.get(&name, 9).await.unwrap(), "22");
    store.delete(&name, Some(&found[1].version)).await.unwrap();
    assert_eq!(store.get(&name, 9).await.unwrap(), "1");
    store.delete(&name, Some(&found[2].version)).await.unwrap();
    assert!(store.list_versions("v/").await.unwrap().unwrap().is_empty());
}

async fn many_at_once(store: &dyn ObjectStore) {
    let name = |place: usize| key(&format!("many/{place:03}"));
    join_all(
        (0..40).map(
            |place| async move { store.put(&name(place), bytes(place * 1000)).await.unwrap() },
        ),
    )
    .await;
    join_all((0..40).map(|place| async move {
        assert_eq!(store.get(&name(place), 100_000).await.unwrap(), bytes(place * 1000));
    }))
    .await;
    assert_eq!(names(store, "many/").await.len(), 40);
    // Writers of one name: one of them wins, whole.
    join_all(
        (0..8).map(
            |place| async move { store.put(&key("race"), bytes(50_000 + place)).await.unwrap() },
        ),
    )
    .await;
    let winner = store.get(&key("race"), 100_000).await.unwrap();
    assert_eq!(winner, bytes(winner.len()));
}

async fn conforms(store: &dyn ObjectStore) {
    assert!(!store.identity().is_empty());
    assert!(store.list("", false).await.unwrap().objects.is_empty());
    whole_objects(store).await;
    ranges(store).await;
    foreign_names(store).await;
    listings(store).await;
    deletions(store).await;
    versions(store).await;
    many_at_once(store).await;
    let traffic = store.traffic();
    assert!(
        traffic.requests > 50
            && traffic.sent_bytes > 1_000_000
            && traffic.received_bytes > 1_000_000
    );
}

#[tokio::test]
async fn memory_conforms() {
    conforms(&MemoryStore::default()).await;
    conforms(&MemoryStore::default().without_versions()).await;
}

#[tokio::test]
async fn a_folder_conforms() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("with space ü");
    let store =
        FolderStore::open(folder.clone(), "p/q".into(), Arc::new(SystemEntropy)).await.unwrap();
    conforms(&store).await;
    let again = FolderStore::open(folder, "p/q".into(), Arc::new(SystemEntropy)).await.unwrap();
    assert_eq!(again.identity(), store.identity());
    assert_eq!(again.get(&key("again"), 9).await.unwrap(), "newer");
}

fn s3(server: &S3Server, secret: &str) -> S3Store {
    s3_at(server.address(), secret)
}

fn s3_at(address: SocketAddr, secret: &str) -> S3Store {
    let config = S3Config {
        endpoint: format!("http://{address}"),
        region: "us-east-1".into(),
        bucket: "bucket".into(),
        prefix: "p/q".into(),
        key_id: "access".into(),
        application_key: Secret::new(secret.into()),
        upload_limit: None,
        retry: RetryPolicy::short(),
        content_md5: false,
    };
    S3Store::new(config, Arc::new(SystemClock), Arc::new(SystemEntropy)).unwrap()
}

#[tokio::test]
async fn a_bucket_conforms() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("bucket")).unwrap();
    let server = S3Server::start(dir.path(), 0, "access", "secret").await.unwrap();
    let store = s3(&server, "secret");
    conforms(&store).await;
    assert!(store.list_versions("").await.unwrap().is_none());
    // More than one page.
    let root = dir.path().join("bucket/p/q/page");
    std::fs::create_dir(&root).unwrap();
    for place in 0..2100 {
        std::fs::write(root.join(format!("{place:04}")), "x").unwrap();
    }
    let found = names(&store, "page/").await;
    assert_eq!(found.len(), 2100);
    assert!(found.is_sorted());
}

#[tokio::test]
async fn a_wrong_secret_and_a_missing_bucket_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let server = S3Server::start(dir.path(), 0, "access", "secret").await.unwrap();
    assert_eq!(s3(&server, "wrong").list("", true).await.unwrap_err().code(), "B2_CREDENTIALS");
    assert_eq!(s3(&server, "secret").list("", true).await.unwrap_err().code(), "B2_BUCKET");
}

/// Passes everything on to `server`, but for one word.
async fn tampering_proxy(server: SocketAddr, from: &'static str, to: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (mut client_in, mut client_out) = client.into_split();
            let (mut server_in, mut server_out) =
                TcpStream::connect(server).await.unwrap().into_split();
            tokio::spawn(async move { tokio::io::copy(&mut server_in, &mut client_out).await });
            tokio::spawn(async move {
                let mut buffer = vec![0; 64 * 1024];
                while let Ok(length @ 1..) = client_in.read(&mut buffer).await {
                    let text =
                        String::from_utf8(buffer[..length].to_vec()).unwrap().replace(from, to);
                    server_out.write_all(text.as_bytes()).await.unwrap();
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn tampering_on_the_way_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("bucket")).unwrap();
    let server = S3Server::start(dir.path(), 0, "access", "secret").await.unwrap();
    let body = Bytes::from_static(b"untouched");
    let proxy = tampering_proxy(server.address(), "untouched", "tampered!").await;
    s3_at(proxy, "secret").put(&key("a"), body.clone()).await.unwrap_err();
    let direct = s3(&server, "secret");
    direct.put(&key("a"), body.clone()).await.unwrap();
    let proxy = tampering_proxy(server.address(), "/p/q/a", "/p/q/b").await;
    let error = s3_at(proxy, "secret").get(&key("a"), 9).await.unwrap_err();
    assert_eq!(error.code(), "B2_CREDENTIALS");
    let proxy = tampering_proxy(server.address(), "nothing", "at all").await;
    assert_eq!(s3_at(proxy, "secret").get(&key("a"), 9).await.unwrap(), body);
}
