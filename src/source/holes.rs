//! Stretches of zeros are written as holes: a disk image of a few bytes must not fill the disk when it comes back.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};

/// A hole is so many bytes, or a multiple, and begins at one. Smaller ones would cut files into pieces.
const HOLE_BYTES: usize = 64 << 10;

/// The stretches of `bytes`, which begin at `offset` of a file, that are not holes, and where each begins. What is left
/// out is zeros: the file must have its length set.
pub(crate) fn without_holes(bytes: &[u8], offset: u64) -> Vec<(u64, &[u8])> {
    let mut stretches: Vec<(u64, usize, usize)> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let place = offset + at as u64;
        let into = usize::try_from(place % HOLE_BYTES as u64).unwrap_or_default();
        let end = bytes.len().min(at + HOLE_BYTES - into);
        if bytes.get(at..end).is_some_and(|block| block.iter().any(|byte| *byte != 0)) {
            match stretches.last_mut() {
                Some(last) if last.2 == at => last.2 = end,
                _ => stretches.push((place, at, end)),
            }
        }
        at = end;
    }
    let stretch = |(place, start, end)| (place, bytes.get(start..end).unwrap_or_default());
    stretches.into_iter().map(stretch).collect()
}

/// Copies all that comes from `from` into a new file.
pub(crate) fn copy_with_holes(from: &mut File, to: &mut File) -> io::Result<()> {
    let mut buffer = vec![0; 4 * HOLE_BYTES];
    let mut offset = 0;
    loop {
        let got = from.read(&mut buffer)?;
        if got == 0 {
            return to.set_len(offset);
        }
        for (place, stretch) in without_holes(buffer.get(..got).unwrap_or_default(), offset) {
            to.seek(SeekFrom::Start(place))?;
            to.write_all(stretch)?;
        }
        offset += got as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_blocks_of_zeros_are_holes() {
        let mut bytes = vec![0; 4 * HOLE_BYTES];
        bytes[HOLE_BYTES] = 1;
        bytes[2 * HOLE_BYTES] = 1;
        let places = |bytes: &[u8], offset| {
            let found = without_holes(bytes, offset);
            found.iter().map(|(place, part)| (*place, part.len())).collect::<Vec<_>>()
        };
        let block = HOLE_BYTES as u64;
        assert_eq!(places(&bytes, 0), [(block, 2 * HOLE_BYTES)]);
        assert_eq!(places(&bytes, 10), [(block, 2 * HOLE_BYTES)]);
        assert_eq!(places(&[1], 7), [(7, 1)]);
        assert_eq!(places(&[0; 9], 7), []);
        assert_eq!(places(&[], 7), []);
    }

    #[test]
    fn a_copy_says_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let mut bytes = vec![0; 5 * HOLE_BYTES + 3];
        bytes[3 * HOLE_BYTES + 9] = 7;
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        std::fs::write(&from, &bytes).unwrap();
        copy_with_holes(&mut File::open(&from).unwrap(), &mut File::create(&to).unwrap()).unwrap();
        assert!(std::fs::read(&to).unwrap() == bytes);
    }
}
