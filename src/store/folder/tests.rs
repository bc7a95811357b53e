use super::place::TEMP_MAX_AGE;
use super::*;
use crate::ambient::SystemEntropy;

async fn open(path: &Path) -> Result<FolderStore> {
    FolderStore::open(path.to_path_buf(), "p/q".into(), Arc::new(SystemEntropy)).await
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::new(name).unwrap()
}

#[tokio::test]
async fn makes_the_folder_but_not_its_parent() {
    let dir = tempfile::tempdir().unwrap();
    open(&dir.path().join("new")).await.unwrap();
    assert_eq!(open(&dir.path().join("x/y")).await.unwrap_err().code(), "B2_BUCKET");
    std::fs::write(dir.path().join("file"), "").unwrap();
    assert_eq!(open(&dir.path().join("file")).await.unwrap_err().code(), "B2_IO");
}

#[tokio::test]
async fn leaves_no_temporary_file_and_lists_none() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await.unwrap();
    store.put(&key("a/b"), Bytes::from_static(b"x")).await.unwrap();
    assert_eq!(std::fs::read_dir(dir.path().join(TEMP_DIR)).unwrap().count(), 0);
    store.put(&key("a"), Bytes::from_static(b"x")).await.unwrap_err();
    assert_eq!(std::fs::read_dir(dir.path().join(TEMP_DIR)).unwrap().count(), 0);
    std::fs::create_dir_all(dir.path().join("p/q/empty/deep")).unwrap();
    let listing = store.list("", true).await.unwrap();
    assert_eq!((listing.objects.len(), listing.prefixes), (0, vec!["a/".to_owned()]));
}

#[cfg(unix)]
#[tokio::test]
async fn takes_a_finished_file_without_a_second_copy() {
    use std::os::unix::fs::MetadataExt as _;
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await.unwrap();
    let (file, object) = (dir.path().join("spooled"), dir.path().join("p/q/packs/a"));
    std::fs::write(&file, "content").unwrap();
    for _ in 0..2 {
        // Again as after a kill, when the first time was not noted.
        store.put_file(&key("packs/a"), &file, 7).await.unwrap();
        assert_eq!(file.metadata().unwrap().ino(), object.metadata().unwrap().ino());
        assert_eq!(std::fs::read_dir(dir.path().join(TEMP_DIR)).unwrap().count(), 0);
    }
    assert_eq!(store.traffic().sent_bytes, 14);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(store.get(&key("packs/a"), 9).await.unwrap(), "content");
    // One that was cut off is no object, and leaves none.
    std::fs::write(&file, "cont").unwrap();
    let error = store.put_file(&key("packs/b"), &file, 7).await.unwrap_err();
    assert_eq!(error.code(), "B2_DAMAGED");
    assert!(!dir.path().join("p/q/packs/b").exists());
    assert_eq!(std::fs::read_dir(dir.path().join(TEMP_DIR)).unwrap().count(), 0);
}

#[tokio::test]
async fn copies_a_file_that_it_cannot_take() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir_in("/dev/shm"));
    // Where there is no second file system, nothing can be tried.
    let Ok(other) = other else { return };
    let store = open(dir.path()).await.unwrap();
    std::fs::write(other.path().join("spooled"), "content").unwrap();
    store.put_file(&key("packs/a"), &other.path().join("spooled"), 7).await.unwrap();
    assert_eq!(store.get(&key("packs/a"), 9).await.unwrap(), "content");
    assert_eq!(std::fs::read_dir(dir.path().join(TEMP_DIR)).unwrap().count(), 0);
}

#[cfg(unix)]
#[tokio::test]
async fn follows_no_link_out_of_the_folder() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(outside.path().join("secret"), "s").unwrap();
    let store = open(dir.path()).await.unwrap();
    store.put(&key("a"), Bytes::new()).await.unwrap();
    std::os::unix::fs::symlink(outside.path(), dir.path().join("p/q/out")).unwrap();
    assert_eq!(store.get(&key("out/secret"), 9).await.unwrap_err().code(), "B2_PERMISSION");
    assert_eq!(store.put(&key("out/new"), Bytes::new()).await.unwrap_err().code(), "B2_PERMISSION");
    assert_eq!(store.list("", false).await.unwrap().objects.len(), 1);
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn old_unfinished_files_are_swept() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await.unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "opening writes nothing");
    store.put(&key("a"), Bytes::new()).await.unwrap();
    let stale = dir.path().join(TEMP_DIR).join("00");
    let file = std::fs::File::create(&stale).unwrap();
    file.set_modified(std::time::SystemTime::now() - 2 * TEMP_MAX_AGE).unwrap();
    std::fs::write(dir.path().join(TEMP_DIR).join("01"), "").unwrap();
    open(dir.path()).await.unwrap();
    assert!(!stale.exists());
    assert_eq!(std::fs::read_dir(dir.path().join(TEMP_DIR)).unwrap().count(), 1);
}

#[tokio::test]
async fn a_directory_is_no_object() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await.unwrap();
    store.put(&key("a/b"), Bytes::new()).await.unwrap();
    for absent in ["a", "a/b/c", "c"] {
        let error = store.get(&key(absent), 9).await.unwrap_err();
        assert_eq!(error.code(), "B2_OBJECT_MISSING", "{absent}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_may_enter_what_it_makes() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("new");
    let store = open(&root).await.unwrap();
    store.put(&key("a/b"), Bytes::from_static(b"x")).await.unwrap();
    let names = ["", TEMP_DIR, "p", "p/q", "p/q/a", "p/q/a/b"];
    let mode = |name: &str| root.join(name).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(names.map(mode), [0o700, 0o700, 0o700, 0o700, 0o700, 0o600]);
}
