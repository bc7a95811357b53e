//! zstd over whole frames, with one context per thread.

use std::cell::RefCell;

/// zstd's level. Measured on states of 200 MB (docs/benchmarks.md): 4 stores a quarter less than 1 for 0.2 s more; 5
/// takes nearly twice as long for 1 %.
const LEVEL: i32 = 4;

thread_local! {
    static COMPRESSOR: RefCell<Option<zstd::bulk::Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
}

/// The compressed bytes, or `None` when they would not be smaller (the frame is then stored as it is).
#[must_use]
pub fn compress(data: &[u8]) -> Option<Vec<u8>> {
    let out = COMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = zstd::bulk::Compressor::new(LEVEL).ok();
        }
        slot.as_mut()?.compress(data).ok()
    })?;
    (out.len() < data.len()).then_some(out)
}

/// The original bytes, which must be exactly `length` long: nothing larger is ever produced, so a bomb costs
/// no more memory than an authenticated length allows.
#[must_use]
pub fn decompress(data: &[u8], length: usize) -> Option<Vec<u8>> {
    let out = DECOMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = zstd::bulk::Decompressor::new().ok();
        }
        slot.as_mut()?.decompress(data, length).ok()
    })?;
    (out.len() == length).then_some(out)
}

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
    }
}
