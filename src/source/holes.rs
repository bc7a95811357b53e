//! Stretches of zeros are written as holes: a disk image of a few bytes must not fill the disk when it comes back.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};

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

/// Files with less space to be had than this are read as they are, in bytes.
#[cfg(unix)]
const MUCH: u64 = 1 << 20;

/// What reads a file without asking the disk for its holes: they are zeros. Where the file system does not tell where they
/// are, and where there are none to speak of, the file itself.
pub(crate) fn reader(file: File) -> Box<dyn Read> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let sparse = |meta: std::fs::Metadata| {
            meta.blocks().saturating_mul(512).saturating_add(MUCH) < meta.size()
        };
        if file.metadata().is_ok_and(sparse) && tells_holes(&file) {
            return Box::new(Sparse { file, at: 0, hole_end: 0, data_end: 0 });
        }
    }
    Box::new(file)
}

/// Not ZFS: some versions take what was just written for a hole.
#[cfg(target_os = "linux")]
fn tells_holes(file: &File) -> bool {
    const ZFS: u64 = 0x2fc1_2fc1;
    rustix::fs::fstatfs(file).is_ok_and(|system| u64::try_from(system.f_type) != Ok(ZFS))
}

#[cfg(all(unix, not(target_os = "linux")))]
fn tells_holes(_file: &File) -> bool {
    false
}

/// A file with holes, read from its start.
#[cfg(unix)]
struct Sparse {
    file: File,
    at: u64,
    /// There is a hole up to here.
    hole_end: u64,
    /// There is data up to here.
    data_end: u64,
}

#[cfg(target_os = "linux")]
impl Sparse {
    /// Finds out whether a hole or data begins here.
    fn look(&mut self) -> io::Result<()> {
        use rustix::fs::{SeekFrom, seek};
        match seek(&self.file, SeekFrom::Data(self.at)) {
            Ok(data) if data > self.at => self.hole_end = data,
            Ok(_) => {
                let hole = seek(&self.file, SeekFrom::Hole(self.at)).unwrap_or(u64::MAX);
                // What cannot be is no answer.
                self.data_end = if hole > self.at { hole } else { u64::MAX };
            }
            // There is no more data.
            Err(rustix::io::Errno::NXIO) => {
                self.hole_end = self.file.metadata()?.len();
                self.data_end = if self.hole_end > self.at { 0 } else { u64::MAX };
            }
            Err(_) => self.data_end = u64::MAX,
        }
        Ok(())
    }
}

#[cfg(all(unix, not(target_os = "linux")))]
impl Sparse {
    fn look(&mut self) -> io::Result<()> {
        self.data_end = u64::MAX;
        Ok(())
    }
}

#[cfg(unix)]
impl Read for Sparse {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        use std::os::unix::fs::FileExt as _;
        if self.at >= self.hole_end && self.at >= self.data_end {
            self.look()?;
        }
        let end = if self.at < self.hole_end { self.hole_end } else { self.data_end };
        let most = usize::try_from(end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let length = buffer.len().min(most);
        let part = buffer.get_mut(..length).unwrap_or_default();
        let got = if self.at < self.hole_end {
            part.fill(0);
            length
        } else {
            self.file.read_at(part, self.at)?
        };
        self.at += got as u64;
        Ok(got)
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

    #[test]
    #[cfg(unix)]
    fn a_file_is_what_it_is_whether_its_holes_are_read_or_not() {
        use std::os::unix::fs::FileExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image");
        let size = 40 << 20;
        for parts in [
            &[][..],
            &[(0, "start"), (5 << 20, "middle"), (size - 3, "end")],
            &[(7 << 20, "alone, with a hole behind")],
        ] {
            let file = File::create(&path).unwrap();
            file.set_len(size).unwrap();
            for (at, text) in parts {
                file.write_all_at(text.as_bytes(), *at).unwrap();
            }
            let mut read = Vec::new();
            reader(File::open(&path).unwrap()).read_to_end(&mut read).unwrap();
            assert!(read == std::fs::read(&path).unwrap(), "{parts:?}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn holes_are_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image");
        File::create(&path).unwrap().set_len(64 << 20).unwrap();
        let before = read_by_this_thread();
        let mut reader = reader(File::open(&path).unwrap());
        let bytes = io::copy(&mut reader, &mut io::sink()).unwrap();
        assert_eq!(bytes, 64 << 20);
        let read = read_by_this_thread() - before;
        assert!(read < 1 << 20, "{read} bytes were read");
    }

    /// Bytes that calls of `read` and its like returned.
    #[cfg(target_os = "linux")]
    fn read_by_this_thread() -> u64 {
        let text = std::fs::read_to_string("/proc/thread-self/io").unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap();
        line.parse().unwrap()
    }
}
