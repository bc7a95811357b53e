use super::*;

fn key(name: &str) -> ObjectKey {
    ObjectKey::new(name).unwrap()
}

fn broken() -> Error {
    Error::Network { target: "memory".into(), message: "planned".into() }
}

#[tokio::test]
async fn faults_happen_where_planned() {
    let store = MemoryStore::default();
    store.fail_once(Operation::Put, 2, Fault::FailAfter(broken()));
    store.put(&key("a"), Bytes::from_static(b"1")).await.unwrap();
    assert_eq!(
        store.put(&key("b"), Bytes::from_static(b"2")).await.unwrap_err().code(),
        "B2_NETWORK"
    );
    assert_eq!(store.raw_read("b").unwrap(), "2");
    store.set_faults(|call| {
        if call.operation == Operation::Put { vec![Fault::FailBefore(broken())] } else { vec![] }
    });
    store.put(&key("c"), Bytes::new()).await.unwrap_err();
    assert!(store.raw_read("c").is_none());
    assert_eq!(store.calls().len(), 3);
}

#[tokio::test]
async fn answers_can_be_damaged_stale_or_empty() {
    let store = MemoryStore::default();
    store.put(&key("a"), Bytes::from_static(b"abc")).await.unwrap();
    store.freeze_listings();
    store.put(&key("b"), Bytes::new()).await.unwrap();
    store.set_faults(|call| match (call.operation, call.number) {
        (Operation::Get, 1) => vec![Fault::Truncate(1)],
        (Operation::Get, 2) => vec![Fault::Flip(0)],
        (Operation::List, 1) => vec![Fault::StaleListing],
        (Operation::List, 2) => vec![Fault::EmptyListing],
        _ => vec![],
    });
    assert_eq!(store.get(&key("a"), 9).await.unwrap(), "a");
    assert_eq!(store.get(&key("a"), 9).await.unwrap()[0], !b'a');
    assert_eq!(store.list("", false).await.unwrap().objects.len(), 1);
    assert_eq!(store.list("", false).await.unwrap().objects.len(), 0);
    assert_eq!(store.list("", false).await.unwrap().objects.len(), 2);
}

#[tokio::test]
async fn a_fork_is_independent() {
    let store = MemoryStore::default();
    store.put(&key("a"), Bytes::from_static(b"1")).await.unwrap();
    let fork = store.fork();
    store.raw_replace("a", "2");
    assert!(store.raw_remove("a"));
    assert_eq!(fork.objects().len(), 1);
    assert_ne!(fork.identity(), store.identity());
}
