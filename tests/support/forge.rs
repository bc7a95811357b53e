//! Snapshots that somebody made to do harm, in a plain repository, where whoever can write can make them: only our own
//! checks stand between them and the files here.
#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::allow_attributes, reason = "an expectation would fail where all is used")]

use std::path::Path;

use b2_backup::ambient::SystemEntropy;
use b2_backup::crypto::{RepoKey, sha256};
use b2_backup::entry::{EntryKind, RelPath};
use b2_backup::format::{
    ChunkId, Counts, Entry, EntryFlags, MachineId, Manifest, PackName, Reason, RepositoryId,
    RootRecord, Run, SnapshotId, TreeRef,
};
use b2_backup::repo::{Frame, PackBuilder, Snapshot};
use b2_backup::store::memory::MemoryStore;

/// What every forged file holds.
pub(crate) const CONTENT: &[u8] = b"planted";

/// Changes a manifest before it is sealed.
pub(crate) type Twist<'a> = &'a dyn Fn(&mut Manifest);

/// Puts a plain snapshot into the bucket that holds these bytes as its tree, of a machine with its state in `live`.
pub(crate) fn forge(store: &MemoryStore, live: &Path, tree: &[u8], twist: Twist<'_>) -> String {
    let (repository, machine) = (RepositoryId([1; 16]), MachineId([2; 4]));
    let count = store.objects().len();
    let name = PackName([u8::try_from(count).unwrap(); 16]);
    let mut pack = PackBuilder::new(&RepoKey::Plain, repository, machine, 0, name, [4; 32]);
    let mut add = |bytes: &[u8]| {
        let length = u32::try_from(bytes.len()).unwrap();
        let frame = Frame::compress(bytes.to_vec(), vec![length], vec![ChunkId(sha256(bytes))]);
        pack.add(frame.unwrap()).unwrap();
    };
    add(CONTENT);
    let pieces: Vec<&[u8]> = tree.chunks(8 << 20).collect();
    for piece in &pieces {
        add(piece);
    }
    let pack = pack.finish().unwrap();
    let key = b2_backup::store::ObjectKey::new(pack.reference.name.object(machine)).unwrap();
    store.raw_replace(key.as_str(), pack.bytes);
    let chunks = u32::try_from(pieces.len()).unwrap();
    let bytes = tree.len() as u64;
    let mut manifest = Manifest {
        sequence: 1,
        previous: None,
        reason: Reason::Manual,
        local_time_ms: 0,
        server_time_ms: 0,
        host_version: None,
        program_version: "0".into(),
        includes_secrets: false,
        roots: vec![RootRecord {
            kind: 0,
            path: live.canonicalize().unwrap().to_str().unwrap().into(),
            at: None,
        }],
        counts: Counts::default(),
        packs: vec![pack.reference],
        tree: TreeRef {
            bytes,
            sha256: sha256(tree),
            runs: vec![Run { pack: 0, first: 1, count: chunks, bytes }],
            tails: vec![],
        },
        remarks: vec![],
        changes: None,
        missing: None,
        machine_name: None,
        host_install: None,
        host_schemas: None,
    };
    twist(&mut manifest);
    let id = SnapshotId::new(1_700_000_000 + i64::try_from(count).unwrap(), machine, false);
    let sealed = Snapshot::seal(&manifest, &id, &RepoKey::Plain, repository, &[], &SystemEntropy);
    store.raw_replace(&id.object(), sealed.unwrap());
    id.to_string()
}

pub(crate) fn entry(path: &[u8], kind: EntryKind) -> Entry {
    let file = kind == EntryKind::File;
    Entry {
        root: 0,
        path: RelPath::from_bytes(path.to_vec()),
        kind,
        mode: 0o755,
        mtime_ns: 0,
        size: if file { CONTENT.len() as u64 } else { 0 },
        sha256: if file { sha256(CONTENT) } else { [0; 32] },
        runs: if file { vec![run(CONTENT.len() as u64)] } else { vec![] },
        flags: EntryFlags::default(),
        target: if kind == EntryKind::Symlink { b"/etc".to_vec() } else { vec![] },
    }
}

pub(crate) fn run(bytes: u64) -> Run {
    Run { pack: 0, first: 0, count: 1, bytes }
}

pub(crate) fn file(path: &str) -> Entry {
    entry(path.as_bytes(), EntryKind::File)
}

pub(crate) fn link(path: &str) -> Entry {
    entry(path.as_bytes(), EntryKind::Symlink)
}

pub(crate) fn directory(path: &str) -> Entry {
    entry(path.as_bytes(), EntryKind::Directory)
}

pub(crate) fn tree(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in entries {
        entry.encode(&mut bytes);
    }
    bytes
}

/// Single entries that are refused for their path.
pub(crate) fn paths() -> Vec<Entry> {
    let long = "x".repeat(256);
    let deep = "a/".repeat(4096) + "a";
    let endless = "a/".repeat(40_000);
    let texts = [
        // Out of the directory.
        "..",
        "../x",
        "../../etc/passwd",
        "a/..",
        "a/../b",
        "a/../../b",
        "workspace/../../x",
        "a/b/../../..",
        ".",
        "./x",
        "a/.",
        "a/./b",
        "/",
        "/etc/passwd",
        "/x",
        "//",
        "//server/share",
        "a//b",
        "a/",
        "workspace//x",
        "",
        // What no file system takes, or too much of it.
        "a\0b",
        "\0",
        "x\0/../y",
        &long,
        &deep,
        &endless,
        // Our own folder: machine id, key, journal.
        "b2-backup",
        "b2-backup/machine",
        "b2-backup/lock",
        "b2-backup/restore/1/phase",
        "b2-backup/repositories/0011223344556677/key",
        ".b2-roots",
        ".b2-roots/1-x/y",
        // Files of open databases, and locks: never valid, and they would destroy what is there.
        "state/openclaw.sqlite-wal",
        "state/openclaw.sqlite-shm",
        "state/openclaw.sqlite-journal",
        "agents/main/agent/openclaw-agent.sqlite-wal",
        "workspace/notes.db-wal",
        "workspace/deep/x.sqlite3-shm",
        "memory/main.sqlite-journal",
        "state/gateway.lock.sqlite",
        "agents/main/agent/openclaw-agent.sqlite.generation-lock.sqlite",
        "agents/main/agent/openclaw-agent.sqlite.generation-writer.sqlite",
        "agents/main/agent/openclaw-agent.sqlite.reindex-lock.sqlite",
        "state/openclaw.sqlite.backup-1",
        // Private to the host.
        "x.update-captures",
        "x.update-captures/y",
        // Through what is no directory in the live state.
        "workspace/out/x",
        "workspace/out/deep/x",
        "workspace/MEMORY.md/x",
        "openclaw.json/x",
    ];
    let mut entries: Vec<Entry> = texts.iter().map(|text| file(text)).collect();
    entries.push(link("b2-backup"));
    entries.push(link("b2-backup/restore"));
    entries.push(directory("b2-backup"));
    entries.push(link("state/openclaw.sqlite-wal"));
    entries
}

/// Trees whose entries do not go together.
pub(crate) fn shapes() -> Vec<(&'static str, Vec<u8>)> {
    let with = |change: &dyn Fn(&mut Entry)| {
        let mut entry = file("workspace/x");
        change(&mut entry);
        tree(&[entry])
    };
    let sized =
        |size: u64, runs: Vec<Run>| with(&|entry| (entry.size, entry.runs) = (size, runs.clone()));
    let cbor = |kind: u8, hash: &[u8]| {
        let mut bytes = Vec::new();
        let mut e = minicbor::Encoder::new(&mut bytes);
        e.array(10).unwrap().u16(0).unwrap().bytes(b"workspace/x").unwrap().u8(kind).unwrap();
        e.u32(0o644).unwrap().i64(0).unwrap().u64(0).unwrap().bytes(hash).unwrap();
        e.array(0).unwrap().u32(0).unwrap().bytes(b"").unwrap();
        bytes
    };
    let whole = tree(&[file("workspace/x")]);
    let big = i64::MAX.unsigned_abs();
    vec![
        ("file as directory", tree(&[file("a"), file("a/b")])),
        ("file as directory, deep", tree(&[directory("a"), file("a/b"), file("a/b/c/d")])),
        ("link as directory", tree(&[link("a"), file("a/b")])),
        (
            "link, then something deep in it",
            tree(&[directory("a"), link("a/b"), file("a/b/c/d/e")]),
        ),
        ("link in a link", tree(&[link("a"), link("a/b")])),
        ("something between link and child", tree(&[link("a"), file("a-b"), file("a/b")])),
        ("twice", tree(&[file("a"), file("a")])),
        ("twice, of other kinds", tree(&[directory("a"), link("a")])),
        ("out of order", tree(&[file("b"), file("a")])),
        ("no such root", with(&|entry| entry.root = 1)),
        ("far from any root", with(&|entry| entry.root = u16::MAX)),
        ("smaller than its content", sized(3, vec![run(7)])),
        ("larger than its content", sized(70, vec![run(7)])),
        ("larger than anything", sized(u64::MAX, vec![run(u64::MAX)])),
        ("sizes that overflow", sized(5, vec![run(u64::MAX), run(6)])),
        ("content of an empty file", sized(0, vec![run(7)])),
        ("no content", sized(7, vec![])),
        ("runs that lie", sized(9, vec![run(9)])),
        (
            "more than a disk",
            tree(&[
                Entry { size: big, runs: vec![run(big)], ..file("a") },
                Entry { size: big, runs: vec![run(big)], ..file("b") },
            ]),
        ),
        ("a pack that is not there", with(&|entry| entry.runs = vec![Run { pack: 7, ..run(7) }])),
        (
            "a chunk that is not there",
            with(&|entry| entry.runs = vec![Run { first: 99, ..run(7) }]),
        ),
        (
            "chunks beyond the end",
            with(&|entry| entry.runs = vec![Run { count: u32::MAX, ..run(7) }]),
        ),
        ("content of another hash", with(&|entry| entry.sha256 = [9; 32])),
        (
            "a directory with content",
            tree(&[Entry { size: 7, runs: vec![run(7)], ..directory("a") }]),
        ),
        ("a link with content", tree(&[Entry { size: 7, runs: vec![run(7)], ..link("a") }])),
        ("a link to nothing", tree(&[Entry { target: vec![], ..link("a") }])),
        ("a link to what no path is", tree(&[Entry { target: b"b\0c".to_vec(), ..link("a") }])),
        ("no kind", cbor(3, &[])),
        ("no kind at all", cbor(255, &[])),
        ("half a hash", cbor(0, &[1; 16])),
        ("a directory with a hash", cbor(1, &[1; 32])),
        ("cut off", whole[..whole.len() - 3].to_vec()),
        ("nonsense", b"\xff\xff\xff\xff nonsense".to_vec()),
        ("text", b"not a tree".to_vec()),
        // A database that is none: it would be written over the live one.
        (
            "no database",
            tree(&[Entry { flags: EntryFlags::DATABASE, ..file("state/openclaw.sqlite") }]),
        ),
    ]
}
