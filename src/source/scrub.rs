//! Wipes what a database file holds but SQLite no longer shows: free pages, and the unused parts of
//! the pages in use. Deleted rows and old values linger there, and with them secrets.
//!
//! Works on a private copy that nobody has open, by the file format (<https://sqlite.org/fileformat2.html>).
//! Every number read from the file is checked: a damaged database gives `B2_DATABASE`, never a panic.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Length of the header at the start of page 1, bytes.
const HEADER_BYTES: usize = 100;
/// Offset of the two bytes that say whether the database is in WAL mode (2) or not (1).
const VERSIONS_AT: usize = 18;

/// The database file, by pages.
struct Pages {
    path: PathBuf,
    file: File,
    page_bytes: usize,
    /// Bytes of a page that SQLite uses; the rest is reserved for extensions.
    usable: usize,
    count: u32,
    freelist: u32,
    /// The version of the schema, as whoever made it counts.
    schema: i32,
    /// Pages already seen, so that a circle in a damaged file ends.
    seen: HashSet<u32>,
}

/// Size of a page in bytes, number of pages, and the version of the schema (`PRAGMA user_version`) of a database at rest.
///
/// # Errors
/// `B2_DATABASE` when the header makes no sense, `B2_IO` when it cannot be read.
pub(super) fn header(path: &Path) -> Result<(u32, u32, i32)> {
    let pages = Pages::open(path)?;
    let page_bytes = u32::try_from(pages.page_bytes).map_err(|_| pages.damaged("page size"))?;
    Ok((page_bytes, pages.count, pages.schema))
}

/// Sets the two bytes that say whether the database is in WAL mode, and returns what they were.
///
/// # Errors
/// `B2_IO` and its like.
pub(super) fn replace_file_versions(path: &Path, versions: [u8; 2]) -> Result<[u8; 2]> {
    let failed = |error| Error::io("write", path, error);
    let mut file = std::fs::OpenOptions::new().read(true).write(true).open(path).map_err(failed)?;
    let mut old = [0; 2];
    file.seek(SeekFrom::Start(VERSIONS_AT as u64)).map_err(failed)?;
    file.read_exact(&mut old).map_err(failed)?;
    file.seek(SeekFrom::Start(VERSIONS_AT as u64)).map_err(failed)?;
    file.write_all(&versions).map_err(failed)?;
    Ok(old)
}

/// Wipes the unused bytes of a database: of the free list and of the trees that begin at `roots`
/// (the schema's own tree, page 1, need not be among them).
///
/// # Errors
/// `B2_DATABASE` when the file is damaged, `B2_IO` and its like when it cannot be read or written.
pub(super) fn scrub(path: &Path, roots: &[u32]) -> Result<()> {
    let mut pages = Pages::open(path)?;
    pages.wipe_freelist()?;
    let mut todo: Vec<u32> = roots.to_vec();
    todo.push(1);
    while let Some(number) = todo.pop() {
        if pages.seen.insert(number) {
            pages.wipe_tree_page(number, &mut todo)?;
        }
    }
    Ok(())
}

impl Pages {
    fn open(path: &Path) -> Result<Self> {
        let failed = |error| Error::io("read", path, error);
        let mut file =
            std::fs::OpenOptions::new().read(true).write(true).open(path).map_err(failed)?;
        let file_bytes = file.metadata().map_err(failed)?.len();
        let mut header = [0; HEADER_BYTES];
        file.read_exact(&mut header).map_err(failed)?;
        let page_bytes = match u16_at(&header, 16) {
            Some(1) => 65_536,
            Some(size) if size >= 512 && size.is_power_of_two() => usize::from(size),
            _ => 0,
        };
        let reserved = header.get(20).copied().map_or(0, usize::from);
        let mut pages = Self {
            path: path.to_path_buf(),
            file,
            page_bytes,
            usable: page_bytes.saturating_sub(reserved),
            count: 0,
            freelist: u32_at(&header, 32).unwrap_or(0),
            schema: u32_at(&header, 60).unwrap_or(0).cast_signed(),
            seen: HashSet::new(),
        };
        let count =
            file_bytes.checked_div(page_bytes as u64).and_then(|count| u32::try_from(count).ok());
        pages.count = count.filter(|count| *count > 0).ok_or_else(|| pages.damaged("header"))?;
        if pages.usable < 480 {
            return Err(pages.damaged("header"));
        }
        Ok(pages)
    }

    fn damaged(&self, what: &str) -> Error {
        Error::Database {
            path: self.path.clone(),
            message: format!("the database file is damaged ({what})"),
        }
    }

    fn offset(&self, number: u32) -> Result<u64> {
        if number == 0 || number > self.count {
            return Err(self.damaged("page number"));
        }
        Ok(u64::from(number - 1) * self.page_bytes as u64)
    }

    fn read(&mut self, number: u32) -> Result<Vec<u8>> {
        let offset = self.offset(number)?;
        let mut page = vec![0; self.page_bytes];
        let done =
            self.file.seek(SeekFrom::Start(offset)).and_then(|_| self.file.read_exact(&mut page));
        done.map_err(|error| Error::io("read", &self.path, error))?;
        Ok(page)
    }

    /// Writes zeros over a part of a page, unless it is zero already: most pages stay as they are.
    fn wipe(&mut self, number: u32, page: &[u8], from: usize, to: usize) -> Result<()> {
        let Some(part) = page.get(from..to) else { return Err(self.damaged("unused part")) };
        if part.iter().all(|byte| *byte == 0) {
            return Ok(());
        }
        let offset = self.offset(number)? + from as u64;
        let zeros = vec![0; to - from];
        let done =
            self.file.seek(SeekFrom::Start(offset)).and_then(|_| self.file.write_all(&zeros));
        done.map_err(|error| Error::io("write", &self.path, error))
    }

    /// Trunk pages list the free pages; both the pages and the rest of the list are wiped.
    fn wipe_freelist(&mut self) -> Result<()> {
        let mut trunk = self.freelist;
        while trunk != 0 {
            if !self.seen.insert(trunk) {
                return Err(self.damaged("free list"));
            }
            let page = self.read(trunk)?;
            let leaves = u32_at(&page, 4)
                .and_then(|count| usize::try_from(count).ok())
                .unwrap_or(usize::MAX);
            let end = leaves
                .checked_mul(4)
                .and_then(|bytes| bytes.checked_add(8))
                .filter(|end| *end <= self.usable);
            let end = end.ok_or_else(|| self.damaged("free list"))?;
            for at in (8..end).step_by(4) {
                let leaf = u32_at(&page, at).unwrap_or(0);
                if !self.seen.insert(leaf) {
                    return Err(self.damaged("free list"));
                }
                let content = self.read(leaf)?;
                self.wipe(leaf, &content, 0, self.page_bytes)?;
            }
            self.wipe(trunk, &page, end, self.page_bytes)?;
            trunk = u32_at(&page, 0).unwrap_or(0);
        }
        Ok(())
    }

    /// Wipes the gap, the free blocks and the overflow tails of a page of a tree, and notes its children.
    fn wipe_tree_page(&mut self, number: u32, todo: &mut Vec<u32>) -> Result<()> {
        let page = self.read(number)?;
        let start = if number == 1 { HEADER_BYTES } else { 0 };
        let damaged = |pages: &Self| pages.damaged("tree page");
        let kind = page.get(start).copied().unwrap_or(0);
        let interior = matches!(kind, 2 | 5);
        if !interior && !matches!(kind, 10 | 13) {
            return Err(damaged(self));
        }
        let number_at = |at: usize| u16_at(&page, start + at).map_or(0, usize::from);
        let cells_at = start + if interior { 12 } else { 8 };
        let cells = number_at(3);
        let content = if number_at(5) == 0 { 65_536 } else { number_at(5) };
        self.wipe(number, &page, cells_at + 2 * cells, content)?;
        let mut block = number_at(1);
        while block != 0 {
            let next = u16_at(&page, block).map_or(0, usize::from);
            let size = u16_at(&page, block + 2).map_or(0, usize::from);
            // Blocks are in ascending order, which also ends a circle.
            if size < 4 || block + size > self.usable || (next != 0 && next < block + size) {
                return Err(damaged(self));
            }
            self.wipe(number, &page, block + 4, block + size)?;
            block = next;
        }
        if interior {
            todo.push(u32_at(&page, start + 8).ok_or_else(|| damaged(self))?);
        }
        for cell in 0..cells {
            let at =
                u16_at(&page, cells_at + 2 * cell).map(usize::from).ok_or_else(|| damaged(self))?;
            if interior {
                todo.push(u32_at(&page, at).ok_or_else(|| damaged(self))?);
            }
            if kind != 5 {
                self.wipe_overflow(&page, kind, at)?;
            }
        }
        Ok(())
    }

    /// Wipes what the last overflow page of a cell does not use.
    fn wipe_overflow(&mut self, page: &[u8], kind: u8, cell: usize) -> Result<()> {
        let at = if kind == 2 { cell + 4 } else { cell };
        let (payload, mut at) = varint(page, at).ok_or_else(|| self.damaged("cell"))?;
        if kind == 13 {
            at = varint(page, at).ok_or_else(|| self.damaged("cell"))?.1;
        }
        let payload = usize::try_from(payload).map_err(|_| self.damaged("cell"))?;
        let largest =
            if kind == 13 { self.usable - 35 } else { (self.usable - 12) * 64 / 255 - 23 };
        if payload <= largest {
            return Ok(());
        }
        let smallest = (self.usable - 12) * 32 / 255 - 23;
        let fitting = smallest + (payload - smallest) % (self.usable - 4);
        let local = if fitting <= largest { fitting } else { smallest };
        let mut left = payload - local;
        let mut next = u32_at(page, at + local).ok_or_else(|| self.damaged("cell"))?;
        while left > 0 {
            if !self.seen.insert(next) {
                return Err(self.damaged("overflow"));
            }
            let overflow = self.read(next)?;
            let used = left.min(self.usable - 4);
            self.wipe(next, &overflow, 4 + used, self.usable)?;
            left -= used;
            next = u32_at(&overflow, 0).ok_or_else(|| self.damaged("overflow"))?;
        }
        Ok(())
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|two| u16::from_be_bytes(*two))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|four| u32::from_be_bytes(*four))
}

/// SQLite's variable-length number: seven bits a byte, eight in the ninth. With the offset after it.
fn varint(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    let mut value = 0_u64;
    for (index, byte) in bytes.get(at..)?.iter().take(9).enumerate() {
        if index == 8 {
            return Some((value << 8 | u64::from(*byte), at + 9));
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((value, at + index + 1));
        }
    }
    None
}
