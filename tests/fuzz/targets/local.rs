//! What lies on this machine: the journal of a rollback, and what is remembered of the bucket.

use b2_backup::format::{Counts, MachineId, PackName, Remark, RepositoryId};
use b2_backup::local::{
    Arrival, Before, Captured, Drilled, Forgotten, Journal, Last, Newest, PackRead, Phase, Proof,
    Pruned, Pruning, RepositoryRecord, SlotRecord, Step, StepKind, Touched, UnusedPack,
};
use b2_backup::ops::probe;
use minicbor::Encode;

use super::format::tree_seeds;
use super::{again, choice};

fn seed<T: Encode<()>>(which: u8, value: &T) -> Vec<u8> {
    [&[which][..], &minicbor::to_vec(value).unwrap()].concat()
}

pub fn journal(data: &[u8]) {
    let (which, rest) = choice(data);
    match which % 3 {
        0 => again::<Journal>(rest),
        1 => again::<Last>(rest),
        _ => again::<Phase>(rest),
    }
}

pub fn journal_seeds() -> Vec<Vec<u8>> {
    let before =
        Before { size: 1, mtime_ns: -2, inode: 3, mode: 0o644, log_size: 5, log_mtime_ns: 6 };
    let step = Step {
        kind: StepKind::Place,
        root: 0,
        path: b"workspace/a.md".to_vec(),
        mode: 0o600,
        mtime_ns: 7,
        size: 8,
        sha256: vec![9; 32],
        before: Some(before),
        name: 1,
        broken: false,
    };
    let journal = Journal {
        snapshot: "2026-02-19T00-00-00Z-83bc2bf3".into(),
        safety: "safety-2026-02-19T00-00-00Z-83bc2bf3".into(),
        plan: [1; 32],
        staged_at_ms: 2,
        roots: vec![b"/home/me/.openclaw".to_vec().into()],
        root_kinds: vec![0],
        steps: vec![step.clone(), Step { kind: StepKind::Database, before: None, ..step }],
        moved_from: Some("/old".into()),
        arrival: Some(arrival()),
    };
    let last = Last {
        id: "1".into(),
        snapshot: journal.snapshot.clone(),
        safety: journal.safety.clone(),
        applied_at_ms: 3,
        touched: vec![Touched { root: b"/r".to_vec(), path: b"p".to_vec() }],
        late: vec!["late".into()],
        left: vec!["left".into()],
    };
    vec![seed(0, &journal), seed(1, &last), seed(2, &Phase::Applying)]
}

fn arrival() -> Arrival {
    Arrival { from: "/old".into(), logins: vec!["x".into()], files: 9, ..Arrival::default() }
}

pub fn memory(data: &[u8]) {
    let (which, rest) = choice(data);
    match which % 6 {
        0 => again::<Newest>(rest),
        1 => {
            again::<RepositoryRecord>(rest);
            if let Ok(record) = minicbor::decode::<RepositoryRecord>(rest) {
                assert!(record.for_manifest().len() <= record.slots.len());
            }
        }
        2 => again::<Captured>(rest),
        3 => again::<Arrival>(rest),
        4 => drop(std::str::from_utf8(rest).ok().and_then(MachineId::parse)),
        _ => drop(probe::memory(rest, "s")),
    }
}

pub fn memory_seeds() -> Vec<Vec<u8>> {
    let newest = Newest {
        snapshot: "2026-02-19T00-00-00Z-83bc2bf3".into(),
        sequence: 3,
        sha256: [1; 32],
        next_pack: 4,
        written: vec!["a".into()],
        object: vec![5; 9],
    };
    let slot = SlotRecord { name: "ab".into(), check: [0; 32], bytes: vec![1, 2], stored: true };
    let record = RepositoryRecord {
        slots: vec![slot],
        others: vec!["c".into()],
        ..RepositoryRecord::new(RepositoryId([1; 16]))
    };
    let captured = Captured {
        newest: newest.clone(),
        base: None,
        counts: Counts::default(),
        remarks: vec![Remark { path: "a".into(), code: "b".into(), message: "c".into() }],
        packs: vec![PackName([6; 16])],
    };
    // Head, then a fingerprint and an entry for each file.
    let mut files = minicbor::Encoder::new(Vec::new());
    files.map(4).unwrap().u8(0).unwrap().str("s").unwrap().u8(1).unwrap().bytes(b"p").unwrap();
    files.u8(2).unwrap().array(1).unwrap().bytes(b"/r").unwrap();
    files.u8(3).unwrap().encode(super::format::sample().tree).unwrap();
    files.array(8).unwrap();
    for number in 0..8 {
        files.u8(number).unwrap();
    }
    let files = [files.into_writer(), tree_seeds()[1].clone()].concat();
    assert_eq!(probe::memory(&files, "s"), Some(1));
    vec![
        seed(0, &newest),
        seed(1, &record),
        seed(2, &captured),
        seed(3, &arrival()),
        b"\x0483bc2bf3".to_vec(),
        [&[5][..], &files].concat(),
    ]
}

pub fn proof(data: &[u8]) {
    let (which, rest) = choice(data);
    match which % 2 {
        0 => again::<Proof>(rest),
        _ => {
            again::<Pruning>(rest);
            if let Ok(pruning) = minicbor::decode::<Pruning>(rest) {
                assert!(pruning.pruned.iter().all(|one| pruning.has_pruned(&one.snapshot)));
            }
        }
    }
}

pub fn proof_seeds() -> Vec<Vec<u8>> {
    let (name, machine) = (PackName([7; 16]), MachineId([8; 4]));
    let proof = Proof {
        reads: vec![PackRead { name, at_ms: -1 }],
        bad: vec![name],
        bad_slots: vec!["slot".into()],
        drilled: Some(Drilled { snapshot: "s".into(), at_ms: i64::MAX }),
    };
    let pruning = Pruning {
        unused: vec![UnusedPack { name, since_ms: 1, after: Some(2) }],
        pruned: vec![Pruned { snapshot: "s".into(), at_ms: 3 }],
        told_denied: true,
        forgotten: vec![Forgotten { machine, since_ms: 4, packs: vec![name] }],
        lost: vec![Pruned { snapshot: "l".into(), at_ms: 5 }],
    };
    vec![seed(0, &proof), seed(1, &pruning)]
}
