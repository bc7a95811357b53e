//! The same in a folder and on an S3 server that checks signatures.

use b2_backup::ambient::{SystemClock, SystemEntropy};
use b2_backup::secret::Secret;
use b2_backup::store::folder::FolderStore;
use b2_backup::store::s3::{RetryPolicy, S3Config, S3Store};

use super::*;
use crate::support::s3_server::S3Server;

async fn lives(store: Arc<dyn ObjectStore>, clock: Arc<Calendar>) {
    let mut life = Life::on(store.clone(), clock);
    let ids = life.days(8).await;
    let report = life.prune(options(4, 0, 0)).await.unwrap();
    assert_eq!((report.deleted_snapshots, report.deleted_packs), (4, 0));
    assert_eq!(life.all_restore().await, ids[4..]);
    let packs = || async { store.list("packs/", false).await.unwrap().objects };
    let before = packs().await;
    let needed = life.machine.verify(false).await.bytes;
    let there: u64 = before.iter().map(|pack| pack.size).sum();
    assert_eq!(there, needed + report.waiting_bytes);
    // A server tells the time to the second.
    life.clock.pass(DAY + 2);
    let second = life.prune(options(4, 0, 0)).await.unwrap();
    assert_eq!(second.freed_bytes, report.waiting_bytes);
    assert_eq!(packs().await.len() as u64, before.len() as u64 - report.waiting_packs);
    assert_eq!(life.all_restore().await, ids[4..]);
    life.day().await;
    assert_eq!(life.all_restore().await.len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder() {
    let dir = tempdir().unwrap();
    let folder = dir.path().join("bucket");
    let store = FolderStore::open(folder, "p".into(), Arc::new(SystemEntropy)).await.unwrap();
    lives(Arc::new(store), Calendar::start()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_with_and_without_versions() {
    let clock = Calendar::start();
    lives(Arc::new(MemoryStore::new(clock.clone())), clock).await;
    let clock = Calendar::start();
    lives(Arc::new(MemoryStore::new(clock.clone()).without_versions()), clock).await;
}

/// The server's clock cannot be set: what a day is, is told by a store around it.
#[tokio::test(flavor = "multi_thread")]
async fn an_s3_server_that_checks_signatures() {
    let dir = tempdir().unwrap();
    std::fs::create_dir(dir.path().join("bkt")).unwrap();
    let server = S3Server::start(dir.path(), 0, "key", "geheim").await.unwrap();
    let config = S3Config {
        endpoint: format!("http://{}", server.address()),
        region: "us-east-1".into(),
        bucket: "bkt".into(),
        prefix: "p".into(),
        key_id: "key".into(),
        application_key: Secret::new("geheim".into()),
        upload_limit: None,
        retry: RetryPolicy::short(),
        content_md5: false,
    };
    let store = S3Store::new(config, Arc::new(SystemClock), Arc::new(SystemEntropy)).unwrap();
    lives(Arc::new(store), Calendar::start()).await;
}
