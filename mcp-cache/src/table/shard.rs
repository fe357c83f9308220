//! The table behind one lock.

use super::{
    Counters, Entry, Limit, Place, Trash, ghosts::Ghosts, limit::Size, ring::Ring, slab::Slab,
};
use crate::epoch::Ledger;
use hashbrown::{Equivalent, HashTable};

/// Bytes per entry beside its slot: its part of the index (five bytes a bucket, at
/// worst 7/16 full) and of the ghosts (eight bytes a slot, one slot an entry).
const SHARE_BYTES: usize = 12 + 8;

/// What a decision about an entry's life needs.
#[derive(Debug)]
pub(crate) struct Now<'a, K> {
    pub(crate) ledger: &'a Ledger<K>,
    /// Read before the shard is looked at.
    pub(crate) epoch: u64,
    pub(crate) ms: u64,
}

#[derive(Debug)]
pub(crate) struct Shard<K, V> {
    index: HashTable<u32>,
    pub(super) slab: Slab<Entry<K, V>>,
    pub(super) probation: Ring,
    pub(super) protected: Ring,
    pub(super) ghosts: Ghosts,
    pub(super) limit: Limit,
    pub(super) held: Size,
    pub(super) held_protected: Size,
    pub(crate) counters: Counters,
}

/// The index takes its bucket from the low bits and its tag from the top ones.
#[inline]
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

impl<K, V> Shard<K, V> {
    /// What an entry takes in the table, its key and value in place included.
    pub(crate) const ENTRY_BYTES: usize = Slab::<Entry<K, V>>::SLOT_BYTES + SHARE_BYTES;

    pub(crate) fn new(limit: Limit) -> Self {
        Self {
            index: HashTable::new(),
            slab: Slab::new(),
            probation: Ring::new(),
            protected: Ring::new(),
            ghosts: Ghosts::new(),
            limit,
            held: Size::default(),
            held_protected: Size::default(),
            counters: Counters::default(),
        }
    }

    pub(crate) fn entries(&self) -> u64 {
        self.held.entries
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.held.bytes
    }

    /// Whether an entry of so many bytes fits into the empty shard.
    pub(crate) fn admits(&self, bytes: u64) -> bool {
        u32::try_from(bytes).is_ok_and(|bytes| self.limit.admits(bytes))
    }

    /// Gives the memory of an empty table back; its slots are never moved.
    pub(crate) fn shrink_if_empty(&mut self) {
        if self.held.entries == 0 {
            self.slab = Slab::new();
            self.index = HashTable::new();
        }
    }

    /// Slots to walk through by [`at`](Self::at).
    pub(crate) fn slots(&self) -> usize {
        self.slab.slots()
    }

    #[inline]
    fn at(&self, at: u32) -> Option<&Entry<K, V>> {
        self.slab.get(at)
    }

    #[inline]
    pub(crate) fn find<Q>(&self, hash: u32, key: &Q) -> Option<(u32, &Entry<K, V>)>
    where
        Q: Equivalent<K> + ?Sized,
    {
        let is_it = |at: &u32| {
            self.slab
                .get(*at)
                .is_some_and(|entry| key.equivalent(&entry.key))
        };
        let at = *self.index.find(spread(hash), is_it)?;
        Some((at, self.slab.get(at)?))
    }

    /// Adds an entry whose key is not there, and makes room for it first.
    pub(crate) fn add(
        &mut self,
        mut entry: Entry<K, V>,
        now: &Now<'_, K>,
        trash: &mut Trash<K, V>,
    ) {
        while self.limit.is_full_for(self.held, entry.bytes) && self.evict(now, trash) {}
        if self.ghosts.recall(entry.hash, self.ghost_window()) {
            entry.place = Place::Protected;
        }
        let (hash, bytes, place) = (entry.hash, entry.bytes, entry.place);
        let at = self.slab.put(entry);
        let slab = &self.slab;
        let hash_of = |at: &u32| slab.get(*at).map_or(0, |entry| spread(entry.hash));
        self.index.insert_unique(spread(hash), at, hash_of);
        self.held.add(bytes);
        self.enter(at, bytes, place);
        while place == Place::Protected
            && self.limit.is_protected_over(self.held_protected)
            && self.evict_protected(now, trash)
        {}
    }

    /// Puts a newer value into the place of an older one of the same key.
    pub(crate) fn replace(
        &mut self,
        at: u32,
        mut entry: Entry<K, V>,
        now: &Now<'_, K>,
        trash: &mut Trash<K, V>,
    ) {
        let Some(old) = self.slab.get_mut(at) else {
            return;
        };
        entry.place = old.place;
        entry.used = std::mem::take(&mut old.used);
        entry.count_use();
        let (before, after) = (old.bytes, entry.bytes);
        let old = std::mem::replace(old, entry);
        trash.add(old.key, old.value);
        self.resize(at, before, after);
        while self.limit.is_over(self.held) && self.evict(now, trash) {}
    }

    fn resize(&mut self, at: u32, before: u32, after: u32) {
        let resize =
            |size: &mut Size| size.bytes = size.bytes - u64::from(before) + u64::from(after);
        resize(&mut self.held);
        if self
            .at(at)
            .is_some_and(|entry| entry.place == Place::Protected)
        {
            resize(&mut self.held_protected);
        }
    }

    /// Takes an entry out of everything.
    pub(crate) fn remove(&mut self, at: u32) -> Option<Entry<K, V>> {
        let entry = self.slab.get(at)?;
        let (hash, bytes, place) = (entry.hash, entry.bytes, entry.place);
        if let Ok(found) = self.index.find_entry(spread(hash), |other| *other == at) {
            found.remove();
        }
        self.leave(at, bytes, place);
        self.held.sub(bytes);
        self.slab.take(at)
    }

    pub(super) fn enter(&mut self, at: u32, bytes: u32, place: Place) {
        match place {
            Place::Probation => self.probation.push(&mut self.slab, at),
            Place::Protected => {
                self.protected.push(&mut self.slab, at);
                self.held_protected.add(bytes);
            }
        }
    }

    pub(super) fn leave(&mut self, at: u32, bytes: u32, place: Place) {
        match place {
            Place::Probation => self.probation.remove(&mut self.slab, at),
            Place::Protected => {
                self.protected.remove(&mut self.slab, at);
                self.held_protected.sub(bytes);
            }
        }
    }
}
