//! The events of one stream: what waits to be read, what is in the reader's
//! hands, and what was read and is kept for replay, in one ring. Plain values,
//! no lock and no waker.
//!
//! Ids are dense: the event at the front has the id `first`, and each one behind
//! it one more. Two cursors cut the ring: below `acked` is history, from there
//! to `taken` is what the reader holds, and above is unread.

use crate::config::EVENT_OVERHEAD_BYTES;
use bytes::Bytes;
use std::{
    collections::{HashMap, VecDeque},
    ops::Range,
    sync::Arc,
};

mod hands;

use hands::Hands;

/// Below this many slots the ring does not shrink.
const SLOTS_MIN: usize = 16;

/// One event.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) data: Bytes,
    pub(crate) key: Option<Arc<str>>,
}

impl Slot {
    /// What the event counts against every budget.
    pub(crate) fn weight(&self) -> u64 {
        let key = self.key.as_ref().map_or(0, |key| key.len());
        (self.data.len() + key) as u64 + EVENT_OVERHEAD_BYTES
    }
}

#[derive(Debug)]
pub(crate) struct Ring {
    slots: VecDeque<Slot>,
    first: u64,
    acked: u64,
    taken: u64,
    held: u64,
    history: u64,
    /// The weight of events that left the ring while a reader held them.
    stuck: u64,
    /// What replaced readers hold, and what left the ring while it was held.
    hands: Option<Box<Hands>>,
    /// Unread events with a key; `None` while there are none.
    #[expect(
        clippy::box_collection,
        reason = "few streams have any, and all pay for its size"
    )]
    keys: Option<Box<HashMap<Arc<str>, u64>>>,
}

impl Ring {
    /// An empty ring whose first event will have the id `first`.
    pub(crate) fn new(first: u64) -> Self {
        Self {
            slots: VecDeque::new(),
            first,
            acked: first,
            taken: first,
            held: 0,
            history: 0,
            stuck: 0,
            hands: None,
            keys: None,
        }
    }

    /// The id of the next event.
    pub(crate) fn next_id(&self) -> u64 {
        self.first + self.slots.len() as u64
    }

    /// The weight of everything, what the reader holds included.
    pub(crate) fn held(&self) -> u64 {
        self.held
    }

    /// The weight of what was read and is kept.
    pub(crate) fn history(&self) -> u64 {
        self.history
    }

    /// The weight of what is neither history nor evicted in the reader's hands.
    pub(crate) fn unread(&self) -> u64 {
        self.held - self.history - self.stuck
    }

    /// The weight of what readers hold, in the ring or no more: no eviction frees
    /// it.
    pub(crate) fn in_hands(&self) -> u64 {
        // What replaced readers hold may lie anywhere.
        let (from, to) = match self.hands {
            Some(_) => (self.first, self.next_id()),
            None => (self.acked.max(self.first), self.taken),
        };
        let ids = (from..to).filter(|id| self.holders(*id) > 0);
        let weight = |id| self.slots[clip(id - self.first)].weight();
        self.stuck + ids.map(weight).sum::<u64>()
    }

    /// Events that wait to be taken.
    pub(crate) fn unread_len(&self) -> u64 {
        self.next_id() - self.taken.max(self.first)
    }

    /// The id before the next one that is taken.
    #[cfg(feature = "sse")]
    pub(crate) fn position(&self) -> u64 {
        self.taken - 1
    }

    /// Appends an event.
    pub(crate) fn push(&mut self, slot: Slot) -> u64 {
        let id = self.next_id();
        self.held += slot.weight();
        if let Some(key) = &slot.key {
            let keys = self.keys.get_or_insert_default();
            keys.insert(Arc::clone(key), id);
        }
        if self.slots.capacity() == 0 {
            // Many streams carry one event only.
            self.slots.reserve_exact(1);
        }
        self.slots.push_back(slot);
        id
    }

    /// The unread event with this key, and its weight.
    pub(crate) fn find_unread(&self, key: &str) -> Option<(u64, u64)> {
        let id = *self.keys.as_ref()?.get(key)?;
        Some((id, self.slots[self.index(id)?].weight()))
    }

    /// Whether the event with the id is there and unread.
    pub(crate) fn find_unread_at(&self, id: u64) -> bool {
        self.index(id).is_some()
    }

    /// Puts an event in the place of the unread one with the id; the old one
    /// comes back.
    pub(crate) fn replace(&mut self, id: u64, slot: Slot) -> Slot {
        let index = self.index(id).expect("found before, under the same lock");
        self.held += slot.weight();
        let old = std::mem::replace(&mut self.slots[index], slot);
        self.held -= old.weight();
        old
    }

    /// Removes the oldest event of the history, or the oldest event whatever it
    /// is if `unread` may go too.
    #[inline]
    pub(crate) fn evict(&mut self, unread: bool) -> Option<Slot> {
        let is_history = self.first < self.acked;
        if !is_history && !unread {
            return None;
        }
        let slot = self.slots.pop_front()?;
        let (id, weight) = (self.first, slot.weight());
        let holders = self.holders(id);
        self.first += 1;
        self.forget_key(slot.key.as_deref(), id);
        if is_history {
            self.history -= weight;
        }
        if holders > 0 {
            self.hands.get_or_insert_default().left(id, weight, holders);
            self.stuck += weight;
        } else {
            self.held -= weight;
        }
        self.shrink();
        Some(slot)
    }

    /// Removes everything; the reader will find nothing more. What it holds is
    /// kept for it under this number.
    pub(crate) fn clear(&mut self, reader: u32) -> Vec<Slot> {
        for id in self.first..self.next_id() {
            let holders = self.holders(id);
            if holders > 0 {
                let weight = self.slots[clip(id - self.first)].weight();
                self.hands.get_or_insert_default().left(id, weight, holders);
                self.stuck += weight;
            }
        }
        self.hand_over(reader);
        self.first = self.next_id();
        self.taken = self.first;
        self.acked = self.first;
        self.held = self.stuck;
        self.history = 0;
        self.keys = None;
        Vec::from(std::mem::take(&mut self.slots))
    }

    /// The reader is done with what it held: that becomes history. Says whether
    /// it held anything.
    pub(crate) fn ack(&mut self) -> bool {
        if self.acked == self.taken {
            return false;
        }
        for id in self.acked.max(self.first)..self.taken {
            let index = clip(id - self.first);
            self.history += self.slots[index].weight();
        }
        self.release(|hands, ids| hands.release(ids));
        self.acked = self.taken;
        true
    }

    /// A reader that was replaced, or whose events were removed, is done with
    /// what it held. Says whether it held anything.
    pub(crate) fn leave(&mut self, reader: u32) -> bool {
        self.hands.is_some() && {
            self.release(|hands, _| hands.leave(reader));
            true
        }
    }

    fn release(&mut self, release: impl FnOnce(&mut Hands, Range<u64>) -> u64) {
        let Some(hands) = &mut self.hands else { return };
        let weight = release(hands, self.acked..self.taken);
        if hands.is_empty() {
            self.hands = None;
        }
        self.stuck -= weight;
        self.held -= weight;
    }

    /// How many events are missing before the next one that the reader takes;
    /// asked once, they are told.
    pub(crate) fn pass_gap(&mut self) -> Option<u64> {
        let missed = self.first.checked_sub(self.taken).filter(|n| *n > 0)?;
        self.release(|hands, ids| hands.release(ids));
        self.taken = self.first;
        self.acked = self.first;
        Some(missed)
    }

    /// Hands unread events to the reader, at least one if there is any, further
    /// ones up to `len_max` and `bytes_max`.
    pub(crate) fn take(&mut self, len_max: usize, bytes_max: u64, mut out: impl FnMut(u64, Bytes)) {
        let (mut len, mut bytes) = (0, 0);
        while len < len_max && self.taken < self.next_id() {
            let slot = &self.slots[clip(self.taken - self.first)];
            bytes += slot.weight();
            if len > 0 && bytes > bytes_max {
                return;
            }
            out(self.taken, slot.data.clone());
            if let Some(key) = slot.key.clone() {
                self.forget_key(Some(&key), self.taken);
            }
            self.taken += 1;
            len += 1;
        }
    }

    /// The reader went away with what it held: that is unread again.
    pub(crate) fn rewind(&mut self) {
        self.release(|hands, ids| hands.release(ids));
        self.taken = self.acked;
    }

    /// The reader is replaced, and still holds what it held: that is unread
    /// again too, and is not free before [`leave`](Self::leave).
    pub(crate) fn hand_over(&mut self, reader: u32) {
        if self.acked < self.taken {
            let hands = self.hands.get_or_insert_default();
            hands.keep(reader, self.acked..self.taken);
        }
        self.taken = self.acked;
    }

    /// Sets the reader behind the event with the id `after`. Refused if that
    /// event never was. What was evicted is a gap.
    pub(crate) fn seek(&mut self, after: u64) -> bool {
        if after >= self.next_id() {
            return false;
        }
        self.rewind();
        (self.acked, self.taken) = (after + 1, after + 1);
        let history = clip((after + 1).saturating_sub(self.first));
        self.history = self.slots.iter().take(history).map(Slot::weight).sum();
        true
    }

    /// How many events a reader behind `after` would miss.
    pub(crate) fn missed_after(&self, after: u64) -> u64 {
        self.first.saturating_sub(after.saturating_add(1))
    }

    /// In how many hands the event is.
    #[inline]
    fn holders(&self, id: u64) -> u32 {
        let before = self.hands.as_ref().map_or(0, |hands| hands.holders(id));
        before + u32::from((self.acked..self.taken).contains(&id))
    }

    fn index(&self, id: u64) -> Option<usize> {
        (id >= self.first.max(self.taken)).then(|| clip(id - self.first))
    }

    #[inline]
    fn forget_key(&mut self, key: Option<&str>, id: u64) {
        let (Some(key), Some(keys)) = (key, &mut self.keys) else {
            return;
        };
        if keys.get(key) == Some(&id) {
            keys.remove(key);
        }
        if keys.is_empty() {
            self.keys = None;
        }
    }

    /// A ring that was once long gives its slots back.
    #[inline]
    fn shrink(&mut self) {
        let (len, capacity) = (self.slots.len(), self.slots.capacity());
        if capacity > SLOTS_MIN && len < capacity / 4 {
            self.slots.shrink_to((len * 2).max(SLOTS_MIN));
        }
    }
}

/// Lossless: what is counted here is in memory.
#[expect(clippy::cast_possible_truncation, reason = "see above")]
fn clip(n: u64) -> usize {
    n as usize
}

#[cfg(test)]
mod tests;
