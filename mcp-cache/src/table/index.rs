//! From a key's hash to its slot.

/// Cells of a bucket; with the count it is one cache line.
const CELLS: usize = 12;
const BUCKETS_MIN: usize = 2;
/// No slot has this number.
const NONE: u32 = u32::MAX;
/// The first bit of each byte.
const ONES: u64 = 0x0101_0101_0101_0101;

/// A byte of a hash and the number of a slot, twelve times in a cache line.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Bucket {
    /// The tags of the cells as bytes of two words; 0 is an empty cell.
    tags: [u8; CELLS],
    /// Cells of later buckets whose home is this one or one before it.
    passed: u32,
    slots: [u32; CELLS],
}

const EMPTY: Bucket = Bucket {
    tags: [0; CELLS],
    passed: 0,
    slots: [NONE; CELLS],
};

/// Buckets of one cache line, searched a word at a time: no branch depends on
/// which cell it is, and a slot is read only if a byte of its hash fits.
///
/// A full bucket passes a newcomer on to the next one and counts it, so
/// that a search knows where to end and nothing dead is left behind (the
/// counters are those of F14: Bronson and Shi, 2019). A removal fills its cell
/// with one that was passed on: a bucket that counts is full, so not all of
/// them do, and every search ends. A hash's home is its share of the range, so
/// the table can grow by half.
#[derive(Debug)]
pub(crate) struct Index {
    buckets: Box<[Bucket]>,
    len: usize,
}

/// A bit in each byte of `word` that is `tag`; now and then in another one above it.
#[inline]
fn matches(word: u64, tag: u8) -> u64 {
    let differs = word ^ (ONES * u64::from(tag));
    differs.wrapping_sub(ONES) & !differs & (ONES << 7)
}

/// The home is in the upper bits.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "a byte is wanted")]
fn tag_of(hash: u32) -> u8 {
    (hash as u8).max(1)
}

impl Bucket {
    #[inline]
    fn words(&self) -> [u64; 2] {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = self.tags;
        let first = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        [first, u64::from_le_bytes([i, j, k, l, 0, 0, 0, 0])]
    }

    /// The first free cell. No branch depends on which one it is: that would be
    /// guessed wrong.
    fn free(&self) -> Option<usize> {
        let [first, second] = self.words();
        let free = u128::from(matches(first, 0)) | u128::from(matches(second, 0)) << 64;
        let cell = free.trailing_zeros() as usize / 8;
        (cell < CELLS).then_some(cell)
    }

    /// The cell of a slot, looked for in all cells at once.
    fn cell_of(&self, slot: u32) -> Option<usize> {
        let mut cell = 0u32;
        for (other, number) in self.slots.iter().zip(1..) {
            cell |= if *other == slot { number } else { 0 };
        }
        cell.checked_sub(1).map(|cell| cell as usize)
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
        for _ in 0..self.buckets.len() {
            let bucket = self.buckets.get(at)?;
            for (word, first) in bucket.words().into_iter().zip([0, 8]) {
                let mut found = matches(word, tag_of(hash));
                while found != 0 {
                    let cell = first + found.trailing_zeros() as usize / 8;
                    let slot = bucket.slots.get(cell).copied().unwrap_or(NONE);
                    if slot != NONE && is_it(slot) {
                        return Some(slot);
                    }
                    found &= found - 1;
                }
            }
            if bucket.passed == 0 {
                return None;
            }
            at = self.after(at);
        }
        None
    }

    /// Adds a slot that is not there; `hash_of` knows the hash of those that are.
    pub(crate) fn insert(&mut self, hash: u32, slot: u32, hash_of: impl Fn(u32) -> u32) {
        // Three quarters full at most.
        if (self.len + 1) * 4 > self.buckets.len() * CELLS * 3 {
            self.grow(hash_of);
        }
        self.place(hash, slot);
        self.len += 1;
    }

    fn place(&mut self, hash: u32, slot: u32) {
        let mut at = self.home(hash);
        loop {
            let bucket = &mut self.buckets[at];
            if let Some(free) = bucket.free() {
                (bucket.tags[free], bucket.slots[free]) = (tag_of(hash), slot);
                return;
            }
            bucket.passed += 1;
            at = self.after(at);
        }
    }

    /// Removes a slot that is there; `hash_of` knows the hash of the others.
    pub(crate) fn remove(&mut self, hash: u32, slot: u32, hash_of: impl Fn(u32) -> u32) {
        let mut at = self.home(hash);
        while let Some(bucket) = self.buckets.get_mut(at) {
            if let Some(cell) = bucket.cell_of(slot) {
                (bucket.tags[cell], bucket.slots[cell]) = (0, NONE);
                self.len -= 1;
                return self.refill(at, cell, hash_of);
            }
            bucket.passed -= 1;
            at = self.after(at);
        }
    }

    /// A slot has another number now.
    pub(crate) fn renumber(&mut self, hash: u32, from: u32, to: u32) {
        let mut at = self.home(hash);
        while let Some(bucket) = self.buckets.get_mut(at) {
            if let Some(cell) = bucket.cell_of(from) {
                bucket.slots[cell] = to;
                return;
            }
            at = self.after(at);
        }
    }

    /// Gives memory back if less than a quarter of it is used.
    pub(crate) fn shrink(&mut self, hash_of: impl Fn(u32) -> u32) {
        if self.buckets.len() > 2 * BUCKETS_MIN && self.len * 4 < self.buckets.len() * CELLS {
            self.rebuild(self.buckets.len() / 2, hash_of);
        }
    }

    /// Fills a cell that has become free with one that its bucket passed on, and
    /// that one's cell likewise. Ends: each move brings one nearer to its home.
    fn refill(&mut self, mut at: usize, mut cell: usize, hash_of: impl Fn(u32) -> u32) {
        while self.buckets[at].passed > 0
            && let Some((from, moved)) = self.passed_by(at, &hash_of)
        {
            let bucket = &mut self.buckets[from];
            let (tag, slot) = (bucket.tags[moved], bucket.slots[moved]);
            (bucket.tags[moved], bucket.slots[moved]) = (0, NONE);
            let bucket = &mut self.buckets[at];
            (bucket.tags[cell], bucket.slots[cell]) = (tag, slot);
            while at != from {
                self.buckets[at].passed -= 1;
                at = self.after(at);
            }
            cell = moved;
        }
    }

    /// Bucket and cell of the nearest one that bucket `at` passed on.
    fn passed_by(&self, at: usize, hash_of: impl Fn(u32) -> u32) -> Option<(usize, usize)> {
        let mut from = at;
        for distance in 1..self.buckets.len() {
            from = self.after(from);
            let came_by = |slot: &u32| {
                *slot != NONE && self.distance(self.home(hash_of(*slot)), from) >= distance
            };
            if let Some(cell) = self.buckets[from].slots.iter().position(came_by) {
                return Some((from, cell));
            }
        }
        None
    }

    /// Steps from one bucket to another one.
    fn distance(&self, from: usize, to: usize) -> usize {
        match to.checked_sub(from) {
            Some(steps) => steps,
            None => to + self.buckets.len() - from,
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
    fn grow(&mut self, hash_of: impl Fn(u32) -> u32) {
        self.rebuild((self.buckets.len() * 3 / 2).max(BUCKETS_MIN), hash_of);
    }

    fn rebuild(&mut self, buckets: usize, hash_of: impl Fn(u32) -> u32) {
        let old = std::mem::replace(&mut self.buckets, vec![EMPTY; buckets].into());
        for slot in old.iter().flat_map(|bucket| bucket.slots) {
            if slot != NONE {
                self.place(hash_of(slot), slot);
            }
        }
    }
}

#[cfg(all(test, not(mcp_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    impl Index {
        /// What every search relies on.
        fn check(&self) {
            for bucket in &self.buckets {
                assert!(bucket.passed == 0 || bucket.free().is_none(), "{self:?}");
            }
        }
    }

    proptest! {
        /// Few homes, on all sides, and a table that stays full: runs over several
        /// buckets and over the end, with removals in between.
        #[test]
        fn it_finds_what_a_map_holds(
            homes in 1u32..12,
            held in 1usize..60,
            ops in prop::collection::vec((any::<bool>(), any::<u32>(), 0u32..80), 1..600),
        ) {
            let hash_of = |home: u32| (home * (u32::MAX / homes)).saturating_add(7);
            let (mut index, mut model) = (Index::new(), BTreeMap::new());
            for (remove, home, slot) in ops {
                let home = home % (homes + 1);
                if let Some(home) = model.get(&slot).copied() && remove {
                    index.remove(hash_of(home), slot, |other| hash_of(model[&other]));
                    model.remove(&slot);
                } else if !model.contains_key(&slot) && model.len() < held {
                    model.insert(slot, home);
                    index.insert(hash_of(home), slot, |other| hash_of(model[&other]));
                }
                prop_assert_eq!(index.len, model.len());
                index.check();
            }
            for (home, slot) in (0..=homes).flat_map(|home| (0..80).map(move |slot| (home, slot))) {
                let is_it = |other| other == slot && model.get(&other) == Some(&home);
                let found = index.find(hash_of(home), is_it);
                prop_assert_eq!(found.is_some(), model.get(&slot) == Some(&home));
            }
            while let Some((slot, home)) = model.pop_first() {
                index.remove(hash_of(home), slot, |other| hash_of(model[&other]));
            }
            prop_assert!(index.buckets.iter().all(|bucket| bucket.passed == 0));
        }
    }

    /// Both of two buckets have passed one on, and neither is there any more.
    #[test]
    fn a_search_ends_after_every_bucket_was_full() {
        let hash_of = |slot: u32| if slot < 13 { 0 } else { u32::MAX };
        let mut index = Index::new();
        (0..13).for_each(|slot| index.insert(hash_of(slot), slot, hash_of));
        (0..7).for_each(|slot| index.remove(hash_of(slot), slot, hash_of));
        (13..25).for_each(|slot| index.insert(hash_of(slot), slot, hash_of));
        assert_eq!((index.buckets.len(), index.len), (BUCKETS_MIN, 18));
        index.check();
        for slot in 0..25 {
            let found = index.find(hash_of(slot), |other| other == slot);
            assert_eq!(found, (slot >= 7).then_some(slot));
        }
    }

    #[test]
    fn it_grows_by_half() {
        let mut index = Index::new();
        let hash_of = |slot: u32| slot.wrapping_mul(0x9e37_79b1);
        for slot in 0..100_000u32 {
            index.insert(hash_of(slot), slot, hash_of);
            let cells = index.buckets.len() * CELLS;
            assert!(index.len * 4 <= cells * 3 && cells < index.len.max(40) * 9 / 4);
        }
    }
}
