//! From a key's hash to its slot.

/// No slot has this number.
const EMPTY: u64 = u64::MAX;
const HOMES_MIN: u64 = 16;
/// Cells behind the last home, for those that were pushed past it.
const TAIL: usize = 16;

/// Linear probing in the order of the hashes (Amble and Knuth, 1974).
///
/// A cell holds half of the hash and the number of the slot. A hash's home is its
/// share of the range, so the order of the cells is the order of the hashes:
/// a search ends at the first larger hash, whether it finds or not, nearly
/// always within one cache line, and reads no slot but the right one. Growing is
/// one walk along both arrays and reads no slot at all.
#[derive(Debug)]
pub(crate) struct Index {
    cells: Vec<u64>,
    /// Cells that are somebody's home.
    homes: u64,
    len: usize,
}

#[inline]
fn hash_of(cell: u64) -> u64 {
    cell >> 32
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the lower half is wanted")]
fn slot_of(cell: u64) -> u32 {
    cell as u32
}

impl Index {
    pub(crate) fn new() -> Self {
        Self {
            cells: Vec::new(),
            homes: 0,
            len: 0,
        }
    }

    /// The slot with this hash that is the right one.
    #[inline]
    pub(crate) fn find(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let from = self.cells.get(self.home(hash.into())..)?;
        for cell in from {
            if hash_of(*cell) == u64::from(hash) && *cell != EMPTY && is_it(slot_of(*cell)) {
                return Some(slot_of(*cell));
            }
            // An empty cell counts as the largest.
            if hash_of(*cell) > u64::from(hash) || *cell == EMPTY {
                return None;
            }
        }
        None
    }

    /// Adds a slot that is not there.
    pub(crate) fn insert(&mut self, hash: u32, slot: u32) {
        if (self.len + 1) as u64 * 4 > self.homes * 3 {
            self.grow();
        }
        let cell = u64::from(hash) << 32 | u64::from(slot);
        self.place(cell);
        self.len += 1;
    }

    pub(crate) fn remove(&mut self, hash: u32, slot: u32) {
        let cell = u64::from(hash) << 32 | u64::from(slot);
        let home = self.home(hash.into());
        let Some(mut at) = self.cells.get(home..).and_then(|from| {
            let at = from
                .iter()
                .position(|other| *other == cell || *other == EMPTY)?;
            (from[at] == cell).then_some(home + at)
        }) else {
            return;
        };
        // Whoever was pushed away from home moves up.
        while let Some(next) = self.cells.get(at + 1).copied()
            && next != EMPTY
            && self.home(hash_of(next)) <= at
        {
            self.cells[at] = next;
            at += 1;
        }
        self.cells[at] = EMPTY;
        self.len -= 1;
    }

    #[inline]
    fn home(&self, hash: u64) -> usize {
        ((hash * self.homes) >> 32) as usize
    }

    fn place(&mut self, mut cell: u64) {
        let home = self.home(hash_of(cell));
        let free = self.cells[home..].iter().position(|other| *other == EMPTY);
        let free = home + free.unwrap_or_else(|| self.lengthen(home));
        for other in &mut self.cells[home..=free] {
            if *other > cell {
                std::mem::swap(other, &mut cell);
            }
        }
    }

    /// More cells behind the last; how far the first of them is from `home`.
    #[cold]
    fn lengthen(&mut self, home: usize) -> usize {
        let end = self.cells.len();
        self.cells.reserve_exact(TAIL);
        self.cells.resize(end + TAIL, EMPTY);
        end - home
    }

    #[cold]
    fn grow(&mut self) {
        let homes = (self.homes * 3 / 2).max(HOMES_MIN);
        let old = std::mem::take(&mut self.cells);
        self.homes = homes;
        let mut cells = Vec::with_capacity(usize::try_from(homes).unwrap_or(0) + TAIL);
        for cell in old.into_iter().filter(|cell| *cell != EMPTY) {
            // In order, so each goes to its home or right behind the one before.
            let at = self.home(hash_of(cell)).max(cells.len());
            cells.resize(at, EMPTY);
            cells.push(cell);
        }
        let end = cells.capacity().max(cells.len());
        cells.resize(end, EMPTY);
        self.cells = cells;
    }
}

#[cfg(all(test, not(mcp_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        /// Hashes from a small range, at both ends of it: long runs, runs off the end.
        #[test]
        fn it_finds_what_a_set_holds(
            ops in prop::collection::vec((any::<bool>(), 0u32..12, 0u32..24), 1..400),
            shift in prop_oneof![Just(0u32), Just(28)],
        ) {
            let (mut index, mut model) = (Index::new(), BTreeSet::new());
            for (add, hash, slot) in ops {
                let hash = if shift == 0 { u32::MAX - hash } else { hash << shift };
                if add && model.insert((hash, slot)) {
                    index.insert(hash, slot);
                } else if !add {
                    model.remove(&(hash, slot));
                    index.remove(hash, slot);
                }
                prop_assert_eq!(index.len, model.len());
                prop_assert!(index.cells.iter().filter(|cell| **cell != EMPTY).is_sorted());
            }
            for hash in (0..12).map(|hash| if shift == 0 { u32::MAX - hash } else { hash << shift }) {
                for slot in 0..24 {
                    let found = index.find(hash, |other| other == slot);
                    prop_assert_eq!(found.is_some(), model.contains(&(hash, slot)));
                }
            }
        }
    }

    #[test]
    fn it_grows_by_half_and_stays_at_most_three_quarters_full() {
        let mut index = Index::new();
        for slot in 0..100_000u32 {
            index.insert(slot.wrapping_mul(0x9e37_79b1), slot);
            assert!(index.len as u64 * 4 <= index.homes * 3);
        }
        assert!(index.cells.len() < 200_000 + TAIL, "{}", index.cells.len());
    }
}
