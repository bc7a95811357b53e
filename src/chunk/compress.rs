//! zstd over whole frames, with one context and one buffer per thread.

use std::cell::RefCell;

/// zstd's level. Measured on states of 200 MB (docs/benchmarks.md): 4 stores a quarter less than 1 for 0.2 s more; 5
/// takes nearly twice as long for 1 %.
const LEVEL: i32 = 4;

thread_local! {
    static COMPRESSOR: RefCell<Option<zstd::bulk::Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
    /// Where a frame is made or looked at. Memory that is taken anew for each of them costs more than copying what
    /// is kept.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The compressed bytes, or `None` when they would not be smaller (the frame is then stored as it is).
#[must_use]
pub fn compress(data: &[u8]) -> Option<Vec<u8>> {
    with_buffer(zstd::compress_bound(data.len()), |buffer| {
        COMPRESSOR.with_borrow_mut(|slot| {
            if slot.is_none() {
                *slot = zstd::bulk::Compressor::new(LEVEL).ok();
            }
            slot.as_mut()?.compress_to_buffer(data, buffer).ok()
        })?;
        (buffer.len() < data.len()).then(|| buffer.clone())
    })
}

/// Whether compressed bytes give back exactly `data`.
#[must_use]
pub fn gives_back(compressed: &[u8], data: &[u8]) -> bool {
    with_buffer(data.len(), |buffer| decompress_into(compressed, buffer) && buffer == data)
}

/// The original bytes, which must be exactly `length` long: nothing larger is ever produced, so a bomb costs
/// no more memory than an authenticated length allows.
#[must_use]
pub fn decompress(data: &[u8], length: usize) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(length);
    (decompress_into(data, &mut out) && out.len() == length).then_some(out)
}

/// Decompresses as far as `out` has room.
fn decompress_into(data: &[u8], out: &mut Vec<u8>) -> bool {
    DECOMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = zstd::bulk::Decompressor::new().ok();
        }
        slot.as_mut().is_some_and(|zstd| zstd.decompress_to_buffer(data, out).is_ok())
    })
}

/// Calls `work` with an empty buffer that has room for `bytes`.
fn with_buffer<T>(bytes: usize, work: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    BUFFER.with_borrow_mut(|buffer| {
        buffer.clear();
        buffer.reserve(bytes);
        let done = work(buffer);
        buffer.clear();
        // Frames of others may be larger than ours.
        buffer.shrink_to(KEPT_BYTES);
        done
    })
}

/// A frame of ours that does not compress.
const KEPT_BYTES: usize = (2 << 20) + (64 << 10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_bounds() {
        let text = b"the same words ".repeat(1000);
        let small = compress(&text).unwrap();
        assert_eq!(decompress(&small, text.len()).unwrap(), text);
        assert!(decompress(&small, text.len() - 1).is_none());
        assert!(decompress(&small, text.len() + 1).is_none());
        assert!(decompress(b"junk", 10).is_none());
        assert!(compress(&[]).is_none());
        assert!(compress(b"x").is_none());
        assert!(gives_back(&small, &text));
        assert!(
            !gives_back(&small, &text[1..]) && !gives_back(&small, &[&text[..], b"x"].concat())
        );
        assert!(!gives_back(b"junk", &text));
    }
}
