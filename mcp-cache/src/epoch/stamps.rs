//! When something was invalidated last, in bounded memory that never errs on
//! the side of life.

use crate::sync::{AtomicU64, Ordering};

/// The last invalidation of every fingerprint, in two hashed rows.
///
/// A fingerprint owns one slot in each row, and its stamp is the *lower* of
/// the two. Strangers that share a slot can only raise it, so the answer is
/// never too low: a collision costs a false miss and never a stale read. With
/// one row of `n` slots and `m` fingerprints invalidated during an entry's
/// life, the entry dies falsely with probability about `m/n`; with two rows it
/// is `(m/n)²`: 1.3 % instead of 11 % for 30,000 in rows of 2^18.
#[derive(Debug)]
pub(crate) struct Stamps {
    first: Box<[AtomicU64]>,
    second: Box<[AtomicU64]>,
    bits: u32,
}

impl Stamps {
    /// Two rows of `2^bits` slots of eight bytes; `bits` is 1 to 28.
    pub(crate) fn new(bits: u32) -> Self {
        let row = || (0..1usize << bits).map(|_| AtomicU64::new(0)).collect();
        Self {
            first: row(),
            second: row(),
            bits,
        }
    }

    /// Whether the fingerprint was invalidated after `epoch`.
    #[inline]
    pub(crate) fn is_after(&self, fingerprint: u32, epoch: u64) -> bool {
        let (first, second) = self.slots(fingerprint);
        // Relaxed: what has to be seen was published by the epoch, which the
        // caller has read before.
        first.load(Ordering::Relaxed) > epoch && second.load(Ordering::Relaxed) > epoch
    }

    /// Notes an invalidation of the fingerprint at `epoch`.
    pub(crate) fn raise(&self, fingerprint: u32, epoch: u64) {
        let (first, second) = self.slots(fingerprint);
        first.fetch_max(epoch, Ordering::Release);
        second.fetch_max(epoch, Ordering::Release);
    }

    /// The rows take the opposite ends of two different products, so that two
    /// fingerprints rarely meet in both.
    #[inline]
    fn slots(&self, fingerprint: u32) -> (&AtomicU64, &AtomicU64) {
        let index = |factor: u32| (fingerprint.wrapping_mul(factor) >> (32 - self.bits)) as usize;
        (
            &self.first[index(0x9e37_79b1)],
            &self.second[index(0x85eb_ca77)],
        )
    }
}

#[cfg(all(test, not(mcp_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_never_too_low() {
        let stamps = Stamps::new(4);
        for epoch in 1..200u32 {
            let fingerprint = epoch.wrapping_mul(2_654_435_761);
            stamps.raise(fingerprint, u64::from(epoch));
            assert!(stamps.is_after(fingerprint, u64::from(epoch) - 1));
            assert!(!stamps.is_after(fingerprint, u64::from(epoch)));
        }
    }

    /// 2,000 of 2^14 slots: one row would lie for 11 %, two should for 1.3 %.
    #[test]
    fn two_rows_rarely_collide() {
        let stamps = Stamps::new(14);
        let fingerprint = |n: u32| n.wrapping_mul(0x2545_f491) ^ (n >> 3);
        for n in 0..2_000 {
            stamps.raise(fingerprint(n), 1);
        }
        let dead = (10_000..30_000).filter(|&n| stamps.is_after(fingerprint(n), 0));
        let dead = dead.count();
        assert!(dead < 600, "{dead} of 20,000 died falsely");
    }
}
