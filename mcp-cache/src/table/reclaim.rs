//! Finding the dead before they are met, and giving memory back.

use super::{Now, Place, Shard, Trash, index::Index, slab::Slab};

/// Slots that an insert into a full table looks at.
const LOOKS: u32 = 2;
/// Moves of [`Shard::compact`] for one entry that leaves, which makes two slots too
/// many at the most.
pub(super) const MOVES: usize = 3;

/// A walk over all slots, from the last to the first.
#[derive(Debug, Default)]
pub(super) struct Lap {
    /// Slots that are still before it.
    left: u32,
    /// The epoch at which it began.
    began: u64,
    /// Whatever was invalidated up to this epoch is gone.
    clean: u64,
}

impl<K, V> Shard<K, V> {
    /// Removes dead entries before live ones have to leave: each insert goes on with
    /// the walk for a little, unless nothing was invalidated since the last one began.
    /// What has only expired is the sweep's.
    pub(super) fn reclaim(&mut self, now: &Now<'_, K>, trash: &mut Trash<K, V>) {
        for _ in 0..LOOKS {
            if self.lap.clean == now.epoch {
                return;
            }
            if self.lap.left == 0 {
                self.lap.left = u32::try_from(self.slab.slots()).unwrap_or(u32::MAX);
                self.lap.began = now.epoch;
            }
            self.lap.left = self.lap.left.saturating_sub(1);
            self.discard_if_dead(self.lap.left, now, trash);
            if self.lap.left == 0 {
                self.lap.clean = self.lap.began;
            }
        }
    }

    /// Gives memory back while more than half of the slots are free, in so many moves
    /// of the last entry to a free slot. A walk that comes from the last slot misses
    /// nobody by that.
    pub(crate) fn compact(&mut self, moves: usize) {
        if self.held.entries == 0 {
            (self.slab, self.index) = (Slab::new(), Index::new());
            return;
        }
        for _ in 0..moves {
            if !self.slab.is_sparse(self.held.entries) {
                break;
            }
            let Some((from, to)) = self.slab.drop_last() else {
                continue;
            };
            let tail = &self.slab.back(to).tail;
            self.index.renumber(tail.hash, from, to);
            match tail.place {
                Place::Probation => self.probation.moved(&mut self.slab, from, to),
                Place::Protected => self.protected.moved(&mut self.slab, from, to),
            }
        }
        let slab = &self.slab;
        self.index.shrink(|slot| slab.back(slot).tail.hash);
        self.ghosts.shrink(self.ghost_window());
    }
}

#[cfg(all(test, not(mcp_loom)))]
mod tests {
    use crate::{
        epoch::Ledger,
        table::{Entry, Head, Limit, Now, Shard, Tail, Trash},
    };
    use std::sync::Arc;

    type Table = Shard<u32, u32>;

    fn hash_of(key: u32) -> u32 {
        key.wrapping_mul(0x9e37_79b1)
    }

    fn add(table: &mut Table, ledger: &Ledger<u32>, key: u32, bytes: u32) {
        let now = Now {
            ledger,
            epoch: ledger.epochs.now(),
            ms: 0,
        };
        let entry = Entry {
            key,
            value: key,
            head: Head {
                checked: now.epoch,
                fresh_for_ms: u32::MAX,
                ..Head::default()
            },
            tail: Tail {
                born: now.epoch,
                hash: hash_of(key),
                bytes,
                ..Tail::default()
            },
        };
        table.add(entry, &now, &mut Trash::new());
    }

    /// How many of the keys are there, each in the slot that the index names.
    fn found(table: &mut Table, keys: std::ops::Range<u32>) -> u64 {
        keys.filter_map(|key| {
            let at = table.find(hash_of(key), &key)?;
            assert_eq!(table.front_mut(at).item, Some((key, key)));
            Some(at)
        })
        .count() as u64
    }

    /// 10,000 small entries make room for larger and larger ones.
    #[test]
    fn entries_that_grow_give_their_slots_back() {
        let ledger = Ledger::new(Arc::default());
        let mut table = Table::new(Limit::new(1_000_000, u64::MAX));
        (0..20_000).for_each(|key| add(&mut table, &ledger, key, 100));
        assert_eq!((table.entries(), table.slots()), (10_000, 10_000));
        for (round, bytes) in [(1, 1_000), (2, 20_000), (3, 300_000)] {
            let keys = round * 100_000..round * 100_000 + 3_000;
            keys.clone()
                .for_each(|key| add(&mut table, &ledger, key, bytes));
            assert!(table.bytes() <= 1_000_000 && table.entries() > 0);
            let slots = table.slots() as u64;
            assert!(slots <= 2 * table.entries() + 64, "{slots}");
            let entries = table.entries();
            assert_eq!(found(&mut table, keys), entries);
        }
        // And back: what was given up is there again when it is needed.
        (0..20_000).for_each(|key| add(&mut table, &ledger, key, 100));
        assert_eq!(found(&mut table, 0..20_000), 10_000);
    }

    #[test]
    fn a_table_that_is_emptied_by_hand_gives_its_slots_back() {
        let ledger = Ledger::new(Arc::default());
        let mut table = Table::new(Limit::new(u64::MAX, u64::MAX));
        (0..1_000).for_each(|key| add(&mut table, &ledger, key, 1));
        for key in (0..1_000).filter(|key| key % 100 != 7) {
            let at = table.find(hash_of(key), &key).expect("it is there");
            assert_eq!(table.remove(at), Some((key, key)));
        }
        table.compact(1_000);
        assert!(table.slots() <= 84, "{}", table.slots());
        assert_eq!(found(&mut table, 0..1_000), 10);
    }
}
