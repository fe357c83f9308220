//! Who leaves when room is needed. The reasons are in the table's documentation.

use super::{Now, Phase, Place, Shard, Trash};

/// Ghosts to remember, as a share of the entries held.
const GHOSTS_PER_ENTRY: (u64, u64) = (1, 2);

/// What the hand does with the entry before it.
enum Fate {
    Dead,
    Used,
    Idle,
}

impl<K, V> Shard<K, V> {
    pub(super) fn ghost_window(&self) -> usize {
        let (share, of) = GHOSTS_PER_ENTRY;
        usize::try_from(self.held.entries * share / of).unwrap_or(usize::MAX)
    }

    /// Removes an entry, or lets one on probation prove itself; false if there is none.
    pub(super) fn evict(&mut self, now: &Now<'_, K>, trash: &mut Trash<K, V>) -> bool {
        let Some(at) = self.probation.head() else {
            return self.evict_protected(now, trash);
        };
        match self.fate(at, now) {
            Fate::Dead => self.discard(at, now, trash),
            Fate::Idle => {
                let (hash, window) = (self.slab.back(at).tail.hash, self.ghost_window());
                self.ghosts.remember(hash, window);
                self.evict_one(at, trash);
            }
            Fate::Used => self.promote(at, now, trash),
        }
        true
    }

    /// Makes room in the protected ring, before it is needed: whoever comes in must
    /// not be the first that the hand finds unused.
    pub(super) fn make_room_protected(
        &mut self,
        bytes: u32,
        now: &Now<'_, K>,
        trash: &mut Trash<K, V>,
    ) {
        while self.limit.is_protected_full_for(self.held_protected, bytes)
            && self.evict_protected(now, trash)
        {}
    }

    /// Removes one protected entry; false if there is none.
    fn evict_protected(&mut self, now: &Now<'_, K>, trash: &mut Trash<K, V>) -> bool {
        // Ends: each pass takes a use from everyone.
        while let Some(at) = self.protected.head() {
            match self.fate(at, now) {
                Fate::Dead => self.discard(at, now, trash),
                Fate::Idle => self.evict_one(at, trash),
                Fate::Used => {
                    self.protected.advance(&self.slab);
                    continue;
                }
            }
            return true;
        }
        false
    }

    /// Takes one use from the entry, if it has one.
    fn fate(&mut self, at: u32, now: &Now<'_, K>) -> Fate {
        let mut slot = self.slab.slot(at);
        let used = slot.head.uses.take_one();
        match slot.may_be_served(now) {
            false => Fate::Dead,
            true if used => Fate::Used,
            true => Fate::Idle,
        }
    }

    fn promote(&mut self, at: u32, now: &Now<'_, K>, trash: &mut Trash<K, V>) {
        let bytes = self.slab.back(at).tail.bytes;
        self.make_room_protected(bytes, now, trash);
        self.slab.back_mut(at).tail.place = Place::Protected;
        self.leave(at, bytes, Place::Probation);
        self.enter(at, bytes, Place::Protected);
    }

    fn evict_one(&mut self, at: u32, trash: &mut Trash<K, V>) {
        self.counters.evicted += 1;
        trash.add(self.remove(at));
    }

    /// Removes an entry that is over or invalidated.
    pub(super) fn discard(&mut self, at: u32, now: &Now<'_, K>, trash: &mut Trash<K, V>) {
        if self.slab.slot(at).phase(now.ms) == Phase::Over {
            self.counters.expired += 1;
        } else {
            self.counters.invalidated += 1;
        }
        trash.add(self.remove(at));
    }

    /// Removes a dead entry that was met, unless it is kept for its last known
    /// value: then it is only dead.
    pub(crate) fn discard_unless_kept(
        &mut self,
        at: u32,
        now: &Now<'_, K>,
        trash: &mut Trash<K, V>,
    ) -> bool {
        let mut slot = self.slab.slot(at);
        if slot.tail.keep_invalidated && slot.phase(now.ms) != Phase::Over {
            slot.kill();
            return false;
        }
        self.discard(at, now, trash);
        true
    }

    /// Whether the slot, if there is one, held an entry that is dead and was removed.
    pub(crate) fn discard_if_dead(
        &mut self,
        at: u32,
        now: &Now<'_, K>,
        trash: &mut Trash<K, V>,
    ) -> bool {
        if at as usize >= self.slab.slots() {
            return false;
        }
        let mut slot = self.slab.slot(at);
        let dead = slot.item.is_some() && !slot.may_be_served(now);
        dead && self.discard_unless_kept(at, now, trash)
    }

    /// Makes an entry dead because of its key; what of it does not stay.
    pub(crate) fn invalidate(&mut self, at: u32) -> Option<(K, V)> {
        let mut slot = self.slab.slot(at);
        if slot.tail.keep_invalidated {
            slot.kill();
            return None;
        }
        self.counters.invalidated += 1;
        self.remove(at)
    }
}
