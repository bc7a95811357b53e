//! Chunking and reassembly: whatever is cut, sealed and packed comes back, by any run of chunks.

use crate::support::plain;
use b2_backup::chunk::Cutter;
use b2_backup::crypto::{MasterKey, RepoKey};
use b2_backup::format::{HEADER_BYTES, MachineId, PackName, RepositoryId, Run};
use b2_backup::repo::{Frame, PackBuilder, PackIndex};

use super::*;

const REPOSITORY: RepositoryId = RepositoryId([1; 16]);
const MACHINE: MachineId = MachineId([2; 4]);

/// Content of every sort: noise, zeros, text that repeats.
fn content(draw: &mut Draw) -> Vec<u8> {
    let mut content = Vec::new();
    for _ in 0..=draw.below(draw.size()) {
        let length = draw.below(20_000);
        match draw.below(3) {
            0 => content.extend(plain::noise(draw.word(), length)),
            1 => content.resize(content.len() + length, 0),
            _ => content.extend(b"the same words ".iter().cycle().take(length)),
        }
    }
    content
}

#[test]
fn what_is_cut_comes_together() {
    cases("chunking and reassembly", 1000, |mut draw| {
        let key = if draw.flag() {
            RepoKey::Sealed(MasterKey::new(draw.array()))
        } else {
            RepoKey::Plain
        };
        let cutter = match draw.below(3) {
            0 => Cutter::tree(key.chunker_seed(&REPOSITORY.0)),
            1 => Cutter::Content { min: 256, mean: 1024, max: 4096, seed: draw.word() },
            _ => Cutter::Fixed { bytes: 1 + draw.below(5000) },
        };
        let data = content(&mut draw);
        let lengths = cutter.lengths(&data, true);
        assert_eq!(lengths.iter().sum::<usize>(), data.len());
        assert!(lengths.iter().all(|length| (1..=cutter.max()).contains(length)));

        // A cut depends on what is before it and in it alone: what is put in front of a chunk that begins alike
        // does not matter, and neither does what is taken from the end.
        let half = data.len() / 2;
        let early = cutter.lengths(&data[..half], false);
        assert_eq!(early, lengths[..early.len()]);

        let ids = key.chunk_ids(&REPOSITORY.0);
        let (name, salt) = (PackName(draw.array()), draw.array());
        let mut builder = PackBuilder::new(&key, REPOSITORY, MACHINE, 7, name, salt);
        let (mut at, mut starts, mut rest) = (0, vec![0], &lengths[..]);
        while !rest.is_empty() {
            let (frame, after) = rest.split_at((1 + draw.below(6)).min(rest.len()));
            rest = after;
            let end = at + frame.iter().sum::<usize>();
            let mut of_frame = Vec::new();
            for length in frame {
                let start = *starts.last().unwrap();
                of_frame.push(b2_backup::format::ChunkId(ids.of(&data[start..start + length])));
                starts.push(start + length);
            }
            let lengths = frame.iter().map(|length| u32::try_from(*length).unwrap()).collect();
            builder
                .add(Frame::compress(data[at..end].to_vec(), lengths, of_frame).unwrap())
                .unwrap();
            at = end;
        }
        let pack = builder.finish().unwrap();
        let index =
            PackIndex::open(&key, REPOSITORY, MACHINE, &pack.reference, &pack.tail).unwrap();
        assert_eq!(index.footer().chunk_bytes.len(), lengths.len());
        assert!(pack.bytes.len() >= HEADER_BYTES + pack.tail.len());
        for _ in 0..4 {
            let first = draw.below(lengths.len() + 1);
            let count = draw.below(lengths.len() + 1 - first);
            let expected = &data[starts[first]..starts[first + count]];
            let run = Run {
                pack: 7,
                first: u32::try_from(first).unwrap(),
                count: u32::try_from(count).unwrap(),
                bytes: expected.len() as u64,
            };
            let mut found = Vec::new();
            for frame in index.frames_of(&[run]) {
                let (offset, first, entry) = index.frame(frame).unwrap();
                let start = usize::try_from(offset).unwrap();
                let stored = &pack.bytes[start..start + entry.stored_bytes as usize];
                let raw = index.open_frame(frame, stored).unwrap();
                found.extend_from_slice(index.part_of(&raw, first, entry.chunks, &run).unwrap());
                // In the place of its neighbour it opens nowhere.
                assert!(index.open_frame(frame + 1, stored).is_err());
            }
            assert!(found == expected, "{run:?}");
        }
    });
}
