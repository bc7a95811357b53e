//! Secrets stay where they are: those of the state in the state, those of the user in memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use b2_backup::error::Error;
use b2_backup::ops::{self, Session};
use b2_backup::repo::{KeyRing, PackIndex, Secrets, read};
use b2_backup::secret::Secret;
use b2_backup::store::memory::MemoryStore;
use rusqlite::Connection;
use tempfile::{TempDir, tempdir};

mod planted;

use crate::support::cut::{CutStore, How};
use crate::support::machine::Machine;
use crate::support::plain;
use crate::support::plain::{first_day, noise, picture, write};
#[cfg(unix)]
use crate::support::system::mode_of;

const TOKEN: &str = "tok-7f1e9a52c4-planted";
const APPLICATION_KEY: &str = "K004+secretApplicationKey/0123456789";
const PASSPHRASE: &str = "correct horse battery staple 42";
/// In a file that is backed up: must come back, and be readable nowhere in the bucket.
const CONTENT: &str = "a private thought that is backed up";

/// Files that stay with the machine unless the user wants otherwise.
const SECRET_FILES: [&str; 8] = [
    "credentials/whatsapp/creds.json",
    ".env",
    ".env.local",
    "identity/device.json",
    "secrets.json",
    "agents/main/agent/auth-profiles.json",
    "agents/main/agent/auth-profiles.json.bak",
    "agents/main/agent/auth.json",
];

const SHARED: &str = "state/openclaw.sqlite";
const AGENT: &str = "agents/main/agent/openclaw-agent.sqlite";

fn database(path: &Path, tables: &[&str]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let db = Connection::open(path).unwrap();
    db.execute_batch("CREATE TABLE keep(x)").unwrap();
    for number in 0..200 {
        let text = format!("{CONTENT} {number} ").repeat(20);
        db.execute("INSERT INTO keep VALUES (?1)", [text]).unwrap();
    }
    for table in tables {
        db.execute_batch(&format!("CREATE TABLE {table}(id TEXT PRIMARY KEY, v TEXT)")).unwrap();
        for number in 0..30_usize {
            let value = format!("{TOKEN} {number} ").repeat(1 + number * 20);
            db.execute(
                &format!("INSERT INTO {table} VALUES (?1, ?2)"),
                (number.to_string(), value),
            )
            .unwrap();
        }
        // What was deleted is still in the file.
        db.execute(&format!("DELETE FROM {table} WHERE v LIKE '% 7 %'"), []).unwrap();
    }
}

fn machine_with_secrets() -> (TempDir, Machine, Arc<MemoryStore>) {
    let dir = tempdir().unwrap();
    let live = dir.path().join("state");
    first_day(&live);
    write(&live, "workspace/private-file-name.md", CONTENT);
    for path in SECRET_FILES {
        write(&live, path, format!("{{\"token\": \"{TOKEN}\"}}"));
    }
    database(&live.join(SHARED), &["secret_store_entries", "device_auth_tokens"]);
    database(&live.join(AGENT), &["auth_profile_store"]);
    let store = Arc::new(MemoryStore::default());
    let mut machine = Machine::new(&live, store.clone());
    machine.settings.passphrase = Some(Secret::new(PASSPHRASE.into()));
    machine.settings.store.key_id = Some("004keyid".into());
    machine.settings.store.application_key = Some(Secret::new(APPLICATION_KEY.into()));
    (dir, machine, store)
}

fn contains(bytes: &[u8], needle: &str) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle.as_bytes())
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(path) }
    }
    found
}

/// All content of the bucket, opened by who has the passphrase.
async fn opened(machine: &Machine, store: &MemoryStore) -> Vec<u8> {
    let passphrase = machine.settings.passphrase.clone();
    let secrets = Secrets { passphrase, ..Secrets::default() };
    let ring = KeyRing::new(secrets, machine.ambient().cpu).below("p", None);
    let mut all = Vec::new();
    for snapshot in machine.list().await.snapshots {
        let id = snapshot.id.as_str().try_into().unwrap();
        let snapshot = read(store, &ring, &id).await.unwrap();
        all.extend(snapshot.manifest.encode());
        for pack in &snapshot.manifest.packs {
            let body = store.raw_read(&pack.name.object(id.machine)).unwrap();
            let tail = &body[body.len() - pack.footer_bytes as usize..];
            let (key, repository) = (&snapshot.key, snapshot.repository);
            let index = PackIndex::open(key, repository, id.machine, pack, tail).unwrap();
            for frame in 0..index.footer().frames.len() {
                let (offset, _, entry) = index.frame(frame).unwrap();
                let start = usize::try_from(offset).unwrap();
                let stored = &body[start..start + entry.stored_bytes as usize];
                all.extend(index.open_frame(frame, stored).unwrap());
            }
        }
    }
    all
}

/// No secret, and nothing of what is backed up, in what others may read or what stays on the disk.
fn assert_nothing_shows(machine: &Machine, store: &MemoryStore) {
    let mut places: Vec<(String, Vec<u8>)> =
        store.objects().into_iter().map(|(name, body)| (name, body.to_vec())).collect();
    let local = machine.settings.state_dir.join("b2-backup");
    for path in files_below(&local) {
        places.push((path.display().to_string(), fs::read(&path).unwrap()));
    }
    for (place, bytes) in &places {
        for secret in [TOKEN, APPLICATION_KEY, PASSPHRASE, CONTENT] {
            assert!(!contains(bytes, secret), "{place}: {secret}");
            assert!(!contains(place.as_bytes(), secret));
        }
        // Names of files are remembered locally, where the files themselves are.
        let is_local = place.starts_with('/');
        assert!(is_local || !contains(bytes, "private-file-name"), "{place}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_of_the_state_are_in_no_object() {
    let (dir, machine, store) = machine_with_secrets();
    // Also not in what a killed push leaves behind.
    let cut = CutStore::new(store.clone(), 3, How::HangBefore);
    let killed = machine.through(cut.clone());
    tokio::select! {
        done = killed.push() => panic!("{done:?}"),
        () = cut.hangs() => {}
    }
    assert_nothing_shows(&machine, &store);
    machine.push_after_kill().await.unwrap();
    write(&machine.settings.state_dir, "workspace/more.md", noise(1, 100));
    machine.push().await.unwrap();
    assert_nothing_shows(&machine, &store);
    let all = opened(&machine, &store).await;
    assert!(contains(&all, CONTENT), "what is looked through is what is stored");
    assert!(contains(&all, "private-file-name"));
    for secret in [TOKEN, APPLICATION_KEY, PASSPHRASE] {
        assert!(!contains(&all, secret), "{secret}");
    }
    let to = dir.path().join("to");
    machine.blank(dir.path().join("blank")).restore("latest", &to).await.unwrap();
    for path in SECRET_FILES {
        assert!(!to.join(path).exists(), "{path}");
    }
    for path in [SHARED, AGENT] {
        let db = Connection::open(to.join(path)).unwrap();
        let kept: i64 = db.query_row("SELECT count(*) FROM keep", [], |row| row.get(0)).unwrap();
        assert_eq!(kept, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_that_the_user_wants_are_there_again() {
    let (dir, mut machine, store) = machine_with_secrets();
    let without = machine.push().await.unwrap().snapshot.unwrap();
    machine.settings.include_secrets = true;
    let with = machine.push().await.unwrap().snapshot.expect("the setting alone is a change");
    assert_nothing_shows(&machine, &store);
    let (mut expected, to) = (picture(&machine.settings.state_dir), dir.path().join("with"));
    machine.restore(&with, &to).await.unwrap();
    let mut found = picture(&to);
    for (path, table) in [(SHARED, "secret_store_entries"), (AGENT, "auth_profile_store")] {
        let count = |root: &Path| -> i64 {
            let db = Connection::open(root.join(path)).unwrap();
            let sql = format!("SELECT count(*) FROM {table} WHERE v LIKE '{TOKEN}%'");
            db.query_row(&sql, [], |row| row.get(0)).unwrap()
        };
        assert_eq!(count(&to), count(&machine.settings.state_dir));
        assert!(count(&to) > 20);
        // Captured page for page, but with a header of its own.
        expected.remove(path.as_bytes());
        found.remove(path.as_bytes());
    }
    plain::assert_same(&found, &expected, "with secrets");
    assert_eq!(fs::read_to_string(to.join(".env")).unwrap(), format!("{{\"token\": \"{TOKEN}\"}}"));
    // And going back takes them out again.
    machine.settings.include_secrets = false;
    let again = machine.push().await.unwrap().snapshot.unwrap();
    for (number, snapshot) in [without, again].iter().enumerate() {
        let to = dir.path().join(format!("without-{number}"));
        machine.restore(snapshot, &to).await.unwrap();
        let leaked = files_below(&to).into_iter().find(|p| contains(&fs::read(p).unwrap(), TOKEN));
        assert_eq!(leaked, None, "{snapshot}");
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn our_own_key_is_in_no_snapshot_where_a_link_leads_to_the_secrets() {
    let (dir, mut machine, _store) = machine_with_secrets();
    let live = machine.settings.state_dir.clone();
    let elsewhere = dir.path().join("elsewhere");
    fs::rename(live.join("credentials"), &elsewhere).unwrap();
    write(&elsewhere, "b2.txt", format!("key {APPLICATION_KEY}\n"));
    std::os::unix::fs::symlink(&elsewhere, live.join("credentials")).unwrap();
    machine.settings.include_secrets = true;
    machine.push().await.unwrap();
    let to = dir.path().join("to");
    machine.restore("latest", &to).await.unwrap();
    let files = files_below(&to);
    let came = files.iter().find(|path| path.ends_with("b2.txt")).expect("it is saved");
    assert_eq!(fs::read_to_string(came).unwrap(), "key __B2_BACKUP_APPLICATION_KEY__\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_never_stored_unsealed() {
    let (_dir, mut machine, store) = machine_with_secrets();
    machine.settings.include_secrets = true;
    machine.settings.encrypt = false;
    let error = Session::open(machine.settings.clone(), machine.ambient()).await.unwrap_err();
    assert_eq!(error.code(), "B2_CONFIG");
    assert!(error.to_string().contains("includeSecrets"), "{error}");
    // Without them it is the user's choice; the state's secrets stay out all the same.
    machine.settings.include_secrets = false;
    machine.push().await.unwrap();
    for (name, body) in store.objects() {
        assert!(!contains(&body, TOKEN), "{name}");
    }
    let to = machine.settings.state_dir.with_extension("to");
    machine.restore("latest", &to).await.unwrap();
    assert!(files_below(&to).iter().all(|path| !contains(&fs::read(path).unwrap(), TOKEN)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_users_secrets_are_in_no_text() {
    let (dir, mut machine, _store) = machine_with_secrets();
    machine.push().await.unwrap();
    let session = machine.session().await;
    let key = local_key(&machine);
    let master = &fs::read(&key).unwrap()[40..];
    assert_eq!(master.len(), 32);
    let mut texts = vec![
        format!("{:?} {:#?}", machine.settings, machine.settings),
        format!("{session:?} {session:#?}"),
        format!("{:?}", ops::list(&session).await.unwrap()),
        format!("{:?}", machine.push().await.unwrap()),
    ];
    // Errors of every kind that can be had without a server.
    let mut stranger = machine.blank(dir.path().join("stranger"));
    stranger.settings.passphrase = Some(Secret::new(format!("{PASSPHRASE}!")));
    let mut errors: Vec<Error> = Vec::new();
    errors.push(stranger.restore("latest", &dir.path().join("a")).await.unwrap_err());
    errors.push(stranger.push().await.unwrap_err());
    errors.push(machine.restore("nonsense", &dir.path().join("b")).await.unwrap_err());
    for bucket in ["", "No Such Bucket", "file:relative"] {
        machine.settings.store.bucket = bucket.into();
        let mut ambient = machine.ambient();
        ambient.store = None;
        errors.push(Session::open(machine.settings.clone(), ambient).await.unwrap_err());
    }
    assert_eq!(errors[0].code(), "B2_WRONG_KEY");
    texts.extend(errors.iter().map(|error| format!("{error} {error:?} {error:#?}")));
    let hex = hex::encode(master);
    let list = format!("{master:?}");
    for text in &texts {
        for secret in [APPLICATION_KEY, PASSPHRASE, &hex, list.trim_matches(['[', ']'])] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}

fn local_key(machine: &Machine) -> PathBuf {
    let local = machine.settings.state_dir.join("b2-backup");
    files_below(&local).into_iter().find(|path| path.ends_with("key")).unwrap()
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn the_local_folder_is_private() {
    let (_dir, machine, _store) = machine_with_secrets();
    machine.push().await.unwrap();
    let mode = |path: &Path| mode_of(&fs::metadata(path).unwrap());
    let key = local_key(&machine);
    assert_eq!(mode(&key), 0o600);
    for folder in key.ancestors().skip(1).take_while(|path| **path != machine.settings.state_dir) {
        assert_eq!(mode(folder), 0o700, "{}", folder.display());
    }
    for file in files_below(&machine.settings.state_dir.join("b2-backup")) {
        // The lock file holds nothing but a process id.
        assert!(file.ends_with("lock") || mode(&file) == 0o600, "{}", file.display());
    }
    // Nothing of it is ever backed up, whatever the user includes.
    let mut greedy = machine.clone();
    greedy.settings.include = vec!["**".into(), "b2-backup/**".into()];
    let report = greedy.push().await.unwrap();
    let to = machine.settings.state_dir.with_extension("to");
    greedy.restore(&report.snapshot.unwrap(), &to).await.unwrap();
    assert!(!to.join("b2-backup").exists());
}
