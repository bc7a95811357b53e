//! Cutting files into chunks and compressing frames. Pure: no I/O.

mod compress;
mod cut;

pub use compress::{compress, decompress, gives_back};
pub use cut::{Cutter, PAGE_CHUNK_BYTES};
