//! Slots in two arrays, one for each half.
//!
//! What every read needs is one cache line for a small key and a handle to a
//! value; the rest is in the other array. So the memory that reads walk through is
//! half of the whole. Both arrays are contiguous: small chunks, which end up
//! between the values on the heap, make a read miss the address translation as
//! often as the cache (measured: 78 ns and not 50). They grow by an eighth,
//! and not by half, because what is reserved is paid for.

use super::{
    TagSet,
    entry::{Entry, Head, Tail},
};

/// No slot.
pub(crate) const NIL: u32 = u32::MAX;

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
    /// Neighbours in a [`Ring`](super::ring::Ring); of a free slot, `next` is the next free one.
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
        self.free = self.back(at).next;
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
        back.next = free;
        self.free = at;
        Some(item)
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
