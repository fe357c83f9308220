//! Slots in two arrays, one for each half.
//!
//! What every read needs is one cache line for a small key and a handle to a
//! value; the rest is in the other array. So the memory that reads walk through is
//! half of the whole. Both arrays are contiguous: small chunks, which end up
//! between the values on the heap, make a read miss the address translation as
//! often as the cache. They grow by an eighth, and not by half, because what is
//! reserved is paid for.

use super::{
    TagSet,
    entry::{Entry, Head, Tail},
};

/// No slot.
pub(crate) const NIL: u32 = u32::MAX;

/// Free slots that are kept in any case.
const SPARE: u64 = 64;

/// The half of a slot that every read needs; `item` is `None` in a free slot.
/// The allocator aligns to 16 bytes only: without a word from us each front
/// would lie in two lines, and a read would take two misses for one.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Front<K, V> {
    pub(crate) item: Option<(K, V)>,
    pub(crate) head: Head,
}

/// The other half.
#[derive(Debug, Default)]
pub(crate) struct Back {
    pub(crate) tail: Tail,
    /// Neighbours in a [`Ring`](super::ring::Ring), or among the free slots.
    pub(crate) prev: u32,
    pub(crate) next: u32,
}

/// Both halves.
#[derive(Debug)]
pub(crate) struct Slot<'a, K, V> {
    pub(crate) item: &'a mut Option<(K, V)>,
    pub(crate) head: &'a mut Head,
    pub(crate) tail: &'a mut Tail,
}

/// The fronts come first: see the shard.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Slab<K, V> {
    fronts: Vec<Front<K, V>>,
    backs: Vec<Back>,
    free: u32,
}

impl<K, V> Slab<K, V> {
    /// Bytes that one more entry takes.
    pub(crate) const SLOT_BYTES: usize = size_of::<Front<K, V>>() + size_of::<Back>();

    pub(crate) fn new() -> Self {
        Self {
            fronts: Vec::new(),
            backs: Vec::new(),
            free: NIL,
        }
    }

    /// Slots, free ones included; every number is below. The other functions
    /// panic if there is no such slot.
    pub(crate) fn slots(&self) -> usize {
        self.backs.len()
    }

    #[inline]
    pub(crate) fn front(&self, at: u32) -> &Front<K, V> {
        &self.fronts[at as usize]
    }

    #[inline]
    pub(crate) fn front_mut(&mut self, at: u32) -> &mut Front<K, V> {
        &mut self.fronts[at as usize]
    }

    #[inline]
    pub(crate) fn back(&self, at: u32) -> &Back {
        &self.backs[at as usize]
    }

    #[inline]
    pub(crate) fn back_mut(&mut self, at: u32) -> &mut Back {
        &mut self.backs[at as usize]
    }

    pub(crate) fn slot(&mut self, at: u32) -> Slot<'_, K, V> {
        let front = &mut self.fronts[at as usize];
        Slot {
            item: &mut front.item,
            head: &mut front.head,
            tail: &mut self.backs[at as usize].tail,
        }
    }

    /// Puts an entry into a free slot, whose links are left to the caller. There
    /// will never be more than `entries_max`.
    ///
    /// # Panics
    /// There are 2^32 - 1 slots already.
    pub(crate) fn put(&mut self, entry: Entry<K, V>, entries_max: u64) -> u32 {
        if self.free == NIL {
            return self.push(entry, entries_max);
        }
        let at = self.free;
        self.leave_free(at);
        self.slot(at).replace(entry);
        at
    }

    fn push(&mut self, entry: Entry<K, V>, entries_max: u64) -> u32 {
        let slots = self.slots();
        if slots == self.backs.capacity() {
            let most = usize::try_from(entries_max).unwrap_or(usize::MAX);
            let more = (slots / 8).clamp(8, most.saturating_sub(slots).max(8));
            self.fronts.reserve_exact(more);
            self.backs.reserve_exact(more);
        }
        let Entry {
            key,
            value,
            head,
            tail,
        } = entry;
        self.fronts.push(Front {
            item: Some((key, value)),
            head,
        });
        self.backs.push(Back {
            tail,
            ..Back::default()
        });
        let at = u32::try_from(slots).unwrap_or(NIL);
        assert!(at < NIL, "fewer than 2^32 - 1 entries in a shard");
        at
    }

    /// Takes the entry out; its slot must be in no ring any more.
    pub(crate) fn take(&mut self, at: u32) -> Option<(K, V)> {
        let item = self.front_mut(at).item.take()?;
        let free = self.free;
        let back = self.back_mut(at);
        back.tail.tags = TagSet::default();
        (back.prev, back.next) = (NIL, free);
        if let Some(next) = self.backs.get_mut(free as usize) {
            next.prev = at;
        }
        self.free = at;
        Some(item)
    }

    /// Takes a free slot off the list of free ones.
    fn leave_free(&mut self, at: u32) {
        let (prev, next) = (self.back(at).prev, self.back(at).next);
        match self.backs.get_mut(prev as usize) {
            Some(prev) => prev.next = next,
            None => self.free = next,
        }
        if let Some(next) = self.backs.get_mut(next as usize) {
            next.prev = prev;
        }
    }

    /// Whether more than half of the slots are free, and enough of them to matter.
    pub(crate) fn is_sparse(&self, entries: u64) -> bool {
        self.slots() as u64 > 2 * entries + SPARE
    }

    /// Drops the last slot: a free one, or one whose entry moves to a free one. Then
    /// this answers from where and to where, and whoever knows the number has to
    /// learn the new one; the links have moved along. Nothing happens if no slot is
    /// free.
    pub(crate) fn drop_last(&mut self) -> Option<(u32, u32)> {
        let from = u32::try_from(self.slots().checked_sub(1)?).unwrap_or(NIL);
        let is_free = self.front(from).item.is_none();
        let to = if is_free { from } else { self.free };
        if to == NIL {
            return None;
        }
        self.leave_free(to);
        // The last one fills the place, or goes itself.
        drop((
            self.fronts.swap_remove(to as usize),
            self.backs.swap_remove(to as usize),
        ));
        if self.backs.capacity() / 2 > self.slots() {
            let kept = self.slots() + self.slots() / 8;
            self.fronts.shrink_to(kept);
            self.backs.shrink_to(kept);
        }
        (!is_free).then_some((from, to))
    }
}

impl<K, V> Slot<'_, K, V> {
    /// Puts another entry into this place; the one that was there.
    pub(crate) fn replace(self, entry: Entry<K, V>) -> Option<(K, V)> {
        *self.head = entry.head;
        *self.tail = entry.tail;
        self.item.replace((entry.key, entry.value))
    }
}
