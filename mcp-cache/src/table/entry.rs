//! One entry: a value with the header that decides whether it may be served.

use super::{Now, Slot, TagSet};
use crate::{epoch::BEFORE_ALL, store::FOREVER_MS};

/// Uses that count for eviction; more of them say nothing new.
const USED_MAX: u32 = 2;
const USED_BITS: u32 = 2;

/// An entry on its way into the table.
#[derive(Debug)]
pub(crate) struct Entry<K, V> {
    pub(crate) key: K,
    pub(crate) value: V,
    pub(crate) head: Head,
    pub(crate) tail: Tail,
}

/// What every read looks at.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Head {
    /// The last epoch at which it was found live; no lower than `born`.
    pub(crate) checked: u64,
    pub(crate) stored_ms: u64,
    pub(crate) fresh_for_ms: u32,
    pub(crate) uses: Uses,
}

/// What is only looked at when something was invalidated, went stale or has to
/// go.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    pub(crate) born: u64,
    /// Rises with the beginning of its load.
    pub(crate) order: u64,
    pub(crate) tags: TagSet,
    pub(crate) stale_for_ms: u32,
    /// Half of the key's hash.
    pub(crate) hash: u32,
    pub(crate) bytes: u32,
    pub(crate) place: Place,
    /// Dead by invalidation, it stays for those who ask for the last known value.
    pub(crate) keep_invalidated: bool,
}

/// Which ring an entry is in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Place {
    #[default]
    Probation,
    Protected,
}

/// How often an entry was read, and below that the hand's own count of recent uses.
///
/// While the hand would learn nothing new, only one read in 16 is written down, as
/// 16: a line that is only read can be in the caches of all cores at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Uses(u32);

impl Uses {
    /// One read in so many is sampled; a power of two.
    const SAMPLE: u32 = 16;
    const READS_MAX: u32 = (1 << (32 - USED_BITS)) - 1;

    /// Reads, up to 2^30 - 1; above two an estimate.
    #[inline]
    pub(crate) fn reads(self) -> u32 {
        self.0 >> USED_BITS
    }

    /// Uses since the hand went by, up to two.
    #[inline]
    pub(crate) fn recent(self) -> u32 {
        self.0 & ((1 << USED_BITS) - 1)
    }

    /// `turn` goes up with every read of any entry.
    #[inline]
    pub(crate) fn count_read(&mut self, turn: u64) {
        if self.recent() < USED_MAX {
            self.count(1);
        } else if Self::is_sampled(turn) {
            self.count(Self::SAMPLE);
        }
    }

    /// Spread by a product, so that keys that are read in a fixed order are not
    /// always or never the ones.
    #[inline]
    fn is_sampled(turn: u64) -> bool {
        let spread = turn.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        spread >> (64 - Self::SAMPLE.trailing_zeros()) == 0
    }

    fn count(&mut self, reads: u32) {
        let reads = (self.reads() + reads).min(Self::READS_MAX);
        self.0 = reads << USED_BITS | (self.recent() + 1).min(USED_MAX);
    }

    /// One use that is no read: the value was replaced.
    pub(crate) fn count_replaced(replaced: Self) -> Self {
        Self((replaced.recent() + 1).min(USED_MAX))
    }

    /// The hand goes by; whether there was a use to take.
    pub(crate) fn take_one(&mut self) -> bool {
        let used = self.recent() > 0;
        self.0 -= u32::from(used);
        used
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Fresh,
    Stale,
    Over,
}

impl Head {
    #[inline]
    pub(crate) fn age_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.stored_ms)
    }

    #[inline]
    pub(crate) fn is_fresh(&self, now_ms: u64) -> bool {
        self.age_ms(now_ms) < u64::from(self.fresh_for_ms) || self.fresh_for_ms == FOREVER_MS
    }
}

impl<K, V> Slot<'_, K, V> {
    #[inline]
    pub(crate) fn phase(&self, now_ms: u64) -> Phase {
        if self.head.is_fresh(now_ms) {
            return Phase::Fresh;
        }
        let (age_ms, stale_for_ms) = (self.head.age_ms(now_ms), self.tail.stale_for_ms);
        let stale_age_ms = age_ms - u64::from(self.head.fresh_for_ms);
        if stale_age_ms < u64::from(stale_for_ms) || stale_for_ms == FOREVER_MS {
            return Phase::Stale;
        }
        Phase::Over
    }

    /// Whether nothing invalidated it. `now.epoch` was read before; if it is
    /// the one of the last look, this is one comparison.
    #[inline]
    pub(crate) fn is_live(&mut self, now: &Now<'_, K>) -> bool {
        self.head.checked == now.epoch || self.look(now)
    }

    #[cold]
    fn look(&mut self, now: &Now<'_, K>) -> bool {
        let Some((key, _)) = self.item.as_ref() else {
            return false;
        };
        let (tags, born) = (self.tail.tags.as_slice(), self.tail.born);
        let live = now.ledger.is_live(key, tags, born, self.head.checked);
        if live {
            // Another reader may have read a later one, and looked first.
            self.head.checked = self.head.checked.max(now.epoch);
        }
        live
    }

    /// Live and within its spans.
    #[inline]
    pub(crate) fn may_be_served(&mut self, now: &Now<'_, K>) -> bool {
        self.phase(now.ms) != Phase::Over && self.is_live(now)
    }

    /// Makes it dead for good.
    pub(crate) fn kill(&mut self) {
        self.tail.born = BEFORE_ALL;
        self.head.checked = BEFORE_ALL;
    }
}

#[cfg(all(test, not(mcp_loom)))]
mod tests {
    use super::*;
    use crate::table::slab::{Front, Slab};

    fn check(fresh_for_ms: u32, stale_for_ms: u32, now_ms: u64, expect: Phase) {
        let mut slab = Slab::new();
        let entry = Entry {
            key: 1,
            value: 2,
            head: Head {
                stored_ms: 1_000,
                fresh_for_ms,
                ..Head::default()
            },
            tail: Tail {
                stale_for_ms,
                ..Tail::default()
            },
        };
        let at = slab.put(entry, 1);
        assert_eq!(
            slab.slot(at).phase(now_ms),
            expect,
            "{fresh_for_ms} {stale_for_ms} {now_ms}"
        );
    }

    #[test]
    fn an_entry_is_fresh_then_stale_then_over() {
        for (age_ms, expect) in [
            (0, Phase::Fresh),
            (9, Phase::Fresh),
            (10, Phase::Stale),
            (14, Phase::Stale),
            (15, Phase::Over),
        ] {
            check(10, 5, 1_000 + age_ms, expect);
        }
        check(0, 0, 1_000, Phase::Over);
        check(10, 0, 1_010, Phase::Over);
        check(FOREVER_MS, 0, u64::MAX, Phase::Fresh);
        check(10, FOREVER_MS, u64::MAX, Phase::Stale);
    }

    #[test]
    fn a_slower_reader_takes_no_check_back() {
        let ledger = crate::epoch::Ledger::new(std::sync::Arc::default());
        let mut slab = Slab::new();
        let (head, tail) = (
            Head {
                checked: 9,
                ..Head::default()
            },
            Tail {
                born: 8,
                ..Tail::default()
            },
        );
        let at = slab.put(
            Entry {
                key: 1,
                value: 2,
                head,
                tail,
            },
            1,
        );
        let mut slot = slab.slot(at);
        let now = |epoch| Now {
            ledger: &ledger,
            epoch,
            ms: 0,
        };
        for (epoch, checked) in [(7, 9), (10, 10)] {
            assert!(slot.is_live(&now(epoch)));
            assert_eq!(slot.head.checked, checked);
        }
    }

    #[test]
    fn a_clock_that_goes_back_makes_nothing_old() {
        check(1, 0, 0, Phase::Fresh);
    }

    #[test]
    fn reads_are_counted_and_recent_uses_are_two_at_most() {
        let mut uses = Uses::default();
        assert!(!uses.take_one());
        (1..=2).for_each(|turn| uses.count_read(turn));
        assert_eq!((uses.reads(), uses.recent()), (2, 2));
        assert!(uses.take_one() && uses.take_one() && !uses.take_one());
        assert_eq!((uses.reads(), uses.recent()), (2, 0));
        assert_eq!(Uses::count_replaced(uses).recent(), 1);
    }

    /// Sixteen keys read in turns, all of them equally often.
    #[test]
    fn a_fixed_order_favours_no_key() {
        let mut uses = [Uses::default(); 16];
        for turn in 0..16_000 {
            uses[turn % 16].count_read(turn as u64);
        }
        assert!(
            uses.iter()
                .all(|uses| (800..=1_200).contains(&uses.reads())),
            "{uses:?}"
        );
    }

    #[test]
    fn many_reads_are_estimated_with_few_writes() {
        let (mut uses, mut writes) = (Uses::default(), 0);
        for turn in 0..10_000 {
            let before = uses;
            uses.count_read(turn);
            writes += u32::from(uses != before);
        }
        assert!((9_900..=10_100).contains(&uses.reads()), "{uses:?}");
        assert!(writes < 700, "{writes}");
        let mut full = Uses(u32::MAX << USED_BITS);
        full.count_read(0);
        assert_eq!((full.reads(), full.recent()), (Uses::READS_MAX, 1));
    }

    #[test]
    fn what_a_read_needs_of_a_small_entry_is_one_line() {
        assert_eq!(size_of::<Front<u64, bytes::Bytes>>(), 64);
        assert_eq!(Slab::<u64, bytes::Bytes>::SLOT_BYTES, 128);
    }
}
