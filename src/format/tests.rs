use super::*;
use crate::crypto::MasterKey;
use crate::entry::{EntryKind, RelPath};

fn header(kind: ObjectKind) -> Header {
    Header::new(kind, true, RepositoryId([1; 16]), [2; 32], [3; 32])
}

#[test]
fn header_is_96_golden_bytes() {
    let bytes = header(ObjectKind::Pack).encode();
    assert_eq!(hex::encode(&bytes[..16]), "4f434c4157423200030202010000000000"[..32].to_owned());
    assert_eq!(Header::decode(&bytes, ObjectKind::Pack).unwrap().0, header(ObjectKind::Pack));
    assert!(Header::decode(&bytes, ObjectKind::Manifest).is_err());
    assert!(Header::decode(&bytes[..95], ObjectKind::Pack).is_err());
    let mut newer = bytes;
    newer[9] = 4;
    assert_eq!(Header::decode(&newer, ObjectKind::Pack), Err(Malformed::Version(4)));
}

#[test]
fn footer_round_trip_and_lies() {
    let frame =
        |chunks, raw| FrameEntry { stored_bytes: 50, raw_bytes: raw, compressed: true, chunks };
    let footer = Footer {
        frames: vec![frame(2, 30), frame(1, 5)],
        chunk_bytes: vec![10, 20, 5],
        chunk_ids: vec![ChunkId([1; 32]), ChunkId([2; 32]), ChunkId([3; 32])],
    };
    assert_eq!(Footer::decode(&footer.encode()).unwrap(), footer);
    for lie in [
        Footer { frames: vec![frame(2, 30)], ..footer.clone() },
        Footer { frames: vec![frame(2, 31), frame(1, 4)], ..footer.clone() },
        Footer { frames: vec![frame(4, 35)], ..footer.clone() },
        Footer { chunk_ids: vec![], ..footer.clone() },
    ] {
        assert!(Footer::decode(&lie.encode()).is_err());
    }
}

/// One number for two packs would let a manifest say which of them is meant as it likes.
#[test]
fn pack_numbers_rise() {
    for (numbers, good) in [([1, 2], true), ([2, 2], false), ([2, 1], false)] {
        let pack = |number| PackRef {
            number,
            name: PackName([7; 16]),
            bytes: 1000,
            footer_bytes: 100,
            used_bytes: 700,
        };
        let manifest = Manifest { packs: numbers.map(pack).to_vec(), ..empty_manifest() };
        assert_eq!(Manifest::decode(&manifest.encode()).is_ok(), good, "{numbers:?}");
    }
}

/// Bits that this version gives no meaning are not ignored: a later one may have given them one.
#[test]
fn every_unknown_bit_of_a_header_is_refused() {
    for (at, bits) in [(11, 0xfe), (12, 0xff), (13, 0xff), (14, 0xff), (15, 0xff)] {
        for bit in (0..8).filter(|bit| bits & (1 << bit) != 0) {
            let mut bytes = header(ObjectKind::Pack).encode();
            bytes[at] ^= 1 << bit;
            assert!(Header::decode(&bytes, ObjectKind::Pack).is_err(), "{at} {bit}");
        }
    }
}

#[test]
fn reasons_have_names() {
    let all = [
        (Reason::Manual, "manual"),
        (Reason::Scheduled, "scheduled"),
        (Reason::Compaction, "compaction"),
        (Reason::Shutdown, "shutdown"),
        (Reason::Safety, "safety"),
        (Reason::Reset, "reset"),
    ];
    for (reason, name) in all {
        assert_eq!((reason.name(), Reason::parse(name)), (name, Some(reason)));
    }
    assert_eq!(Reason::parse("other"), None);
}

#[test]
fn compressed_parts_are_bounded() {
    let bomb = deflate(&vec![0; 1 << 20]);
    assert!(inflate(&bomb, 1 << 20).is_ok());
    assert!(inflate(&bomb, (1 << 20) - 1).is_err());
    let mut liar = bomb;
    liar[..4].copy_from_slice(&10u32.to_le_bytes());
    assert!(inflate(&liar, 1 << 20).is_err());
    // What is not compressed is as long as it says.
    for length in 2..=4u32 {
        let plain = [&length.to_le_bytes()[..], &[0, 1, 2, 3]].concat();
        assert_eq!(inflate(&plain, 10).is_ok(), length == 3, "{length}");
    }
}

#[test]
fn lists_are_counted_whatever_they_are() {
    let counts = |bytes: &[u8], lists: usize| {
        has_few_lists(bytes, lists) && (lists == 0 || !has_few_lists(bytes, lists - 1))
    };
    // Nothing; a number; a text that looks like lists.
    assert!(counts(&[], 0) && counts(&[0x07], 0) && counts(b"\x63\x80\x80\x80", 0));
    // [[], {1: {}}], behind a tag and not; a second item after the first.
    assert!(counts(&[0x82, 0x80, 0xa1, 0x01, 0xa0], 4));
    assert!(counts(&[0xd8, 0x40, 0x82, 0x80, 0xa1, 0x01, 0xa0], 4));
    assert!(counts(&[0x80, 0xa0, 0x07, 0x81, 0x07], 3));
    // The same where lists say their end and not their length.
    assert!(counts(&[0x9f, 0x9f, 0xff, 0xbf, 0x01, 0xbf, 0xff, 0xff, 0xff, 0x80], 5));
}

#[test]
fn tree_round_trip_and_order() {
    let entry = |path: &[u8]| Entry {
        root: 0,
        path: RelPath::from_bytes(path.to_vec()),
        kind: EntryKind::File,
        mode: 0o644,
        mtime_ns: -5,
        size: 7,
        sha256: [9; 32],
        runs: vec![Run { pack: 1, first: 2, count: 3, bytes: 7 }],
        flags: EntryFlags::DATABASE,
        target: vec![],
    };
    let mut bytes = Vec::new();
    entry(b"a").encode(&mut bytes);
    entry(b"b\xff").encode(&mut bytes);
    let read: Vec<_> = TreeReader::new(&bytes).collect::<Result<_, _>>().unwrap();
    assert_eq!(read, [entry(b"a"), entry(b"b\xff")]);
    entry(b"a").encode(&mut bytes);
    assert!(TreeReader::new(&bytes).collect::<Result<Vec<_>, _>>().is_err());
    assert!(TreeReader::new(&bytes[..5]).collect::<Result<Vec<_>, _>>().is_err());
}

#[test]
fn snapshot_names() {
    let id = SnapshotId::new(1_771_459_200, MachineId([0xa, 0x1b, 0x2c, 0x3d]), false);
    assert_eq!(id.to_string(), "2026-02-19T00-00-00Z-0a1b2c3d");
    assert_eq!(SnapshotId::parse("2026-02-19T00-00-00Z-0a1b2c3d"), Some(id.clone()));
    assert_eq!(id.seconds(), Some(1_771_459_200));
    let safety = SnapshotId::new(1_771_459_200, id.machine, true);
    assert_eq!(SnapshotId::parse(&safety.to_string()), Some(safety));
    for bad in [
        "",
        "x",
        "2026-02-19T00-00-00Z",
        "2026-02-30T00-00-00Z-0a1b2c3d",
        "2026-02-19T00-00-00Z-0A1B2C3D",
    ] {
        assert_eq!(SnapshotId::parse(bad), None, "{bad}");
    }
    for legacy in
        ["2026-11-22T07-15-12-904Z-9681abb5", "2026-11-22T07-15-50Z", "safety-2026-11-22T07-15-18Z"]
    {
        assert_eq!(SnapshotName::parse(legacy), Some(SnapshotName::Legacy(legacy.to_owned())));
    }
    assert_eq!(SnapshotName::parse("packs"), None);
    assert_eq!(SnapshotName::parse("keys"), None);
}

#[test]
fn slots_open_with_their_secret_only() {
    let master = MasterKey::new([5; 32]);
    let (of, kind) = ((RepositoryId([1; 16]), "p"), SecretKind::Passphrase);
    let slot = KeySlot::seal(&master, of, "secret", kind, [7; 32], 0).unwrap();
    let again = KeySlot::decode(&slot.encode()).unwrap();
    assert_eq!(again.open("secret").unwrap().expose(), master.expose());
    assert!(again.open("other").is_none());
    let mut hostile = slot.encode();
    // The cost follows the header: map, key 1, log_n. 63 would ask for more memory than there is.
    let at = HEADER_BYTES + 4;
    assert_eq!(hostile[at], 17);
    hostile[at] = 23;
    assert!(KeySlot::decode(&hostile).is_ok_and(|slot| slot.open("secret").is_none()));
}

#[test]
fn only_what_a_machine_drew_costs_little() {
    let master = MasterKey::new([5; 32]);
    let of = (RepositoryId([1; 16]), "p");
    let drawn = "K005Nb1vQ0xDzYw3mJk8RtUeLsHc7aPg";
    for (kind, secret, log_n) in [
        (SecretKind::ApplicationKey, drawn, 14),
        (SecretKind::ApplicationKey, "minioadmin", 17),
        (SecretKind::Recovery, "01230456", 14),
        // However random it looks: people take phrases from somewhere.
        (SecretKind::Passphrase, drawn, 17),
    ] {
        let slot = KeySlot::seal(&master, of, secret, kind, [7; 32], 0).unwrap();
        // Where the cost is: see above.
        assert_eq!(slot.encode()[HEADER_BYTES + 4], log_n, "{kind:?}");
        let again = KeySlot::decode(&slot.encode()).unwrap();
        assert_eq!(again.open(secret).unwrap().expose(), master.expose());
        assert_eq!(again.work(), Some(1));
    }
}

#[test]
fn a_header_of_a_newer_writer_keeps_its_bytes() {
    // Seals are bound to these bytes: losing the writer's version would make every pack of it "changed".
    let mut bytes = header(ObjectKind::Pack).encode();
    bytes[8] = 3;
    assert_eq!(Header::decode(&bytes, ObjectKind::Pack).unwrap().0.encode(), bytes);
}

#[test]
fn a_frame_cannot_claim_more_memory_than_one_may_have() {
    let raw_bytes = MAX_FRAME_BYTES + 1;
    let frame = FrameEntry { stored_bytes: 50, raw_bytes, compressed: true, chunks: 1 };
    let footer = Footer {
        frames: vec![frame],
        chunk_bytes: vec![raw_bytes],
        chunk_ids: vec![ChunkId([1; 32])],
    };
    assert!(Footer::decode(&footer.encode()).is_err());
}

fn empty_manifest() -> Manifest {
    Manifest {
        sequence: 1,
        previous: None,
        reason: Reason::Manual,
        local_time_ms: 0,
        server_time_ms: 0,
        host_version: None,
        program_version: "1".into(),
        includes_secrets: false,
        roots: vec![],
        counts: Counts::default(),
        packs: vec![],
        tree: TreeRef { bytes: 0, sha256: [0; 32], runs: vec![], tails: vec![] },
        remarks: vec![],
        changes: None,
        missing: None,
        machine_name: None,
        host_install: None,
        host_schemas: None,
    }
}

#[test]
fn a_pack_table_is_bounded() {
    let pack = PackRef {
        number: 1,
        name: PackName([1; 16]),
        bytes: 1000,
        footer_bytes: 200,
        used_bytes: 700,
    };
    let manifest = |pack: PackRef| Manifest { packs: vec![pack], ..empty_manifest() };
    assert!(Manifest::decode(&manifest(pack).encode()).is_ok());
    for lie in [
        PackRef { bytes: MAX_PACK_BYTES + 1, ..pack },
        PackRef { footer_bytes: 1001, ..pack },
        PackRef { bytes: 60 << 20, footer_bytes: 50 << 20, ..pack },
    ] {
        assert!(Manifest::decode(&manifest(lie).encode()).is_err(), "{lie:?}");
    }
}

#[test]
fn a_manifest_carries_the_newest_slots() {
    // A key that is rotated every week fills the room in a year and more; the one in use must be among them.
    let slots: Vec<Vec<u8>> = (0..70u8)
        .map(|n| {
            let mut slot = header(ObjectKind::Slot).encode().to_vec();
            slot.extend_from_slice(&[
                0xa7,
                0,
                0,
                1,
                17,
                2,
                8,
                3,
                1,
                4,
                n & 15,
                5,
                0x40,
                6,
                0x61,
                b'p',
            ]);
            slot[16] = n;
            slot
        })
        .collect();
    let clear = Manifest::encode_clear(&header(ObjectKind::Manifest), &slots);
    let (_, read, ..) = Manifest::split(&clear).unwrap();
    let read: Vec<u8> = read.iter().map(|slot| slot.repository().0[0]).collect();
    assert_eq!(read, (6..70).collect::<Vec<u8>>());
}

/// A manifest as its CBOR, with one key more than this program knows.
fn with_unknown_key(manifest: &Manifest) -> Vec<u8> {
    let mut map = cbor(manifest);
    assert_eq!(map[0] & 0xe0, 0xa0, "a map of less than 24 keys");
    map[0] += 1;
    map.extend_from_slice(&[0x18, 99, 0x82, 1, 0x63, b'n', b'e', b'w']);
    deflate(&map)
}

#[test]
fn a_manifest_with_more_or_less_than_is_known_is_read() {
    let most = vec![GrownPath { root: 1, path: b"a\xff".to_vec(), bytes: 300 }];
    let changes = ChangeSummary { added: 1, changed: 2, removed: 3, stored_bytes: 4, most };
    let manifest = Manifest { changes: Some(changes), ..empty_manifest() };
    assert_eq!(Manifest::decode(&manifest.encode()).unwrap(), manifest);
    assert_eq!(Manifest::decode(&with_unknown_key(&manifest)).unwrap(), manifest);
    // As versions before wrote it: the key is not there at all.
    let before = cbor(&empty_manifest());
    assert_eq!(before.last(), Some(&0x80), "ends with its empty remarks");
    assert_eq!(Manifest::decode(&empty_manifest().encode()).unwrap().changes, None);
    let golden = "0d a5 00 01 01 02 02 03 03 04 04 81 83 01 42 61 ff 19 01 2c".replace(' ', "");
    assert!(hex::encode(cbor(&manifest)).ends_with(&golden));
}
