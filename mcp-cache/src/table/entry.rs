//! One entry: a value with the header that decides whether it may be served.

use super::Now;
use crate::{
    epoch::{BEFORE_ALL, Ledger, TagSet},
    store::FOREVER_MS,
    sync::{AtomicU8, AtomicU32, AtomicU64, Ordering},
};

/// Uses that count for eviction; more of them say nothing new.
const USED_MAX: u8 = 2;

#[derive(Debug)]
pub(crate) struct Entry<K, V> {
    pub(crate) key: K,
    pub(crate) value: V,
    /// The last epoch at which it was found live; no lower than `born`.
    pub(crate) checked: AtomicU64,
    pub(crate) life: Life,
    /// Half of the key's hash.
    pub(crate) hash: u32,
    pub(crate) bytes: u32,
    pub(crate) hits: AtomicU32,
    /// Uses since it came or since the hand went by.
    pub(crate) used: AtomicU8,
    pub(crate) place: Place,
    /// Dead by invalidation, it stays for those who ask for the last known value.
    pub(crate) keep_invalidated: bool,
    pub(crate) tags: TagSet,
    pub(crate) born: u64,
}

/// Which ring an entry is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Probation,
    Protected,
}

/// Deadlines as spans: half the size of moments, and the age comes with them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Life {
    pub(crate) stored_ms: u64,
    pub(crate) fresh_for_ms: u32,
    pub(crate) stale_for_ms: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Fresh,
    Stale,
    Over,
}

impl Life {
    #[inline]
    pub(crate) fn age_ms(self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.stored_ms)
    }

    #[inline]
    pub(crate) fn phase(self, now_ms: u64) -> Phase {
        let age_ms = self.age_ms(now_ms);
        if age_ms < u64::from(self.fresh_for_ms) || self.fresh_for_ms == FOREVER_MS {
            return Phase::Fresh;
        }
        let stale_age_ms = age_ms - u64::from(self.fresh_for_ms);
        if stale_age_ms < u64::from(self.stale_for_ms) || self.stale_for_ms == FOREVER_MS {
            return Phase::Stale;
        }
        Phase::Over
    }
}

impl<K, V> Entry<K, V> {
    /// Whether nothing invalidated it. `epoch` was read by the caller before;
    /// if it is the one of the last look, this is one comparison.
    #[inline]
    pub(crate) fn is_live(&self, ledger: &Ledger<K>, epoch: u64) -> bool {
        self.checked.load(Ordering::Relaxed) == epoch || self.look(ledger, epoch)
    }

    /// Live and within its spans.
    pub(crate) fn may_be_served(&self, now: &Now<'_, K>) -> bool {
        self.life.phase(now.ms) != Phase::Over && self.is_live(now.ledger, now.epoch)
    }

    #[cold]
    fn look(&self, ledger: &Ledger<K>, epoch: u64) -> bool {
        let checked = self.checked.load(Ordering::Relaxed);
        let live = ledger.is_live(&self.key, self.tags.as_slice(), self.born, checked);
        if live {
            self.checked.store(epoch, Ordering::Relaxed);
        }
        live
    }

    #[inline]
    pub(crate) fn count_use(&self) {
        let used = self.used.load(Ordering::Relaxed);
        if used < USED_MAX {
            self.used.store(used + 1, Ordering::Relaxed);
        }
    }

    /// Makes it dead for good.
    pub(crate) fn kill(&mut self) {
        self.born = BEFORE_ALL;
        self.checked.store(BEFORE_ALL, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(mcp_loom)))]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_fresh_then_stale_then_over() {
        let check = |fresh_for_ms, stale_for_ms, age_ms, expect| {
            let life = Life {
                stored_ms: 1_000,
                fresh_for_ms,
                stale_for_ms,
            };
            assert_eq!(life.phase(1_000 + age_ms), expect, "{life:?} {age_ms}");
        };
        for (age_ms, expect) in [
            (0, Phase::Fresh),
            (9, Phase::Fresh),
            (10, Phase::Stale),
            (14, Phase::Stale),
            (15, Phase::Over),
        ] {
            check(10, 5, age_ms, expect);
        }
        check(0, 0, 0, Phase::Over);
        check(10, 0, 10, Phase::Over);
        check(FOREVER_MS, 0, u64::MAX - 2_000, Phase::Fresh);
        check(10, FOREVER_MS, u64::MAX - 2_000, Phase::Stale);
    }

    #[test]
    fn a_clock_that_goes_back_makes_nothing_old() {
        let life = Life {
            stored_ms: 1_000,
            fresh_for_ms: 1,
            stale_for_ms: 0,
        };
        assert_eq!((life.phase(0), life.age_ms(0)), (Phase::Fresh, 0));
    }
}
