//! Every record that is written is read as what it was, and no byte of it can be left out.

use b2_backup::ambient::SystemEntropy;
use b2_backup::cpu::CpuPool;
use b2_backup::crypto::{MasterKey, RepoKey, sha256};
use b2_backup::entry::{EntryKind, RelPath};
use b2_backup::format::{
    ChangeSummary, ChunkId, Counts, Entry, EntryFlags, Footer, FrameEntry, GrownPath, HEADER_BYTES,
    Header, KeySlot, MachineId, Manifest, MissingRecord, ObjectKind, PackName, PackRef, Reason,
    RecoveryCode, Remark, RepositoryId, RootRecord, Run, SchemaRecord, SnapshotId, SnapshotName,
    TreeReader, TreeRef,
};
use b2_backup::local::{
    Arrival, Before, Captured, Drilled, Forgotten, Journal, Last, Newest, PackRead, Phase, Proof,
    Pruned, Pruning, RepositoryRecord, SlotRecord, Step, StepKind, Touched, UnusedPack,
};
use b2_backup::repo::{KeyRing, Secrets, Snapshot};
use minicbor::{Decode, Encode};

use super::*;

const CASES: u64 = 1000;

fn header(draw: &mut Draw) -> Header {
    let kinds = [ObjectKind::Slot, ObjectKind::Pack, ObjectKind::Manifest];
    let (repository, salt, commitment) = (RepositoryId(draw.array()), draw.array(), draw.array());
    let mut header = Header::new(kinds[draw.below(3)], draw.flag(), repository, salt, commitment);
    header.version = 2 + (draw.small() as u8 % 9);
    header
}

fn run(draw: &mut Draw) -> Run {
    Run { pack: draw.small(), first: draw.small(), count: draw.small(), bytes: draw.word() }
}

fn counts(draw: &mut Draw) -> Counts {
    Counts {
        files: draw.word(),
        directories: draw.word(),
        symlinks: draw.word(),
        bytes: draw.word(),
    }
}

fn remark(draw: &mut Draw) -> Remark {
    Remark { path: draw.text(), code: draw.text(), message: draw.text() }
}

fn pack(draw: &mut Draw, number: u32) -> PackRef {
    let footer_bytes = draw.small() % (8 << 20);
    let bytes = u64::from(footer_bytes) + draw.word() % (32 << 20);
    PackRef { number, name: PackName(draw.array()), bytes, footer_bytes, used_bytes: draw.word() }
}

fn tree_ref(draw: &mut Draw) -> TreeRef {
    let tails = draw.list(|draw| (draw.small(), draw.word()));
    TreeRef { bytes: draw.word(), sha256: draw.array(), runs: draw.list(run), tails }
}

fn manifest(draw: &mut Draw) -> Manifest {
    let reasons = [
        Reason::Manual,
        Reason::Scheduled,
        Reason::Compaction,
        Reason::Shutdown,
        Reason::Safety,
        Reason::Reset,
    ];
    let mut numbers = draw.list(Draw::small);
    numbers.sort_unstable();
    numbers.dedup();
    Manifest {
        sequence: draw.word(),
        previous: draw.maybe(Draw::array),
        reason: reasons[draw.below(6)],
        local_time_ms: draw.signed(),
        server_time_ms: draw.signed(),
        host_version: draw.maybe(Draw::text),
        machine_name: draw.maybe(Draw::text),
        host_install: draw.maybe(Draw::text),
        host_schemas: draw.maybe(|draw| {
            draw.list(|draw| SchemaRecord {
                path: draw.text().into_bytes(),
                version: i32::from_be_bytes(draw.array()),
            })
        }),
        program_version: draw.text(),
        includes_secrets: draw.flag(),
        roots: draw.list(|draw| RootRecord {
            kind: draw.small() as u8,
            path: draw.bytes(),
            at: draw.maybe(Draw::bytes),
        }),
        counts: counts(draw),
        packs: numbers.into_iter().map(|number| pack(draw, number)).collect(),
        tree: tree_ref(draw),
        remarks: draw.list(remark),
        changes: draw.maybe(|draw| ChangeSummary {
            added: draw.word(),
            changed: draw.word(),
            removed: draw.word(),
            stored_bytes: draw.word(),
            most: draw.list(|draw| GrownPath {
                root: draw.small() as u16,
                path: draw.bytes(),
                bytes: draw.word(),
            }),
        }),
        missing: draw.maybe(|draw| {
            draw.list(|draw| MissingRecord {
                root: draw.bytes(),
                at: draw.maybe(Draw::bytes),
                path: draw.maybe(Draw::bytes),
                files: draw.word(),
                snapshot: draw.text(),
            })
        }),
    }
}

fn footer(draw: &mut Draw) -> Footer {
    let mut footer = Footer::default();
    for _ in 0..draw.below(draw.size() + 1) {
        let lengths: Vec<u32> = (0..=draw.below(5)).map(|_| draw.small() % 300_000).collect();
        footer.frames.push(FrameEntry {
            stored_bytes: draw.small(),
            raw_bytes: lengths.iter().sum(),
            compressed: draw.flag(),
            chunks: u32::try_from(lengths.len()).unwrap(),
        });
        footer.chunk_ids.extend(lengths.iter().map(|_| ChunkId(draw.array())));
        footer.chunk_bytes.extend(lengths);
    }
    footer
}

fn entry(draw: &mut Draw) -> Entry {
    let kind = [EntryKind::File, EntryKind::Directory, EntryKind::Symlink][draw.below(3)];
    let file = kind == EntryKind::File;
    let path: Vec<u8> = draw.bytes().into_iter().filter(|byte| *byte != 0).chain([b'x']).collect();
    Entry {
        root: draw.small() as u16,
        path: RelPath::from_bytes(path),
        kind,
        mode: draw.small() & 0o7777,
        mtime_ns: draw.signed(),
        size: draw.word(),
        sha256: if file { draw.array() } else { [0; 32] },
        runs: draw.list(run),
        flags: EntryFlags(draw.small()),
        target: draw.bytes(),
    }
}

#[test]
fn headers() {
    cases("header", CASES, |mut draw| {
        let header = header(&mut draw);
        let bytes = [&header.encode()[..], &draw.bytes()].concat();
        let (again, rest) = Header::decode(&bytes, header.kind).unwrap();
        assert_eq!((&again, rest), (&header, &bytes[HEADER_BYTES..]));
        assert!(Header::decode(&bytes[..draw.below(HEADER_BYTES)], header.kind).is_err());
    });
}

#[test]
fn footers() {
    cases("footer", CASES, |mut draw| {
        let footer = footer(&mut draw);
        let bytes = footer.encode();
        assert_eq!(Footer::decode(&bytes).unwrap(), footer);
        assert!(Footer::decode(&bytes[..draw.below(bytes.len())]).is_err());
    });
}

#[test]
fn trees() {
    cases("tree", CASES, |mut draw| {
        let mut entries: Vec<Entry> = draw.list(entry);
        entries.sort_by(|a, b| (a.root, &a.path).cmp(&(b.root, &b.path)));
        entries.dedup_by(|a, b| (a.root, &a.path) == (b.root, &b.path));
        let (mut bytes, mut ends) = (Vec::new(), vec![0]);
        for entry in &entries {
            entry.encode(&mut bytes);
            ends.push(bytes.len());
        }
        let read = |bytes| TreeReader::new(bytes).collect::<Result<Vec<_>, _>>();
        assert_eq!(read(&bytes).unwrap(), entries);
        let cut = draw.below(bytes.len() + 1);
        assert_eq!(read(&bytes[..cut]).is_ok(), ends.contains(&cut));
        if entries.len() > 1 {
            let twice = [&bytes[..], &bytes].concat();
            assert!(read(&twice).is_err());
        }
    });
}

/// Sealed or plain, under its own name and no other, and with every byte as it was.
#[test]
fn manifests() {
    let ring = KeyRing::new(Secrets::default(), CpuPool::new(1).unwrap());
    let repository = RepositoryId([1; 16]);
    ring.add(repository, MasterKey::new([7; 32]));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    cases("manifest", CASES, |mut draw| {
        let manifest = manifest(&mut draw);
        assert_eq!(Manifest::decode(&manifest.encode()).unwrap(), manifest);
        let key =
            if draw.flag() { RepoKey::Sealed(MasterKey::new([7; 32])) } else { RepoKey::Plain };
        let id = SnapshotId::new(draw.signed() >> 20, MachineId(draw.array()), draw.flag());
        let slots = draw.list(Draw::bytes);
        let object =
            Snapshot::seal(&manifest, &id, &key, repository, &slots, &SystemEntropy).unwrap();
        let open = |id: &SnapshotId, object: Vec<u8>| {
            runtime.block_on(Snapshot::open(&ring, id, &object.into()))
        };
        let again = open(&id, object.clone()).unwrap();
        assert_eq!((again.manifest, again.sha256), (manifest, sha256(&object)));
        let other = SnapshotId::new(id.seconds().unwrap() ^ 1, id.machine, id.safety);
        assert!(open(&other, object.clone()).is_err());
        let mut changed = object.clone();
        changed[draw.below(object.len())] ^= 1 << draw.below(8);
        assert!(open(&id, changed).is_err());
        let mut cut = object;
        cut.truncate(draw.below(cut.len()));
        assert!(open(&id, cut).is_err());
    });
}

#[test]
fn names() {
    cases("names", CASES, |mut draw| {
        let id = SnapshotId::new(draw.signed() >> 24, MachineId(draw.array()), draw.flag());
        assert_eq!(SnapshotId::parse(&id.to_string()).as_ref(), Some(&id));
        assert_eq!(SnapshotName::parse(&id.to_string()), Some(SnapshotName::Current(id.clone())));
        let mut text = id.to_string();
        text.remove(draw.below(text.len()));
        assert_eq!(SnapshotId::parse(&text), None, "{text}");
        let name = PackName(draw.array());
        assert_eq!(PackName::parse(&name.to_string()), Some(name));
        let code = RecoveryCode::new(&draw.array().into());
        let again = RecoveryCode::parse(code.shown().expose()).unwrap();
        assert_eq!(again.secret().expose(), code.secret().expose());
    });
}

/// A slot's clear part; sealing one takes a third of a second, so that what is sealed is made up.
#[test]
fn key_slots() {
    cases("key slot", CASES, |mut draw| {
        let mut header = header(&mut draw);
        (header.kind, header.sealed) = (ObjectKind::Slot, true);
        let bound = draw.flag();
        header.readable_by = if bound { 3 } else { 2 };
        let mut wire = minicbor::Encoder::new(header.encode().to_vec());
        wire.map(6 + u64::from(bound)).unwrap().u8(0).unwrap().u8(draw.small() as u8 % 3).unwrap();
        wire.u8(1)
            .unwrap()
            .u8(draw.small() as u8)
            .unwrap()
            .u8(2)
            .unwrap()
            .u32(draw.small())
            .unwrap();
        wire.u8(3).unwrap().u32(draw.small()).unwrap().u8(4).unwrap().i64(draw.signed()).unwrap();
        wire.u8(5).unwrap().bytes(&draw.bytes()).unwrap();
        let prefix = format!("a/{}", draw.small());
        if bound {
            wire.u8(6).unwrap().str(&prefix).unwrap();
        }
        let bytes = wire.into_writer();
        let slot = KeySlot::decode(&bytes).unwrap();
        assert_eq!(slot.prefix(), bound.then_some(prefix.as_str()));
        assert_eq!(slot.encode(), bytes);
        assert_eq!(slot.repository(), header.repository);
        assert!(KeySlot::decode(&bytes[..draw.below(bytes.len())]).is_err());
    });
}

fn again<T>(draw: &mut Draw, value: &T)
where
    T: for<'b> Decode<'b, ()> + Encode<()> + PartialEq + std::fmt::Debug,
{
    let bytes = minicbor::to_vec(value).unwrap();
    assert_eq!(minicbor::decode::<T>(&bytes).unwrap(), *value);
    assert!(minicbor::decode::<T>(&bytes[..draw.below(bytes.len())]).is_err());
}

fn arrival(draw: &mut Draw) -> Arrival {
    Arrival {
        by_itself: draw.flag(),
        made_at_ms: draw.signed(),
        from: draw.text(),
        files: draw.word(),
        with_secrets: draw.flag(),
        logins: draw.list(Draw::text),
        notes: draw.list(Draw::text),
        runs: draw.list(Draw::text),
        machine_name: draw.maybe(Draw::text),
    }
}

fn step(draw: &mut Draw) -> Step {
    let kinds = [
        StepKind::Remove,
        StepKind::RemoveDir,
        StepKind::MakeDir,
        StepKind::SetMode,
        StepKind::Place,
        StepKind::Database,
        StepKind::Config,
    ];
    Step {
        kind: kinds[draw.below(7)],
        root: draw.small() as u16,
        path: draw.bytes(),
        mode: draw.small(),
        mtime_ns: draw.signed(),
        size: draw.word(),
        sha256: draw.bytes(),
        before: draw.maybe(|draw| Before {
            size: draw.word(),
            mtime_ns: draw.signed(),
            inode: draw.word(),
            mode: draw.small(),
            log_size: draw.word(),
            log_mtime_ns: draw.signed(),
        }),
        name: draw.small(),
        broken: draw.flag(),
    }
}

#[test]
fn journals() {
    cases("journal", CASES, |mut draw| {
        let draw = &mut draw;
        let journal = Journal {
            snapshot: draw.text(),
            safety: draw.text(),
            plan: draw.array(),
            staged_at_ms: draw.signed(),
            roots: draw.list(|draw| draw.bytes().into()),
            root_kinds: draw.list(|draw| draw.small() as u8),
            steps: draw.list(step),
            moved_from: draw.maybe(Draw::text),
            arrival: draw.maybe(arrival),
        };
        again(draw, &journal);
        let last = Last {
            id: draw.text(),
            snapshot: draw.text(),
            safety: draw.text(),
            applied_at_ms: draw.signed(),
            touched: draw.list(|draw| Touched { root: draw.bytes(), path: draw.bytes() }),
            late: draw.list(Draw::text),
            left: draw.list(Draw::text),
        };
        again(draw, &last);
        let phases =
            [Phase::Staged, Phase::Applying, Phase::Reverting, Phase::Applied, Phase::Reverted];
        again(draw, &phases[draw.clone().below(5)]);
    });
}

#[test]
fn local_memory() {
    cases("local memory", CASES, |mut draw| {
        let draw = &mut draw;
        let newest = Newest {
            snapshot: draw.text(),
            sequence: draw.word(),
            sha256: draw.array(),
            next_pack: draw.small(),
            written: draw.list(Draw::text),
            object: draw.bytes(),
        };
        again(draw, &newest);
        let record = RepositoryRecord {
            repository: RepositoryId(draw.array()),
            slots: draw.list(|draw| SlotRecord {
                name: draw.text(),
                check: draw.array(),
                bytes: draw.bytes(),
                stored: draw.flag(),
            }),
            others: draw.list(Draw::text),
        };
        again(draw, &record);
        let captured = Captured {
            newest,
            base: draw.maybe(Draw::text),
            counts: counts(draw),
            remarks: draw.list(remark),
            packs: draw.list(|draw| PackName(draw.array())),
        };
        again(draw, &captured);
        let arrival = arrival(draw);
        again(draw, &arrival);
    });
}

#[test]
fn proofs_and_pruning() {
    cases("proof and pruning", CASES, |mut draw| {
        let draw = &mut draw;
        let name = |draw: &mut Draw| PackName(draw.array());
        let proof = Proof {
            reads: draw.list(|draw| PackRead { name: name(draw), at_ms: draw.signed() }),
            bad: draw.list(name),
            bad_slots: draw.list(Draw::text),
            drilled: draw.maybe(|draw| Drilled { snapshot: draw.text(), at_ms: draw.signed() }),
        };
        again(draw, &proof);
        let pruning = Pruning {
            unused: draw.list(|draw| UnusedPack {
                name: name(draw),
                since_ms: draw.signed(),
                after: draw.maybe(Draw::word),
            }),
            pruned: draw.list(|draw| Pruned { snapshot: draw.text(), at_ms: draw.signed() }),
            told_denied: draw.flag(),
            forgotten: draw.list(|draw| Forgotten {
                machine: MachineId(draw.array()),
                since_ms: draw.signed(),
                packs: draw.list(name),
            }),
            lost: draw.list(|draw| Pruned { snapshot: draw.text(), at_ms: draw.signed() }),
        };
        again(draw, &pruning);
    });
}
