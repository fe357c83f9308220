//! Who leaves when room is needed. The reasons are in the table's documentation.

use super::{Entry, Now, Phase, Place, Shard, Trash};
use crate::sync::Ordering;

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

    /// Removes one entry; false if there is none.
    pub(super) fn evict(&mut self, now: &Now<'_, K>, trash: &mut Trash<K, V>) -> bool {
        let Some((at, fate)) = self.probation.head().and_then(|at| self.fate(at, now)) else {
            return self.evict_protected(now, trash);
        };
        match fate {
            Fate::Dead => self.discard(at, now, trash),
            Fate::Idle => {
                if let Some(entry) = self.remove(at) {
                    let window = self.ghost_window();
                    self.ghosts.remember(entry.hash, window);
                    self.evicted(entry, trash);
                }
            }
            Fate::Used => {
                self.promote(at);
                while self.limit.is_protected_over(self.held_protected)
                    && self.evict_protected(now, trash)
                {}
            }
        }
        true
    }

    /// Removes one protected entry; false if there is none.
    pub(super) fn evict_protected(&mut self, now: &Now<'_, K>, trash: &mut Trash<K, V>) -> bool {
        // Ends: each pass takes a use from everyone.
        while let Some((at, fate)) = self.protected.head().and_then(|at| self.fate(at, now)) {
            match fate {
                Fate::Dead => self.discard(at, now, trash),
                Fate::Idle => {
                    if let Some(entry) = self.remove(at) {
                        self.evicted(entry, trash);
                    }
                }
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
    fn fate(&mut self, at: u32, now: &Now<'_, K>) -> Option<(u32, Fate)> {
        let entry = self.slab.get(at)?;
        let used = entry.used.load(Ordering::Relaxed);
        if used == 0 {
            return Some((at, Fate::Idle));
        }
        if !entry.may_be_served(now) {
            return Some((at, Fate::Dead));
        }
        entry.used.store(used - 1, Ordering::Relaxed);
        Some((at, Fate::Used))
    }

    fn promote(&mut self, at: u32) {
        let Some(entry) = self.slab.get_mut(at) else {
            return;
        };
        entry.place = Place::Protected;
        let bytes = entry.bytes;
        self.leave(at, bytes, Place::Probation);
        self.enter(at, bytes, Place::Protected);
    }

    /// Removes an entry that is over or invalidated.
    pub(crate) fn discard(&mut self, at: u32, now: &Now<'_, K>, trash: &mut Trash<K, V>) {
        let Some(entry) = self.remove(at) else {
            return;
        };
        if entry.life.phase(now.ms) == Phase::Over {
            self.counters.expired += 1;
        } else {
            self.counters.invalidated += 1;
        }
        trash.add(entry.key, entry.value);
    }

    /// Removes a dead entry that was met, unless it is kept for its last known
    /// value: then it is only dead.
    pub(crate) fn discard_unless_kept(
        &mut self,
        at: u32,
        now: &Now<'_, K>,
        trash: &mut Trash<K, V>,
    ) -> bool {
        if let Some(entry) = self.slab.get_mut(at)
            && entry.keep_invalidated
            && entry.life.phase(now.ms) != Phase::Over
        {
            entry.kill();
            return false;
        }
        self.discard(at, now, trash);
        true
    }

    /// Whether the slot held an entry that is dead and was removed.
    pub(crate) fn discard_if_dead(
        &mut self,
        at: u32,
        now: &Now<'_, K>,
        trash: &mut Trash<K, V>,
    ) -> bool {
        let dead = self
            .slab
            .get(at)
            .is_some_and(|entry| !entry.may_be_served(now));
        dead && self.discard_unless_kept(at, now, trash)
    }

    /// Makes an entry dead because its key was invalidated; the entry if it does
    /// not stay.
    pub(crate) fn invalidate(&mut self, at: u32) -> Option<Entry<K, V>> {
        let entry = self.slab.get_mut(at)?;
        if entry.keep_invalidated {
            entry.kill();
            return None;
        }
        self.counters.invalidated += 1;
        self.remove(at)
    }

    fn evicted(&mut self, entry: Entry<K, V>, trash: &mut Trash<K, V>) {
        self.counters.evicted += 1;
        trash.add(entry.key, entry.value);
    }
}
