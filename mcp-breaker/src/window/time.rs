//! The results of the last seconds in a ring of packed buckets.

use super::{Grade, cell::take_one_back};
use crate::{
    sync::{AtomicU64, Ordering, fence},
    trip::Tally,
};

/// Life 12 bits | epoch 24 | count 28. The epoch is the bucket's number since
/// the clock's origin; both tags wrap.
///
/// One word per count and not one for all three: sharing 64 bits would leave
/// 16 bits a count, which one second of a busy service overflows.
const COUNT_BITS: u32 = 28;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
/// Counts stop here, below their mask, so that callers who add at the same
/// moment cannot carry into the tag.
const COUNT_FULL: u64 = COUNT_MASK - (1 << 16);
const EPOCH_MASK: u64 = (1 << 24) - 1;
const LIFE_SHIFT: u32 = 52;
const LIFE_MASK: u64 = (1 << 12) - 1;

/// A cell whose epoch is ahead by no more than this was written by a caller
/// with a later reading of the clock. Further ahead it is a leftover from
/// before the epoch wrapped.
const EPOCHS_AHEAD_MAX: u64 = 4096;

/// Which count of a bucket. Its owner says of what; for a breaker they are
/// calls, failed ones and slow ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Whole,
    Part,
    OtherPart,
}

#[derive(Debug)]
struct Bucket {
    whole: AtomicU64,
    part: AtomicU64,
    other_part: AtomicU64,
}

impl Bucket {
    fn new() -> Self {
        Self {
            whole: AtomicU64::new(0),
            part: AtomicU64::new(0),
            other_part: AtomicU64::new(0),
        }
    }

    fn field(&self, field: Field) -> &AtomicU64 {
        match field {
            Field::Whole => &self.whole,
            Field::Part => &self.part,
            Field::OtherPart => &self.other_part,
        }
    }
}

/// Costs the same however many calls the window holds: a call touches one
/// bucket, a tally adds up 10 to 60 of them.
#[derive(Debug)]
pub(crate) struct TimeRing {
    buckets: Box<[Bucket]>,
    width_ns: u64,
    /// `Whole` of the buckets that were since taken over.
    earlier: AtomicU64,
}

impl TimeRing {
    pub(crate) fn new(duration_ns: u64, buckets: u16) -> Self {
        Self {
            buckets: (0..buckets).map(|_| Bucket::new()).collect(),
            width_ns: (duration_ns / u64::from(buckets)).max(1),
            earlier: AtomicU64::new(0),
        }
    }

    #[inline(never)]
    pub(crate) fn record(&self, life: u32, grade: Grade, now_ns: u64) -> bool {
        let noted = self.add(Field::Whole, life, now_ns);
        if grade.failed {
            self.add(Field::Part, life, now_ns);
        }
        if grade.slow {
            self.add(Field::OtherPart, life, now_ns);
        }
        noted
    }

    /// Adds one; `false` when the bucket already belongs to a later time or
    /// life, and the caller therefore came too late.
    pub(crate) fn add(&self, field: Field, life: u32, now_ns: u64) -> bool {
        let epoch = now_ns / self.width_ns;
        let mine = tag(life, epoch);
        let Some(bucket) = self.bucket(epoch) else {
            return false;
        };
        let cell = bucket.field(field);
        let seen = cell.load(Ordering::Relaxed);
        if seen & !COUNT_MASK == mine && count(seen) < COUNT_FULL {
            let before = cell.fetch_add(1, Ordering::Release);
            if before & !COUNT_MASK == mine {
                return true;
            }
            // The bucket was taken over between the two instructions.
            take_one_back(cell, before & !COUNT_MASK, COUNT_MASK);
            return false;
        }
        self.add_slowly(field, cell, mine)
    }

    /// Takes a bucket over, or finds that it is full or taken.
    #[cold]
    fn add_slowly(&self, field: Field, cell: &AtomicU64, mine: u64) -> bool {
        let mut seen = cell.load(Ordering::Relaxed);
        loop {
            let (next, replaced) = match relation(seen & !COUNT_MASK, mine) {
                Relation::Same => (mine | (count(seen) + 1).min(COUNT_FULL), 0),
                Relation::Earlier => (mine | 1, count(seen)),
                Relation::Later => return false,
            };
            match cell.compare_exchange_weak(seen, next, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => {
                    if replaced > 0 && field == Field::Whole {
                        self.earlier.fetch_add(replaced, Ordering::Relaxed);
                    }
                    return true;
                }
                Err(now) => seen = now,
            }
        }
    }

    /// Takes one back that was added at `now_ns`, if its bucket still stands.
    pub(crate) fn take_back(&self, field: Field, life: u32, now_ns: u64) {
        let epoch = now_ns / self.width_ns;
        if let Some(bucket) = self.bucket(epoch) {
            take_one_back(bucket.field(field), tag(life, epoch), COUNT_MASK);
        }
    }

    /// The parts are read before the whole: calls that come in between make a
    /// rate too low for a moment, never too high.
    pub(crate) fn tally(&self, life: u32, now_ns: u64) -> Tally {
        let failures = self.sum(Field::Part, life, now_ns);
        let slow = self.sum(Field::OtherPart, life, now_ns);
        fence(Ordering::Acquire);
        Tally {
            calls: self.sum(Field::Whole, life, now_ns),
            failures,
            slow,
        }
    }

    pub(crate) fn sum(&self, field: Field, life: u32, now_ns: u64) -> u32 {
        let epoch = (now_ns / self.width_ns) & EPOCH_MASK;
        let mut sum = 0;
        for bucket in &self.buckets {
            let cell = bucket.field(field).load(Ordering::Relaxed);
            if holds(cell, life, epoch, self.buckets.len() as u64) {
                sum += count(cell);
            }
        }
        u32::try_from(sum).unwrap_or(u32::MAX)
    }

    pub(crate) fn recorded(&self) -> u64 {
        let standing: u64 = self
            .buckets
            .iter()
            .map(|bucket| count(bucket.whole.load(Ordering::Relaxed)))
            .sum();
        self.earlier.load(Ordering::Relaxed) + standing
    }

    fn bucket(&self, epoch: u64) -> Option<&Bucket> {
        let at = epoch % self.buckets.len() as u64;
        usize::try_from(at).ok().and_then(|at| self.buckets.get(at))
    }
}

const fn tag(life: u32, epoch: u64) -> u64 {
    ((life as u64 & LIFE_MASK) << LIFE_SHIFT) | ((epoch & EPOCH_MASK) << COUNT_BITS)
}

const fn count(cell: u64) -> u64 {
    cell & COUNT_MASK
}

const fn epoch_of(tag: u64) -> u64 {
    (tag >> COUNT_BITS) & EPOCH_MASK
}

/// Whether a cell belongs to this life and to the window that ends at `epoch`.
fn holds(cell: u64, life: u32, epoch: u64, buckets: u64) -> bool {
    let same_life = cell >> LIFE_SHIFT == u64::from(life) & LIFE_MASK;
    let age = epoch.wrapping_sub(epoch_of(cell)) & EPOCH_MASK;
    same_life && age < buckets
}

#[derive(Debug, PartialEq, Eq)]
enum Relation {
    Earlier,
    Same,
    Later,
}

/// How the tag `seen` in a cell relates to one's own: time first, then life.
fn relation(seen: u64, mine: u64) -> Relation {
    if seen == mine {
        return Relation::Same;
    }
    let epochs_ahead = epoch_of(seen).wrapping_sub(epoch_of(mine)) & EPOCH_MASK;
    let lives_ahead = (seen >> LIFE_SHIFT).wrapping_sub(mine >> LIFE_SHIFT) & LIFE_MASK;
    let later = match epochs_ahead {
        0 => lives_ahead <= LIFE_MASK / 2,
        ahead => ahead <= EPOCHS_AHEAD_MAX,
    };
    if later {
        Relation::Later
    } else {
        Relation::Earlier
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relation_follows_the_table() {
        let check = |seen: (u32, u64), mine: (u32, u64), expect| {
            assert_eq!(
                relation(tag(seen.0, seen.1), tag(mine.0, mine.1)),
                expect,
                "{seen:?} {mine:?}"
            );
        };
        check((1, 5), (1, 5), Relation::Same);
        check((1, 4), (1, 5), Relation::Earlier);
        check((1, 6), (1, 5), Relation::Later);
        check((2, 5), (1, 5), Relation::Later);
        check((1, 5), (2, 5), Relation::Earlier);
        check((1, 9), (2, 5), Relation::Later);
        check((9, 4), (2, 5), Relation::Earlier);
        check((0, 5), (4095, 5), Relation::Later);
        check((1, 0), (1, EPOCH_MASK), Relation::Later);
        check((1, EPOCH_MASK), (1, 0), Relation::Earlier);
        // A leftover from before the epoch wrapped does not block the bucket.
        check((1, 5 + EPOCHS_AHEAD_MAX + 1), (1, 5), Relation::Earlier);
    }

    #[test]
    fn fields_do_not_leak_into_each_other() {
        let full = tag(u32::MAX, u64::MAX) | COUNT_MASK;
        assert_eq!(full, u64::MAX);
        assert_eq!((count(full), epoch_of(full)), (COUNT_MASK, EPOCH_MASK));
        assert_eq!(tag(0, u64::MAX) >> LIFE_SHIFT, 0);
        assert_eq!(epoch_of(tag(u32::MAX, 0)), 0);
    }
}
