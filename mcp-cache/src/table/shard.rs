//! The table behind one lock.

use super::{
    Counters, Entry, Limit, Place, Reads, Slot, Trash,
    entry::Uses,
    ghosts::Ghosts,
    index::Index,
    limit::Size,
    reclaim::{Lap, MOVES},
    ring::Ring,
    slab::{Front, Slab},
};
use crate::epoch::Ledger;
use hashbrown::Equivalent;

/// Bytes per entry beside its slot: its part of the index (5.3 bytes a cell, at
/// worst half of them in use) and of the ghosts (eight bytes each, one an entry).
const SHARE_BYTES: usize = 11 + 8;

/// What a decision about an entry's life needs.
#[derive(Debug)]
pub(crate) struct Now<'a, K> {
    pub(crate) ledger: &'a Ledger<K>,
    /// Read before the shard is looked at.
    pub(crate) epoch: u64,
    pub(crate) ms: u64,
}

/// What a read needs comes first: it is one line with the lock.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Shard<K, V> {
    pub(crate) reads: Reads,
    pub(super) index: Index,
    pub(super) slab: Slab<K, V>,
    pub(super) probation: Ring,
    pub(super) protected: Ring,
    pub(super) ghosts: Ghosts,
    pub(crate) limit: Limit,
    pub(super) held: Size,
    pub(super) held_protected: Size,
    pub(super) lap: Lap,
    pub(crate) counters: Counters,
}

impl<K, V> Shard<K, V> {
    /// What an entry takes in the table, its key and value in place included.
    pub(crate) const ENTRY_BYTES: usize = Slab::<K, V>::SLOT_BYTES + SHARE_BYTES;

    pub(crate) fn new(limit: Limit) -> Self {
        Self {
            reads: Reads::default(),
            index: Index::new(),
            slab: Slab::new(),
            probation: Ring::new(),
            protected: Ring::new(),
            ghosts: Ghosts::new(),
            limit,
            held: Size::default(),
            held_protected: Size::default(),
            lap: Lap::default(),
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

    /// Slots there are, free ones included.
    pub(crate) fn slots(&self) -> usize {
        self.slab.slots()
    }

    #[inline]
    pub(crate) fn front_mut(&mut self, at: u32) -> &mut Front<K, V> {
        self.slab.front_mut(at)
    }

    pub(crate) fn slot(&mut self, at: u32) -> Slot<'_, K, V> {
        self.slab.slot(at)
    }

    /// The slot of a key.
    #[inline]
    pub(crate) fn find<Q>(&self, hash: u32, key: &Q) -> Option<u32>
    where
        Q: Equivalent<K> + ?Sized,
    {
        self.index.find(hash, |at| {
            let item = self.slab.front(at).item.as_ref();
            item.is_some_and(|(other, _)| key.equivalent(other))
        })
    }

    /// Adds an entry whose key is not there, and makes room for it first.
    pub(crate) fn add(
        &mut self,
        mut entry: Entry<K, V>,
        now: &Now<'_, K>,
        trash: &mut Trash<K, V>,
    ) {
        let (hash, bytes) = (entry.tail.hash, entry.tail.bytes);
        if self.limit.is_full_for(self.held, bytes) {
            self.reclaim(now, trash);
        }
        if self.ghosts.recall(hash, self.ghost_window()) {
            entry.tail.place = Place::Protected;
            self.make_room_protected(bytes, now, trash);
        } else if let Some(at) = self.idle_head(bytes, now) {
            return self.take_place(at, entry, trash);
        }
        self.make_room(bytes, now, trash);
        let place = entry.tail.place;
        let at = self.slab.put(entry, self.limit.entries_max());
        let slab = &self.slab;
        self.index
            .insert(hash, at, |other| slab.back(other).tail.hash);
        self.held.add(bytes);
        self.enter(at, bytes, place);
    }

    fn make_room(&mut self, bytes: u32, now: &Now<'_, K>, trash: &mut Trash<K, V>) {
        while self.limit.is_full_for(self.held, bytes) && self.evict(now, trash) {
            self.compact(MOVES);
        }
    }

    /// The next one to leave probation, if it is alive, unused, and has to make
    /// room for so many bytes alone.
    fn idle_head(&mut self, bytes: u32, now: &Now<'_, K>) -> Option<u32> {
        let at = self.probation.head()?;
        let mut slot = self.slab.slot(at);
        let is_idle = slot.head.uses.recent() == 0 && slot.may_be_served(now);
        let leaves = slot.tail.bytes;
        let alone = self.limit.is_full_for(self.held, bytes)
            && !self.limit.is_over(self.held.changed(leaves, bytes));
        (is_idle && alone).then_some(at)
    }

    /// One comes and one leaves: the slot stays where it is, and what was the first
    /// in the ring is its last.
    fn take_place(&mut self, at: u32, entry: Entry<K, V>, trash: &mut Trash<K, V>) {
        let leaves = &self.slab.back(at).tail;
        let (old_hash, old_bytes) = (leaves.hash, leaves.bytes);
        let (hash, bytes) = (entry.tail.hash, entry.tail.bytes);
        self.ghosts.remember(old_hash, self.ghost_window());
        let slab = &self.slab;
        self.index
            .remove(old_hash, at, |other| slab.back(other).tail.hash);
        self.index
            .insert(hash, at, |other| slab.back(other).tail.hash);
        trash.add(self.slab.slot(at).replace(entry));
        self.held = self.held.changed(old_bytes, bytes);
        self.probation.advance(&self.slab);
        self.counters.evicted += 1;
    }

    /// Puts a newer value into the place of an older one of the same key.
    pub(crate) fn replace(
        &mut self,
        at: u32,
        mut entry: Entry<K, V>,
        now: &Now<'_, K>,
        trash: &mut Trash<K, V>,
    ) {
        let slot = self.slab.slot(at);
        let (before, after, place) = (slot.tail.bytes, entry.tail.bytes, slot.tail.place);
        entry.tail.place = place;
        entry.head.uses = Uses::count_replaced(slot.head.uses);
        trash.add(slot.replace(entry));
        self.held = self.held.changed(before, after);
        if place == Place::Protected {
            self.held_protected = self.held_protected.changed(before, after);
        }
        self.obey_limit(now, trash);
    }

    /// Makes room until the bounds hold.
    pub(crate) fn obey_limit(&mut self, now: &Now<'_, K>, trash: &mut Trash<K, V>) {
        while self.limit.is_over(self.held) && self.evict(now, trash) {
            self.compact(MOVES);
        }
    }

    /// Takes an entry out of everything.
    pub(crate) fn remove(&mut self, at: u32) -> Option<(K, V)> {
        let tail = &self.slab.back(at).tail;
        let (hash, bytes, place) = (tail.hash, tail.bytes, tail.place);
        let slab = &self.slab;
        self.index
            .remove(hash, at, |other| slab.back(other).tail.hash);
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
