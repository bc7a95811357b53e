//! Headers, key slots, trees and manifests.

use std::sync::OnceLock;

use b2_backup::cpu::CpuPool;
use b2_backup::crypto::{Domain, MasterKey, RepoKey, sha256};
use b2_backup::entry::{EntryKind, RelPath};
use b2_backup::format::{
    ChangeSummary, Counts, Entry, EntryFlags, Footer, GrownPath, HEADER_BYTES, Header, KeySlot,
    MachineId, Manifest, MissingRecord, ObjectKind, PackName, PackRef, Reason, Remark,
    RepositoryId, RootRecord, Run, SchemaRecord, SnapshotId, TreeReader, TreeRef,
};
use b2_backup::ops::probe;
use b2_backup::repo::{KeyRing, Secrets, Snapshot};
use bytes::Bytes;

use super::choice;

pub const REPOSITORY: RepositoryId = RepositoryId([1; 16]);
pub const MACHINE: MachineId = MachineId([2; 4]);
pub const SALT: [u8; 32] = [4; 32];

/// The key of everything here.
pub fn key(sealed: bool) -> RepoKey {
    if sealed { RepoKey::Sealed(MasterKey::new([7; 32])) } else { RepoKey::Plain }
}

/// Content as a compressed part that is not compressed.
pub fn stored(content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap();
    [&length.to_le_bytes()[..], &[0], content].concat()
}

/// What a compressed part that this program wrote holds.
pub fn unpacked(part: &[u8]) -> Vec<u8> {
    let length = u32::from_le_bytes(part[..4].try_into().unwrap());
    match part[4] {
        0 => part[5..].to_vec(),
        _ => b2_backup::chunk::decompress(&part[5..], length.try_into().unwrap()).unwrap(),
    }
}

pub fn header(data: &[u8]) {
    for kind in [ObjectKind::Slot, ObjectKind::Pack, ObjectKind::Manifest, ObjectKind::Removal] {
        if let Ok((header, rest)) = Header::decode(data, kind) {
            assert_eq!(header.encode(), data[..HEADER_BYTES]);
            assert_eq!(rest, &data[HEADER_BYTES..]);
        }
    }
}

pub fn header_seeds() -> Vec<Vec<u8>> {
    let kinds = [ObjectKind::Slot, ObjectKind::Pack, ObjectKind::Manifest, ObjectKind::Removal];
    let of = |kind| Header::new(kind, true, REPOSITORY, SALT, [5; 32]).encode().to_vec();
    kinds.map(of).to_vec()
}

pub fn key_slot(data: &[u8]) {
    let Ok(slot) = KeySlot::decode(data) else { return };
    let bytes = slot.encode();
    assert_eq!(bytes[..HEADER_BYTES], data[..HEADER_BYTES]);
    assert_eq!(KeySlot::decode(&bytes).unwrap(), slot);
    match slot.work() {
        Some(work) => assert!((1..=64).contains(&work), "{work}"),
        // Refused before any memory is taken.
        None => assert!(slot.open("secret").is_none()),
    }
}

pub fn key_slot_seeds() -> Vec<Vec<u8>> {
    let header = Header::new(ObjectKind::Slot, true, REPOSITORY, SALT, [5; 32]).encode();
    let slot = |kind: u8, log_n: u8, r: u32, p: u32| {
        let mut wire = minicbor::Encoder::new(header.to_vec());
        wire.map(7).unwrap().u8(0).unwrap().u8(kind).unwrap().u8(1).unwrap().u8(log_n).unwrap();
        wire.u8(2).unwrap().u32(r).unwrap().u8(3).unwrap().u32(p).unwrap();
        wire.u8(4).unwrap().i64(-5).unwrap().u8(5).unwrap().bytes(&[9; 48]).unwrap();
        wire.u8(6).unwrap().str("openclaw-backup").unwrap();
        wire.into_writer()
    };
    vec![slot(0, 17, 8, 1), slot(1, 14, 1, 4), slot(2, 63, u32::MAX, u32::MAX)]
}

pub fn compressed(data: &[u8]) {
    let _footer = Footer::decode(data);
    let _manifest = Manifest::decode(data);
}

pub fn compressed_seeds() -> Vec<Vec<u8>> {
    let footer = Footer::default().encode();
    let small = b2_backup::chunk::compress(&[0; 5000]).unwrap();
    let bomb = [&5000u32.to_le_bytes()[..], &[1], &small].concat();
    let liar = [&u32::MAX.to_le_bytes()[..], &[1], &small].concat();
    vec![footer, sample().encode(), bomb, liar]
}

pub fn tree(data: &[u8]) {
    for entry in TreeReader::new(data).map_while(Result::ok) {
        let mut bytes = Vec::new();
        entry.encode(&mut bytes);
        let again = Entry::decode(&mut minicbor::Decoder::new(&bytes)).unwrap();
        assert_eq!(again, entry);
    }
    let Ok(entries) = probe::entries(data, 2) else { return };
    for entry in &entries {
        assert!(stays_below(entry.path.as_bytes()), "{:?}", entry.path);
        assert!(entry.root < 2 && entry.mode <= 0o7777);
    }
    assert!(entries.is_sorted_by(|a, b| (a.root, &a.path) < (b.root, &b.path)));
    assert!(entries.iter().try_fold(0u64, |sum, entry| sum.checked_add(entry.size)).is_some());
}

/// Whether a path leads to something below its root: said once more, in other words than the program's.
pub fn stays_below(path: &[u8]) -> bool {
    let mut depth = 0;
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." | b".." => return false,
            name if name.contains(&0) => return false,
            _ => depth += 1,
        }
    }
    depth > 0
}

pub fn tree_seeds() -> Vec<Vec<u8>> {
    let run = Run { pack: 0, first: 0, count: 1, bytes: 7 };
    let one = |path: &str, kind: EntryKind| Entry {
        root: 0,
        path: RelPath::from_bytes(path.into()),
        kind,
        mode: 0o755,
        mtime_ns: -1,
        size: if kind == EntryKind::File { 7 } else { 0 },
        sha256: if kind == EntryKind::File { sha256(b"planted") } else { [0; 32] },
        runs: if kind == EntryKind::File { vec![run] } else { vec![] },
        flags: EntryFlags(1),
        target: if kind == EntryKind::Symlink { b"/etc".to_vec() } else { vec![] },
    };
    let tree = |entries: &[Entry]| {
        let mut bytes = Vec::new();
        for entry in entries {
            entry.encode(&mut bytes);
        }
        bytes
    };
    vec![
        tree(&[
            one("a", EntryKind::Directory),
            one("a/b", EntryKind::File),
            one("a/c", EntryKind::Symlink),
            Entry { root: 1, ..one("a", EntryKind::File) },
        ]),
        tree(&[one("..", EntryKind::File)]),
        tree(&[one("a", EntryKind::Symlink), one("a/b", EntryKind::File)]),
        tree(&[Entry { size: u64::MAX, ..one("a", EntryKind::File) }]),
    ]
}

pub fn manifest(data: &[u8]) {
    let Ok(manifest) = Manifest::decode(&stored(data)) else { return };
    assert_eq!(Manifest::decode(&manifest.encode()).unwrap(), manifest);
    for pack in &manifest.packs {
        assert_eq!(manifest.pack(pack.number), Some(pack));
        assert!(u64::from(pack.footer_bytes) <= pack.bytes);
    }
    // What `list` and its like show of it.
    for ms in [manifest.local_time_ms, manifest.server_time_ms] {
        assert!(!b2_backup::ops::iso_time(ms).is_empty());
    }
}

/// A manifest with something in every field.
pub fn sample() -> Manifest {
    let run = Run { pack: 3, first: 1, count: 2, bytes: 99 };
    Manifest {
        sequence: 7,
        previous: Some([6; 32]),
        reason: Reason::Scheduled,
        local_time_ms: 1_771_459_200_000,
        server_time_ms: -1,
        host_version: Some("2026.9.6".into()),
        program_version: "0.1.0".into(),
        includes_secrets: true,
        roots: vec![RootRecord { kind: 0, path: b"/home/me/.openclaw".to_vec(), at: None }],
        counts: Counts { files: 1, directories: 2, symlinks: 3, bytes: 4 },
        packs: [3, 9]
            .map(|number| PackRef {
                number,
                name: PackName([3; 16]),
                bytes: 9000,
                footer_bytes: 700,
                used_bytes: 8000,
            })
            .to_vec(),
        tree: TreeRef { bytes: 99, sha256: [8; 32], runs: vec![run], tails: vec![(3, 800)] },
        remarks: vec![Remark { path: "a".into(), code: "B2_X".into(), message: "words".into() }],
        changes: Some(ChangeSummary {
            added: 1,
            changed: 2,
            removed: 3,
            stored_bytes: 4,
            most: vec![GrownPath { root: 0, path: b"a/b".to_vec(), bytes: 5 }],
        }),
        missing: Some(vec![MissingRecord {
            root: b"/ws".to_vec(),
            at: Some(b"workspace".to_vec()),
            path: Some(b"data".to_vec()),
            files: 6,
            snapshot: "2026-02-19T00-00-00Z-0123456789abcdef".into(),
        }]),
        machine_name: Some("Anna's laptop".into()),
        host_install: Some("npm".into()),
        host_schemas: Some(vec![SchemaRecord {
            path: b"state/openclaw.sqlite".to_vec(),
            version: 23,
        }]),
    }
}

pub fn manifest_seeds() -> Vec<Vec<u8>> {
    let bare = Manifest {
        previous: None,
        host_version: None,
        changes: None,
        missing: None,
        machine_name: None,
        host_install: None,
        host_schemas: None,
        ..sample()
    };
    vec![unpacked(&sample().encode()), unpacked(&bare.encode())]
}

/// The first bit of the first byte says sealed or plain, the second whether the rest is a whole object, or only the
/// body, which is then sealed as it should be: without that no input would come as far as what is inside.
pub fn object(data: &[u8]) {
    let (how, rest) = choice(data);
    let (sealed, whole) = (how & 1 == 1, how & 2 == 2);
    let id = SnapshotId::new(1_771_459_200, MACHINE, false);
    let object = if whole {
        rest.to_vec()
    } else {
        let (cipher, commitment) = key(sealed).object("manifest", &REPOSITORY.0, &SALT);
        let header = Header::new(ObjectKind::Manifest, sealed, REPOSITORY, SALT, commitment);
        let mut object = Manifest::encode_clear(&header, &[vec![1, 2, 3]]);
        let context = [&object[..], id.object().as_bytes()].concat();
        let start = object.len();
        object.extend_from_slice(rest);
        cipher.seal(Domain::Manifest, 0, &context, &mut object, start).unwrap();
        object
    };
    if let Ok((header, slots, clear, body)) = Manifest::split(&object) {
        assert_eq!([clear, body].concat(), object);
        assert_eq!(header.encode(), clear[..HEADER_BYTES]);
        assert!(slots.len() <= 64);
    }
    let opened = block_on(Snapshot::open(ring(), &id, &Bytes::from(object)));
    if !whole {
        assert_eq!(opened.ok().map(|snapshot| snapshot.manifest), Manifest::decode(rest).ok());
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    let new = || tokio::runtime::Builder::new_current_thread().build().unwrap();
    RUNTIME.get_or_init(new).block_on(future)
}

/// Knows the key, and no secret: key slots are not tried.
fn ring() -> &'static KeyRing {
    static RING: OnceLock<KeyRing> = OnceLock::new();
    RING.get_or_init(|| {
        let ring = KeyRing::new(Secrets::default(), CpuPool::new(1).unwrap());
        ring.add(REPOSITORY, MasterKey::new([7; 32]));
        ring
    })
}

pub fn object_seeds() -> Vec<Vec<u8>> {
    let id = SnapshotId::new(1_771_459_200, MACHINE, false);
    let whole = |sealed| {
        let (cipher, commitment) = key(sealed).object("manifest", &REPOSITORY.0, &SALT);
        let header = Header::new(ObjectKind::Manifest, sealed, REPOSITORY, SALT, commitment);
        let mut object = Manifest::encode_clear(&header, &key_slot_seeds());
        let context = [&object[..], id.object().as_bytes()].concat();
        let start = object.len();
        object.extend_from_slice(&sample().encode());
        cipher.seal(Domain::Manifest, 0, &context, &mut object, start).unwrap();
        [&[2 | u8::from(sealed)][..], &object].concat()
    };
    let body = |how: u8| [&[how][..], &sample().encode()].concat();
    vec![whole(true), whole(false), body(0), body(1)]
}
