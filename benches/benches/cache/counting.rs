//! A global allocator that counts the bytes in use, while it is asked to.
#![expect(
    unsafe_code,
    reason = "implementing GlobalAlloc is unsafe; it only forwards"
)]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicBool, AtomicI64, Ordering},
};

static ON: AtomicBool = AtomicBool::new(false);
static BYTES: AtomicI64 = AtomicI64::new(0);

struct Counting;

fn count(bytes: i64) {
    if ON.load(Ordering::Relaxed) {
        BYTES.fetch_add(bytes, Ordering::Relaxed);
    }
}

// SAFETY: every method forwards its arguments unchanged to the system
// allocator, whose contract is therefore kept.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed() as i64);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size().cast_signed() as i64));
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Bytes that are in use after `work` and were not before, with what it made
/// still alive.
pub(crate) fn bytes_kept<T>(work: impl FnOnce() -> T) -> (i64, T) {
    ON.store(true, Ordering::Relaxed);
    let before = BYTES.load(Ordering::Relaxed);
    let made = work();
    let after = BYTES.load(Ordering::Relaxed);
    ON.store(false, Ordering::Relaxed);
    (after - before, made)
}
