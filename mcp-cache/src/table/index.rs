//! From a key's hash to its slot.

/// Cells of a bucket; with the count it is one cache line.
const CELLS: usize = 7;
const BUCKETS_MIN: usize = 4;
/// No slot has this number.
const NONE: u32 = u32::MAX;

/// Half of a hash and the number of a slot, seven times in a cache line.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Bucket {
    hashes: [u32; CELLS],
    /// Cells of later buckets whose home is this one or one before it.
    passed: u32,
    slots: [u32; CELLS],
}

const EMPTY: Bucket = Bucket {
    hashes: [0; CELLS],
    passed: 0,
    slots: [NONE; CELLS],
};

/// Buckets of one cache line, searched whole: the comparisons have no branches
/// that a hash could mispredict, and a slot is read only if half of its hash
/// fits.
///
/// A full bucket passes a newcomer on to the next one and counts it, so
/// that a search knows where to end and nothing dead is left behind (the
/// counters are those of F14: Bronson and Shi, 2019). A hash's home is
/// its share of the range, so the table can grow by half.
#[derive(Debug)]
pub(crate) struct Index {
    buckets: Box<[Bucket]>,
    len: usize,
}

impl Bucket {
    /// A bit for each cell with this hash, and junk above them.
    #[inline]
    fn matches(&self, hash: u32) -> u32 {
        let mut found = 0;
        for (bit, other) in self.hashes.iter().enumerate() {
            found |= u32::from(*other == hash) << bit;
        }
        found
    }

    fn position(&self, slot: u32) -> Option<usize> {
        self.slots.iter().position(|other| *other == slot)
    }
}

impl Index {
    pub(crate) fn new() -> Self {
        Self {
            buckets: Box::default(),
            len: 0,
        }
    }

    /// The slot with this hash that is the right one.
    #[inline]
    pub(crate) fn find(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let mut at = self.home(hash);
        loop {
            let bucket = self.buckets.get(at)?;
            let mut found = bucket.matches(hash);
            while found != 0 {
                let slot = bucket.slots[found.trailing_zeros() as usize % 8 % CELLS];
                if slot != NONE && is_it(slot) {
                    return Some(slot);
                }
                found &= found - 1;
            }
            if bucket.passed == 0 {
                return None;
            }
            at = self.after(at);
        }
    }

    /// Adds a slot that is not there.
    pub(crate) fn insert(&mut self, hash: u32, slot: u32) {
        // Three quarters full at most.
        if (self.len + 1) * 4 > self.buckets.len() * CELLS * 3 {
            self.grow();
        }
        self.place(hash, slot);
        self.len += 1;
    }

    fn place(&mut self, hash: u32, slot: u32) {
        let mut at = self.home(hash);
        loop {
            let bucket = &mut self.buckets[at];
            if let Some(free) = bucket.position(NONE) {
                (bucket.hashes[free], bucket.slots[free]) = (hash, slot);
                return;
            }
            bucket.passed += 1;
            at = self.after(at);
        }
    }

    /// Removes a slot that is there.
    pub(crate) fn remove(&mut self, hash: u32, slot: u32) {
        let mut at = self.home(hash);
        while let Some(bucket) = self.buckets.get_mut(at) {
            if let Some(cell) = bucket.position(slot) {
                bucket.slots[cell] = NONE;
                self.len -= 1;
                return;
            }
            bucket.passed -= 1;
            at = self.after(at);
        }
    }

    #[inline]
    fn home(&self, hash: u32) -> usize {
        ((u64::from(hash) * self.buckets.len() as u64) >> 32) as usize
    }

    #[inline]
    fn after(&self, at: usize) -> usize {
        if at + 1 == self.buckets.len() {
            0
        } else {
            at + 1
        }
    }

    #[cold]
    fn grow(&mut self) {
        let buckets = (self.buckets.len() * 3 / 2).max(BUCKETS_MIN);
        let old = std::mem::replace(&mut self.buckets, vec![EMPTY; buckets].into());
        for bucket in &old {
            let cells = bucket.hashes.into_iter().zip(bucket.slots);
            for (hash, slot) in cells.filter(|(_, slot)| *slot != NONE) {
                self.place(hash, slot);
            }
        }
    }
}

#[cfg(all(test, not(mcp_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        /// Few hashes and many slots: runs over several buckets, and over the end.
        #[test]
        fn it_finds_what_a_map_holds(
            ops in prop::collection::vec((any::<bool>(), 0u32..4, 0u32..40), 1..400),
            last in any::<bool>(),
        ) {
            let hash_of = |hash: u32| if last { u32::MAX - hash } else { hash << 29 };
            let (mut index, mut model) = (Index::new(), BTreeMap::new());
            for (add, hash, slot) in ops {
                if add && !model.contains_key(&slot) {
                    model.insert(slot, hash);
                    index.insert(hash_of(hash), slot);
                } else if !add && let Some(hash) = model.remove(&slot) {
                    index.remove(hash_of(hash), slot);
                }
                prop_assert_eq!(index.len, model.len());
            }
            for (hash, slot) in (0..4).flat_map(|hash| (0..40).map(move |slot| (hash, slot))) {
                let found = index.find(hash_of(hash), |other| other == slot);
                prop_assert_eq!(found.is_some(), model.get(&slot) == Some(&hash));
            }
            for (slot, hash) in model {
                index.remove(hash_of(hash), slot);
            }
            prop_assert!(index.buckets.iter().all(|bucket| bucket.passed == 0));
        }
    }

    #[test]
    fn it_grows_by_half() {
        let mut index = Index::new();
        for slot in 0..100_000u32 {
            index.insert(slot.wrapping_mul(0x9e37_79b1), slot);
            let cells = index.buckets.len() * CELLS;
            assert!(index.len * 4 <= cells * 3 && cells < index.len.max(40) * 9 / 4);
        }
    }
}
