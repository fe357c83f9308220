//! A number or a set of bits that belongs to one life of the breaker.

use crate::{
    state::{GENERATION_BITS, GENERATION_MASK},
    sync::{AtomicU64, Ordering},
};

/// Whether life `a` came after life `b`, on numbers that wrap.
pub(super) const fn is_later(a: u32, b: u32) -> bool {
    let ahead = a.wrapping_sub(b) & GENERATION_MASK;
    ahead != 0 && ahead < 1 << (GENERATION_BITS - 1)
}

/// Takes back one that was added to the count in the low bits of `cell`, while
/// its high bits are still `tag`. Whoever changed the tag in between dropped
/// that one with all others: taking it back then would borrow from the tag.
#[cold]
pub(super) fn take_one_back(cell: &AtomicU64, tag: u64, count_mask: u64) {
    let mut seen = cell.load(Ordering::Relaxed);
    while seen & !count_mask == tag && seen & count_mask > 0 {
        match cell.compare_exchange_weak(seen, seen - 1, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return,
            Err(now) => seen = now,
        }
    }
}

/// Life 32 bits | value 32 bits; the value of an earlier life reads as zero.
#[derive(Debug)]
pub(crate) struct LifeCell(AtomicU64);

const fn pack(life: u32, value: u32) -> u64 {
    ((life as u64) << 32) | value as u64
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "takes the two halves apart"
)]
const fn unpack(cell: u64) -> (u32, u32) {
    ((cell >> 32) as u32, cell as u32)
}

impl LifeCell {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// The value that `life` sees.
    #[inline]
    pub(crate) fn value(&self, life: u32) -> u32 {
        match unpack(self.0.load(Ordering::Relaxed)) {
            (tag, value) if tag == life => value,
            _ => 0,
        }
    }

    /// Replaces the value by `change(value)` unless that is `None` or the cell
    /// belongs to a later life; returns the new value if it was written.
    /// Whoever sees the new value and fences sees what happened before.
    #[inline]
    pub(crate) fn update(&self, life: u32, change: impl Fn(u32) -> Option<u32>) -> Option<u32> {
        let mut cell = self.0.load(Ordering::Relaxed);
        loop {
            let (tag, value) = unpack(cell);
            if is_later(tag, life) {
                return None;
            }
            let next = change(if tag == life { value } else { 0 })?;
            let new = pack(life, next);
            match self
                .0
                .compare_exchange_weak(cell, new, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => return Some(next),
                Err(seen) => cell = seen,
            }
        }
    }
}

#[cfg(all(test, not(mcp_loom)))]
mod tests {
    use super::*;

    #[test]
    fn order_of_lives_survives_the_wrap() {
        assert!(is_later(1, 0) && !is_later(0, 1) && !is_later(4, 4));
        assert!(is_later(0, GENERATION_MASK) && !is_later(GENERATION_MASK, 0));
    }

    #[test]
    fn an_earlier_life_reads_as_zero_and_cannot_write() {
        let cell = LifeCell::new();
        assert_eq!(cell.update(5, |n| Some(n + 1)), Some(1));
        assert_eq!((cell.value(5), cell.value(8)), (1, 0));
        assert_eq!(cell.update(8, |n| Some(n + 3)), Some(3));
        assert_eq!(cell.update(5, |n| Some(n + 1)), None);
        assert_eq!((cell.value(5), cell.value(8)), (0, 3));
    }

    #[test]
    fn a_refused_change_writes_nothing() {
        let cell = LifeCell::new();
        assert_eq!(cell.update(1, |_| None), None);
        assert_eq!(unpack(cell.0.load(Ordering::Relaxed)), (0, 0));
    }
}
