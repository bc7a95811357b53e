//! Where a file is cut.

use fastcdc::v2020::{FastCDC, Normalization};

/// Chunk of a database: SQLite's default page. Smaller pages are grouped to this, larger pages stay whole.
pub const PAGE_CHUNK_BYTES: usize = 4096;

/// How one kind of file is cut into chunks.
#[derive(Clone, Copy, Debug)]
pub enum Cutter {
    /// Equal pieces, aligned to the file's start: databases.
    Fixed {
        /// Bytes of each piece.
        bytes: usize,
    },
    /// FastCDC (v2020, normalisation level 1): everything else.
    Content {
        /// No chunk but the last is smaller.
        min: usize,
        /// Mean size.
        mean: usize,
        /// No chunk is larger.
        max: usize,
        /// From the repository's key.
        seed: u64,
    },
}

impl Cutter {
    /// For a database with pages of `page_bytes`.
    #[must_use]
    pub fn database(page_bytes: usize) -> Self {
        Self::Fixed { bytes: page_bytes.clamp(PAGE_CHUNK_BYTES, 65_536) }
    }

    /// For files: 64 KiB on average, see `docs/benchmarks.md`.
    #[must_use]
    pub fn file(seed: u64) -> Self {
        Self::Content { min: 16 << 10, mean: 64 << 10, max: 256 << 10, seed }
    }

    /// For the tree: 8 KiB on average, so that one changed entry costs little.
    #[must_use]
    pub fn tree(seed: u64) -> Self {
        Self::Content { min: 2 << 10, mean: 8 << 10, max: 32 << 10, seed }
    }

    /// No chunk is larger than this.
    #[must_use]
    pub fn max(&self) -> usize {
        match self {
            Self::Fixed { bytes } => *bytes,
            Self::Content { max, .. } => *max,
        }
    }

    /// Lengths of the chunks at the start of `data`. Where `last` is false more data follows, and only cuts
    /// that cannot depend on it are given: the rest is offered again with more behind it.
    #[must_use]
    pub fn lengths(&self, data: &[u8], last: bool) -> Vec<usize> {
        let mut lengths = Vec::new();
        let mut start = 0;
        match *self {
            Self::Fixed { bytes } => {
                while data.len() - start >= bytes || (last && start < data.len()) {
                    let length = bytes.min(data.len() - start);
                    lengths.push(length);
                    start += length;
                }
            }
            Self::Content { min, mean, max, seed } => {
                let chunker =
                    FastCDC::with_level_and_seed(data, min, mean, max, Normalization::Level1, seed);
                while data.len() - start >= max || (last && start < data.len()) {
                    let remaining = data.len() - start;
                    let length = if remaining <= min {
                        remaining
                    } else {
                        let (_hash, end) = chunker.cut(start, remaining);
                        end - start
                    };
                    lengths.push(length);
                    start += length;
                }
            }
        }
        lengths
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn noise(length: usize) -> Vec<u8> {
        let mut x = 1u64;
        (0..length)
            .map(|_| {
                x = x
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                (x >> 56) as u8
            })
            .collect()
    }

    fn streamed(cutter: &Cutter, data: &[u8], step: usize) -> Vec<usize> {
        let (mut out, mut buffer, mut rest) = (Vec::new(), Vec::new(), data);
        loop {
            let (head, tail) = rest.split_at(step.min(rest.len()));
            buffer.extend_from_slice(head);
            rest = tail;
            let lengths = cutter.lengths(&buffer, rest.is_empty());
            buffer.drain(..lengths.iter().sum::<usize>());
            out.extend(lengths);
            if rest.is_empty() {
                assert!(buffer.is_empty());
                return out;
            }
        }
    }

    #[test]
    fn cuts_are_those_of_the_format() {
        // Golden: another cut would end deduplication against everything already stored.
        let data = noise(1 << 20);
        let lengths = Cutter::file(42).lengths(&data, true);
        assert_eq!(lengths.iter().sum::<usize>(), data.len());
        assert_eq!(&lengths[..4], GOLDEN_FILE_CUTS);
        assert_eq!(&Cutter::tree(42).lengths(&data, true)[..4], GOLDEN_TREE_CUTS);
    }
    const GOLDEN_FILE_CUTS: &[usize] = &[76_854, 95_115, 134_540, 64_944];
    const GOLDEN_TREE_CUTS: &[usize] = &[5725, 9060, 19078, 2990];

    #[test]
    fn databases_are_cut_by_page() {
        assert_eq!(Cutter::database(1024).lengths(&[0; 10_000], true), [4096, 4096, 1808]);
        assert_eq!(Cutter::database(8192).lengths(&[0; 16_384], false), [8192, 8192]);
        assert!(Cutter::database(4096).lengths(&[], true).is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn streaming_cuts_like_memory(length in 0usize..700_000, step in 1000usize..300_000, seed: u64) {
            let data = noise(length);
            for cutter in [Cutter::file(seed), Cutter::tree(seed), Cutter::database(4096)] {
                let whole = cutter.lengths(&data, true);
                prop_assert_eq!(&streamed(&cutter, &data, step), &whole);
                prop_assert_eq!(whole.iter().sum::<usize>(), length);
                prop_assert!(whole.iter().all(|l| *l <= cutter.max()));
            }
        }
    }
}
