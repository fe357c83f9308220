//! What one process knows of the invalidations of all.

use super::scope::{self, Mark};
use crate::{
    epoch::Stamps,
    sync::{AtomicU64, Ordering},
};

/// The messages that were applied, and their stamps.
///
/// Whoever asks has read an epoch from the store after its read began. If that is
/// the number of the last message that was applied, the stamps here are all there
/// are for records that were born within what was heard without a gap.
#[derive(Debug)]
pub(crate) struct Mirror {
    /// The number of the last message applied, all before it included; 0 while
    /// nothing is known.
    applied: AtomicU64,
    /// What was invalidated after this number is known, up to `applied`.
    known_from: AtomicU64,
    stamps: Stamps,
}

/// What the mirror says of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Live,
    Dead,
    /// The store's own stamps have to be asked.
    Unknown,
}

/// What to do with a message, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Next,
    /// Applied already, or covered by what was read when the feed began.
    Old,
    /// Some before it are missing.
    Gap,
}

impl Mirror {
    pub(crate) fn new() -> Self {
        Self {
            applied: AtomicU64::new(0),
            known_from: AtomicU64::new(0),
            stamps: scope::stamps(),
        }
    }

    pub(crate) fn applied(&self) -> u64 {
        self.applied.load(Ordering::Acquire)
    }

    pub(crate) fn order(&self, number: u64) -> Order {
        let applied = self.applied();
        if number <= applied {
            Order::Old
        } else if number == applied + 1 {
            Order::Next
        } else {
            Order::Gap
        }
    }

    /// Notes an invalidation. Never wrong, whatever is known of those before.
    pub(crate) fn raise(&self, mark: Mark, number: u64) {
        self.stamps.raise(mark.fingerprint(), number);
    }

    /// A message is applied: its stamps are raised, and the first tier has obeyed.
    pub(crate) fn apply(&self, number: u64) {
        self.applied.store(number, Ordering::Release);
    }

    /// Nothing before `number` counts as known any more, and nothing after it was
    /// missed.
    pub(crate) fn begin(&self, number: u64) {
        self.applied.store(0, Ordering::Release);
        self.forget_before(number);
        self.applied.store(number, Ordering::Release);
    }

    /// What was born before `number` is not judged here any more.
    pub(crate) fn forget_before(&self, number: u64) {
        self.known_from.fetch_max(number, Ordering::Release);
    }

    /// Nothing is heard at the moment.
    pub(crate) fn end(&self) {
        self.applied.store(0, Ordering::Release);
    }

    pub(crate) fn is_current(&self, epoch: u64) -> bool {
        epoch != 0 && self.applied() == epoch
    }

    /// `epoch` was read from the store since the read began.
    pub(crate) fn judge(
        &self,
        epoch: u64,
        born: u64,
        mut marks: impl Iterator<Item = Mark>,
    ) -> Verdict {
        let current = self.is_current(epoch);
        if marks.any(|mark| self.stamps.is_after(mark.fingerprint(), born)) {
            return Verdict::Dead;
        }
        match current && self.known_from.load(Ordering::Acquire) <= born {
            true => Verdict::Live,
            false => Verdict::Unknown,
        }
    }
}

#[cfg(all(test, not(mcp_loom)))]
mod tests {
    use super::*;
    use crate::remote::scope::Kind;

    fn mark(name: &str) -> Mark {
        Mark::of(Kind::Tag, name.as_bytes())
    }

    #[test]
    fn messages_have_an_order() {
        let mirror = Mirror::new();
        mirror.begin(10);
        for (number, order) in [
            (9, Order::Old),
            (10, Order::Old),
            (11, Order::Next),
            (12, Order::Gap),
        ] {
            assert_eq!(mirror.order(number), order, "{number}");
        }
        mirror.apply(11);
        assert_eq!(mirror.order(12), Order::Next);
    }

    #[test]
    fn only_what_was_heard_without_a_gap_is_judged_here() {
        let mirror = Mirror::new();
        let judge = |epoch, born| mirror.judge(epoch, born, [mark("a")].into_iter());
        assert_eq!(judge(0, 5), Verdict::Unknown, "nothing is known yet");
        mirror.begin(10);
        assert_eq!(judge(10, 10), Verdict::Live);
        assert_eq!(judge(11, 10), Verdict::Unknown, "a message is on its way");
        assert_eq!(
            judge(10, 9),
            Verdict::Unknown,
            "born before the first message"
        );
        mirror.raise(mark("a"), 11);
        assert_eq!(
            judge(10, 10),
            Verdict::Dead,
            "one's own, not heard back yet"
        );
        mirror.apply(11);
        assert_eq!(
            (judge(11, 10), judge(11, 11)),
            (Verdict::Dead, Verdict::Live)
        );
        mirror.forget_before(20);
        assert_eq!(judge(11, 11), Verdict::Unknown, "of a base that was");
        mirror.begin(20);
        assert_eq!(judge(20, 20), Verdict::Live);
        mirror.end();
        assert_eq!(judge(20, 20), Verdict::Unknown);
        assert_eq!(judge(0, 11), Verdict::Unknown);
    }
}
