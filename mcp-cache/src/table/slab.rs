//! Slots in chunks: they never move, and growing copies nothing.
//!
//! One growing vector would hold up to twice the memory and copy all entries
//! under the shard's lock whenever it grows; a box per entry costs an
//! allocation and its header. A chunk costs one more load, from a small array
//! that stays in the cache.

use super::entry::{Entry, Head, Tail};

const CHUNK_BITS: u32 = 6;
const CHUNK: usize = 1 << CHUNK_BITS;

/// No slot.
pub(crate) const NIL: u32 = u32::MAX;

/// An entry, or room for one: that of a small key and a handle to a value is two
/// cache lines, and a read needs the first only.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Slot<K, V> {
    /// `None` is a free slot.
    item: Option<(K, V)>,
    pub(crate) head: Head,
    pub(crate) tail: Tail,
    /// Neighbours in a [`Ring`](super::ring::Ring); of a free slot, `next` is the next free one.
    pub(crate) prev: u32,
    pub(crate) next: u32,
}

impl<K, V> Slot<K, V> {
    fn free(next: u32) -> Self {
        Self {
            item: None,
            head: Head::default(),
            tail: Tail::default(),
            prev: NIL,
            next,
        }
    }

    #[inline]
    pub(crate) fn item(&self) -> Option<&(K, V)> {
        self.item.as_ref()
    }

    /// Puts another entry into this place; the one that was there.
    pub(crate) fn replace(&mut self, entry: Entry<K, V>) -> Option<(K, V)> {
        self.head = entry.head;
        self.tail = entry.tail;
        self.item.replace((entry.key, entry.value))
    }
}

#[derive(Debug)]
pub(crate) struct Slab<K, V> {
    chunks: Vec<Box<[Slot<K, V>; CHUNK]>>,
    free: u32,
}

impl<K, V> Slab<K, V> {
    pub(crate) fn new() -> Self {
        Self {
            chunks: Vec::new(),
            free: NIL,
        }
    }

    /// Slots, free ones included; every number is below.
    pub(crate) fn slots(&self) -> usize {
        self.chunks.len() * CHUNK
    }

    /// # Panics
    /// There is no such slot.
    #[inline]
    pub(crate) fn slot(&self, at: u32) -> &Slot<K, V> {
        &self.chunks[(at >> CHUNK_BITS) as usize][at as usize % CHUNK]
    }

    /// # Panics
    /// There is no such slot.
    #[inline]
    pub(crate) fn slot_mut(&mut self, at: u32) -> &mut Slot<K, V> {
        &mut self.chunks[(at >> CHUNK_BITS) as usize][at as usize % CHUNK]
    }

    /// Puts an entry into a free slot, whose links are left to the caller.
    pub(crate) fn put(&mut self, entry: Entry<K, V>) -> u32 {
        if self.free == NIL {
            self.grow();
        }
        let at = self.free;
        let slot = self.slot_mut(at);
        slot.replace(entry);
        self.free = slot.next;
        at
    }

    /// Takes the entry out; its slot must be in no ring any more.
    pub(crate) fn take(&mut self, at: u32) -> Option<(K, V)> {
        let free = self.free;
        let slot = self.slot_mut(at);
        let item = slot.item.take()?;
        slot.tail.tags = super::TagSet::default();
        slot.next = free;
        self.free = at;
        Some(item)
    }

    #[cold]
    fn grow(&mut self) {
        const LAST: usize = (NIL as usize) - 2 * CHUNK;
        assert!(self.slots() < LAST, "fewer than 2^32 entries in a shard");
        let first = u32::try_from(self.slots()).unwrap_or(NIL);
        let slots: Vec<Slot<K, V>> = (first + 1..).take(CHUNK).map(Slot::free).collect();
        let Ok(mut chunk) = Box::<[_; CHUNK]>::try_from(slots.into_boxed_slice()) else {
            unreachable!("a chunk of exactly that many slots was collected")
        };
        chunk[CHUNK - 1].next = NIL;
        self.chunks.push(chunk);
        self.free = first;
    }
}
