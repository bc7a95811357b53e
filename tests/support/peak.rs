//! An allocator that counts what is in use, so that a test can say how much memory something may take.
#![expect(unsafe_code, reason = "an allocator can be written in no other way")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

static NOW: AtomicUsize = AtomicUsize::new(0);
static HIGHEST: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, and a count of bytes. All threads of the process together.
pub(crate) struct Counting;

/// What is in use now, from where [`highest`] counts.
pub(crate) fn start() -> usize {
    let now = NOW.load(Ordering::Relaxed);
    HIGHEST.store(now, Ordering::Relaxed);
    now
}

/// The most that was in use at once since [`start`].
pub(crate) fn highest() -> usize {
    HIGHEST.load(Ordering::Relaxed)
}

fn add(bytes: usize) {
    HIGHEST.fetch_max(NOW.fetch_add(bytes, Ordering::Relaxed) + bytes, Ordering::Relaxed);
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if size >= layout.size() {
            add(size - layout.size());
        } else {
            NOW.fetch_sub(layout.size() - size, Ordering::Relaxed);
        }
        unsafe { System.realloc(at, layout, size) }
    }
}
