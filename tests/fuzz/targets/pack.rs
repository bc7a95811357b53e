//! Packs: tail, footer and frames.

use b2_backup::crypto::{Domain, RepoKey, TAG_BYTES};
use b2_backup::format::{
    ChunkId, Footer, FrameEntry, HEADER_BYTES, Header, ObjectKind, PackName, PackRef, Run,
};
use b2_backup::repo::{PackIndex, Regions};

use super::choice;
use super::format::{MACHINE, REPOSITORY, SALT, key, stored, unpacked};

const NAME: PackName = PackName([3; 16]);

/// Header and context of the one pack that there is.
fn pack(key: &RepoKey) -> (Header, Vec<u8>) {
    let (_, commitment) = key.object("pack", &REPOSITORY.0, &SALT);
    let header = Header::new(ObjectKind::Pack, key.is_sealed(), REPOSITORY, SALT, commitment);
    let context = [&header.encode()[..], NAME.object(MACHINE).as_bytes()].concat();
    (header, context)
}

/// A tail around a sealed footer, or what should be one.
fn tail_of(key: &RepoKey, sealed: &[u8]) -> Vec<u8> {
    let length = u32::try_from(sealed.len() + HEADER_BYTES + 4).unwrap();
    [sealed, &pack(key).0.encode(), &length.to_le_bytes()].concat()
}

fn seal(key: &RepoKey, domain: Domain, content: &[u8]) -> Vec<u8> {
    let (cipher, _) = key.object("pack", &REPOSITORY.0, &SALT);
    let mut sealed = content.to_vec();
    cipher.seal(domain, 0, &pack(key).1, &mut sealed, 0).unwrap();
    sealed
}

fn open(key: &RepoKey, bytes: u64, tail: &[u8]) -> Option<PackIndex> {
    let footer_bytes = u32::try_from(tail.len()).unwrap();
    let reference = PackRef { number: 0, name: NAME, bytes, footer_bytes, used_bytes: 0 };
    PackIndex::open(key, REPOSITORY, MACHINE, &reference, tail).ok()
}

/// What lies at the end of a pack: as it is, or with the right frame around it.
pub fn tail(data: &[u8]) {
    let (how, rest) = choice(data);
    let key = key(how & 1 == 1);
    let tail = if how & 2 == 2 { rest.to_vec() } else { tail_of(&key, rest) };
    for bytes in [0, tail.len() as u64, HEADER_BYTES as u64 + tail.len() as u64] {
        let _index = open(&key, bytes, &tail);
    }
}

pub fn tail_seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for sealed in [false, true] {
        let key = key(sealed);
        let footer = seal(&key, Domain::Footer, &Footer::default().encode());
        seeds.push([&[u8::from(sealed)][..], &footer].concat());
        seeds.push([&[2 | u8::from(sealed)][..], &tail_of(&key, &footer)].concat());
    }
    seeds
}

pub fn footer(data: &[u8]) {
    let Ok(footer) = Footer::decode(&stored(data)) else { return };
    assert_eq!(Footer::decode(&footer.encode()).unwrap(), footer);
    let key = key(true);
    let tail = tail_of(&key, &seal(&key, Domain::Footer, &footer.encode()));
    let frames: u64 = footer.frames.iter().map(|frame| u64::from(frame.stored_bytes)).sum();
    let Some(index) = open(&key, HEADER_BYTES as u64 + frames + tail.len() as u64, &tail) else {
        return;
    };
    let chunks = u32::try_from(footer.chunk_bytes.len()).unwrap();
    for chunk in [0, 1, chunks / 2, chunks.saturating_sub(1), chunks, u32::MAX] {
        if let Some(frame) = index.frame_of(chunk) {
            let (_, first, entry) = index.frame(frame).unwrap();
            assert!((first..first + entry.chunks).contains(&chunk));
        }
        for count in [0, 1, chunks, u32::MAX] {
            let run = Run { pack: 0, first: chunk, count, bytes: 7 };
            let _lengths = index.chunk_lengths(chunk, count);
            let frames = index.frames_of(&[run]);
            assert!(frames.len() <= footer.frames.len());
            assert!(
                index.read_run(&run, &Regions::default(), &mut |_| Ok(())).is_err()
                    || count == 0
                    || frames.is_empty()
            );
            let _part = index.part_of(data, chunk, count, &run);
        }
    }
}

fn entry(payload: usize, raw_bytes: u32, compressed: bool) -> Footer {
    let stored_bytes = u32::try_from(payload + TAG_BYTES).unwrap();
    Footer {
        frames: vec![FrameEntry { stored_bytes, raw_bytes, compressed, chunks: 1 }],
        chunk_bytes: vec![raw_bytes],
        chunk_ids: vec![ChunkId([9; 32])],
    }
}

pub fn footer_seeds() -> Vec<Vec<u8>> {
    let mut many = entry(100, 300, true);
    many.frames[0].chunks = 2;
    many.chunk_bytes = vec![100, 200];
    many.chunk_ids = vec![ChunkId([1; 32]), ChunkId([2; 32])];
    [Footer::default(), entry(7, 7, false), many].map(|footer| unpacked(&footer.encode())).to_vec()
}

/// Two bytes choose; three bytes are the raw length; the rest is what was sealed, or the sealed bytes themselves.
pub fn frame(data: &[u8]) {
    let Some((&[how, a, b, c], payload)) = data.split_first_chunk::<4>() else { return };
    let key = key(how & 1 == 1);
    let raw_bytes = u32::from_le_bytes([a, b, c, 0]);
    let footer = entry(payload.len(), raw_bytes, how & 2 == 2);
    let tail = tail_of(&key, &seal(&key, Domain::Footer, &footer.encode()));
    let bytes = HEADER_BYTES as u64 + u64::from(footer.frames[0].stored_bytes) + tail.len() as u64;
    let index = open(&key, bytes, &tail).unwrap();
    if let Ok(content) = index.open_frame(0, &seal(&key, Domain::Frame, payload)) {
        assert_eq!(content.len(), raw_bytes as usize);
    }
    // As it comes, with a tag that is none.
    let forged = [payload, &[0; TAG_BYTES]].concat();
    assert!(index.open_frame(0, &forged).is_err());
    assert!(index.open_frame(1, &forged).is_err());
}

pub fn frame_seeds() -> Vec<Vec<u8>> {
    let text = b"the same words ".repeat(100);
    let raw = |how: u8, payload: &[u8]| {
        let length = u32::try_from(text.len()).unwrap().to_le_bytes();
        [&[how], &length[..3], payload].concat()
    };
    let small = b2_backup::chunk::compress(&text).unwrap();
    vec![raw(2, &small), raw(3, &small), raw(0, &text)]
}
